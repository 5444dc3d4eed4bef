"""The HTTP doors of a running platform: what they offer, and answers as a stream of frames."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import ssl
import struct
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import polars as pl

from neurolake.errors import ServerError, shown_url

_ARROW = "application/vnd.apache.arrow.stream"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# To connect and to say who is there; a query may take as long as the server lets it.
_GREETING_SECONDS = 10.0
_QUERY_SECONDS = 900.0
# The network or the server was too slow, too many requests, and what a proxy or a server says while
# it starts or ends.
_PASSING = (408, 429, 502, 503, 504)


class Server:
    """A server at an address. Nothing is asked of it before it is needed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        self._headers: dict[str, str] = {}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif token := os.environ.get("NEUROLAKE_TOKEN"):
            self._headers["Authorization"] = f"Bearer {token}"
        host = parts.netloc.rpartition("@")[2]
        self.url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        handlers: list[Any] = []
        if parts.hostname in _LOOPBACK:
            # A proxy for the world knows nothing of this machine.
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def __repr__(self) -> str:
        return f"Server({shown_url(self.url)!r})"

    def get(self, path: str, *, seconds: float = _GREETING_SECONDS) -> bytes:
        """What stands at a path."""
        with self._open(urllib.request.Request(self.url + path), seconds) as response:
            try:
                return response.read()
            except (OSError, http.client.HTTPException) as error:
                raise self._broken(error) from None

    def get_json(self, path: str) -> Any:
        """A JSON document."""
        try:
            return json.loads(self.get(path))
        except ValueError:
            raise ServerError(f"{shown_url(self.url)}{path} is no JSON; is it a neurolake server?") from None

    def post_json(self, path: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Any:
        """Sends a document and gives the JSON that answers it."""
        request = urllib.request.Request(self.url + path, data=body, headers=dict(headers), method="POST")
        with self._open(request, seconds) as response:
            try:
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise self._broken(error) from None
        try:
            return json.loads(answer)
        except ValueError:
            raise ServerError(f"{shown_url(self.url)} answered with something else than JSON; is it a neurolake server?") from None

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Iterator[pl.DataFrame]:
        """Runs a query and yields its rows as they arrive: at least one frame, which may be empty.

        An answer that breaks off raises `ServerError`.
        """
        headers = {"Accept": _ARROW, "Content-Type": "text/plain; charset=utf-8"}
        body = sql.encode()
        if parameters is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps({"sql": sql, "parameters": _jsonable(parameters)}).encode()
        request = urllib.request.Request(f"{self.url}/api/sql", data=body, headers=headers, method="POST")
        with self._open(request, _QUERY_SECONDS) as response:
            kind = response.headers.get_content_type()
            if kind != _ARROW:
                raise ServerError(f"{shown_url(self.url)} answered with {kind} instead of an Arrow stream; is it a neurolake server?")
            rows = 0
            try:
                for frame in read_arrow(response.read):
                    rows += frame.height
                    yield frame
            except (OSError, http.client.HTTPException, EOFError) as error:
                raise self._broken(error, rows) from None

    def schema(self, sql: str) -> pl.Schema:
        """Columns of a query, without its rows."""
        return next(iter(self.query(f"select * from ({sql}) limit 0"))).schema

    def _open(self, request: urllib.request.Request, seconds: float) -> http.client.HTTPResponse:
        for name, value in self._headers.items():
            request.add_header(name, value)
        try:
            return self._opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            raise self._refused(error) from None
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None

    def _refused(self, error: urllib.error.HTTPError) -> ServerError:
        message, code, hint, rows = error.reason, None, None, ()
        try:
            found = json.loads(error.read())["error"]
            message, code, hint, rows = found["message"], found.get("code"), found.get("hint"), found.get("rows") or ()
        except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
            pass
        text = f"the server refused ({error.code}): {message}"
        if hint:
            text += f"\nhint: {hint}"
        after = error.headers.get("Retry-After", "") if error.headers else ""
        retry_after = float(after) if after.isdecimal() else None
        passing = error.code in _PASSING or retry_after is not None
        return ServerError(text, code=code, status=error.code, passing=passing, retry_after=retry_after, rows=rows)

    def _unreachable(self, reason: object) -> ServerError:
        said = getattr(reason, "strerror", None) or reason
        message = f"can't reach the server at {shown_url(self.url)}: {said}"
        if isinstance(reason, ssl.SSLError):
            message += "\nhint: check the certificate, or that the address begins with the right `http://` or `https://`"
        else:
            message += "\nhint: start it with `neurolake up`, or name another with `NEUROLAKE_CATALOG`"
        # A wrong certificate stays wrong.
        return ServerError(message, code="unreachable", passing=not isinstance(reason, ssl.SSLCertVerificationError))

    def _broken(self, error: Exception, rows: int | None = None) -> ServerError:
        said = str(error) or type(error).__name__
        after = "" if rows is None else f" after {rows} rows"
        return ServerError(f"the answer of {shown_url(self.url)} broke off{after}: {said}", code="broken", passing=True)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value


# The stream format of Arrow: messages, each a little table of facts and a body. polars reads whole
# streams only, so each batch is handed over as a stream of its own; what is read of a message here
# is its kind and the length of its body.

_CONTINUATION = b"\xff\xff\xff\xff"
_END = _CONTINUATION + b"\0\0\0\0"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
# A length beyond this is no length but a broken stream.
_MOST_FACTS = 64 << 20


def read_arrow(read: Callable[[int], bytes]) -> Iterator[pl.DataFrame]:
    """Frames of an Arrow stream, one for each batch; one without rows if there is none.

    Raises `EOFError` if the stream ends before its end mark.
    """
    start = b""
    any_batch = False
    while (message := _message(read)) is not None:
        kind, data = message
        if kind == _BATCH:
            any_batch = True
            yield pl.read_ipc_stream(io.BytesIO(b"".join((start, data, _END))))
        elif kind in (_SCHEMA, _DICTIONARY):
            start += data
    if not any_batch:
        yield pl.read_ipc_stream(io.BytesIO(start + _END))


def _message(read: Callable[[int], bytes]) -> tuple[int, bytes] | None:
    """Kind and bytes of the next message; none at the end of the stream."""
    prefix = _exactly(read, 8)
    mark, length = prefix[:4], int.from_bytes(prefix[4:], "little")
    if mark != _CONTINUATION or length > _MOST_FACTS:
        raise EOFError("it is no Arrow stream")
    if length == 0:
        return None
    facts = _exactly(read, length)
    try:
        kind, body_length = _facts(facts)
    except (struct.error, IndexError):
        raise EOFError("it is no Arrow stream") from None
    return kind, b"".join((prefix, facts, _exactly(read, body_length)))


def _facts(facts: bytes) -> tuple[int, int]:
    """Kind of a message and length of its body, from its flatbuffer."""
    table = struct.unpack_from("<I", facts, 0)[0]
    vtable = table - struct.unpack_from("<i", facts, table)[0]
    size = struct.unpack_from("<H", facts, vtable)[0]

    def at(index: int) -> int:
        place = 4 + 2 * index
        offset = struct.unpack_from("<H", facts, vtable + place)[0] if place < size else 0
        return table + offset if offset else 0

    kind = facts[at(1)] if at(1) else 0
    length = struct.unpack_from("<q", facts, at(3))[0] if at(3) else 0
    return kind, length


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    """So many bytes, or `EOFError`."""
    first = read(count)
    if len(first) == count:
        return first
    parts, missing = [first], count - len(first)
    while missing:
        part = read(missing)
        if not part:
            raise EOFError("the stream ended early")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
