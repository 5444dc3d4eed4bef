"""Answers that are kept: given again as long as their tables are the same, and not a moment longer."""

from __future__ import annotations

import concurrent.futures
import datetime
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import adbc_driver_flightsql.dbapi as dbapi
import deltalake
import psycopg
import pyarrow
import pytest
import servers

COUNT = "select count(*) as n from behavior.cursor_events"


class Client:
    def __init__(self, found: dict, lake: servers.Server) -> None:
        self.host = urllib.parse.urlsplit(found["sql"]).netloc
        self.flight = found["flight"]
        self.data = lake.data
        self.address = lake.address

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        response.text = response.read().decode()  # type: ignore[attr-defined]
        return response

    def ask(self, sql: str, options: str = "", **headers: str) -> http.client.HTTPResponse:
        return self.get(f"/api/sql?q={urllib.parse.quote(sql)}{options}", **headers)

    def send(self, rows: list[dict[str, object]], **options: str) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        path = "/v1/ingest/behavior/cursor_events?" + urllib.parse.urlencode(options)
        connection.request("POST", path, body=json.dumps(rows), headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status in (200, 202), response.read()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with servers.lake(tmp_path_factory.mktemp("kept")) as (lake, found):
        yield Client(found, lake)


def rows(client: Client) -> list[dict[str, object]]:
    return json.loads(client.ask("select * from behavior.cursor_events limit 1").text)


def test_an_answer_that_holds_has_the_same_tag_and_need_not_be_sent(client: Client) -> None:
    sql = "select implant_id, count(*) as n from neural.spikes group by 1 order by 1"
    first, again = client.ask(sql), client.ask(sql)
    assert first.status == again.status == 200 and first.text == again.text
    tag = first.headers["ETag"]
    assert tag and tag == again.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    known = client.ask(sql, If_None_Match=f'"other", {tag}')
    assert (known.status, known.text) == (304, "") and known.headers["ETag"] == tag
    # Another form is another answer, another statement too.
    assert client.ask(sql, "&format=csv").headers["ETag"] != tag
    assert client.ask(sql, "&format=csv").text.startswith("implant_id,n")
    assert client.ask(sql + " desc").headers["ETag"] != tag
    # The same statement with other values.
    with_value = "select count(*) as n from neural.spikes where implant_id = $1"
    seven, eight = (client.ask(with_value, f"&parameters=[{value}]") for value in (7, 8))
    assert seven.text != eight.text and seven.headers["ETag"] != eight.headers["ETag"]


def test_documents_of_graphql_are_kept(client: Client) -> None:
    def ask(document: str, **headers: str) -> http.client.HTTPResponse:
        return client.get("/api/graphql?query=" + urllib.parse.quote(document), **headers)

    document = "{ a: neural_sessions(limit: 2, order_by: {session_id: asc}) { session_id } b: behavior_trials_aggregate { aggregate { count } } }"
    first, again = ask(document), ask(document)
    assert first.status == 200 and first.text == again.text
    tag = first.headers["ETag"]
    assert tag and tag == again.headers["ETag"]
    assert ask(document, If_None_Match=tag).status == 304
    assert ask(document.replace("limit: 2", "limit: 3")).headers["ETag"] != tag
    assert ask(document, Accept="application/graphql-response+json").headers["ETag"] != tag
    # Nothing of these is kept: one fails in a part, one tells of the schema, one reads what has no versions.
    for other in ("{ neural_sessions(limit: 2) { nothing } }", "{ __typename neural_sessions(limit: 1) { session_id } }", "{ lab_animals(limit: 1) { __typename } }"):
        assert ask(other).headers["ETag"] is None, other
    assert client.get("/api/graphql?query=x&max_staleness=1m").headers["ETag"] is None


def test_pages_of_rest_are_kept_with_their_links(client: Client) -> None:
    path = "/api/rest/neural/spikes?implant_id=eq.7&order=ts.desc&limit=10"
    first, again = client.get(path), client.get(path)
    assert first.text == again.text and len(json.loads(first.text)) == 10
    for name in ("ETag", "Link", "Content-Type"):
        assert first.headers[name] and first.headers[name] == again.headers[name]
    counted = client.get(path, Prefer="count=exact")
    assert counted.headers["Content-Range"] and counted.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    "sql",
    [
        "select now() as t",
        "select random() as x",
        "select uuid() as x",
        "select value from generate_series(now(), now() + interval '2 minutes', interval '1 minute')",
        "select count(*) as n from neural.spikes where ts < now()",
        "explain analyze select count(*) from neural.spikes",
        "select count(*) as n from surgery.robot_insertions where surgery_id = 31",
    ],
)
def test_what_may_differ_each_time_is_not_kept(client: Client, sql: str) -> None:
    for _ in range(2):
        answer = client.ask(sql)
        assert answer.status == 200, answer.text
        assert answer.headers["ETag"] is None and answer.headers["Cache-Control"] == "no-store"


