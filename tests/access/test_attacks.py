"""Attempts to see a row, a column or a value that the role doesn't show. Each answer, error or not, is searched for
what is hidden; where only the outcome could tell, it is asked about a hidden and about a shown value."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import urllib.parse
from collections.abc import Callable

import adbc_driver_flightsql.dbapi as adbc
import polars
import psycopg
import pytest
from polars import col

import lakes
from lakes import Lake

Whole = Callable[[str], polars.DataFrame]


def flight_answer(lake: Lake, account: str, statement: str) -> str:
    try:
        return repr(lake.flight_frame(account, statement).rows())
    except adbc.Error as error:
        return f"{error} {error.details}"


def said(lake: Lake, account: str, statement: str) -> dict[str, str]:
    """What each door answers, in whichever way."""
    answers = {format: lake.sql(account, statement, format).text for format in ("json", "csv", "arrow")}
    answers["flight"] = flight_answer(lake, account, statement)
    for name, prepare in (("simple", False), ("prepared", True)):
        with psycopg.connect(**lake.pg(account), autocommit=True) as connection:
            try:
                if statement.startswith("copy"):
                    with connection.cursor().copy(statement) as copy:
                        answers[name] = b"".join(map(bytes, copy)).decode()
                    continue
                found = connection.execute(statement, prepare=prepare)
                answers[name] = repr(found.fetchall() if found.description else found.statusmessage)
            except psycopg.Error as error:
                answers[name] = f"{error} {error.diag.message_detail} {error.diag.message_hint} {error.diag.context}"
    return answers


def refuse_words(answers: dict[str, str], words: set[str], what: str) -> None:
    assert words
    for door, answer in answers.items():
        found = sorted(word for word in words if word in answer)
        assert not found, f"{door} says {found[:5]}: {what}\n{answer[:600]}"


def is_error(lake: Lake, account: str, statement: str) -> bool:
    is_refused = lake.sql(account, statement).status != 200
    try:
        lake.flight_frame(account, statement)
    except adbc.Error as error:
        assert is_refused, f"only Flight SQL refuses: {statement}: {error}"
    else:
        assert not is_refused, f"only Flight SQL answers: {statement}"
    return is_refused


def hidden_words(whole: Whole) -> set[str]:
    """What stands in rows of `neural.sessions` that the account `rows` doesn't see, and in no other."""
    frame = whole("neural.sessions")
    columns = ["subject", "notes", "decoder_id"]
    shown, hidden = (frame.filter(condition).select(columns) for condition in (col("implant_id") == 7, col("implant_id") != 7))
    words = {value for row in hidden.rows() for value in row if value} - {value for row in shown.rows() for value in row if value}
    return {word for word in words if not any(word in value for row in shown.rows() for value in row if value)}


# Each fails for a word, and the error shows the word.
FAILING = [
    "cast({} as int)",
    "cast({} as bigint)",
    "cast({} as double)",
    "cast({} as date)",
    "cast({} as timestamp)",
    "cast({} as boolean)",
    "cast({} as decimal(9, 2))",
    "arrow_cast({}, 'UInt8')",
    "to_timestamp({})",
    "to_date({})",
    "{}::int",
]
PLACES = [
    "select session_id from neural.sessions where {} is not null",
    "select session_id from neural.sessions where not ({} is null) and implant_id = 2",
    "select session_id from neural.sessions where implant_id = 2 and {} is null",
    "select session_id from neural.sessions where implant_id <> 7 or {} is null",
    "select {} from neural.sessions where implant_id <> 7",
    "select count({}) from neural.sessions where implant_id <> 7",
    "select count(*) filter (where {} is null) from neural.sessions where implant_id <> 7",
    "select session_id from neural.sessions where implant_id <> 7 order by {}",
    "select implant_id from neural.sessions group by implant_id, {} having implant_id <> 7",
    "select a.session_id from neural.sessions a join neural.sessions b on a.session_id = b.session_id and {} is null where a.implant_id <> 7",
    "select session_id from behavior.trials where session_id in (select session_id from neural.sessions where implant_id = 2 and {} is null)",
    "select * from (select session_id, implant_id, {} as x from neural.sessions) where implant_id = 2",
    "with x as (select *, {} as y from neural.sessions) select y from x where implant_id = 2",
    "select case when implant_id = 7 then 1 else {} end from neural.sessions where implant_id <> 7",
    "select max({}) over () from neural.sessions where implant_id <> 7",
    "select session_id from neural.sessions where implant_id = 2 and case when true then {} is null else true end",
    "select session_id from neural.sessions where coalesce({} is null, false) and implant_id = 2 limit 1",
    "select s.session_id from neural.sessions s cross join lateral (select {} as y where s.implant_id = 2) x",
]


