"""What each account sees through every door is what polars makes of everything, cut to its role."""

from __future__ import annotations

from collections.abc import Callable

import neurolake
import polars
import pytest
from polars import DataFrame, col

from lakes import DOORS, Lake, texts

Whole = Callable[[str], DataFrame]


def seen(account: str, table: str, whole: Whole) -> DataFrame:
    """A table, or a version of it, as the role of the account is meant to see it."""
    frame = whole(table)
    match account, table.replace('"', "").split("@")[0]:
        case "rows", "neural.sessions":
            return frame.filter(col("implant_id") == 7)
        case "rows", "behavior.trials":
            return frame.filter(col("implant_id").is_in([2, 7]) & (col("task") != "typing"))
        case "rows", "surgery.surgeries":
            return frame.filter(col("surgeon").is_null())
        case "rows", "training.decoders":
            return frame.clear()
        case "columns", "neural.sessions":
            return frame.select("session_id", "implant_id", "session_date")
        case "columns", "behavior.trials":
            return frame.select("trial_id", "implant_id", "session_date", "task", "practice")
        case "columns", "surgery.surgeries":
            return frame.drop("surgeon", "performed_on")
        case "views", "neural.sessions":
            return frame.filter(col("place") == "home").select("session_id", "place")
        case "feeder", "telemetry.device_health":
            return frame.filter(col("implant_id") == 7)
    return frame


SEEN = [
    ("rows", "neural.sessions"),
    ("rows", "behavior.trials"),
    ("rows", "surgery.surgeries"),
    ("rows", "training.decoders"),
    ("rows", "surgery.thread_insertions"),
    ("columns", "neural.sessions"),
    ("columns", "behavior.trials"),
    ("columns", "surgery.surgeries"),
    ("columns", "behavior.cursor_events"),
    ("views", "neural.sessions"),
    ("feeder", "telemetry.device_health"),
]


@pytest.mark.parametrize("read", [Lake.frame, Lake.flight_frame])
@pytest.mark.parametrize(("account", "table"), SEEN)
def test_every_row_and_column_of_a_table(account: str, table: str, read: Callable[..., DataFrame], lake: Lake, whole: Whole) -> None:
    expected = seen(account, table, whole)
    assert expected.equals(whole(table)) == (table in ("surgery.thread_insertions", "behavior.cursor_events"))
    found = read(lake, account, f"select * from {table}")
    assert found.columns == expected.columns
    assert sorted(map(repr, found.rows())) == sorted(map(repr, expected.rows()))


def trials(account: str, whole: Whole) -> DataFrame:
    return seen(account, "behavior.trials", whole)


def performance(frame: DataFrame) -> DataFrame:
    """The view `behavior.daily_performance`, by hand."""
    keys = ["implant_id", "session_date", "task", "decoder_id"]
    return frame.filter(~col("practice")).group_by(keys).agg(
        polars.len().alias("trials"), (col("outcome") == "correct").cast(polars.Float64).mean().alias("success_rate")
    )


def joined(whole: Whole) -> DataFrame:
    sessions = seen("rows", "neural.sessions", whole)
    return trials("rows", whole).join(sessions, on="session_id").group_by("place").agg(polars.len(), col("duration").max())


