"""Demo lakes with accounts: their settings, how they are started, and how each door is asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import http.client
import io
import json
import os
import secrets
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import adbc_driver_flightsql.dbapi as adbc
import asyncpg
import polars
import psycopg
import psycopg2
from adbc_driver_flightsql import DatabaseOptions

import servers

# In place of the status of an answer that ended before it was complete.
BROKEN_OFF = 0
AUTHORIZATION = DatabaseOptions.AUTHORIZATION_HEADER.value
# Whatever an answer may say, never these: one token for each account, made for this run.
TOKENS = {
    name: f"planted-{name}-{secrets.token_hex(16)}"
    for name in ("owner", "rows", "columns", "views", "feeder", "nothing", "traps")
}
# `views` reads nothing but what the authorized views give. `traps` has conditions that can fail.
SETTINGS = (
    "".join(f'[accounts.{name}]\ntoken = "env:{name.upper()}_TOKEN"\nrole = "{"all" if name == "owner" else name}"\n' for name in TOKENS)
    + """
[roles.rows]
tables = ["*"]
pii = true
rows."neural.sessions" = "implant_id = 7"
rows."behavior.trials" = "implant_id in (2, 7) and task <> 'typing'"
rows."surgery.surgeries" = "surgeon is null"
rows."behavior.daily_performance" = "implant_id = 7"
rows."training.decoders" = "false"

[roles.columns]
tables = ["neural.sessions", "behavior.*", "surgery.surgeries"]
columns."neural.sessions" = ["session_id", "implant_id", "session_date", "notes"]
columns."behavior.trials" = ["trial_id", "implant_id", "session_date", "task", "practice"]

[roles.views]
tables = ["behavior.daily_performance", "training.aligned_bins", "neural.sessions", "behavior.session_summaries"]
columns."neural.sessions" = ["session_id", "place"]
rows."neural.sessions" = "place = 'home'"
authorized = ["behavior.daily_performance", "training.aligned_bins", "behavior.session_summaries"]

[roles.feeder]
tables = ["telemetry.device_health"]
ingest = ["telemetry.device_health"]
rows."telemetry.device_health" = "implant_id = 7"

[roles.nothing]
tables = []