@pytest.mark.parametrize("column", ["subject", "notes", "decoder_id"])
@pytest.mark.parametrize("place", PLACES)
def test_errors_show_no_word_of_a_hidden_row(place: str, column: str, lake: Lake, whole: Whole) -> None:
    words = hidden_words(whole)
    qualified = f"a.{column}" if "sessions a join" in place else f"s.{column}" if "sessions s " in place else column
    for failing in FAILING if column == "subject" else FAILING[:2]:
        statement = place.format(failing.format(qualified))
        answer = lake.sql("rows", statement).text
        refuse_words({"json": answer}, words, statement)
    if column == "subject":
        refuse_words(said(lake, "rows", place.format(FAILING[0].format(qualified))), words, place)


def test_such_errors_show_what_may_be_seen(lake: Lake) -> None:
    """The attack as such works: it shows a word of a row that is seen, and any word to the owner."""
    statement = "select session_id from neural.sessions where cast(subject as int) = 1"
    assert "P-03" in lake.sql("rows", statement).text
    assert "P-03" in flight_answer(lake, "rows", statement)
    assert "P-02" in lake.sql("owner", "select cast(subject as int) from neural.sessions where implant_id = 2").text


BLIND = [
    "select count(*) from neural.sessions where 1 / (case when session_id = {} then 0 else 1 end) = 1",
    "select count(*) from neural.sessions where 1 / (session_id - {}) > 5",
    "select count(*) from neural.sessions where 1 % (session_id - {}) > 5",
    "select count(*) from neural.sessions where cast(session_id - {} as tinyint) = 0 and session_id = {}/0",
    "select sum(1 / (session_id - {})) from neural.sessions",
    "select 1 / (session_id - {}) from neural.sessions",
    "select session_id from neural.sessions order by 1 / (session_id - {})",
    "select count(*) from neural.sessions s join (values ({})) v(x) on 1 / (s.session_id - v.x) > 5",
    "select count(*) from neural.sessions where session_id = {} and 1 / (session_id - session_id) = 1",
    "select (select 1 / count(*) * 0 + 1 / (1 - count(*)) from neural.sessions where session_id = {})",
    "select max(case when session_id = {} then 1 / (session_id - session_id) end) from neural.sessions",
    "select session_id from neural.sessions where session_id between {} and {} and 1 / (implant_id - implant_id) = 1 limit 1",
]


@pytest.mark.parametrize("statement", BLIND)
def test_whether_there_is_an_error_tells_nothing_of_hidden_rows(statement: str, lake: Lake, whole: Whole) -> None:
    sessions = whole("neural.sessions")
    hidden = sessions.filter(col("implant_id") != 7)["session_id"].sample(4, seed=1).to_list()
    nothing = 9_999_999
    outcomes = {is_error(lake, "rows", statement.replace("{}", str(id))) for id in [*hidden, nothing]}
    assert len(outcomes) == 1
    shown = sessions.filter(col("implant_id") == 7)["session_id"].item(0)
    if "/ count(*)" not in statement and "/0" not in statement:
        assert outcomes == {False}
        assert is_error(lake, "rows", statement.replace("{}", str(shown))), "the attack tells nothing of shown rows either"


# A session of which the view shows nothing, though it reads rows of it.
def behind_the_view(whole: Whole) -> int:
    shown = set(whole("training.aligned_bins")["session_id"])
    return next(id for id in whole("neural.normalized_band_power")["session_id"] if id not in shown)


