"""Catalogs, databases and tables as text and as HTML for notebooks, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from neurolake.data_types import type_name
from neurolake.document import plain, summary

if TYPE_CHECKING:
    from neurolake.client import Catalog, Database
    from neurolake.tables import Table

_KINDS = {
    "delta": "Delta",
    "parquet": "Parquet",
    "postgres": "PostgreSQL",
    "sheet": "Google Sheet",
    "sql": "SQL view",
    "function": "Function",
}
# Colours are the notebook's own, so that any theme is readable.
_STYLE = (
    "<style>.neurolake{color:inherit}.neurolake table{border-collapse:collapse;margin:.4em 0}"
    ".neurolake th,.neurolake td{text-align:left!important;padding:.15em .8em .15em 0;border-bottom:1px solid rgba(128,128,128,.35);"
    "vertical-align:top;background:transparent;color:inherit}"
    ".neurolake code{background:rgba(128,128,128,.15);color:inherit;padding:0 .2em;border-radius:3px}"
    ".neurolake .faint{opacity:.7}</style>"
)


def catalog_text(catalog: Catalog) -> str:
    """A line for each database."""
    databases = [catalog.db(name) for name in catalog.databases]
    lines = [f"Catalog {catalog.title!r}: {_count(sum(len(db.tables) for db in databases), 'table')} in {_count(len(databases), 'database')}"]
    width = max((len(db.name) for db in databases), default=0)
    lines += [f"  {db.name:{width}}  {summary(db.docs)}".rstrip() for db in databases]
    return "\n".join(lines)


def catalog_html(catalog: Catalog) -> str:
    """A row for each database."""
    rows = [(_code(name), str(len(catalog.db(name).tables)), _text(summary(catalog.db(name).docs))) for name in catalog.databases]
    return _page(catalog.title, summary(catalog.docs), _grid(("database", "tables", ""), rows))


def database_text(database: Database) -> str:
    """A line for each table."""
    tables = [database[name] for name in database.tables]
    lines = [f"Database {database.name!r}: {_count(len(tables), 'table')}"]
    width = max((len(table.name) for table in tables), default=0)
    lines += [f"  {table.name:{width}}  {_label(table):12}  {_mark(table)}{summary(table.docs)}".rstrip() for table in tables]
    return "\n".join(lines)


def database_html(database: Database) -> str:
    """A row for each table."""
    tables = [database[name] for name in database.tables]
    rows = [(_code(table.name), _text(_label(table)), _text(_mark(table) + summary(table.docs))) for table in tables]
    return _page(database.name, summary(database.docs), _grid(("table", "source", ""), rows))


def table_text(table: Table) -> str:
    """What the table is, its columns, and a call that gives rows."""
    lines = [f"Table {table.full_name!r} ({_label(table)})", f"  {_mark(table)}{summary(table.docs)}".rstrip()]
    if table.partitions:
        lines.append(f"  partitions: {', '.join(table.partitions)}")
    for argument in table.arguments:
        needed = ", required" if argument["required"] else ""
        lines.append(f"  argument {argument['name']}: {type_name(argument['type'])}{needed}")
    rows = list(_columns(table))
    widths = [max((len(row[at]) for row in rows), default=0) for at in range(2)]
    for name, kind, unit, docs in rows:
        about = " ".join(filter(None, [f"[{unit}]" if unit else "", docs]))
        lines.append(f"    {name:{widths[0]}}  {kind:{widths[1]}}  {about}".rstrip())
    lines.append(f"  {_example(table)}")
    return "\n".join(lines)


def table_html(table: Table) -> str:
    """What the table is, its columns, and a call that gives rows."""
    partitions = set(table.partitions)
    facts = [_text(_label(table))]
    if partitions:
        facts.append("partitioned by " + ", ".join(map(_code, table.partitions)))
    facts += [
        f"argument {_code(argument['name'])} <span class=faint>{_text(type_name(argument['type']))}"
        f"{', required' if argument['required'] else ''}</span>"
        for argument in table.arguments
    ]
    rows = [
        (_code(name) + (" <span class=faint>partition</span>" if name in partitions else ""), _text(kind), _text(unit), _text(docs))
        for name, kind, unit, docs in _columns(table)
    ]
    body = f"<div>{' · '.join(facts)}</div>"
    if rows:
        body += _grid(("column", "type", "unit", ""), rows)
    return _page(table.full_name, _mark(table) + summary(table.docs), body + f"<div>{_code(_example(table))}</div>")


def _columns(table: Table) -> Iterable[tuple[str, str, str, str]]:
    for column in table._facts.get("columns", []):
        kind = type_name(column["type"]) + ("?" if column["nullable"] else "")
        yield column["name"], kind, column.get("unit") or "", plain(summary(column.get("docs", "")))


def _example(table: Table) -> str:
    given = [
        f"{name}={value!r}"
        for name, value in table.example.items()
        if not (table.kind == "function" and value is None) and name.isidentifier()
    ]
    named = {name.partition("=")[0] for name in given}
    given += [f"{argument['name']}=..." for argument in table.arguments if argument["required"] and argument["name"] not in named]
    return f"catalog.db({table.database!r}).table({', '.join([repr(table.name), *given])})".replace("'", '"')


def _label(table: Table) -> str:
    return _KINDS.get(table.kind, table.kind)


def _mark(table: Table) -> str:
    return "deprecated: " if table._facts.get("deprecated") else ""


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _text(text: Any) -> str:
    return escape(str(text))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _page(title: str, about: str, body: str) -> str:
    return f'{_STYLE}<div class="neurolake"><b>{escape(title)}</b><div>{escape(about)}</div>{body}</div>'
