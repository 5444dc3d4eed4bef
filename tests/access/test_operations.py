"""Who runs a server: `serve`, what it says about itself on every door, its log, and settings that are read again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import adbc_driver_flightsql.dbapi as adbc
import psycopg
import pytest

import lakes
from lakes import SETTINGS, TOKENS, Lake

SECONDS = 60
# A value that stands in a statement and nowhere else.
PLANTED = "Planted-Value-8417"
# Busy for as long as anybody waits, without memory.
BUSY = "select count(*) from (select row_number() over () as n from neural.spikes limit 100000) a join (select row_number() over () as m from neural.spikes limit 100000) b on a.n * b.m % 7 = 8"


@dataclasses.dataclass
class Server:
    lake: Lake
    process: subprocess.Popen[bytes]
    settings: Path

    @property
    def log(self) -> str:
        return self.lake.log

    def until(self, what: str, begin: int = 0) -> str:
        """What was logged since, once this stands in it."""
        end = time.monotonic() + SECONDS
        while what not in self.log[begin:]:
            assert self.process.poll() is None and time.monotonic() < end, self.log[begin:]
            time.sleep(0.05)
        return self.log[begin:]

    def metrics(self, account: str = "owner") -> dict[str, float]:
        answer = self.lake.ask("/metrics", account)
        assert answer.status == 200, answer.text
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")
        samples = (line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in samples}


@contextlib.contextmanager
def serve(folder: Path, data: Path, settings: str = SETTINGS) -> Iterator[Server]:
    folder.mkdir()
    path = folder / "neurolake.toml"
    path.write_text(settings)
    command = [os.environ["NEUROLAKE_BIN"], "serve", "--data", data, "--http", "127.0.0.1:0", "--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0"]
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=lakes.environment(NEUROLAKE_LOG="info"))
    try:
        end = time.monotonic() + SECONDS
        while "Flight" not in (text := (folder / "log").read_text()):
            assert process.poll() is None and time.monotonic() < end, text
            time.sleep(0.05)
        address = re.search(r"^http://\S+$", text, re.MULTILINE)
        postgres = re.search(r"postgresql://127\.0\.0\.1:(\d+)/(\S+)", text)
        flight = re.search(r"grpc://\S+", text)
        assert address and postgres and flight, text
        with contextlib.closing(Lake(address[0], int(postgres[1]), postgres[2], flight[0], folder)) as lake:
            yield Server(lake, process, path)
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def server(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = SETTINGS + '\n[log]\naudit = "audit.jsonl"\nslow_query = "1ms"\n'
    with serve(tmp_path_factory.mktemp("serve") / "here", lake.folder / "data", settings) as server:
        yield server


def queries(server: Server, condition: str, account: str = "owner") -> list[dict[str, object]]:
    answer = server.lake.sql(account, f"select * from system.queries where statement not like '%system.%' and {condition} order by started")
    assert answer.status == 200, answer.text
    return answer.json


def audited(server: Server) -> list[dict[str, object]]:
    return [json.loads(line) for line in (server.settings.parent / "audit.jsonl").read_text().splitlines()]


def test_two_servers_share_nothing_but_the_tables(lake: Lake, server: Server, tmp_path: Path) -> None:
    statement = "select implant_id, count(*) as n from neural.sessions group by 1 order by 1"
    with serve(tmp_path / "there", lake.folder / "data") as other:
        for account in ("owner", "rows"):
            answers = {each.sql(account, statement, "csv").body for each in (lake, server.lake, other.lake)}
            assert len(answers) == 1
        # A tag that one has given holds for the other.
        first = server.lake.ask("/api/rest/neural/sessions?limit=1", "owner")
        again = other.lake.ask("/api/rest/neural/sessions?limit=1", "owner", If_None_Match=first.headers["etag"])
        assert again.status == 304
        assert sorted(path.name for path in other.settings.parent.iterdir()) == ["log", "neurolake.toml"]
    assert lake.ask("/health").status == 200


def test_it_takes_no_events_and_has_no_site(server: Server) -> None:
    assert server.lake.ask("/v1/ingest/telemetry/device_health", "owner", "{}", Content_Type="application/json").status == 404
    assert server.lake.ask("/").status == 404
    assert server.lake.ask("/catalog.json").json["endpoints"]["http"] == server.lake.http


def test_every_statement_is_seen(server: Server) -> None:
    begun = len(audited(server))
    statement = f"select session_id from neural.sessions where notes = '{PLANTED}'"
    assert server.lake.sql("rows", statement).status == 200
    assert server.lake.sql("rows", statement).status == 200
    with psycopg.connect(**server.lake.pg("rows")) as connection:
        connection.execute(statement).fetchall()
        connection.execute("select session_id from neural.sessions where notes = %s", [PLANTED]).fetchall()
    assert server.lake.flight_frame("rows", statement).is_empty()
    assert server.lake.ask(f"/api/rest/neural/sessions?notes=eq.{PLANTED}&select=session_id", "rows").status == 200
    assert "errors" not in server.lake.graphql("rows", '{ neural_sessions(where: {notes: {_eq: "%s"}}) { session_id } }' % PLANTED)
    assert server.lake.sql("rows", f"select nothing from neural.sessions where notes = '{PLANTED}'").status == 400
    assert server.lake.sql("columns", "select * from neural.spikes").status == 403
    assert server.lake.ask("/api/rest/neural/spikes", "columns").status == 403
    with psycopg.connect(**server.lake.pg("columns")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from neural.spikes")
    with pytest.raises(adbc.ProgrammingError):
        server.lake.flight_frame("columns", "select * from neural.spikes")
    lines = audited(server)[begun:]
    by_id = {line["request_id"]: line for line in lines}
    seen = [row for row in queries(server, "true") if row["request_id"] in by_id]
    assert len(seen) == len(lines) == 12
    doors = {row["door"] for row in seen}
    assert doors == {"sql", "postgres", "flight", "rest", "graphql"}
    states = [(row["state"], row["code"]) for row in seen if row["door"] == "sql"]
    assert states == [("done", None), ("kept", None), ("failed", "bad_request"), ("failed", "forbidden")]
    for row in seen:
        assert row["role"] == row["account"]
        if row["state"] in ("done", "kept"):
            assert row["tables"] == "neural.sessions", row
    assert PLANTED not in json.dumps(seen)
    # The same stands in the audit file, and nowhere a value.
    path = server.settings.parent / "audit.jsonl"
    assert PLANTED not in path.read_text() and PLANTED not in server.log
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for row in seen:
        line = by_id[row["request_id"]]
        assert (line["outcome"], line["account"], line["door"]) == (row["state"], row["account"], row["door"])
        assert line["statement"] == row["statement"] and line.get("rows") == row["rows"]


@pytest.mark.parametrize("table", ["queries", "tables", "cache"])
def test_the_server_describes_itself_to_owners_only(table: str, server: Server) -> None:
    for by in lakes.DOORS.values():
        assert by(server.lake, "owner", f"select count(*) > 0 from system.{table}")
    for account in ("rows", "nothing", "views"):
        refused = server.lake.sql(account, f"select * from system.{table}")
        assert refused.status == 403, refused.text
        with psycopg.connect(**server.lake.pg(account)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"select * from system.{table}")
        with pytest.raises(adbc.ProgrammingError):
            server.lake.flight_frame(account, f"select * from system.{table}")
    # It is not one of the lake's own.
    listed = server.lake.sql("owner", "select table_schema from information_schema.tables where table_schema = 'system'")
    assert listed.json == []


def test_what_runs_is_seen_and_what_was_cancelled(server: Server) -> None:
    with psycopg.connect(**server.lake.pg("owner")) as connection:

        def ask() -> None:
            with contextlib.suppress(psycopg.errors.QueryCanceled):
                connection.execute(BUSY)

        busy = threading.Thread(target=ask)
        busy.start()
        end = time.monotonic() + SECONDS
        while not (running := queries(server, "state = 'running'")):
            assert time.monotonic() < end
        assert [row["door"] for row in running] == ["postgres"]
        assert running[0]["rows"] is None and running[0]["milliseconds"] >= 0
        assert server.metrics()["neurolake_queries_running"] >= 1
        connection.cancel()
        busy.join(SECONDS)
        assert not busy.is_alive()
    while queries(server, "state = 'running'"):
        assert time.monotonic() < end
    assert [row["state"] for row in queries(server, f"request_id = '{running[0]['request_id']}'")] == ["cancelled"]


def test_tables_have_the_version_that_is_read(server: Server) -> None:
    assert server.lake.sql("owner", "select count(*) from behavior.trials").status == 200
    rows = server.lake.sql("owner", "select * from system.tables where database = 'behavior' and \"table\" = 'trials'").json
    assert len(rows) == 1 and rows[0]["kind"] == "delta" and rows[0]["version"] >= 0 and rows[0]["error"] is None
    assert "seen" not in server.lake.ask("/ready").json and "seen" not in server.lake.ask("/ready", "rows").json
    ready = server.lake.ask("/ready", "owner").json
    seen = {table["table"]: table for table in ready["seen"]}
    assert seen["behavior.trials"]["version"] == rows[0]["version"]
    assert seen["behavior.trials"]["age_milliseconds"] < SECONDS * 1000


def test_kept_answers_are_listed(server: Server) -> None:
    statement = "select implant_id, max(session_date) as last from neural.sessions group by 1"
    for _ in range(3):
        assert server.lake.sql("owner", statement).status == 200
    kept = server.lake.sql("owner", "select * from system.cache where tables = 'neural.sessions' and statement like '%max(session_date)%'").json
    assert [(row["role"], row["hits"]) for row in kept] == [("all", 2)]
    assert kept[0]["bytes"] > 0


def test_counters_agree_with_what_was_asked(server: Server) -> None:
    before = server.metrics()
    answer = server.lake.sql("rows", "select * from behavior.trials limit 7", "csv")
    assert answer.status == 200
    assert server.lake.sql("rows", "select").status == 400
    after = server.metrics()

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grown('neurolake_queries_total{door="sql",role="rows",outcome="done"}') == 1
    assert grown('neurolake_queries_total{door="sql",role="rows",outcome="bad_request"}') == 1
    assert grown('neurolake_query_rows_total{door="sql",role="rows"}') == answer.text.count("\n") - 1
    assert grown('neurolake_query_bytes_total{door="sql",role="rows"}') == len(answer.body)
    assert grown('neurolake_query_seconds_count{door="sql"}') == 2
    assert grown('neurolake_table_queries_total{database="behavior",table="trials",role="rows"}') == 1
    assert any(name.startswith('neurolake_table_version{database="behavior",table="trials"}') for name in after)
    # Names that strangers make up are none of them.
    server.lake.sql("rows", "select * from behavior.zzzyyy")
    assert not any("zzzyyy" in name for name in server.metrics())
    assert server.lake.ask("/metrics", "rows").status == 403


def test_events_are_counted_where_they_are_taken(lake: Lake) -> None:
    text = lake.ask("/metrics", "owner").text
    assert "neurolake_queries_total" in text and "neurolake_ingest_queue_bytes" in text
    assert text.count("# EOF") == 1


def test_a_slow_query_says_where_its_time_went(server: Server) -> None:
    begin = len(server.log)
    assert server.lake.sql("owner", f"select count(*) from neural.sessions where notes <> '{PLANTED}' group by implant_id").status == 200
    text = server.until("a slow query", begin)
    assert re.search(r"AggregateExec rows=\d+ time=", text), text
    assert re.search(r"DataSourceExec rows=\d+", text), text
    assert PLANTED not in text


def test_accounts_and_roles_are_read_again(lake: Lake, tmp_path: Path) -> None:
    with serve(tmp_path / "here", lake.folder / "data") as server:
        statement = "select distinct implant_id from neural.sessions order by 1"
        with psycopg.connect(**server.lake.pg("rows")) as connection:
            assert connection.execute(statement).fetchall() == [(7,)]
            assert server.lake.sql("rows", statement, "csv").text.split() == ["implant_id", "7"]
            assert server.lake.flight_frame("rows", statement).rows() == [(7,)]
            assert server.lake.flight_frame("columns", "select 1", by_name=True).rows() == [(1,)]
            # Another role of the same name, and another token for somebody else.
            other = SETTINGS.replace('rows."neural.sessions" = "implant_id = 7"', 'rows."neural.sessions" = "implant_id = 2"')
            other = other.replace('token = "env:COLUMNS_TOKEN"', 'token = "file:changed"')
            assert other.count("file:changed") == 1
            changed = "changed-0123456789abcdef"
            (tmp_path / "here" / "changed").write_text(changed)
            server.settings.write_text(other)
            server.process.send_signal(signal.SIGHUP)
            server.until("settings read again")
            # Nothing that was kept for the old role is given to the new one.
            assert server.lake.sql("rows", statement, "csv").text.split() == ["implant_id", "2"]
            assert server.lake.sql("columns", "select 1").status == 401
            # Flight SQL asks who it is each time, also whoever signed in before.
            assert server.lake.flight_frame("rows", statement).rows() == [(2,)]
            with pytest.raises(adbc.Error, match="account"):
                server.lake.flight_frame("columns", "select 1", by_name=True)
            assert dataclasses.replace(server.lake, tokens={**TOKENS, "columns": changed}).sql("columns", "select 1").status == 200
            # Whoever is connected stays, as who it came.
            assert connection.execute(statement).fetchall() == [(7,)]
        for wrong in ("[accounts.x]\n", "not settings", "", other + '\n[roles.more]\ntables = ["no.such"]\n[accounts.more]\ntoken = "file:changed"\nrole = "more"\n'):
            begin = len(server.log)
            server.settings.write_text(wrong)
            server.process.send_signal(signal.SIGHUP)
            server.until("stay as they were", begin)
            assert server.lake.sql("rows", statement, "csv").text.split() == ["implant_id", "2"]
            assert server.lake.ask("/api/sql?q=select+1").status == 401


def test_what_is_wrong_is_said_before_it_begins(lake: Lake, tmp_path: Path) -> None:
    for settings, word in (
        ('[log]\nslow_query = "soon"\n', "log.slow_query"),
        ('[log]\naudit = "no/such/folder/audit.jsonl"\n', "audit.jsonl"),
        ('[http]\nlisten = "0.0.0.0:0"\n', "[accounts.NAME]"),
    ):
        done = lakes.run(tmp_path / "wrong", "serve", "--data", lake.folder / "data", "--pg", "none", "--flight", "none", settings=settings)
        assert done.returncode > 1 and word in done.stderr, done.stderr