@pytest.mark.parametrize(
    "statement",
    [
        "select count(*) from training.aligned_bins where 1 / (session_id - {}) > 5",
        "select count(*) from training.aligned_bins where 1 / (case when session_id = {} then 0 else 1 end) = 1",
        "select bin from training.aligned_bins where 10 / (session_id - {}) = 0 limit 1",
        "select count(*) from training.aligned_bins where cast(case when session_id = {} then 'it is there' else '1' end as int) = 1",
    ],
)
def test_an_authorized_view_says_nothing_of_rows_behind_it(statement: str, lake: Lake, whole: Whole) -> None:
    hidden = behind_the_view(whole)
    shown = whole("training.aligned_bins")["session_id"].item(0)
    assert is_error(lake, "views", statement.format(shown)), "the attack tells nothing of shown rows either"
    assert not is_error(lake, "views", statement.format(hidden))


def test_an_authorized_function_says_nothing_of_rows_behind_it(lake: Lake, whole: Whole) -> None:
    # Sessions of free use have no trials, so the function reads them and doesn't show them.
    shown = set(lake.frame("owner", "select session_id from behavior.session_summaries where implant_id = 7")["session_id"])
    hidden = [id for id in whole("neural.sessions").filter(col("implant_id") == 7)["session_id"] if id not in shown]
    assert hidden
    statement = "select count(*) from behavior.session_summaries where implant_id = 7 and 1 / (session_id - {}) > 5"
    assert is_error(lake, "views", statement.format(min(shown)))
    for id in hidden[:5]:
        assert not is_error(lake, "views", statement.format(id))


@pytest.mark.parametrize("column", ["task", "implant_id", "session_date", "decoder_id"])
def test_an_authorized_view_says_nothing_of_rows_that_it_leaves_out(column: str, lake: Lake, whole: Whole) -> None:
    """`practice` is left out by a condition of the view's own."""
    statement = f"select count(*) from behavior.daily_performance where cast({column} as text) = 'x' and 1 / (trials - trials) = 1"
    assert not is_error(lake, "views", statement)


EXPLAINED = [
    "select * from {}",
    "select count(*) from {}",
    "select min(session_id), max(session_id) from {}",
    "select count(*) from {} where session_id > 5100",
    "select * from {} a join {} b using (session_id) order by session_id limit 3",
]
EXPLAIN = ["explain", "explain verbose", "explain analyze", "explain analyze verbose", "explain format tree", "explain format pgjson", "explain format graphviz"]


@pytest.mark.parametrize("explain", EXPLAIN)
@pytest.mark.parametrize(("account", "table"), [("rows", "neural.sessions"), ("views", "neural.sessions"), ("columns", "neural.sessions"), ("views", "training.aligned_bins")])
def test_plans_say_nothing_of_files_or_statistics(account: str, table: str, explain: str, lake: Lake) -> None:
    found = []
    for statement in EXPLAINED:
        explained = f"{explain} {statement.replace('{}', table)}"
        answer = lake.sql(account, explained).text + flight_answer(lake, account, explained)
        for word in (".parquet", "file_groups", str(lake.folder), "s3://", "row_groups", "bytes_scanned"):
            if word in answer:
                found.append(f"{word}: {explained}")
    assert not found


