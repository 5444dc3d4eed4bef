"""Rows on their way to a table: frames as Arrow, dicts as JSON, in pieces that are each taken once."""

from __future__ import annotations

import base64
import io
import json
import math
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

import polars as pl

from neurolake.data_types import Type, describe_value, polars_type, type_name
from neurolake.errors import IngestError, RowError, ServerError, nearest

if TYPE_CHECKING:
    from neurolake.server import Server

_JSON = "application/x-ndjson"
_ARROW = "application/vnd.apache.arrow.stream"
# What one request carries at most, about: all of it is taken or none.
_PIECE_BYTES = 4 << 20
# What the server may take to keep a piece, besides waiting for its commit.
_ANSWER_SECONDS = 60.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
# So many faults of rows are worth reading.
_SHOWN = 5
# The server takes keys of 200 characters, and numbers of pieces stand behind them.
_LONGEST_KEY = 180

Ack = Literal["queued", "committed"]
Invalid = Literal["reject", "skip", "quarantine"]


@dataclass(frozen=True)
class Ingested:
    """What became of rows that were sent."""

    accepted: int = 0
    """How many rows the server took."""
    offset: int | None = None
    """Where the last of them stand in the table's stream."""
    duplicate: bool = False
    """All of them were there already, under the same key."""
    committed: bool = False
    """Whether they are in the table. If not, they are safe in the queue, and queries see them."""
    version: int | None = None
    """Version of the table that has them, if they are committed."""
    rejected: int = 0
    """How many rows don't fit and were skipped or quarantined."""
    errors: list[RowError] = field(default_factory=list)
    """Why they don't fit."""
    key: str = ""
    """Names the rows: sent again with it, they aren't taken twice."""


def ingest(
    server: Callable[[], Server],
    facts: Mapping[str, Any],
    name: str,
    rows: Any,
    *,
    key: str | None,
    ack: str,
    invalid: str,
    timeout: float,
    patience: float,
) -> Ingested:
    """Sends rows to the table that `facts` describes; see `Catalog.ingest`."""
    for what, value, known in (("ack", ack, ("queued", "committed")), ("invalid", invalid, ("reject", "skip", "quarantine"))):
        if value not in known:
            raise IngestError(f"{what} is {' or '.join(map(repr, known))}, not {value!r}", code="bad_request")
    if key is None:
        key = uuid.uuid4().hex
    elif not (isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY and all("!" <= sign <= "~" for sign in key)):
        raise IngestError(f"a key is 1 to {_LONGEST_KEY} visible ASCII characters, not {key!r}", code="bad_request")
    pieces = _pieces(rows, facts.get("columns", []), name, strict=invalid == "reject")
    piece = next(pieces, None)
    if piece is None:
        return Ingested(key=key)

    database, _, table = name.partition(".")
    path = f"/v1/ingest/{quote(database)}/{quote(table)}"
    options = {} if invalid == "reject" else {"invalid": invalid}
    door = server()
    total = Ingested(key=key)
    number = 0
    while piece is not None:
        following = next(pieces, None)
        seconds, query = _ANSWER_SECONDS, dict(options)
        # Commits keep the order, so the last piece speaks for all.
        if ack == "committed" and following is None:
            query.update(ack="committed", timeout=str(math.ceil(timeout)))
            seconds += timeout
        address = f"{path}?{urlencode(query)}" if query else path
        headers = {"Content-Type": piece.kind, "Idempotency-Key": f"{key}/{number}"}
        try:
            answer = _send(door, address, piece.body, headers, seconds, time.monotonic() + patience)
        except ServerError as error:
            raise _failure(error, piece, total, name) from None
        total = _added(total, answer, piece, number)
        piece, number = following, number + 1
    return total


def _send(server: Server, path: str, body: bytes, headers: Mapping[str, str], seconds: float, end: float) -> Mapping[str, Any]:
    """Sends a piece until it is answered. It has a key, so that it is taken once."""
    pause = _FIRST_PAUSE
    while True:
        try:
            answer = server.post_json(path, body, headers, seconds=seconds)
        except ServerError as error:
            # Many clients that were sent away together shouldn't come back together.
            wait = max(error.retry_after or 0.0, pause * random.uniform(0.5, 1.5))
            if not error.passing or time.monotonic() + wait > end:
                raise
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)
            continue
        if isinstance(answer, dict) and isinstance(answer.get("accepted"), int):
            return answer
        raise ServerError("the answer doesn't say what was accepted; is it a neurolake server that takes events?")


