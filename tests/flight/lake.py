"""The demo lake, and what its Flight SQL door is asked in bytes, where no client says what is wanted."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow.flight import FlightDescriptor

import servers

DEADLINE_SECONDS = 120


@dataclass(frozen=True)
class Lake:
    http: str
    flight: str
    data: Path
    process: int

    def get(self, path: str, body: str | None = None, accept: str = "application/json") -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.http + path, data=body and body.encode(), headers={"Accept": accept})
        with opener.open(request, timeout=120) as answer:
            return answer.read()

    def arrow(self, statement: str) -> pa.Table:
        """The same rows by the HTTP door."""
        return pa.ipc.open_stream(self.get("/api/sql", statement, "application/vnd.apache.arrow.stream")).read_all()

    def tables(self) -> list[str]:
        """Tables that answer without arguments."""
        databases = json.loads(self.get("/catalog.json"))["databases"]
        tables = ((database["name"], table) for database in databases for table in database["tables"])
        return [f'"{database}"."{table["name"]}"' for database, table in tables if table["source"]["kind"] != "function"]

    def wait_until_nothing_runs(self) -> None:
        end = time.monotonic() + DEADLINE_SECONDS
        while json.loads(self.get("/ready"))["running_queries"]:
            assert time.monotonic() < end, "a query goes on that nobody waits for"
            time.sleep(0.05)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Lake]:
    with servers.running(folder, "--pg", "none", "--flight", "127.0.0.1:0") as (found, process):
        assert urllib.parse.urlsplit(found["flight"]).scheme == "grpc"
        yield Lake(found["http"], found["flight"], folder / "data", process)


def field(number: int, content: bytes) -> bytes:
    """A field of a protobuf message: bytes, text or a message."""
    length, size = len(content), bytearray()
    while True:
        size.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes([number << 3 | 2]) + bytes(size) + content


def command(name: str, *fields: bytes) -> bytes:
    return field(1, f"type.googleapis.com/arrow.flight.protocol.sql.{name}".encode()) + field(2, b"".join(fields))


def statement(sql: str) -> FlightDescriptor:
    return FlightDescriptor.for_command(command("CommandStatementQuery", field(1, sql.encode())))