def test_an_event_is_seen_at_once_and_after_its_commit(client: Client) -> None:
    event = rows(client)[0]
    before = json.loads(client.ask(COUNT).text)[0]["n"]
    for number in range(1, 6):
        client.send([event])
        assert json.loads(client.ask(COUNT).text)[0]["n"] == before + number
    client.send([event], ack="committed")
    assert json.loads(client.ask(COUNT, "&max_staleness=0s").text)[0]["n"] == before + 6


def test_a_commit_of_somebody_else_is_seen(client: Client) -> None:
    folder = client.data / "buckets" / "lake" / "neural" / "sessions"
    table = deltalake.DeltaTable(folder)
    count = "select count(*) as n from neural.sessions"
    before = json.loads(client.ask(count).text)[0]["n"]
    tag = client.ask(count).headers["ETag"]
    one = pyarrow.table(table.to_pyarrow_table().slice(0, 1))
    deltalake.write_deltalake(folder, one, mode="append", configuration=None)
    version = deltalake.DeltaTable(folder).version()
    # Whoever wants the newest has it at once.
    assert json.loads(client.ask(count, "&max_staleness=0s").text)[0]["n"] == before + 1
    at_least = client.ask(count, f"&min_version=neural.sessions@{version}")
    assert json.loads(at_least.text)[0]["n"] == before + 1
    # The others soon, and never with the old tag.
    end = time.monotonic() + 30
    while (answer := client.ask(count, If_None_Match=tag)).status == 304:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert json.loads(answer.text)[0]["n"] == before + 1 and answer.headers["ETag"] != tag
    # An old version stays what it was.
    old = client.ask(f'select count(*) as n from neural."sessions@{version - 1}"')
    assert json.loads(old.text)[0]["n"] == before


def test_what_is_asked_of_freshness_is_understood_or_refused(client: Client) -> None:
    sql = "select count(*) as n from neural.units"
    assert client.ask(sql, "&max_staleness=1m").status == 200
    future = client.ask(sql, "&min_version=neural.units@999")
    assert future.status == 408 and "is not at version 999 yet" in future.text
    for wrong in ("&max_staleness=soon", "&min_version=neural.units", "&min_version=neural.units@x", "&freshness=1"):
        assert client.ask(sql, wrong).status == 400, wrong


def test_many_who_ask_the_same_get_the_same(client: Client) -> None:
    sql = "select channel, avg(amplitude) as a, count(*) as n from neural.spikes group by 1 order by 1"
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: client.ask(sql), range(48)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["ETag"] for answer in answers}) == 1


@pytest.fixture
def postgres(client: Client) -> Iterator[psycopg.Connection]:
    with psycopg.connect(client.address, autocommit=True) as connection:
        yield connection


def states(client: Client, mark: str, door: str = "postgres") -> list[str]:
    """How statements with this name in them were answered, the first first."""
    asked = f"select state from system.queries where door = '{door}' and position('{mark}' in statement) > 0 order by started, request_id"
    return [row["state"] for row in json.loads(client.ask(asked).text)]


def test_rows_of_postgresql_are_kept(client: Client, postgres: psycopg.Connection) -> None:
    sql = "select implant_id, count(*) as rows_kept, 1, null as nothing from neural.spikes group by 1 order by 1"
    first = postgres.execute(sql)
    again = postgres.execute(sql)
    assert first.fetchall() == again.fetchall()
    assert [tuple(column) for column in first.description] == [tuple(column) for column in again.description]
    with psycopg.connect(client.address) as other:
        assert other.execute(sql).rowcount == first.rowcount > 1
        # Another form is another answer.
        binary = other.execute(sql, binary=True)
        assert binary.pgresult.fformat(0) == 1 and binary.rowcount == first.rowcount
        with other.cursor().copy(f"copy ({sql}) to stdout") as copy:
            assert len(list(copy.rows())) == first.rowcount
    assert states(client, "rows_kept") == ["done", "kept", "kept", "done", "done"]
    kept = json.loads(client.ask("select * from system.cache where position('rows_kept' in statement) > 0 order by hits").text)
    assert [row["hits"] for row in kept] == [0, 0, 2] and {row["tables"] for row in kept} == {"neural.spikes"}