def _added(total: Ingested, answer: Mapping[str, Any], piece: _Piece, number: int) -> Ingested:
    return Ingested(
        accepted=total.accepted + answer["accepted"],
        offset=total.offset if answer.get("offset") is None else answer["offset"],
        duplicate=bool(answer.get("duplicate")) and (total.duplicate or number == 0),
        committed=bool(answer.get("committed")),
        version=answer.get("version"),
        rejected=total.rejected + answer.get("rejected", 0),
        errors=total.errors + _row_errors(answer.get("errors"), piece.first_row),
        key=total.key,
    )


def _row_errors(found: Any, first_row: int) -> list[RowError]:
    rows = [entry for entry in found or [] if isinstance(entry, dict)]
    numbers = [None if entry.get("row") is None else int(entry["row"]) + first_row for entry in rows]
    return [RowError(number, str(entry.get("path") or ""), str(entry.get("message", ""))) for number, entry in zip(numbers, rows)]


def _failure(error: ServerError, piece: _Piece, total: Ingested, name: str) -> IngestError:
    rows = _row_errors(error.rows, piece.first_row)
    text, _, hint = str(error).partition("\nhint: ")
    # The message may tell of the first row already.
    text += _listed([row for row in rows if row.message not in text])
    if hint:
        text += f"\nhint: {hint}"
    if piece.first_row:
        text += f"\nnote: `{name}` has the first {piece.first_row} rows already; repeat the call with key={total.key!r} and none is taken twice"
    elif error.passing:
        text += f"\nnote: repeat the call with key={total.key!r} and no row is taken twice"
    return IngestError(text, code=error.code, status=error.status, rows=rows, accepted=total.accepted, key=total.key)


def _listed(rows: list[RowError]) -> str:
    more = f"\n  and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return "".join(f"\n  {row}" for row in rows[:_SHOWN]) + more


# Pieces


@dataclass(frozen=True)
class _Piece:
    """What one request carries."""

    body: bytes
    kind: str
    first_row: int


def _pieces(rows: Any, columns: list[dict[str, Any]], name: str, *, strict: bool) -> Iterator[_Piece]:
    if isinstance(rows, Mapping):
        return _json_pieces([rows], name)
    frame = _frame(rows)
    if frame is None:
        if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
            raise IngestError(f"rows are a dict, several dicts or a frame, not {describe_value(rows)}", code="bad_request")
        return _json_pieces(rows, name)
    if not frame.height:
        return iter(())
    misfits = _misfits(frame, columns)
    if not misfits:
        return _arrow_pieces(_declared(frame, columns), 0)
    if not strict:
        # The server tells rows that fit from those that don't; Arrow could carry only the former.
        return _json_pieces(frame.iter_rows(named=True), name)
    raise IngestError(f"the frame doesn't fit `{name}`, and nothing was sent:{_listed(misfits)}", code="invalid_rows", rows=misfits)


def _frame(rows: Any) -> pl.DataFrame | None:
    if isinstance(rows, pl.LazyFrame):
        return rows.collect()
    if isinstance(rows, pl.DataFrame):
        return rows
    return pl.DataFrame(rows) if hasattr(rows, "__arrow_c_stream__") else None


