from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# Behind this folder.
sys.path.append(str(Path(__file__).parent.parent / "pg"))

import app
import servers
from app import Database
from servers import TABLES, Server, psql

OF_A_TABLE = (
    "select c.relkind, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull "
    "from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid "
    "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = '{}' and c.relname = '{}' order by a.attnum"
)


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def fill(lake: Server, catalog: dict, real: Server) -> None:
    """The rows of some tables, and the names and documentation that the catalog gives to everything."""
    servers.copy_tables(lake, real)
    statements = ["drop schema public"]
    for schema in catalog["databases"]:
        statements.append(f"create schema if not exists {schema['name']}")
        for table in schema["tables"]:
            name = f"{schema['name']}.\"{table['name']}\""
            columns = [line.split("|") for line in psql(lake, "-At", "-c", OF_A_TABLE.format(schema["name"], table["name"])).splitlines()]
            kind = {"r": "table", "v": "view"}[columns[0][0]]
            if kind == "view":
                statements.append(f"create view {name} as select " + ", ".join(f'null::{type} as "{column}"' for _, column, type, _ in columns))
            elif f"{schema['name']}.{table['name']}" not in TABLES:
                parts = (f'"{column}" {type}' + " not null" * (required == "t") for _, column, type, required in columns)
                statements.append(f"create table {name} ({', '.join(parts)})")
            statements.append(f"comment on {kind} {name} is {text(table['docs'])}")
            for column in table.get("columns", []):
                unit = f" [{column['unit']}]" if "unit" in column else ""
                statements.append(f"comment on column {name}.\"{column['name']}\" is {text(column.get('docs', '') + unit)}")
    # What the lake always is; for connections that are made from here on.
    statements.append(f"alter database {real.database} set default_transaction_read_only = on")
    psql(real, "-q", text=";\n".join(statements))


@dataclass(frozen=True)
class Both:
    real: Database
    lake: Database


@pytest.fixture(scope="session")
def connect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Both]]:
    folder = tmp_path_factory.mktemp("servers")
    with servers.lake(folder) as (lake, found), servers.postgresql(folder) as real:
        fill(lake, json.loads(servers.get(found["sql"].replace("/api/sql", "/catalog.json"))), real)
        with app.supersets(tmp_path_factory.mktemp("supersets"), real.name, lake.name) as (one, other):
            yield lambda **more: Both(one.connect(real, **more), other.connect(lake, **more))


@pytest.fixture(scope="session")
def both(connect: Callable[..., Both]) -> Both:
    return connect()


@pytest.fixture(scope="session")
def writing(connect: Callable[..., Both]) -> Both:
    """As they are where Superset is allowed to write."""
    return connect(allow_dml=True, allow_ctas=True, allow_cvas=True)
