"""Tables behind the server as polars scans: the only file that touches what polars calls unstable.

polars asks a source for columns and hands it the query's condition. The condition is read from
polars' JSON form and the parts that SQL can say go to the server, which only has to be right about
leaving rows out: the condition is always applied again here. The form may change between versions
of polars; then less is sent, and nothing goes wrong.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from neurolake import sql

Fetch = Callable[[list[str] | None, list[str], int | None], Iterator[pl.DataFrame]]
"""Asks for columns (none: all), under conditions in SQL, at most so many rows."""


def scan(schema: pl.Schema | Callable[[], pl.Schema], fetch: Fetch) -> pl.LazyFrame:
    """A lazy frame over `fetch`."""

    def source(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        known = schema() if callable(schema) else schema
        wanted = list(known) if with_columns is None else with_columns
        needed = wanted
        conditions: list[str] = []
        if predicate is not None:
            # Some versions leave the condition's own columns out of `with_columns`.
            extra = [name for name in predicate.meta.root_names() if name not in wanted]
            needed = [name for name in known if name in wanted or name in extra]
            conditions = to_sql(predicate, known)
        limit = n_rows if predicate is None else None
        left = n_rows
        for frame in fetch(needed or list(known)[:1], conditions, limit):
            frame = conform(frame, known)
            if predicate is not None:
                frame = frame.filter(predicate)
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            yield frame.select(wanted)
            if left == 0:
                return

    return register_io_source(source, schema=schema, is_pure=True)


def conform(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The frame in the types that were announced; a value that doesn't fit is an error."""
    casts = [
        pl.col(name).cast(schema[name])
        for name, dtype in frame.schema.items()
        if name in schema and dtype != schema[name]
    ]
    return frame.with_columns(casts) if casts else frame


class _CannotSay(Exception):
    """SQL has no word for a part of the condition, or this file doesn't know it."""


def to_sql(predicate: pl.Expr, schema: pl.Schema) -> list[str]:
    """Conditions that all rows of the answer fulfil; possibly fewer than the predicate has."""
    try:
        tree = json.loads(predicate.meta.serialize(format="json"))
    except Exception:  # polars can't write everything, such as Python functions
        return []
    return [said for part in _parts(tree) if (said := _try(part, schema)) is not None]


def _parts(tree: Any) -> list[Any]:
    """What a chain of `and` holds."""
    match tree:
        case {"BinaryExpr": {"op": "And" | "LogicalAnd", "left": left, "right": right}}:
            return [*_parts(left), *_parts(right)]
    return [tree]