def _arrow_pieces(frame: pl.DataFrame, first_row: int) -> Iterator[_Piece]:
    step = max(1, frame.height * _PIECE_BYTES // max(1, int(frame.estimated_size())))
    for at in range(0, frame.height, step):
        part = frame[at : at + step]
        out = io.BytesIO()
        # What is older than polars' own types, and what every reader of Arrow knows.
        part.rechunk().write_ipc_stream(out, compat_level=pl.CompatLevel.oldest())
        if out.tell() > 2 * _PIECE_BYTES and part.height > 1:
            # Rows of very different sizes.
            half = part.height // 2
            yield from _arrow_pieces(part[:half], first_row + at)
            yield from _arrow_pieces(part[half:], first_row + at + half)
        else:
            yield _Piece(out.getvalue(), _ARROW, first_row + at)


def _json_pieces(rows: Iterable[Any], name: str) -> Iterator[_Piece]:
    lines: list[bytes] = []
    size = first_row = 0
    for number, row in enumerate(rows):
        line = _json_line(row, number, name)
        if lines and size + len(line) > _PIECE_BYTES:
            yield _Piece(b"".join(lines), _JSON, first_row)
            lines, size, first_row = [], 0, number
        lines.append(line)
        size += len(line)
    if lines:
        yield _Piece(b"".join(lines), _JSON, first_row)


# Rows as JSON


class _NoJson(Exception):
    """A value that JSON has no form for, and where it stands."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def _json_line(row: Any, number: int, name: str) -> bytes:
    try:
        if not isinstance(row, Mapping):
            raise _NoJson("", f"expected a dict, found {describe_value(row)}")
        if not all(isinstance(column, str) for column in row):
            raise _NoJson("", "names of columns are text")
        content = {column: _json_value(value, column) for column, value in row.items()}
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except _NoJson as error:
        misfit = RowError(number, error.path, str(error))
    except UnicodeEncodeError:
        misfit = RowError(number, "", "a text holds half a character (a lone surrogate)")
    raise IngestError(f"a row for `{name}` can't be sent:{_listed([misfit])}", code="invalid_rows", rows=[misfit]) from None


def _json_value(value: Any, path: str) -> Any:
    """The value in the server's form."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        # Without a time zone it is UTC, as in filters.
        return (value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _json_value(item, f"{path}.{key}") for key, item in value.items()}
        return [{"key": _json_value(key, f"{path}.key"), "value": _json_value(item, f"{path}[{key!r}]")} for key, item in value.items()]
    if type(value).__module__ == "numpy" and not getattr(value, "shape", (0,)):
        if value.dtype.kind == "M":
            value = value.astype("datetime64[us]")
        return _json_value(value.item(), path)
    if isinstance(value, pl.Series):
        value = value.to_list()
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_json_value(item, f"{path}[{at}]") for at, item in enumerate(value)]
    raise _NoJson(path, f"no column holds {describe_value(value)}")


# Frames in the declared types


def _misfits(frame: pl.DataFrame, columns: list[dict[str, Any]]) -> list[RowError]:
    """The first value of each column that its type doesn't hold, by row; a column that there isn't."""
    declared = {column["name"]: column for column in columns}
    found = []
    for series in frame:
        column = declared.get(series.name)
        if column is None:
            near = nearest(series.name, declared)
            found.append(RowError(None, series.name, f"no such column; did you mean `{near}`?" if near else "no such column"))
            continue
        misfit = _misfit(series, column["type"], column["nullable"])
        if misfit is not None:
            row, path, message = misfit
            found.append(RowError(row, series.name + path, message))
    for column in columns:
        if not column["nullable"] and column["name"] not in frame.columns:
            found.append(RowError(None, column["name"], "missing"))
    return sorted(found, key=lambda misfit: -1 if misfit.row is None else misfit.row)


def _misfit(series: pl.Series, declared: Type, nullable: bool) -> tuple[int, str, str] | None:
    """Row, path and reason of the first value that the declared type doesn't hold without a loss."""
    if series.null_count() and not nullable:
        return _first(series.is_null()), "", f"expected {type_name(declared)}, found null"
    if series.dtype == pl.Null or series.null_count() == len(series):
        return None
    fields = _fields(declared)
    if fields is not None and isinstance(series.dtype, pl.Struct):
        return _struct_misfit(series, fields)
    item = _item(declared)
    if item is not None and isinstance(series.dtype, (pl.List, pl.Array)):
        if isinstance(series.dtype, pl.Array):
            series = series.arr.to_list()
        misfit = _misfit(series.explode(empty_as_null=False, keep_nulls=False), *item)
        if misfit is None:
            return None
        at, path, message = misfit
        ends = series.list.len().fill_null(0).cum_sum()
        row = _first(ends > at)
        return row, f"[{at - (ends[row - 1] if row else 0)}]{path}", message
    bad = None if fields is not None or item is not None else _lossy(series, declared)
    if bad is None:
        row = _first(series.is_not_null())
    elif bad.any():
        row = _first(bad)
    else:
        return None
    return row, "", f"expected {type_name(declared)}, found {describe_value(series[row])}"