def test_values_of_parameters_are_told_apart(postgres: psycopg.Connection) -> None:
    lists = (["a, b"], ["a", "b"], ["a", "b", None], [*"abcdefghijklmnopqrstuvwxyz"], [*"abcdefghijklmMopqrstuvwxyz"], [])
    for prepared in (False, True):
        for _ in range(2):
            for values in lists:
                sql = "select %s::text[] as values_kept, count(*) from neural.sessions"
                found = postgres.execute(sql, [values], prepare=prepared, binary=True).fetchone()
                assert found[0] == values
            for value in (0.0, -0.0, float("nan"), float("inf")):
                found = postgres.execute("select %s::float8, count(*) from neural.sessions", [value], prepare=prepared).fetchone()
                assert str(found[0]) == str(value)
            for value in (1, 100000, 2**40, 1.5, "1", True, None, b"x", datetime.date(2026, 1, 2), [1, 2]):
                for binary in (False, True):
                    found = postgres.execute("select %s, count(*) from neural.sessions", [value], prepare=prepared, binary=binary).fetchone()
                    assert found[0] == value and type(found[0]) is type(value)
                    # A union is of a type that all parts have.
                    if type(value) in (int, float):
                        found = postgres.execute("select 1 union all select %s", [value], prepare=prepared, binary=binary).fetchall()
                        assert sorted(found) == sorted([(1,), (value,)])


def test_postgresql_sees_what_has_changed(client: Client, postgres: psycopg.Connection) -> None:
    event = rows(client)[0]
    for prepared in (False, True):
        (before,) = postgres.execute(COUNT, prepare=prepared).fetchone()
        for number in range(1, 4):
            client.send([event])
            assert postgres.execute(COUNT, prepare=prepared).fetchone() == (before + number,)
            assert postgres.execute(COUNT, prepare=prepared).fetchone() == (before + number,)


def test_what_was_prepared_is_asked_of_what_is_there(client: Client, postgres: psycopg.Connection) -> None:
    event = rows(client)[0]
    (before,) = postgres.execute(COUNT).fetchone()
    for number in range(1, 4):
        postgres.pgconn.prepare(f"counted_{number}".encode(), COUNT.encode())
        client.send([event])
        found = postgres.pgconn.exec_prepared(f"counted_{number}".encode(), None)
        assert int(found.get_value(0, 0)) == before + number
    # Nor is it asked of another database than the session reads.
    postgres.execute("set search_path = neural")
    postgres.pgconn.prepare(b"unqualified", b"select count(*) from sessions")
    postgres.execute("set search_path = behavior")
    found = postgres.pgconn.exec_prepared(b"unqualified", None)
    assert "does not exist" in found.error_message.decode()


@pytest.mark.parametrize(
    "sql",
    [
        "select now(), 'changes' as changes_0",
        "select random() as changes_1",
        "select current_user as changes_2",
        "select current_setting('application_name') as changes_3",
        "select count(*) as changes_4 from neural.spikes where ts < now()",
        "select count(*) as changes_5 from pg_catalog.pg_class",
        "select count(*) as changes_6 from information_schema.tables",
        "select count(*) as changes_7 from system.queries",
        "select count(*) as changes_8 from surgery.robot_insertions where surgery_id = 31",
    ],
)
def test_postgresql_keeps_nothing_that_may_differ(sql: str, client: Client, postgres: psycopg.Connection) -> None:
    for _ in range(2):
        postgres.execute(sql)
    mark = sql[sql.index("changes_") :].split()[0]
    assert states(client, mark) == ["done", "done"]


def test_quotes_are_part_of_the_question(postgres: psycopg.Connection) -> None:
    for _ in range(2):
        for text in ("it''s", "its", "", ""):
            found = postgres.execute(f"select '{text}', count(*) from neural.sessions where place <> '{text}'").fetchone()
            assert found[0] == text.replace("''", "'")


def test_a_search_path_is_part_of_the_question(postgres: psycopg.Connection) -> None:
    counts = {}
    for name in ("neural", "behavior", "neural"):
        postgres.execute(f"set search_path = {name}")
        try:
            counts.setdefault(name, []).append(postgres.execute("select count(*) from sessions").fetchone())
        except psycopg.errors.UndefinedTable:
            counts.setdefault(name, []).append(None)
    assert counts["neural"][0] == counts["neural"][1] != counts["behavior"][0]


def test_messages_of_flight_sql_are_kept(client: Client) -> None:
    sql = "select implant_id, count(*) as messages_kept from neural.spikes where implant_id > $1 group by 1 order by 1"
    with dbapi.connect(client.flight) as connection, connection.cursor() as cursor:
        found = []
        for value in (0, 7, 0, 7):
            cursor.execute(sql, [value])
            found.append(cursor.fetch_arrow_table())
    assert found[0].equals(found[2]) and found[1].equals(found[3]) and not found[0].equals(found[1])
    assert states(client, "messages_kept", "flight") == ["done", "done", "kept", "kept"]