HIDDEN_COLUMNS = [
    "select subject from neural.sessions",
    "select s.subject from neural.sessions s",
    'select "SUBJECT" from neural.sessions',
    'select "subject" from neural.sessions',
    "select neural.sessions.subject from neural.sessions",
    "select neurolake_demo.neural.sessions.subject from neural.sessions",
    "select notes from neural.sessions",
    "select session_id from neural.sessions where subject = 'P-03'",
    "select session_id from neural.sessions order by subject",
    "select session_id from neural.sessions order by notes desc limit 1",
    "select count(*) from neural.sessions group by subject",
    "select count(*) from neural.sessions having max(subject) > 'A'",
    "select min(place), max(notes) from neural.sessions",
    "select * exclude (session_id) from neural.sessions",
    "select * except (session_id) from neural.sessions",
    "select * replace (subject as session_id) from neural.sessions",
    "select * rename (subject as x) from neural.sessions",
    "select a.* from neural.sessions a join neural.sessions b using (subject)",
    "select * from neural.sessions natural join behavior.trials",
    "select s from neural.sessions s",
    "select (s).subject from neural.sessions s",
    "select struct(s.*) from neural.sessions s",
    "select named_struct('x', subject) from neural.sessions",
    "select x from neural.sessions as s(a, b, c, x)",
    "select unnest(tasks) from neural.sessions",
    "select max(notes) over () from neural.sessions",
    "select (select max(notes) from neural.sessions)",
    "select session_id from neural.sessions s where exists (select 1 from behavior.trials t where t.task = s.subject)",
    'select notes from neural."sessions@0"',
    'select notes from neural."sessions@1"',
    "with sessions as (select * from neural.sessions) select notes from sessions",
    "table neural.sessions",
    "copy neural.sessions (subject) to stdout",
    "copy (select notes from neural.sessions) to stdout",
    "copy neural.sessions to stdout",
    "describe neural.sessions",
    "explain verbose select * from neural.sessions",
    "explain analyze select * from neural.sessions where session_id > 0",
    "select outcome from behavior.trials",
    "select * from behavior.daily_performance",
    "select * from behavior.session_summaries where implant_id = 7",
    "select surgeon, performed_on from surgery.surgeries",
    "select cast(surgeon as int) from surgery.surgeries",
    "select subjct from neural.sessions",
    "select surgeo from surgery.surgeries",
    "select count(surgeon) from surgery.surgeries",
    "prepare x as select notes from neural.sessions",
    "declare x cursor for select notes from neural.sessions",
    "select * from pg_catalog.pg_stats",
    "select most_common_vals from pg_stats",
    "select relname, reltuples, relpages from pg_class where reltuples > 0",
    "select pg_relation_size('neural.sessions'), pg_total_relation_size('neural.sessions')",
    "select * from pg_stat_user_tables",
]


@pytest.mark.parametrize("statement", HIDDEN_COLUMNS)
def test_no_value_of_a_hidden_column_is_said(statement: str, lake: Lake, whole: Whole) -> None:
    sessions, surgeries = whole("neural.sessions"), whole("surgery.surgeries")
    words = {value for name in ("subject", "notes", "place", "firmware", "decoder_id") for value in sessions[name] if value}
    words |= {str(value) for value in surgeries["surgeon"] if value}
    # Those that the statement itself says, and those that other tables show.
    words -= {"P-03", *surgeries["subject"], *whole("behavior.trials")["task"], *whole("behavior.trials")["decoder_id"]}
    words = {word for word in words if len(word) > 3 and not word[0].isdigit()}
    refuse_words(said(lake, "columns", statement), words, statement)


def test_hidden_columns_are_not_there(lake: Lake) -> None:
    refused = [statement for statement in HIDDEN_COLUMNS if re.match("select (s[.])?(subject|notes|outcome|surgeon)", statement)]
    assert len(refused) > 5
    for statement in refused:
        answer = lake.sql("columns", statement)
        assert answer.status == 400, answer.text
        if "." not in statement.split(" from ")[0]:
            hint = answer.json["error"].get("hint", "")
            assert not re.search("`(subject|notes|outcome|surgeon|performed_on)`", hint), hint


def all_tables(lake: Lake) -> list[str]:
    catalog = lake.ask("/catalog.json").json
    tables = [f"{database['name']}.{table['name']}" for database in catalog["databases"] for table in database["tables"]]
    return tables + [f"{table}__dead_letters" for table in ("behavior.cursor_events", "neural.normalized_band_power", "telemetry.device_health")]


FORMS = [
    "select * from {}",
    "select count(*) from {}",
    "select 1 from {} limit 1",
    "select exists (select 1 from {})",
    "select (select count(*) from {})",
    "select * from neurolake_demo.{}",
    "describe {}",
    "explain select * from {}",
    "explain verbose select count(*) from {}",
    "show columns from {}",
    "table {}",
    "with x as (select * from {}) select * from x",
    "select 1 union all select count(*) from {}",
    "select * from (values (1)) v(x) left join {} t on false",
    "select 1 where false and exists (select 1 from {})",
]