def _struct_misfit(series: pl.Series, fields: list[dict[str, Any]]) -> tuple[int, str, str] | None:
    rows = series.is_not_null().arg_true()
    present = series.drop_nulls()
    names = [entry["name"] for entry in fields]
    for name in present.struct.fields:
        if name not in names:
            near = nearest(name, names)
            return rows[0], f".{name}", f"no such field; did you mean `{near}`?" if near else "no such field"
    for entry in fields:
        path = f".{entry['name']}"
        if entry["name"] not in present.struct.fields:
            if not entry["nullable"]:
                return rows[0], path, "missing"
            continue
        misfit = _misfit(present.struct.field(entry["name"]), entry["type"], entry["nullable"])
        if misfit is not None:
            return rows[misfit[0]], path + misfit[1], misfit[2]
    return None


def _lossy(series: pl.Series, declared: Type) -> pl.Series | None:
    """Which values the declared scalar type doesn't hold; none if it holds nothing of this type."""
    kind, target = series.dtype, polars_type(declared)
    if kind == target:
        return pl.repeat(False, len(series), eager=True)
    if target.is_integer() and kind.is_integer():
        return series.cast(target, strict=False).is_null() & series.is_not_null()
    if target.is_integer() and kind.is_float():
        # Where a column has nulls, pandas makes floats of integers.
        return _changed(series, target)
    if target.is_float() and kind.is_numeric():
        wide = series.cast(pl.Float64)
        return (series.cast(target).is_infinite() & ~wide.is_infinite()).fill_null(False)
    if target.is_decimal() and kind.is_numeric():
        return _changed(series, target)
    if isinstance(target, pl.Datetime) and isinstance(kind, pl.Datetime):
        return _changed(series, pl.Datetime("us", kind.time_zone))
    if target == pl.String and kind in (pl.Categorical, pl.Enum):
        return pl.repeat(False, len(series), eager=True)
    return None


def _changed(series: pl.Series, target: pl.DataType) -> pl.Series:
    back = series.cast(target, strict=False)
    if not series.dtype.is_integer():
        back = back.cast(series.dtype, strict=False)
    return back.ne_missing(series) if back.dtype == series.dtype else back.is_null() & series.is_not_null()


def _first(mask: pl.Series) -> int:
    return int(mask.fill_null(False).arg_max() or 0)


def _fields(declared: Type) -> list[dict[str, Any]] | None:
    if declared == "blob":
        plain = {"uri": "string", "media_type": "string", "bytes": "int64"}
        return [{"name": name, "type": kind, "nullable": False} for name, kind in plain.items()]
    return declared["struct"]["fields"] if isinstance(declared, dict) and "struct" in declared else None


def _item(declared: Type) -> tuple[Type, bool] | None:
    """Type of a list's elements or of a map's entries, and whether they may be null."""
    if not isinstance(declared, dict):
        return None
    if "list" in declared:
        return declared["list"]["item"], declared["list"]["nullable"]
    if "map" in declared:
        of = declared["map"]
        key = {"name": "key", "type": of["key"], "nullable": False}
        value = {"name": "value", "type": of["value"], "nullable": of["nullable"]}
        return {"struct": {"fields": [key, value]}}, False
    return None


def _declared(frame: pl.DataFrame, columns: list[dict[str, Any]]) -> pl.DataFrame:
    """The frame with just the declared columns, in the declared types, which hold every value."""
    expressions = []
    for column in columns:
        name = column["name"]
        if name in frame.columns:
            expressions.append(_cast(pl.col(name), frame.schema[name], column["type"]).alias(name))
        else:
            expressions.append(pl.lit(None, dtype=polars_type(column["type"])).alias(name))
    return frame.select(expressions)


def _cast(value: pl.Expr, kind: pl.DataType, declared: Type) -> pl.Expr:
    target = polars_type(declared)
    if kind == target:
        return value
    fields, item = _fields(declared), _item(declared)
    # A struct is only cast to one with as many fields.
    if fields is not None and isinstance(kind, pl.Struct):
        inner = {entry.name: entry.dtype for entry in kind.fields}
        parts = [
            _cast(value.struct.field(entry["name"]), inner[entry["name"]], entry["type"]).alias(entry["name"])
            if entry["name"] in inner
            else pl.lit(None, dtype=polars_type(entry["type"])).alias(entry["name"])
            for entry in fields
        ]
        return pl.when(value.is_null()).then(None).otherwise(pl.struct(parts))
    if item is not None and isinstance(kind, pl.Array):
        return _cast(value.arr.to_list(), pl.List(kind.inner), declared)
    if item is not None and isinstance(kind, pl.List):
        return value.list.eval(_cast(pl.element(), kind.inner, item[0]))
    return value.cast(target)
