"""Answers that are kept: given again as long as their tables are the same, and not a moment longer."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import deltalake
import pyarrow
import pytest
import servers

COUNT = "select count(*) as n from behavior.cursor_events"


class Client:
    def __init__(self, sql: str, data: Path) -> None:
        self.host = urllib.parse.urlsplit(sql).netloc
        self.data = data

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
        yield Client(found["sql"], lake.data)


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