def test_a_forbidden_table_is_refused_in_every_form(lake: Lake) -> None:
    allowed = []
    for table in all_tables(lake):
        database, name = table.split(".")
        forms = [form.format(table) for form in FORMS] if table in ("neural.sessions", "behavior.daily_performance") else [FORMS[1].format(table), FORMS[5].format(table)]
        forms += [f'select * from {database}."{name}@0"', f'select * from {database.upper()}.{name.upper()}', f'select * from "{database}"."{name}"']
        allowed += [form for form in forms if not is_error(lake, "nothing", form)]
        rest = lake.ask(f"/api/rest/{database}/{name}", "nothing").status
        assert rest in (403, 404), table
        fields = lake.graphql("nothing", f"{{ {database}_{name} {{ __typename }} {database}_{name}_aggregate {{ aggregate {{ count }} }} }}")
        assert "errors" in fields and not fields.get("data"), table
    assert not allowed


def test_only_its_own_tables_are_open_to_a_feeder(lake: Lake) -> None:
    for table in all_tables(lake):
        assert is_error(lake, "feeder", f"select count(*) from {table}") == (table != "telemetry.device_health"), table


def test_a_view_reads_with_the_rights_of_who_asks(lake: Lake) -> None:
    """`columns` sees the view, not the columns that it reads."""
    for statement in ("select * from behavior.daily_performance", "select count(*) from behavior.daily_performance"):
        answer = lake.sql("columns", statement)
        assert answer.status == 403, answer.text
        assert is_error(lake, "columns", statement)
    assert lake.sql("traps", "select * from behavior.daily_performance").status == 403


def test_a_condition_that_fails_shows_nothing(lake: Lake, whole: Whole) -> None:
    """A role's own condition may fail for a row: that is for whoever keeps the roles, not for who asks."""
    first = {place[0] for place in whole("neural.sessions")["place"]}
    for answer in said(lake, "traps", "select session_id from neural.sessions").values():
        assert not [letter for letter in first if f"'{letter}'" in answer], answer


def test_rest_knows_no_hidden_column(lake: Lake, whole: Whole) -> None:
    table = "/api/rest/neural/sessions"
    for query in (
        "select=subject",
        "select=*,subject",
        "select=x:notes",
        "select=session_id::text,notes",
        "order=subject",
        "order=session_id,notes.desc",
        "order=subject.desc.nullslast",
        "subject=eq.P-03",
        "notes=not.is.null",
        "or=(subject.eq.P-03,session_id.eq.1)",
        "and=(session_id.gt.1,or(notes.is.null,place.eq.home))",
        "not.and=(subject.like.P*)",
        "select=session_id,notes.count()",
        "select=count(),max(notes)",
        "SUBJECT=eq.P-03",
        "%73ubject=eq.P-03",
    ):
        answer = lake.ask(f"{table}?limit=1&{query}", "columns")
        assert answer.status == 400, (query, answer.text)
        hint = answer.json["error"].get("hint", "")
        assert not re.search("`(subject|notes|place)`", hint), hint
    # A cursor of somebody who sees more.
    link = lake.ask(f"{table}?select=session_id,subject&order=subject,session_id&limit=1", "owner").headers["link"]
    after = urllib.parse.parse_qs(urllib.parse.urlsplit(link.split("<")[1].split(">")[0]).query)["after"][0]
    for query in ("order=session_id", "order=subject,session_id", ""):
        answer = lake.ask(f"{table}?limit=1&{query}&after={urllib.parse.quote(after)}", "columns")
        assert answer.status == 400, answer.text
    for path in ("sessions@0", "sessions@1", "SESSIONS", "%73essions"):
        answer = lake.ask(f"/api/rest/neural/{path}?select=notes&limit=1", "columns")
        assert answer.status in (400, 403, 404), answer.text


