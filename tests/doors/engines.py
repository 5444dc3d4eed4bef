"""What a statement is asked of: the doors of the lake, and the two engines that judge."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import deltalake
import duckdb
import psycopg
import pyarrow

Rows = list[tuple[Any, ...]]


class Refused(Exception):
    """An error that a door told, as opposed to one of these tests."""


def http(address: str, format: str, read: Callable[[bytes], Rows]) -> Callable[[str], Rows]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(sql: str) -> Rows:
        try:
            with opener.open(urllib.request.Request(f"{address}?format={format}", data=sql.encode()), timeout=60) as answer:
                return read(answer.read())
        except urllib.error.HTTPError as error:
            told = json.loads(error.read())["error"]
            assert 400 <= error.code < 500, told
            raise Refused(told["message"]) from error

    return ask


def command(data: Path, format: str, read: Callable[[bytes], Rows]) -> Callable[[str], Rows]:
    def ask(sql: str) -> Rows:
        words = [os.environ["NEUROLAKE_BIN"], "--quiet", "--data", data, "query", "--format", format, "-"]
        done = subprocess.run(words, input=sql.encode(), capture_output=True, timeout=60, cwd=data)
        if done.returncode:
            assert done.returncode in (2, 3), done.stderr
            raise Refused(done.stderr.decode())
        return read(done.stdout)

    return ask


def postgresql(address: str, **way: bool) -> Callable[[str], Rows]:
    connection = psycopg.connect(address, autocommit=True)

    def ask(sql: str) -> Rows:
        try:
            return connection.execute(sql, **way).fetchall()
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise Refused(str(error)) from error

    return ask


def flight(address: str) -> Callable[[str], Rows]:
    connection = adbc.connect(address, autocommit=True)

    def ask(sql: str) -> Rows:
        with connection.cursor() as cursor:
            try:
                cursor.execute(sql)
                return rows_of(cursor.fetch_arrow_table())
            except adbc.ProgrammingError as error:
                raise Refused(str(error)) from error

    return ask


def read_json(answer: bytes) -> Rows:
    return [tuple(row.values()) for row in json.loads(answer)]


def read_ndjson(answer: bytes) -> Rows:
    return [tuple(json.loads(line).values()) for line in answer.decode().splitlines()]


def read_arrow(answer: bytes) -> Rows:
    return rows_of(pyarrow.ipc.open_stream(answer).read_all())


def rows_of(table: pyarrow.Table) -> Rows:
    return list(zip(*(column.to_pylist(maps_as_pydicts="strict") for column in table.columns))) if table.num_columns else []


# An empty cell is null and `""` an empty text: the module `csv` doesn't tell one from the other.
CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)')


def read_csv(answer: bytes) -> Rows:
    rows: Rows = []
    row: list[str | None] = []
    for found in CELL.finditer(answer.decode()):
        quoted, bare, end = found.groups()
        row.append(bare or None if quoted is None else quoted.replace('""', '"'))
        if end == "\n":
            rows.append(tuple(row))
            row = []
    return rows[1:]


def duck(data: Path, tables: dict[str, str]) -> Callable[[str], Rows]:
    """DuckDB over the files of the lake as the package `deltalake` reads them: nothing of ours between."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    for table, folder in tables.items():
        rows = deltalake.DeltaTable(data / "buckets" / folder).to_pyarrow_table()
        schema, name = table.split(".")
        connection.execute(f"create schema if not exists {schema}")
        connection.register("rows", rows)
        connection.execute(f"create table {table} as from rows")
        connection.unregister("rows")
    connection.execute("set timezone = 'UTC'")

    def ask(sql: str) -> Rows:
        try:
            return connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise Refused(str(error)) from error

    return ask
