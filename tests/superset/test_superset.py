"""Each page's calls, to PostgreSQL and to the lake: the answers are the same."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import math
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from app import Database
from conftest import Both
from servers import TABLES

HOSTILE = (Path(__file__).parent.parent / "hostile.sql").read_text().splitlines()
# What the lake answers otherwise, by the name of the test.
GAPS = {
    "test_statement[series]": "generate_series of integers is bigint, not integer",
    "test_statement[integers]": "integers that are written out are bigint, not integer",
    "test_statement[decimal literals]": "decimals that are written out are double precision, not numeric",
    "test_statement[weeks of dates]": "date_trunc of a date is timestamp, not timestamptz",
    "test_statement[parts of times]": "extract is integer, not numeric, and so is date_part, not double precision",
    "test_stopping_a_statement": "`select pg_terminate_backend(pid) from pg_stat_activity where pid = '..'`: there is neither",
    "test_virtual_dataset[types]": "the types of integers, their arrays and null, as above",
}

Ask = Callable[[Database], object]
Same = Callable[[Ask], object]


def rounded(value: object) -> object:
    """Sums of floats depend on the order in which they are added."""
    match value:
        case float() if math.isfinite(value) and not value.is_integer():
            return float(f"{value:.6g}")
        case dict():
            return {key: rounded(inner) for key, inner in value.items()}
        case list():
            return [rounded(inner) for inner in value]
    return value


@pytest.fixture
def same(both: Both, request: pytest.FixtureRequest) -> Same:
    def same(ask: Ask) -> object:
        expected = rounded(ask(both.real))
        found = rounded(ask(both.lake))
        if request.node.name in GAPS:
            assert found != expected, "this gap is gone"
        else:
            assert found == expected
        return expected

    return same


def errors(answer: requests.Response) -> object:
    """What Superset takes them for: each server has words of its own."""
    return answer.status_code, [error["error_type"] for error in answer.json()["errors"]]


# The database and what is in it.


@pytest.mark.parametrize("part", ["database", "port"])
def test_a_wrong_address(part: str, same: Same) -> None:
    def ask(database: Database) -> object:
        server = database.server
        port = 1 if part == "port" else server.port
        name = "nothing" if part == "database" else server.database
        address = f"postgresql+psycopg2://reader@127.0.0.1:{port}/{name}"
        answer = database.superset.ask("POST", "/database/test_connection/", {"database_name": "wrong", "sqlalchemy_uri": address})
        assert not answer.ok
        return errors(answer)

    same(ask)


def test_databases(same: Same) -> None:
    def ask(database: Database) -> object:
        return sorted(name.replace(database.server.database, "DATABASE") for name in database.get("catalogs/", q={"force": True})["result"])

    assert "DATABASE" in same(ask)


def test_schemas(same: Same) -> None:
    assert "neural" in same(lambda database: sorted(database.get("schemas/", q={"force": True})["result"]))


@pytest.mark.parametrize("schema", ["neural", "imaging", "training", "nothing"])
def test_tables(schema: str, same: Same) -> None:
    found = same(lambda database: database.get("tables/", q={"schema_name": schema, "force": True}))
    if schema == "neural":
        kinds = {table["value"]: table["type"] for table in found["result"]}
        assert kinds["sessions"] == "table" and kinds["channel_quality"] == "view"


@pytest.mark.parametrize("table", [*TABLES, "neural.channel_quality", "neural.spikes"])
def test_columns_of(table: str, same: Same) -> None:
    schema, name = table.split(".")

    def ask(database: Database) -> object:
        answer = database.superset.ask("GET", f"/database/{database.id}/table_metadata/", name=name, schema=schema)
        return answer.json() if answer.ok else errors(answer)

    assert all(column["comment"] for column in same(ask)["columns"])


@pytest.mark.parametrize("table", [*TABLES, "neural.channel_quality", "neural.spikes"])
def test_more_about(table: str, same: Same) -> None:
    schema, name = table.split(".")
    same(lambda database: database.get("table_metadata/extra/", name=name, schema=schema))
    same(lambda database: database.get(f"select_star/{name}/{schema}/"))


def test_columns_of_nothing(same: Same) -> None:
    def ask(database: Database) -> object:
        answer = database.superset.ask("GET", f"/database/{database.id}/table_metadata/", name="nothing", schema="neural")
        assert not answer.ok
        return errors(answer)

    same(ask)


def test_names_of_functions(same: Same) -> None:
    same(lambda database: database.get("function_names/"))


# SQL Lab.

STATEMENTS = {
    "integers": "select 1 as one, 2147483648 as big, 7::smallint as small, 7 / 2 as whole, -7 % 3 as rest",
    "decimals": "select lot, quantity, volume, unit_price, quantity * unit_price as total from lab.reagents order by lot limit 20",
    "decimal sums": "select catalog_number, sum(quantity * unit_price) as total, avg(volume) as volume from lab.reagents group by 1 order by 1",
    "decimal literals": "select 1.10 as a, 12345678901234567890.123456789 as b, 1.5::numeric(10, 3) as c, 2 / 3.0 as d",
    "floats": "select 1.5::float8 as a, 0.1::real as b, 'nan'::float8 as c, 'infinity'::float8 as d, 1e300::float8 as e",
    "text": "select 'it''s' as quote, 'ä€𝄞' as wide, '' as empty, e'a\\nb' as lines, '%s %(x)s' as percent, 'a' || 'b' as joined",
    "booleans": "select unit_id, accepted, not accepted as refused from neural.units order by session_id, unit_id limit 5",
    "dates": "select session_id, session_date, session_date + 1 as next from neural.sessions order by session_id limit 5",
    "timestamps": "select session_id, started_at, ended_at from neural.sessions order by session_id",
    "lengths of time": "select session_id, ended_at - started_at as length from neural.sessions order by session_id",
    "times of a day": "select timestamp '2026-01-02 03:04:05.123456' as a, time '03:04:05' as b, interval '1 day 2 hours' as c, date '0001-01-01' as d",
    "null": "select null as a",
    "nulls": "select null::int as a, null::text as b, decoder_id, notes from neural.sessions where decoder_id is null order by session_id limit 5",
    "arrays": "select session_id, tasks, tasks[1] as first, cardinality(tasks) as count from neural.sessions order by session_id limit 5",
    "arrays of floats": "select serial, contact, impedance from manufacturing.electrode_tests order by serial, contact limit 5",
    "arrays as text": "select session_id, array_to_string(tasks, ', ') as tasks, tasks::text as whole from neural.sessions order by session_id limit 5",
    "json": "select decoder_id, hyperparameters, score from training.decoders order by decoder_id limit 5",
    "length of bytes": "select slide_id, length(thumbnail) as length from imaging.slides order by slide_id limit 5",
    "bytes": "select slide_id, thumbnail from imaging.slides order by slide_id limit 1",
    "no rows": "select * from neural.sessions where false",
    "every column": "select * from neural.sessions order by session_id",
    "names given twice": "select 'x' as a, 'y' as a, 'z' as \"A\"",
    "names not given": "select count(*), upper(max(place)), max(session_id) from neural.sessions",
    "grouping": "select place, count(*) as n, min(started_at) as first, max(packet_loss) as worst from neural.sessions group by place having count(*) > 1 order by n desc",
    "window": "select session_id, rank() over (partition by place order by started_at) as n, lag(place) over (order by session_id) as before from neural.sessions order by session_id",
    "with": "with homes as (select * from neural.sessions where place = 'home') select implant_id, count(*) as n from homes group by 1 order by 1",
    "join": "select s.session_id, count(u.unit_id) as units from neural.sessions s left join neural.units u on u.session_id = s.session_id group by 1 order by 1",
    "union": "select 'a' as kind, count(*) as n from neural.sessions union all select 'b', count(*) from neural.units order by 1",
    "subquery": "select session_id from neural.sessions where packet_loss > (select avg(packet_loss) from neural.sessions) order by 1",
    "case": "select session_id, case when packet_loss is null then 'unknown' when packet_loss > 0.01 then 'bad' else 'good' end as state from neural.sessions order by 1",
    "filter": "select count(*) filter (where place = 'home') as home, count(distinct implant_id) as implants from neural.sessions",
    "median": "select percentile_cont(0.5) within group (order by training_r2) as median from training.decoders",
    "months": "select distinct date_trunc('month', started_at) as month from neural.sessions order by 1",
    "weeks of dates": "select distinct date_trunc('week', session_date) as week from neural.sessions order by 1",
    "parts of times": "select session_id, extract(year from started_at) as year, date_part('dow', session_date) as day from neural.sessions order by 1",
    "times as text": "select session_id, to_char(started_at, 'YYYY-MM') as month from neural.sessions order by 1",
    "series": "select n from generate_series(1, 5) as s(n) order by 1",
    "days": "select d::date as day from generate_series(timestamp '2026-01-01', timestamp '2026-01-05', interval '1 day') as s(d) order by 1",
    "several statements": "select 'first' as a; select session_id from neural.sessions order by 1 limit 2; select 'last' as b",
    "comments": "-- first\nselect /* inner */ place from neural.sessions order by place limit 1 -- last\n;",
    "jinja": "select session_id from neural.sessions where place = '{{ 'home' }}' order by 1 limit 3",
    "like": "select count(*) as n from neural.sessions where notes ilike '%ROOM%' and place like 'h_me' and firmware ~ '^4\\.'",
    "unknown table": "select * from neural.nothing",
    "unknown column": "select nothing from neural.sessions",
    "unknown function": "select nothing(1)",
    "syntax": "select from where",
    "division by zero": "select 1 / 0",
    "wrong cast": "select 'x'::int",
    "unknown schema": "select * from nothing.sessions",
}


def lab(answer: requests.Response) -> object:
    if not answer.ok:
        return errors(answer)
    said = answer.json()
    query = said["query"]
    kept = {name: query[name] for name in ("rows", "state", "limitingFactor", "limit", "executedSql", "errorMessage")}
    return {"data": said["data"], "columns": said["columns"], "status": said["status"], **kept}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement(name: str, same: Same) -> None:
    statement = STATEMENTS[name]
    same(lambda database: lab(database.execute(statement)))


def test_statement_of_a_schema(same: Same) -> None:
    statement = "select session_id, place from sessions order by 1"
    found = same(lambda database: lab(database.execute(statement, schema="neural", catalog=database.server.database)))
    assert len(found["data"]) == 105
    same(lambda database: lab(database.execute(statement, schema="lab")))


@pytest.mark.parametrize("limit", [1, 104, 105, 1000])
def test_limit(limit: int, same: Same) -> None:
    found = same(lambda database: lab(database.execute("select session_id from neural.sessions order by 1", queryLimit=limit)))
    assert len(found["data"]) == min(limit, 105)


@pytest.mark.parametrize("name", ["every column", "decimals", "arrays", "json", "text", "several statements"])
def test_csv_of_a_query(name: str, same: Same) -> None:
    def ask(database: Database) -> object:
        id = secrets.token_hex(5)
        assert database.execute(STATEMENTS[name], client_id=id).ok
        answer = database.superset.ask("GET", f"/sqllab/export/{id}/")
        assert answer.ok, answer.text
        return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))

    assert len(same(ask)) > 1


def test_streamed_csv_of_a_query(same: Same) -> None:
    def ask(database: Database) -> object:
        id = secrets.token_hex(5)
        assert database.execute("select * from manufacturing.electrode_tests order by serial, contact", client_id=id, queryLimit=20000).ok
        superset = database.superset
        answer = superset.session.post(f"{superset.address}/api/v1/sqllab/export_streaming/", data={"client_id": id}, timeout=120)
        assert answer.ok, answer.text
        return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))

    assert len(same(ask)) == 11265


def test_cost(same: Same) -> None:
    """It has no costs to tell, which is an answer too."""

    def ask(database: Database) -> object:
        answer = database.superset.ask("POST", "/sqllab/estimate/", {"database_id": database.id, "sql": "select * from neural.sessions"})
        return answer.ok or errors(answer)

    same(ask)


# Datasets and charts.


def dataset(database: Database, table: str) -> int:
    return database.dataset(*table.split("."))


VIRTUAL = {
    "homes": "select s.*, started_at::date as day, coalesce(packet_loss, 0) as loss from neural.sessions s where place = 'home'",
    "types": "select 1 as whole, 1.5::numeric(10, 2) as exact, 1.5::float8 as float, 'a' as text, true as truth, date '2026-01-02' as day, "
    "timestamp '2026-01-02 03:04:05' as moment, timestamptz '2026-01-02 03:04:05+00' as instant, array[1, 2] as list, null as nothing",
    "with": "with units as (select session_id, count(*) as units from neural.units group by 1) "
    "select s.started_at, s.place, u.units from neural.sessions s join units u on u.session_id = s.session_id",
    "empty": "select * from neural.sessions where false",
}


def described(database: Database, id: int) -> object:
    found = database.superset.good("GET", f"/dataset/{id}")["result"]
    columns = [{name: column[name] for name in ("column_name", "type", "type_generic", "is_dttm", "groupby", "filterable", "description")} for column in found["columns"]]
    return {"columns": sorted(columns, key=lambda column: column["column_name"]), "main": found["main_dttm_col"], "select": found["select_star"]}


@pytest.mark.parametrize("table", [*TABLES, "neural.channel_quality"])
def test_dataset(table: str, same: Same) -> None:
    def ask(database: Database) -> object:
        asked = {"database": database.id, "schema": table.split(".")[0], "table_name": table.split(".")[1]}
        answer = database.superset.ask("POST", "/dataset/", asked)
        if not answer.ok:
            return answer.status_code, answer.text.replace(database.server.database, "DATABASE")
        id = answer.json()["id"]
        found = described(database, id)
        database.superset.good("PUT", f"/dataset/{id}/refresh")
        assert described(database, id) == found
        database.superset.good("DELETE", f"/dataset/{id}")
        return found

    assert same(ask)["columns"]


@pytest.mark.parametrize("name", VIRTUAL)
def test_virtual_dataset(name: str, same: Same) -> None:
    same(lambda database: described(database, database.dataset("neural", name, VIRTUAL[name])))


def test_a_dataset_of_nothing(same: Same) -> None:
    def ask(database: Database) -> object:
        answer = database.superset.ask("POST", "/dataset/", {"database": database.id, "schema": "neural", "table_name": "nothing"})
        assert not answer.ok
        return answer.status_code, answer.text.replace(database.server.database, "DATABASE")

    same(ask)


def charted(answer: requests.Response) -> object:
    if not answer.ok:
        return answer.status_code
    kept = ("colnames", "coltypes", "data", "error", "rowcount", "query", "status", "applied_filters", "rejected_filters", "indexnames")
    return [{name: result.get(name) for name in kept} for result in answer.json()["result"]]


def metric(function: str, column: str) -> dict:
    return {"expressionType": "SIMPLE", "aggregate": function, "column": {"column_name": column}, "label": f"{function} of {column}"}


def expression(sql: str, label: str = "metric") -> dict:
    return {"expressionType": "SQL", "sqlExpression": sql, "label": label}


def time_axis(column: str, grain: str) -> dict:
    return {"timeGrain": grain, "columnType": "BASE_AXIS", "sqlExpression": column, "label": column, "expressionType": "SQL"}


def by_time(column: str, grain: str, **more: object) -> dict:
    axis = time_axis(column, grain)
    return {"columns": [axis], "metrics": ["count"], "orderby": [[axis, True]], "filters": [], "extras": {"time_grain_sqla": grain, "having": "", "where": ""}, "row_limit": 10000, **more}


GRAINS = ["PT1S", "PT5S", "PT30S", "PT1M", "PT5M", "PT10M", "PT15M", "PT30M", "PT1H", "P1D", "P1W", "P1M", "P3M", "P1Y"]


@pytest.mark.parametrize(("column", "grain"), [*(("started_at", grain) for grain in GRAINS), *(("session_date", grain) for grain in GRAINS if grain[1] != "T")])
def test_grain(column: str, grain: str, same: Same) -> None:
    form = {"x_axis": column, "time_grain_sqla": grain, "viz_type": "echarts_timeseries_line"}
    found = same(lambda database: charted(database.chart(dataset(database, "neural.sessions"), by_time(column, grain), form)))
    assert sum(row["count"] for row in found[0]["data"]) == 105


PIVOT = [{"operation": "pivot", "options": {"index": ["started_at"], "columns": ["place"], "aggregates": {"count": {"operator": "mean"}}, "drop_missing_columns": False}}, {"operation": "flatten"}]
BY_PLACE = {"columns": ["place"], "metrics": ["count"], "orderby": [["place", True]], "row_limit": 100}
QUERIES: dict[str, tuple[str, dict]] = {
    "a line of each place": ("neural.sessions", by_time("started_at", "P1W", columns=[time_axis("started_at", "P1W"), "place"], series_columns=["place"], orderby=[], post_processing=PIVOT)),
    "the first series": (
        "neural.sessions",
        by_time("started_at", "P1M", columns=[time_axis("started_at", "P1M"), "firmware"], series_columns=["firmware"], series_limit=1, series_limit_metric="count", order_desc=True),
    ),
    "a range of time": ("neural.sessions", by_time("started_at", "P1D", filters=[{"col": "started_at", "op": "TEMPORAL_RANGE", "val": "2026-02-01 : 2026-02-15"}])),
    "a range of dates": ("neural.sessions", by_time("session_date", "P1D", filters=[{"col": "session_date", "op": "TEMPORAL_RANGE", "val": "2026-02-01 : 2026-02-15"}])),
    "the time before": ("neural.sessions", by_time("started_at", "P1W", filters=[{"col": "started_at", "op": "TEMPORAL_RANGE", "val": "2026-02-01 : 2026-02-15"}], time_offsets=["1 week ago"])),
    "a time of old": ("neural.sessions", {**BY_PLACE, "granularity": "started_at", "time_range": "2026-01-01 : 2026-02-01"}),
    "equal": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "place", "op": "==", "val": "home"}]}),
    "not equal": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "implant_id", "op": "!=", "val": 7}]}),
    "one of": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "place", "op": "IN", "val": ["home", "lab"]}]}),
    "one of or null": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "notes", "op": "IN", "val": ["x", "<NULL>"]}]}),
    "none of": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "implant_id", "op": "NOT IN", "val": [7, 2]}]}),
    "above": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "packet_loss", "op": ">", "val": 0.001}, {"col": "implant_id", "op": "<=", "val": 7}]}),
    "like": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "notes", "op": "LIKE", "val": "%room%"}]}),
    "not like": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "notes", "op": "NOT LIKE", "val": "%room%"}]}),
    "ilike": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "notes", "op": "ILIKE", "val": "%ROOM%"}]}),
    "like a number": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "session_id", "op": "ILIKE", "val": "50%"}]}),
    "null": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "decoder_id", "op": "IS NULL"}]}),
    "not null": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "decoder_id", "op": "IS NOT NULL"}]}),
    "true": ("neural.units", {"columns": ["sorter"], "metrics": ["count"], "orderby": [["sorter", True]], "filters": [{"col": "accepted", "op": "IS TRUE"}]}),
    "false": ("neural.units", {"columns": ["sorter"], "metrics": ["count"], "orderby": [["sorter", True]], "filters": [{"col": "accepted", "op": "IS FALSE"}]}),
    "by a truth": ("neural.units", {"columns": ["accepted"], "metrics": ["count"], "orderby": [["accepted", True]], "filters": [{"col": "accepted", "op": "==", "val": True}]}),
    "a date": ("lab.reagents", {"columns": ["lot"], "metrics": ["count"], "orderby": [["lot", True]], "filters": [{"col": "expires_on", "op": ">=", "val": "2027-01-01"}]}),
    "a decimal": ("lab.reagents", {"columns": ["lot"], "metrics": ["count"], "orderby": [["lot", True]], "filters": [{"col": "unit_price", "op": "==", "val": 412}]}),
    "a time in milliseconds": ("neural.sessions", {**BY_PLACE, "filters": [{"col": "started_at", "op": ">=", "val": 1770000000000}]}),
    "a free condition": ("neural.sessions", {**BY_PLACE, "extras": {"where": "(packet_loss > 0.001 or notes like '%room%')", "having": "count(*) > 1"}}),
    "a free column": ("neural.sessions", {"columns": [expression("extract(dow from started_at)", "day")], "metrics": ["count"], "orderby": [[expression("extract(dow from started_at)", "day"), True]]}),
    "simple metrics": (
        "neural.sessions",
        {**BY_PLACE, "metrics": [metric("COUNT", "notes"), metric("COUNT_DISTINCT", "implant_id"), metric("AVG", "packet_loss"), metric("MIN", "started_at"), metric("MAX", "session_date"), metric("SUM", "implant_id")]},
    ),
    "metrics of decimals": (
        "lab.reagents",
        {"columns": ["catalog_number"], "metrics": [metric("SUM", "unit_price"), metric("AVG", "volume"), metric("MAX", "volume"), metric("SUM", "quantity")], "orderby": [["catalog_number", True]]},
    ),
    "metrics of big numbers": ("neural.units", {"columns": ["sorter"], "metrics": [metric("SUM", "spike_count"), metric("AVG", "spike_count"), metric("SUM", "rate"), metric("SUM", "channel")], "orderby": [["sorter", True]]}),
    "free metrics": (
        "neural.sessions",
        {
            **BY_PLACE,
            "metrics": [
                expression("sum(case when decoder_id is null then 1 else 0 end)", "open loop"),
                expression("count(*) filter (where packet_loss > 0.001)", "lossy"),
                expression("100.0 * count(decoder_id) / count(*)", "share"),
                expression("stddev(packet_loss)", "spread"),
                expression("max(ended_at - started_at)", "longest"),
                expression("string_agg(distinct firmware, ', ' order by firmware)", "firmware"),
            ],
        },
    ),
    "a median": ("training.decoders", {"columns": ["architecture"], "metrics": [expression("percentile_cont(0.5) within group (order by training_r2)")], "orderby": [["architecture", True]]}),
    "one number": ("neural.sessions", {"columns": [], "metrics": [metric("AVG", "packet_loss")]}),
    "the largest": ("neural.sessions", {**BY_PLACE, "orderby": [[metric("SUM", "packet_loss"), False]], "row_limit": 2}),
    "a page": ("neural.sessions", {"columns": ["session_id", "place"], "metrics": [], "orderby": [["session_id", True]], "row_limit": 10, "row_offset": 20}),
    "rows": ("neural.sessions", {"columns": ["session_id", "session_date", "started_at", "ended_at", "tasks", "packet_loss", "notes"], "metrics": [], "orderby": [["session_id", True]], "row_limit": 1000}),
    "rows of decimals": ("lab.reagents", {"columns": ["lot", "volume", "unit_price", "expires_on"], "metrics": [], "orderby": [["lot", True]]}),
    "rows counted": ("neural.sessions", {"columns": [], "metrics": ["count"], "is_rowcount": False}),
    "shares": ("neural.sessions", {**BY_PLACE, "post_processing": [{"operation": "contribution", "options": {"columns": ["count"], "rename_columns": ["%count"]}}]}),
    "a histogram": ("neural.units", {"columns": ["rate"], "metrics": [], "orderby": [["rate", True]], "post_processing": [{"operation": "histogram", "options": {"column": "rate", "groupby": [], "bins": 5, "cumulative": False, "normalize": False}}]}),
    "a box": ("neural.units", {"columns": ["sorter"], "metrics": [metric("AVG", "rate")], "series_columns": ["sorter"], "orderby": [["sorter", True]]}),
    "a column of nothing": ("neural.sessions", {"columns": ["place"], "metrics": [expression("sum(nothing)")]}),
}


@pytest.mark.parametrize("name", QUERIES)
def test_chart(name: str, same: Same) -> None:
    table, query = QUERIES[name]
    same(lambda database: charted(database.chart(dataset(database, table), query)))


@pytest.mark.parametrize("name", ["homes", "with", "empty"])
def test_chart_of_a_virtual_dataset(name: str, same: Same) -> None:
    query = by_time("started_at", "P1W", filters=[{"col": "place", "op": "IN", "val": ["home"]}], metrics=["count", expression("count(distinct place)")])
    same(lambda database: charted(database.chart(database.dataset("neural", name, VIRTUAL[name]), query)))


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_file_of_a_chart(format: str, same: Same) -> None:
    def ask(database: Database) -> object:
        answer = database.chart(dataset(database, "neural.sessions"), QUERIES["simple metrics"][1], result_format=format)
        assert answer.ok, answer.text
        # A spreadsheet holds the time at which it was made.
        return answer.text if format == "csv" else answer.status_code

    same(ask)


@pytest.mark.parametrize("type", ["samples", "drill_detail", "query", "columns", "timegrains"])
@pytest.mark.parametrize("table", ["neural.sessions", "lab.reagents"])
def test_part_of_a_chart(table: str, type: str, same: Same) -> None:
    query = {"columns": [], "metrics": [], "filters": [], "row_limit": 1000}

    def ask(database: Database) -> object:
        answer = database.chart(dataset(database, table), query, result_type=type)
        assert answer.ok, answer.text
        said = answer.json()
        for result in said["result"]:
            for changing in ("cache_key", "cached_dttm", "queried_dttm", "stacktrace"):
                result.pop(changing, None)
            if "data" in result:
                result["data"] = sorted(map(json.dumps, result["data"]))
        return said

    same(ask)


@pytest.mark.parametrize(("table", "column"), [("neural.sessions", "place"), ("neural.sessions", "session_date"), ("neural.sessions", "decoder_id"), ("lab.reagents", "unit_price"), ("neural.units", "accepted"), ("neural.sessions", "tasks")])
def test_values_of_a_filter(table: str, column: str, same: Same) -> None:
    def ask(database: Database) -> object:
        answer = database.superset.ask("GET", f"/datasource/table/{dataset(database, table)}/column/{column}/values/")
        return answer.status_code, sorted(map(str, answer.json()["result"])) if answer.ok else answer.json()

    same(ask)


@pytest.mark.parametrize(("kind", "sql"), [("metric", "sum(packet_loss)"), ("where", "packet_loss > 0"), ("column", "upper(place)"), ("metric", "sum(nothing)"), ("having", "count(*) > 1")])
def test_checking_an_expression(kind: str, sql: str, same: Same) -> None:
    def ask(database: Database) -> object:
        asked = {"expression": sql, "expression_type": kind}
        answer = database.superset.ask("POST", f"/datasource/table/{dataset(database, 'neural.sessions')}/validate_expression/", asked)
        return answer.status_code, len(answer.json()["result"])

    same(ask)


def test_a_chart_that_is_kept(same: Same) -> None:
    def ask(database: Database) -> object:
        id = dataset(database, "neural.sessions")
        form = {"datasource": f"{id}__table", "viz_type": "table", "query_mode": "aggregate", "groupby": ["place"], "metrics": ["count"]}
        context = {"datasource": {"id": id, "type": "table"}, "force": False, "queries": [BY_PLACE], "form_data": form, "result_format": "json", "result_type": "full"}
        asked = {"slice_name": database.server.name, "viz_type": "table", "datasource_id": id, "datasource_type": "table", "params": json.dumps(form), "query_context": json.dumps(context)}
        chart = database.superset.good("POST", "/chart/", asked)["id"]
        return charted(database.superset.ask("GET", f"/chart/{chart}/data/"))

    assert len(same(ask)[0]["data"]) == 3


# Nothing is written.

WRITES = {
    "insert": "insert into lab.reagents select * from lab.reagents",
    "insert returning": "insert into lab.reagents select * from lab.reagents returning lot",
    "update": "update lab.reagents set quantity = 0",
    "delete": "delete from lab.reagents",
    "truncate": "truncate lab.reagents",
    "drop": "drop table lab.reagents",
    "create": "create table lab.stolen (a int)",
    "create as": "create table lab.stolen as select * from lab.reagents",
    "create view": "create view lab.stolen as select 1 as a",
    "alter": "alter table lab.reagents add column x int",
    "select into": "select * into lab.stolen from lab.reagents",
    "with delete": "with gone as (delete from lab.reagents returning *) select * from gone",
    "after another": "select 1 as a; delete from lab.reagents",
    "explain analyze": "explain analyze delete from lab.reagents",
    "comment": "comment on table lab.reagents is 'x'",
    "schema": "create schema stolen",
}


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in (folder / "buckets").rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", WRITES)
def test_superset_refuses(name: str, same: Same) -> None:
    def ask(database: Database) -> object:
        answer = database.execute(WRITES[name])
        assert not answer.ok
        return errors(answer)

    same(ask)


@pytest.mark.parametrize("name", WRITES)
def test_the_server_refuses(name: str, writing: Both, request: pytest.FixtureRequest) -> None:
    """As `default_transaction_read_only` has it in PostgreSQL."""
    before = contents(writing.lake.server.data)
    count = "select count(*) as n, sum(quantity) as quantity from lab.reagents"
    for database in (writing.real, writing.lake):
        rows = lab(database.execute(count))["data"]
        answer = database.execute(WRITES[name])
        assert not answer.ok
        assert lab(database.execute(count))["data"] == rows
    assert contents(writing.lake.server.data) == before


@pytest.mark.parametrize("method", ["TABLE", "VIEW"])
def test_results_are_not_kept(method: str, writing: Both) -> None:
    before = contents(writing.lake.server.data)
    for database in (writing.real, writing.lake):
        answer = database.execute("select * from lab.reagents", schema="lab", select_as_cta=True, ctas_method=method, tmp_table_name="stolen")
        assert not answer.ok, answer.text
    assert contents(writing.lake.server.data) == before


def test_nothing_that_is_sent_changes_a_byte(writing: Both) -> None:
    before = contents(writing.lake.server.data)
    assert before
    for statement in HOSTILE:
        answer = writing.lake.execute(statement)
        assert not answer.ok, (statement, answer.text)
    assert lab(writing.lake.execute("select 1 as a"))["data"] == [{"a": 1}]
    assert contents(writing.lake.server.data) == before
    assert not Path("/tmp/stolen").exists()


# The last: until it ends with the server, it is in the way of others.


def test_stopping_a_statement(same: Same) -> None:
    statement = "select count(*) from " + ", ".join(f"manufacturing.electrode_tests {name}" for name in "abcd") + " where a.noise + b.noise > c.noise * d.noise"

    def ask(database: Database) -> object:
        superset, id = database.superset, secrets.token_hex(5)
        answers: list[requests.Response] = []

        def execute() -> None:
            # By a session of its own, since one is of one thread; of what runs on, Superset's end is the end.
            with contextlib.suppress(requests.ConnectionError):
                answers.append(Database(superset.again(), database.server, database.id).execute(statement, client_id=id))

        other = threading.Thread(target=execute, daemon=True)
        other.start()
        end = time.monotonic() + 20
        while True:
            known = superset.good("GET", "/query/updated_since", q={"last_updated_ms": 0})["result"]
            # Written down once it knows by which process to end it.
            if any(query["id"] == id and "cancel_query" in query["extra"] for query in known):
                break
            assert time.monotonic() < end and other.is_alive(), answers
            time.sleep(0.2)
        stopped = superset.ask("POST", "/query/stop", {"client_id": id})
        other.join(20)
        # It runs on where there is none.
        return stopped.status_code, [answer.status_code for answer in answers]

    same(ask)