def test_graphql_knows_no_hidden_column(lake: Lake) -> None:
    for document in (
        "{ neural_sessions { subject } }",
        "{ neural_sessions(order_by: {subject: asc}) { session_id } }",
        '{ neural_sessions(where: {subject: {_eq: "P-03"}}) { session_id } }',
        '{ neural_sessions(where: {_or: [{_not: {notes: {_is_null: true}}}]}) { session_id } }',
        "{ neural_sessions(distinct_on: subject) { session_id } }",
        "{ neural_sessions_aggregate { aggregate { min { subject } } } }",
        "{ neural_sessions_aggregate { aggregate { count(columns: notes) } } }",
        "{ neural_sessions_aggregate { nodes { notes } } }",
        "query x($o: [neural_sessions_order_by!] = [{subject: asc}]) { neural_sessions(order_by: $o) { session_id } }",
        "{ x: neural_sessions { ... on neural_sessions { y: notes } } }",
        "fragment f on neural_sessions { notes } { neural_sessions { ...f } }",
    ):
        answer = lake.graphql("columns", document)
        assert answer.get("errors"), document
        assert not answer.get("data"), document
        assert not re.search("did you mean `(subject|notes)`|P-0", json.dumps(answer)), answer
    for name in ("neural_sessions", "neural_sessions_bool_exp", "neural_sessions_order_by", "neural_sessions_select_column"):
        answer = lake.graphql("columns", f'{{ __type(name: "{name}") {{ fields {{ name }} inputFields {{ name }} enumValues {{ name }} }} }}')
        assert not re.search('"(subject|notes|place)"', json.dumps(answer)), answer
    for name in ("neural_units", "telemetry_device_health"):
        assert lake.graphql("columns", f'{{ __type(name: "{name}") {{ name }} }}')["data"]["__type"] is None


def test_nothing_is_said_about_files(lake: Lake) -> None:
    for account in ("rows", "columns", "views", "feeder", "nothing"):
        for more in ({}, {"Host": "localhost"}):
            answer = lake.ask("/api/stores", account, **more)
            assert answer.status == 200
            assert all(set(store) == {"kind", "direct"} and not store["direct"] for store in answer.json["stores"].values())
            assert str(lake.folder) not in answer.text
    assert str(lake.folder) in lake.ask("/api/stores", "owner").text


def test_events_go_where_the_role_says_and_come_back_to_nobody_else(lake: Lake) -> None:
    health, power = "/v1/ingest/telemetry/device_health", "/v1/ingest/neural/normalized_band_power"
    columns = "ts, implant_id, report_date, received_at, firmware, boot_count, uptime, reset_cause, mode"
    sample = lake.sql("owner", "select * from telemetry.device_health where implant_id = 7 limit 1").json[0]
    assert columns.split(", ")[0] in sample
    rows = [{**sample, "ts": f"2026-03-09T00:00:0{second}Z", "implant_id": implant} for second, implant in enumerate((7, 2, 7))]
    body = "\n".join(json.dumps(row) for row in rows)
    before = {account: lake.sql(account, "select count(*) as n from telemetry.device_health").json[0]["n"] for account in ("owner", "feeder")}
    sent = lake.ask(f"{health}?ack=committed", "feeder", body, Content_Type="application/x-ndjson")
    assert sent.status in (200, 201, 202), sent.text
    after = {account: lake.sql(account, "select count(*) as n from telemetry.device_health").json[0]["n"] for account in ("owner", "feeder")}
    assert (after["owner"] - before["owner"], after["feeder"] - before["feeder"]) == (3, 2)
    for account in ("feeder", "rows", "columns", "nothing"):
        assert lake.ask(power, account, "{}", Content_Type="application/json").status == 403
    for path in ("/v1/ingest/telemetry/%64evice_health", "/v1/ingest/telemetry.device_health/x", "/v1/ingest/neural/../telemetry/device_health"):
        assert lake.ask(path, "nothing", body, Content_Type="application/x-ndjson").status in (403, 404)
    for account, table in (("feeder", "telemetry/device_health"), ("columns", "neural/normalized_band_power"), ("nothing", "behavior/cursor_events")):
        assert lake.ask(f"/v1/tail/{table}", account).status == 403
        assert lake.ask(f"/v1/tail/{table}".replace("e", "%65"), account).status in (403, 404)
    assert lake.ask("/v1/tail/telemetry/device_health", "owner").status == 200


def test_how_far_a_forbidden_table_is_stays_unsaid(lake: Lake) -> None:
    """Offsets count rows; so do metrics."""
    for path in ("/v1/ingest", "/v1/ingest/telemetry/device_health", "/metrics"):
        assert lake.ask(path, "owner").status == 200
        answer = lake.ask(path, "nothing")
        assert answer.status == 403 or "device_health" not in answer.text, f"{path}: {answer.text[:300]}"