STATEMENTS: dict[str, tuple[str, str, Callable[[Whole], DataFrame]]] = {
    "count": ("rows", "select count(*) from neural.sessions", lambda whole: seen("rows", "neural.sessions", whole).select(polars.len())),
    "count of none": ("rows", "select count(*) from training.decoders", lambda whole: DataFrame({"n": [0]})),
    "count by version": ("rows", 'select count(*) from neural."sessions@1"', lambda whole: seen("rows", 'neural."sessions@1"', whole).select(polars.len())),
    "bounds": (
        "rows",
        "select min(session_id), max(session_id), min(place), max(place), count(notes) from neural.sessions",
        lambda whole: seen("rows", "neural.sessions", whole).select(
            a=col("session_id").min(), b=col("session_id").max(), c=col("place").min(), d=col("place").max(), e=col("notes").count()
        ),
    ),
    "bounds of dates": (
        "rows",
        "select min(session_date), max(session_date) from behavior.trials",
        lambda whole: trials("rows", whole).select(a=col("session_date").min(), b=col("session_date").max()),
    ),
    "groups": (
        "rows",
        "select implant_id, task, count(*), sum(duration) from behavior.trials group by 1, 2",
        lambda whole: trials("rows", whole).group_by("implant_id", "task").agg(polars.len(), col("duration").sum()),
    ),
    "condition that can fail": (
        "rows",
        "select trial_id from behavior.trials where 10.0 / choices > 1 and task like '%e%' and cast(implant_id as text) = '2'",
        lambda whole: trials("rows", whole)
        .filter((10.0 / col("choices") > 1) & col("task").str.contains("e") & (col("implant_id") == 2))
        .select("trial_id"),
    ),
    "condition that never holds for what is seen": (
        "rows",
        "select session_id from neural.sessions where implant_id <> 7 or implant_id is null",
        lambda whole: seen("rows", "neural.sessions", whole).clear().select("session_id"),
    ),
    "condition that covers the role's": (
        "rows",
        "select session_id from neural.sessions where implant_id = 7 or implant_id = 2",
        lambda whole: seen("rows", "neural.sessions", whole).select("session_id"),
    ),
    "join": ("rows", "select place, count(*), max(t.duration) from behavior.trials t join neural.sessions s using (session_id) group by 1", joined),
    "left join": (
        "rows",
        "select count(*), count(s.session_id) from behavior.trials t left join neural.sessions s on s.session_id = t.session_id",
        lambda whole: trials("rows", whole)
        .join(seen("rows", "neural.sessions", whole).select("session_id", "place"), on="session_id", how="left")
        .select(a=polars.len(), b=col("place").count()),
    ),
    "semi-join": (
        "rows",
        "select trial_id from behavior.trials where session_id in (select session_id from neural.sessions where place = 'home')",
        lambda whole: trials("rows", whole)
        .join(seen("rows", "neural.sessions", whole).filter(col("place") == "home"), on="session_id", how="semi")
        .select("trial_id"),
    ),
    "anti-join": (
        "rows",
        "select trial_id from behavior.trials t where not exists (select 1 from neural.sessions s where s.session_id = t.session_id)",
        lambda whole: trials("rows", whole).join(seen("rows", "neural.sessions", whole), on="session_id", how="anti").select("trial_id"),
    ),
    "window": (
        "rows",
        "select session_id, row_number() over (order by session_id), count(*) over () from neural.sessions",
        lambda whole: seen("rows", "neural.sessions", whole)
        .sort("session_id")
        .select(col("session_id"), polars.int_range(1, polars.len() + 1).alias("n"), polars.len().alias("all")),
    ),
    "top": (
        "rows",
        "select session_id from neural.sessions order by session_id desc limit 3 offset 1",
        lambda whole: seen("rows", "neural.sessions", whole).sort("session_id", descending=True).slice(1, 3).select("session_id"),
    ),
    "union": (
        "rows",
        "select implant_id from neural.sessions union select implant_id from behavior.trials",
        lambda whole: polars.concat(
            [seen("rows", "neural.sessions", whole).select("implant_id"), trials("rows", whole).select("implant_id")]
        ).unique(),
    ),
    "unnest": (
        "rows",
        "select task, count(*) from (select unnest(tasks) as task from neural.sessions) group by 1",
        lambda whole: seen("rows", "neural.sessions", whole).explode("tasks").drop_nulls("tasks").group_by("tasks").agg(polars.len()),
    ),
    "recursive": (
        "rows",
        "with recursive walk as (select min(session_id) as id from neural.sessions union all select s.session_id from walk w "
        "join neural.sessions s on s.session_id > w.id and s.session_id <= w.id + 5) select count(distinct id) > 0, min(id) from walk",
        lambda whole: seen("rows", "neural.sessions", whole).select(a=polars.lit(True), b=col("session_id").min()),
    ),
    "lateral": (
        "rows",
        "select s.session_id, x.n from neural.sessions s cross join lateral "
        "(select count(*) as n from behavior.trials t where t.session_id = s.session_id) x",
        lambda whole: seen("rows", "neural.sessions", whole)
        .join(trials("rows", whole).group_by("session_id").agg(polars.len().alias("n")), on="session_id", how="left")
        .select("session_id", col("n").fill_null(0)),
    ),
    "view with its own condition, over a cut table": (
        "rows",
        "select implant_id, session_date, task, decoder_id, trials, success_rate from behavior.daily_performance",
        lambda whole: performance(trials("rows", whole)).filter(col("implant_id") == 7),
    ),
    "authorized view": (
        "views",
        "select implant_id, session_date, task, decoder_id, trials, success_rate from behavior.daily_performance",
        lambda whole: performance(whole("behavior.trials")),
    ),
    "authorized view twice": (
        "views",
        "select count(*) from behavior.daily_performance a join behavior.daily_performance b using (implant_id, session_date, task)",
        lambda whole: performance(whole("behavior.trials"))
        .join(performance(whole("behavior.trials")), on=["implant_id", "session_date", "task"])
        .select(polars.len()),
    ),
    "function over cut tables": (
        "rows",
        "select session_id, task, trials from behavior.session_summaries where implant_id = 7",
        lambda whole: trials("rows", whole)
        .filter((col("implant_id") == 7) & ~col("practice"))
        .join(seen("rows", "neural.sessions", whole), on="session_id", how="semi")
        .group_by("session_id", "task")
        .agg(polars.len()),
    ),
    "function of an implant that is not seen": (
        "rows",
        "select session_id from behavior.session_summaries where implant_id = 2",
        lambda whole: trials("rows", whole).clear().select("session_id"),
    ),
    "authorized function": (
        "views",
        "select session_id, task, trials from behavior.session_summaries where implant_id = 2",
        lambda whole: whole("behavior.trials")
        .filter((col("implant_id") == 2) & ~col("practice"))
        .join(whole("neural.sessions"), on="session_id", how="semi")
        .group_by("session_id", "task")
        .agg(polars.len()),
    ),
    "all columns": ("columns", "select * from neural.sessions", lambda whole: seen("columns", "neural.sessions", whole)),
    "all columns of a join": (
        "columns",
        "select t.* from behavior.trials t join neural.sessions s on s.implant_id = t.implant_id and s.session_id = 5031",
        lambda whole: trials("columns", whole).join(
            whole("neural.sessions").filter(col("session_id") == 5031), on="implant_id", how="semi"
        ),
    ),
    "columns of a version": ("columns", 'select * from neural."sessions@1"', lambda whole: seen("columns", 'neural."sessions@1"', whole)),
    "rows and columns": ("views", "select * from neural.sessions", lambda whole: seen("views", "neural.sessions", whole)),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_over_what_is_seen(name: str, door: str, lake: Lake, whole: Whole) -> None:
    account, statement, oracle = STATEMENTS[name]
    assert sorted(DOORS[door](lake, account, statement)) == sorted(texts(oracle(whole).rows()))


@pytest.mark.parametrize("door", DOORS)
def test_the_owner_sees_everything(door: str, lake: Lake, whole: Whole) -> None:
    found = DOORS[door](lake, "owner", "select implant_id, count(*), count(notes) from neural.sessions group by 1")
    counted = whole("neural.sessions").group_by("implant_id").agg(polars.len(), col("notes").count())
    assert sorted(found) == sorted(texts(counted.rows()))


def visible(account: str, whole: Whole, lake: Lake) -> dict[str, list[str]]:
    """Tables with their columns, by the catalog and the role."""
    catalog = lake.ask("/catalog.json").json
    names = [f"{database['name']}.{table['name']}" for database in catalog["databases"] for table in database["tables"]]
    tables = {
        "rows": names,
        "columns": ["neural.sessions", "surgery.surgeries", *(name for name in names if name.startswith("behavior."))],
        "views": ["behavior.daily_performance", "training.aligned_bins", "neural.sessions", "behavior.session_summaries"],
        "feeder": ["telemetry.device_health"],
        "nothing": [],
    }[account]
    with_rows = {"neural.sessions", "behavior.trials", "surgery.surgeries"}
    return {name: seen(account, name, whole).columns if name in with_rows else [] for name in tables}


ACCOUNTS = ["rows", "columns", "views", "feeder", "nothing"]
LISTS = {
    "information_schema": (
        "select table_schema || '.' || table_name, column_name from information_schema.columns "
        "where table_schema not in ('information_schema', 'pg_catalog')",
        ["json", "flight", "psycopg", "psql"],
    ),
    "pg_catalog": (
        "select n.nspname || '.' || c.relname, a.attname from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid "
        "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where a.attnum > 0 and n.nspname not in ('information_schema', 'pg_catalog')",
        ["psycopg", "psql"],
    ),
}


@pytest.mark.parametrize(("list", "door"), [(name, door) for name, (_, doors) in LISTS.items() for door in doors])
@pytest.mark.parametrize("account", ACCOUNTS)
def test_lists_name_what_is_seen_and_nothing_else(account: str, list: str, door: str, lake: Lake, whole: Whole) -> None:
    found: dict[str, set[str]] = {}
    for table, column in DOORS[door](lake, account, LISTS[list][0]):
        found.setdefault(table, set()).add(column)
    expected = visible(account, whole, lake)
    missing = set(expected) - set(found)
    assert set(found) <= set(expected)
    # Except over PostgreSQL the lists hold what is declared, and some tables declare no columns.
    assert missing == (undeclared(lake) & set(expected) if door in ("json", "flight") else set())
    for table, columns in expected.items():
        assert not columns or found[table] == set(columns), table


def undeclared(lake: Lake) -> set[str]:
    databases = lake.ask("/catalog.json").json["databases"]
    return {f"{database['name']}.{table['name']}" for database in databases for table in database["tables"] if not table.get("columns")}


@pytest.mark.parametrize("account", ACCOUNTS)
def test_flight_sql_lists_what_is_seen_and_nothing_else(account: str, lake: Lake, whole: Whole) -> None:
    (catalog,) = lake.flight_connection(account).adbc_get_objects(depth="columns").read_all().to_pylist()
    found = {
        f"{database['db_schema_name']}.{table['table_name']}": {column["column_name"] for column in table["table_columns"]}
        for database in catalog["catalog_db_schemas"]
        for table in database["db_schema_tables"]
    }
    expected = visible(account, whole, lake)
    assert set(found) == set(expected)
    for table, columns in expected.items():
        assert found[table] and (not columns or found[table] == set(columns)), table


@pytest.mark.parametrize("door", ["json", "flight"])
@pytest.mark.parametrize("account", ACCOUNTS)
def test_describing_names_what_is_seen(account: str, door: str, lake: Lake, whole: Whole) -> None:
    expected = visible(account, whole, lake)
    tables = {tuple(row) for row in DOORS[door](lake, account, "select table_schema, table_name from information_schema.tables")}
    assert {f"{schema}.{name}" for schema, name in tables if schema != "information_schema"} == set(expected)
    for table, columns in expected.items():
        if columns:
            described = DOORS[door](lake, account, f"describe {table}")
            assert [row[0] for row in described] == columns


def test_rest(lake: Lake, whole: Whole) -> None:
    expected = seen("rows", "neural.sessions", whole).sort("session_id")
    table = "/api/rest/neural/sessions?select=session_id,place&order=session_id"
    counted = lake.ask(f"{table}&limit=10", "rows", Prefer="count=exact")
    assert counted.headers["content-range"] == f"0-9/{len(expected)}"
    found, page = [], f"{table}&limit=10"
    while page:
        answer = lake.ask(page, "rows")
        assert answer.status in (200, 206), answer.text
        found += [(row["session_id"], row["place"]) for row in answer.json]
        link = answer.headers.get("link", "")
        page = "/api" + link.split("<")[1].split(">")[0].split("/api", 1)[1] if 'rel="next"' in link else ""
    assert found == expected.select("session_id", "place").rows()
    all_columns = lake.ask("/api/rest/neural/sessions", "columns").json
    columns = seen("columns", "neural.sessions", whole)
    assert sorted(texts(row.values() for row in all_columns)) == sorted(texts(columns.rows()))
    hidden = lake.ask("/api/rest/neural/sessions?implant_id=neq.7", "rows")
    assert hidden.json == []
    versions = lake.ask("/api/rest/neural/sessions@1?select=session_id&order=session_id", "rows").json
    assert [row["session_id"] for row in versions] == sorted(seen("rows", 'neural."sessions@1"', whole)["session_id"])


def test_graphql(lake: Lake, whole: Whole) -> None:
    expected = seen("rows", "neural.sessions", whole).sort("session_id")
    document = """{
        neural_sessions(order_by: {session_id: asc}) { session_id place }
        neural_sessions_aggregate { aggregate { count min { session_id } max { session_id } } }
        other: neural_sessions(where: {implant_id: {_neq: 7}}) { session_id }
    }"""
    answer = lake.graphql("rows", document)
    data = answer["data"]
    assert [(int(row["session_id"]), row["place"]) for row in data["neural_sessions"]] == expected.select("session_id", "place").rows()
    aggregate = data["neural_sessions_aggregate"]["aggregate"]
    assert int(aggregate["count"]) == len(expected)
    assert int(aggregate["min"]["session_id"]) == expected["session_id"].min()
    assert int(aggregate["max"]["session_id"]) == expected["session_id"].max()
    assert data["other"] == []


@pytest.mark.parametrize("account", ACCOUNTS)
def test_introspection_of_graphql_names_what_is_seen(account: str, lake: Lake, whole: Whole) -> None:
    answer = lake.graphql(account, "{ __schema { queryType { fields { name } } types { name fields { name } } } }")
    expected = visible(account, whole, lake)
    schema = answer["data"]["__schema"]
    fields = {field["name"] for field in schema["queryType"]["fields"]}
    tables = {name.replace(".", "_") for name in expected}
    assert tables <= fields if account != "rows" else True
    assert {name.removesuffix("_aggregate") for name in fields} <= tables | {"nothing", "_", "no_tables"}, fields
    types = {found["name"]: {field["name"] for field in found["fields"] or []} for found in schema["types"]}
    for name, columns in expected.items():
        if columns:
            assert types[name.replace(".", "_")] == set(columns)


@pytest.mark.parametrize("account", ["owner", "rows", "columns", "views"])
def test_the_python_client(account: str, lake: Lake, whole: Whole) -> None:
    place = lake.http.removeprefix("http://")
    catalog = neurolake.connect(f"http://{account}:{lake.tokens[account]}@{place}/catalog.json")
    expected = seen(account, "neural.sessions", whole)
    columns = [name for name in ("session_id", "place", "implant_id") if name in expected.columns]
    found = catalog.db("neural").table("sessions").select(columns).collect()
    assert sorted(found.rows()) == sorted(expected.select(columns).rows())
    counted = catalog.sql("select count(*) as n from neural.sessions")
    assert counted["n"].to_list() == [len(expected)]


def test_a_pool_of_sessions_keeps_accounts_apart(lake: Lake, whole: Whole) -> None:
    """The same statement in turn: nothing of an answer is kept for the next account."""
    statement = "select count(*) from neural.sessions"
    for _ in range(3):
        for account in ("owner", "rows", "views"):
            count = len(seen(account, "neural.sessions", whole))
            assert lake.sql(account, statement).json[0]["count(*)"] == count
            assert lake.flight_frame(account, statement).item() == count
