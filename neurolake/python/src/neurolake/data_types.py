"""The catalog's types: how they are written, what polars calls them, which values they take."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

Type = str | dict[str, Any]
"""A type as `catalog.json` writes it: `"int32"`, or an object with one key for a nested one."""

_PLAIN: dict[str, Any] = {
    "bool": pl.Boolean(),
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "uint8": pl.UInt8(),
    "uint16": pl.UInt16(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "string": pl.String(),
    "binary": pl.Binary(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "blob": pl.Struct({"uri": pl.String, "media_type": pl.String, "bytes": pl.Int64}),
}

_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|z|[+-]\d{2}:?\d{2})?"
)


class WrongValue(Exception):
    """The value isn't one of the type. Whoever knows table and column says so to the user."""


def polars_type(declared: Type) -> pl.DataType:
    """What polars calls a declared type."""
    if isinstance(declared, str):
        return _PLAIN[declared]
    ((kind, of),) = declared.items()
    if kind == "decimal":
        return pl.Decimal(of["precision"], of["scale"])
    if kind == "list":
        return pl.List(polars_type(of["item"]))
    if kind == "map":
        return pl.List(
            pl.Struct({"key": polars_type(of["key"]), "value": polars_type(of["value"])})
        )
    return pl.Struct({field["name"]: polars_type(field["type"]) for field in of["fields"]})


def type_name(declared: Type) -> str:
    """The short form that people read: `int32`, `decimal(10, 2)`, `list<float32>`."""
    if isinstance(declared, str):
        return declared
    ((kind, of),) = declared.items()
    if kind == "decimal":
        return f"decimal({of['precision']}, {of['scale']})"
    if kind == "list":
        return f"list<{type_name(of['item'])}>"
    if kind == "map":
        return f"map<{type_name(of['key'])}, {type_name(of['value'])}>"
    return kind


def list_item(declared: Type | None) -> Type | None:
    """Type of a list's elements; none for everything else."""
    if isinstance(declared, dict) and "list" in declared:
        return declared["list"]["item"]
    return None


def is_scalar(declared: Type) -> bool:
    """Whether values are single values that can be compared."""
    return declared != "blob" and (isinstance(declared, str) or "decimal" in declared)


def convert(value: Any, declared: Type | None) -> Any:
    """The value as the one Python type that stands for the declared type.

    Text is read as a date, a timestamp or a decimal where the type asks for it. Timestamps without
    a time zone are UTC. Raises `WrongValue`.
    """
    value = _plain(value)
    if declared is None:
        return _utc(value) if isinstance(value, datetime) else value
    item = list_item(declared)
    if item is not None:
        if not isinstance(value, (list, tuple)):
            raise WrongValue
        return [None if element is None else convert(element, item) for element in value]
    if isinstance(declared, dict):
        if "decimal" not in declared:
            raise WrongValue
        return _decimal(value)
    if declared in ("float32", "float64"):
        return _float(value)
    if declared.startswith(("int", "uint")):
        return _integer(value)
    if declared == "date":
        return _date(value)
    if declared == "timestamp":
        return _timestamp(value)
    python = {"bool": bool, "string": str, "binary": (bytes, bytearray, memoryview)}.get(declared)
    if python is None or not isinstance(value, python):
        raise WrongValue
    return bytes(value) if declared == "binary" else value


def _plain(value: Any) -> Any:
    """Scalars of numpy as Python's own."""
    if type(value).__module__ == "numpy" and hasattr(value, "item") and not hasattr(value, "__len__"):
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, pl.Series):
        return value.to_list()
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise WrongValue
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or not -(2**63) <= value < 2**64:
        raise WrongValue
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise WrongValue
    return float(value)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise WrongValue
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise WrongValue from None
    # 38 digits are what a column can hold; more would overflow rather than find nothing.
    if not number.is_finite() or not -38 <= number.adjusted() < 38 or len(number.as_tuple().digits) > 38:
        raise WrongValue
    return number


def _date(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value) if len(value) == 10 else _fail()
        except ValueError:
            raise WrongValue from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise WrongValue
    return value


def _timestamp(value: Any) -> datetime:
    if isinstance(value, str):
        return _read_timestamp(value)
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, date):
        return datetime.combine(value, time(), timezone.utc)
    raise WrongValue


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=timezone.utc)
    return value.astimezone(timezone.utc)


def _read_timestamp(text: str) -> datetime:
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise WrongValue
    day, minute, second, fraction, zone = match.groups()
    digits = (fraction or "").ljust(6, "0")
    if digits[6:].strip("0"):
        # Columns hold microseconds: nothing can equal this.
        raise WrongValue
    try:
        value = datetime.fromisoformat(f"{day}T{minute or '00:00'}:{second or '00'}.{digits[:6]}")
        if zone and zone not in "Zz":
            hours, minutes = int(zone[1:3]), int(zone[-2:])
            offset = timedelta(hours=hours, minutes=minutes)
            value -= offset if zone[0] == "+" else -offset
    except (ValueError, OverflowError):
        raise WrongValue from None
    return value.replace(tzinfo=timezone.utc)


def _fail() -> Any:
    raise WrongValue


def is_nan(value: Any) -> bool:
    """Whether the value is a float that isn't a number, which equality doesn't find."""
    return isinstance(value, float) and math.isnan(value)


def describe_value(value: Any) -> str:
    """A value as an error shows it, not too long."""
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} ({type(value).__name__})"


def example_value(value: Any) -> Any:
    """An example value of `catalog.json` as the client takes it."""
    if not isinstance(value, Mapping):
        return None
    ((kind, of),) = value.items()
    if kind == "list":
        return [example_value(item) for item in of]
    if kind == "binary":
        return bytes.fromhex(of)
    if kind == "float":
        return float(of.replace("_", "").removesuffix("f32").removesuffix("f64"))
    return of