[roles.traps]
tables = ["neural.sessions", "behavior.daily_performance"]
rows."neural.sessions" = "cast(substr(place, 1, 1) as int) = 1"
"""
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True)
class Lake:
    http: str
    pg_port: int
    database: str
    flight: str
    folder: Path
    tokens: dict[str, str] = field(default_factory=lambda: dict(TOKENS))
    # By account and whether it signs in with its name.
    flights: dict[tuple[str, bool], adbc.Connection] = field(default_factory=dict, init=False)

    def close(self) -> None:
        for connection in self.flights.values():
            connection.close()

    def pg(self, account: str, **more: object) -> dict[str, object]:
        return {"host": "127.0.0.1", "port": self.pg_port, "dbname": self.database, "user": account, "password": self.tokens[account], **more}

    def ask(self, path: str, account: str | None = None, body: bytes | str | None = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if account is not None:
            sent["Authorization"] = f"Bearer {self.tokens[account]}"
        data = body.encode() if isinstance(body, str) else body
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(urllib.request.Request(self.http + path, data=data, headers=sent), timeout=120) as answer:
                try:
                    return Answer(answer.status, dict(answer.headers), answer.read())
                except http.client.IncompleteRead as broken:
                    # It failed when some rows were sent already.
                    return Answer(BROKEN_OFF, dict(answer.headers), broken.partial)
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, dict(refused.headers), refused.read())
        except http.client.RemoteDisconnected:
            # The same, before they were on their way.
            return Answer(BROKEN_OFF, {}, b"")

    def sql(self, account: str, statement: str, format: str = "json") -> Answer:
        return self.ask(f"/api/sql?format={format}", account, statement)

    def frame(self, account: str, statement: str) -> polars.DataFrame:
        answer = self.sql(account, statement, "arrow")
        assert answer.status == 200, answer.text
        return polars.read_ipc_stream(io.BytesIO(answer.body))

    def flight_connection(self, account: str, by_name: bool = False) -> adbc.Connection:
        """A connection of Flight SQL, with the token of the account or with its name and the token as password."""
        key = account, by_name
        if key not in self.flights:
            token = self.tokens[account]
            options = {"username": account, "password": token} if by_name else {AUTHORIZATION: f"Bearer {token}"}
            self.flights[key] = adbc.connect(self.flight, db_kwargs=options, autocommit=True)
        return self.flights[key]

    def flight_frame(self, account: str, statement: str, by_name: bool = False) -> polars.DataFrame:
        with self.flight_connection(account, by_name).cursor() as cursor:
            cursor.execute(statement)
            # Polars would raise errors of its own.
            return polars.DataFrame(cursor.fetch_arrow_table())

    def graphql(self, account: str, document: str) -> dict:
        return self.ask("/api/graphql", account, json.dumps({"query": document}), Content_Type="application/json").json

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def environment(**more: str) -> dict[str, str]:
    tokens = {f"{name.upper()}_TOKEN": token for name, token in TOKENS.items()}
    return {**os.environ, **tokens, "NEUROLAKE_LOG": "debug", **more}


def run(folder: Path, *arguments: str | Path, settings: str | None = None, seconds: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
    """The program itself, to its end."""
    folder.mkdir(exist_ok=True)
    if settings is not None:
        (folder / "neurolake.toml").write_text(settings)
    return subprocess.run(
        [os.environ["NEUROLAKE_BIN"], *arguments], cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=seconds
    )


@contextlib.contextmanager
def lake(folder: Path, settings: str = SETTINGS) -> Iterator[Lake]:
    folder.mkdir(exist_ok=True)
    (folder / "neurolake.toml").write_text(settings)
    with servers.running(folder, "--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0", environment=environment()) as (found, _):
        lake = Lake(found["http"], servers.pg_port(found), found["postgres"]["database"], found["flight"], folder)
        with contextlib.closing(lake):
            yield lake


# Every door that takes SQL, as rows of text: the form that all of them can give.


def text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)


def texts(rows: object) -> list[tuple[str, ...]]:
    return [tuple(text(value) for value in row) for row in rows]


def by_arrow(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    return texts(lake.frame(account, statement).rows())


def good(lake: Lake, account: str, statement: str, format: str) -> str:
    answer = lake.sql(account, statement, format)
    assert answer.status == 200, answer.text
    return answer.text


def by_json(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    return texts(row.values() for row in json.loads(good(lake, account, statement, "json")))


def by_ndjson(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    return texts(json.loads(line).values() for line in good(lake, account, statement, "ndjson").splitlines())


def numbers(rows: object) -> list[tuple[str, ...]]:
    """Text as it comes, with numbers in one form."""

    def same(value: str) -> str:
        value = {"t": "true", "f": "false"}.get(value, value)
        try:
            return value if value.lstrip("-").isdigit() else text(float(value))
        except ValueError:
            return value

    return [tuple(same(value) for value in row) for row in rows]


def by_csv(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    return numbers(list(csv.reader(io.StringIO(good(lake, account, statement, "csv"))))[1:])


def by_flight(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    return texts(lake.flight_frame(account, statement).rows())


def by_flight_name(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    return texts(lake.flight_frame(account, statement, by_name=True).rows())


def by_psycopg(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    with psycopg.connect(**lake.pg(account)) as connection:
        return texts(connection.execute(statement, prepare=True).fetchall())


def by_cursor(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    with psycopg.connect(**lake.pg(account)) as connection, connection.cursor(name="walk") as walk:
        return texts(walk.execute(statement).fetchall())


def by_psycopg2(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    with contextlib.closing(psycopg2.connect(**lake.pg(account))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return texts(cursor.fetchall())


def by_asyncpg(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    async def ask() -> list[tuple[str, ...]]:
        address = lake.pg(account, database=lake.database)
        del address["dbname"]
        connection = await asyncpg.connect(**address, ssl=False)
        try:
            return texts(await connection.fetch(statement))
        finally:
            await connection.close()

    return asyncio.run(ask())


def psql(lake: Lake, account: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    address = f"host=127.0.0.1 port={lake.pg_port} dbname={lake.database} user={account}"
    address += "".join(f" {name}={value}" for name, value in more.items())
    command = ["psql", "-X", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-d", address, *arguments]
    known = {**os.environ, "PAGER": "cat", "LC_ALL": "C.UTF-8", "PGPASSWORD": lake.tokens.get(account, "")}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=known)


def by_psql(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    done = psql(lake, account, "--csv", "-t", "-c", statement)
    assert done.returncode == 0, done.stderr
    return numbers(csv.reader(io.StringIO(done.stdout)))


def by_copy(lake: Lake, account: str, statement: str) -> list[tuple[str, ...]]:
    with psycopg.connect(**lake.pg(account)) as connection, connection.cursor().copy(f"copy ({statement}) to stdout (format csv)") as copy:
        return numbers(csv.reader(io.StringIO(b"".join(bytes(part) for part in copy).decode())))


DOORS = {
    "arrow": by_arrow,
    "json": by_json,
    "ndjson": by_ndjson,
    "csv": by_csv,
    "flight": by_flight,
    "flight-name": by_flight_name,
    "psycopg": by_psycopg,
    "cursor": by_cursor,
    "psycopg2": by_psycopg2,
    "asyncpg": by_asyncpg,
    "psql": by_psql,
    "copy": by_copy,
}


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()