def _try(tree: Any, schema: pl.Schema) -> str | None:
    try:
        return _say(tree, schema)
    except (_CannotSay, KeyError, TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return None


_OPERATORS = {"Eq": "=", "NotEq": "!=", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_TURNED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _say(tree: Any, schema: pl.Schema) -> str:
    """Exactly the meaning of the expression, also under `not`."""
    match tree:
        case {"Column": str(name)} if schema[name] == pl.Boolean:
            return sql.name(name)
        case {"BinaryExpr": {"op": "And" | "LogicalAnd", "left": left, "right": right}}:
            return f"({_say(left, schema)} and {_say(right, schema)})"
        case {"BinaryExpr": {"op": "Or" | "LogicalOr", "left": left, "right": right}}:
            return f"({_say(left, schema)} or {_say(right, schema)})"
        case {"BinaryExpr": {"op": op, "left": {"Column": str(name)}, "right": {"Literal": value}}}:
            return _compare(name, _OPERATORS[op], value, schema)
        case {"BinaryExpr": {"op": op, "left": {"Literal": value}, "right": {"Column": str(name)}}}:
            return _compare(name, _TURNED[_OPERATORS[op]], value, schema)
        case {"Function": {"input": inputs, "function": function}}:
            return _function(function, inputs, schema)
    raise _CannotSay


def _function(function: Any, inputs: list[Any], schema: pl.Schema) -> str:
    match function, inputs:
        case {"Boolean": "Not"}, [inner]:
            return f"(not {_say(inner, schema)})"
        case {"Boolean": "IsNull"}, [{"Column": str(name)}]:
            return f"{sql.name(name)} is null"
        case {"Boolean": "IsNotNull"}, [{"Column": str(name)}]:
            return f"{sql.name(name)} is not null"
        case {"Boolean": "IsNan"}, [{"Column": str(name)}]:
            return f"isnan({sql.name(name)})"
        case {"Boolean": "IsNotNan"}, [{"Column": str(name)}]:
            return f"(not isnan({sql.name(name)}))"
        case {"Boolean": {"IsIn": {"nulls_equal": False}}}, [{"Column": str(name)}, {"Literal": values}]:
            return _is_in(name, values, schema)
        case {"Boolean": {"IsBetween": {"closed": str(closed)}}}, [{"Column": str(name)}, {"Literal": low}, {"Literal": high}]:
            above = ">=" if closed in ("Both", "Left") else ">"
            below = "<=" if closed in ("Both", "Right") else "<"
            return f"({_compare(name, above, low, schema)} and {_compare(name, below, high, schema)})"
        case {"StringExpr": {"Contains": {"literal": True}}}, [{"Column": str(name)}, {"Literal": part}]:
            return sql.contains(name, _text(part))
        case {"StringExpr": "StartsWith"}, [{"Column": str(name)}, {"Literal": part}]:
            return f"starts_with({sql.name(name)}, {sql.text(_text(part))})"
    raise _CannotSay


def _text(literal: Any) -> str:
    value, _ = _value(literal)
    if not isinstance(value, str):
        raise _CannotSay
    return value


def _compare(name: str, operator: str, literal: Any, schema: pl.Schema) -> str:
    value, tag = _value(literal)
    if value is None:
        raise _CannotSay
    return sql.compare(name, operator, value, _declared(tag, schema[name]))


def _is_in(name: str, literal: Any, schema: pl.Schema) -> str:
    ((tag, content),) = literal["Scalar"].items()
    if tag != "List":
        raise _CannotSay
    values = pl.read_ipc_stream(io.BytesIO(bytes(content))).to_series()
    # Lists so long are quicker to check here than to send.
    if values.null_count() or values.len() > 4096 or values.dtype == pl.Float32 != schema[name]:
        raise _CannotSay
    return sql.any_of(name, values.to_list(), _declared("", schema[name]))


def _declared(tag: str, dtype: pl.DataType) -> str | None:
    """Whether a float is one of 32 bits: the column's width says how polars compares."""
    return "float32" if tag == "Float32" or (tag == "" and dtype == pl.Float32) else None


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECONDS = {"Microseconds": 1, "Milliseconds": 1000}


def _value(literal: Any) -> tuple[Any, str]:
    """A literal of polars as a Python value, and the name of its type."""
    scalar = literal.get("Scalar", literal.get("Dyn"))
    if not isinstance(scalar, dict):
        raise _CannotSay
    ((tag, content),) = scalar.items()
    match tag, content:
        case "Boolean", bool():
            return content, tag
        case ("Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64" | "Int"), int():
            return content, tag
        case ("Float32" | "Float64" | "Float"), (int() | float()):
            return float(content), tag
        case ("String" | "Str"), str():
            return content, tag
        case "Binary", list():
            return bytes(content), tag
        case "Date", int():
            return date(1970, 1, 1) + timedelta(days=content), tag
        case "Datetime", [int(count), str(unit), {"inner": "UTC"}]:
            return _EPOCH + timedelta(microseconds=count * _MICROSECONDS[unit]), tag
        case "Decimal", [int(digits), _, int(scale)]:
            # Not `scaleb`, which rounds to the digits of the current context.
            sign = int(digits < 0)
            return Decimal((sign, tuple(map(int, str(abs(digits)))), -scale)), tag
    raise _CannotSay
