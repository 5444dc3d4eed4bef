"""Values as a cell of a file, whatever door they came through."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from typing import Any


def cell(value: Any, type: str) -> str:
    if value is None:
        return "NULL"
    text = FORMS[type](value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") or "(empty)"


def number(value: Any) -> str:
    """Twelve digits: the last ones of sums and means depend on the order of rows."""
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    return f"{value:.12g}" if value else "0"


def decimal(value: Any) -> str:
    assert isinstance(value, (str, Decimal)), f"{value!r} is no exact number"
    digits = f"{Decimal(value):f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def integer(value: Any) -> str:
    # A float or a truth isn't one, though Python would take it.
    assert not isinstance(value, (bool, float)), f"{value!r} is no integer"
    return str(int(value))


def truth(value: Any) -> str:
    wanted = {True: "true", False: "false", "t": "true", "f": "false", "true": "true", "false": "false"}
    return wanted[value]


def day(value: Any) -> str:
    value = value if isinstance(value, str) else value.isoformat()
    return datetime.date.fromisoformat(value).isoformat()


def instant(value: Any) -> str:
    value = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    if value.tzinfo:
        value = value.astimezone(datetime.timezone.utc)
    return value.isoformat().replace("+00:00", "Z")


def text(value: Any) -> str:
    assert isinstance(value, str), f"{value!r} is no text"
    return value


def nested(value: Any) -> str:
    return json.dumps(plain(json.loads(value) if isinstance(value, str) else value), ensure_ascii=False)


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (Decimal, float)):
        # What a float of 32 bits holds for sure.
        return float(f"{value:.6g}")
    if isinstance(value, datetime.datetime):
        return instant(value)
    return day(value) if isinstance(value, datetime.date) else value


FORMS = {"T": text, "I": integer, "R": number, "N": decimal, "B": truth, "D": day, "P": instant, "J": nested}
