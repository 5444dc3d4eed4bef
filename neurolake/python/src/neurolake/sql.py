"""SQL text. Names and values become text only here, so that no value is ever read as SQL."""

from __future__ import annotations

import math
import struct
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from neurolake.data_types import Type, is_nan, list_item

_COMPARISONS = {"=", "!=", "<", "<=", ">", ">="}
_WIDTHS = {"float32": "Float32", "float64": "Float64", "string": "Utf8", "binary": "Binary"}


def name(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def literal(value: Any, declared: Type | None = None) -> str:
    """A value of the type; without one, as its Python type says."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Beyond 64 bits the server would read a float and lose digits.
        return str(value) if declared not in _WIDTHS else literal(float(value), declared)
    if isinstance(value, float):
        return _float(value, declared)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (bytes, bytearray)):
        return f"X'{bytes(value).hex()}'"
    if isinstance(value, datetime):
        return _timestamp(value)
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, (list, tuple)):
        return _list(value, list_item(declared))
    raise TypeError(f"a {type(value).__name__} can't be written in SQL")


def _float(value: float, declared: Type | None) -> str:
    width = "real" if declared == "float32" else "double"
    if not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0):
        return f"cast('{value}' as {width})"
    if declared == "float32":
        # The number that the column would hold, which isn't the nearest 64-bit one.
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            return f"cast({value!r} as double)"
        return f"cast({value!r} as real)"
    digits = repr(value)
    return digits if any(c in digits for c in ".e") else digits + ".0"


def _decimal(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    scale = max(0, -exponent)
    precision = max(len(digits) + max(0, exponent), scale, 1)
    return f"cast('{value:f}' as decimal({precision}, {scale}))"


def _timestamp(value: datetime) -> str:
    value = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    stamp = value.strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0")
    return f"arrow_cast('{stamp}Z', 'Timestamp(Microsecond, Some(\"UTC\"))')"


def _list(values: Any, item: Type | None) -> str:
    array = f"make_array({', '.join(literal(value, item) for value in values)})"
    arrow = arrow_type(item)
    return f"arrow_cast({array}, 'List({arrow})')" if arrow else array


def arrow_type(declared: Type | None) -> str | None:
    """Arrow's name of a scalar type, for `arrow_cast`."""
    if declared is None or isinstance(declared, dict):
        return None
    known = {**_WIDTHS, "bool": "Boolean", "date": "Date32"}
    if declared in known:
        return known[declared]
    if declared.startswith("int"):
        return "Int" + declared[3:]
    if declared.startswith("uint"):
        return "UInt" + declared[4:]
    if declared == "timestamp":
        return 'Timestamp(Microsecond, Some("UTC"))'
    return None


def compare(column: str, operator: str, value: Any, declared: Type | None = None) -> str:
    """`column operator value`, with the meaning that polars gives to NaN and to negative zero.

    The server orders floats by their bits: -0.0 is below 0.0 there, and here it is the same.
    """
    assert operator in _COMPARISONS
    column = name(column)
    if is_nan(value):
        return _compare_nan(column, operator)
    if isinstance(value, float) and value == 0:
        positive, negative = literal(0.0, declared), literal(-0.0, declared)
        if operator == "=":
            return f"({column} = {positive} or {column} = {negative})"
        if operator == "!=":
            return f"({column} != {positive} and {column} != {negative})"
        value = -0.0 if operator in ("<", ">=") else 0.0
    return f"{column} {operator} {literal(value, declared)}"


def _compare_nan(column: str, operator: str) -> str:
    """NaN equals itself and is above everything else."""
    return {
        "=": f"isnan({column})",
        ">=": f"isnan({column})",
        "!=": f"not isnan({column})",
        "<": f"not isnan({column})",
        "<=": f"{column} is not null",
        ">": f"({column} is not null and false)",
    }[operator]


def any_of(column: str, values: list[Any], declared: Type | None = None) -> str:
    """Whether the column is one of the values; `None` among them is null."""
    plain = [v for v in values if not (v is None or is_nan(v) or isinstance(v, list) or v == 0.0 and isinstance(v, float))]
    others = [v for v in values if v is not None and not any(v is p for p in plain)]
    parts = [compare(column, "=", value, declared) for value in others]
    if plain:
        inner = ", ".join(literal(value, declared) for value in plain)
        parts.insert(0, f"{name(column)} in ({inner})")
    if None in values:
        parts.append(f"{name(column)} is null")
    return f"({' or '.join(parts)})" if parts else "false"


def none_of(column: str, values: list[Any], declared: Type | None = None) -> str:
    """Whether the column is none of the values. Null is found by neither this nor `any_of`."""
    column_name = name(column)
    present = [value for value in values if value is not None]
    if not present:
        return f"{column_name} is not null" if values else "true"
    return f"not {any_of(column, present, declared)}"


def contains(column: str, part: str) -> str:
    """Whether text holds a part; no character of it is a wildcard."""
    return f"strpos({name(column)}, {text(part)}) > 0"


def includes(column: str, value: Any, item: Type | None = None) -> str:
    """Whether a list holds a value."""
    return f"array_has({name(column)}, {literal(value, item)})"


def table(database: str, table_name: str, at: str | None = None) -> str:
    """A table in `from`, at a version or a time."""
    suffix = "" if at is None else f"@{at}"
    return f"{name(database)}.{name(table_name + suffix)}"


def check_fragment(fragment: str) -> str | None:
    """Why a condition written by the user can't stand inside of our statement; none if it can."""
    depth = 0
    at = 0
    while at < len(fragment):
        c = fragment[at]
        if c in "'\"":
            end = fragment.find(c, at + 1)
            if end < 0:
                return f"a {c} is never closed"
            at = end
        elif c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
            if depth < 0:
                return "a `)` closes nothing"
        elif c == ";":
            return "a filter is one condition, without `;`"
        elif fragment.startswith(("--", "/*"), at):
            return "a filter can't hold a comment"
        at += 1
    return "a `(` is never closed" if depth else None