def test_who_one_is_can_not_be_set(lake: Lake, whole: Whole) -> None:
    seen = len(whole("neural.sessions").filter(col("implant_id") == 7))
    for wish in (
        "set role owner",
        "set session authorization owner",
        "set session authorization default",
        "reset role",
        "reset all",
        "discard all",
        "set local role owner",
        "set search_path = neural",
        "set row_security = off",
        "select set_config('role', 'owner', false)",
        "set application_name = 'owner'",
    ):
        with psycopg.connect(**lake.pg("rows"), autocommit=True) as connection:
            try:
                connection.execute(wish)
            except psycopg.Error:
                pass
            assert connection.execute("select count(*) from neural.sessions").fetchone() == (seen,), wish
    for options in ("-c role=owner", "-c session_authorization=owner", "-c row_security=off", "-c is_superuser=on"):
        try:
            with psycopg.connect(**lake.pg("rows", options=options)) as connection:
                assert connection.execute("select count(*) from neural.sessions").fetchone() == (seen,), options
        except psycopg.OperationalError:
            pass


def test_a_ticket_shows_what_is_seen_by_who_redeems_it(lake: Lake, whole: Whole) -> None:
    sessions = whole("neural.sessions")

    def ticket(statement: str) -> bytes:
        with lake.flight_connection("owner").cursor() as cursor:
            (ticket,), _ = cursor.adbc_execute_partitions(statement)
        return ticket

    def redeemed(account: str, ticket: bytes) -> list[tuple[object, ...]]:
        with lake.flight_connection(account).cursor() as cursor:
            cursor.adbc_read_partition(ticket)
            return cursor.fetchall()

    count = ticket("select count(*) from neural.sessions")
    assert redeemed("owner", count) == [(len(sessions),)]
    assert redeemed("rows", count) == [(len(sessions.filter(col("implant_id") == 7)),)]
    for account, refused in (("nothing", count), ("columns", ticket("select notes from neural.sessions"))):
        with pytest.raises(adbc.Error) as error:
            redeemed(account, refused)
        refuse_words({"flight": f"{error.value} {error.value.details}"}, hidden_words(whole), account)


def test_sessions_share_no_statements_and_no_cursors(lake: Lake) -> None:
    with psycopg.connect(**lake.pg("owner")) as owner, psycopg.connect(**lake.pg("rows"), autocommit=True) as other:
        owner.execute("declare walk cursor for select notes from neural.sessions")
        owner.pgconn.prepare(b"found", b"select notes from neural.sessions")
        with pytest.raises(psycopg.Error):
            other.execute("fetch 5 from walk")
        assert other.pgconn.exec_prepared(b"found", None).status == psycopg.pq.ExecStatus.FATAL_ERROR
        assert other.pgconn.describe_portal(b"walk").status == psycopg.pq.ExecStatus.FATAL_ERROR


# Busy for minutes, with little memory.
LONG = "select count(*) from generate_series(1, 300000) a, generate_series(1, 300000) b where a.a * b.b = -1"


def test_nobody_ends_what_another_one_asked(lake: Lake) -> None:
    with psycopg.connect(**lake.pg("owner"), autocommit=True) as owner:
        number = owner.info.backend_pid
        failed: list[str] = []

        def ask() -> None:
            try:
                owner.execute(LONG)
            except psycopg.Error as error:
                failed.append(str(error))

        asking = threading.Thread(target=ask)
        asking.start()
        for key in (0, 1, number, -1):
            with socket.create_connection(("127.0.0.1", lake.pg_port), 5) as other:
                other.sendall(struct.pack("!iiii", 16, 80877102, number, key))
                assert other.recv(100) == b""
        with psycopg.connect(**lake.pg("rows"), autocommit=True) as other:
            for statement in (f"select pg_cancel_backend({number})", f"select pg_terminate_backend({number})"):
                try:
                    other.execute(statement)
                except psycopg.Error:
                    pass
        assert asking.is_alive() and not failed, failed
        owner.cancel()
        asking.join(60)
        assert failed and "cancel" in failed[0]
