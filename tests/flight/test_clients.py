"""What people do with ADBC's driver."""

from __future__ import annotations

import datetime
import decimal
import threading

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import polars
import pyarrow as pa
import pytest

from lake import Lake

# Rows of a product of three tables: more than anyone can count.
LONG = "select count(*) from neural.spikes a, neural.spikes b, neural.spikes c where a.amplitude <> b.amplitude and b.amplitude <> c.amplitude"


def ask(cursor: dbapi.Cursor, statement: str, parameters: object = None) -> pa.Table:
    cursor.execute(statement, parameters)
    return cursor.fetch_arrow_table()


def test_every_table_is_the_same_as_by_http(lake: Lake, cursor: dbapi.Cursor) -> None:
    tables = lake.tables()
    assert len(tables) > 20
    for table in tables:
        statement = f"select * from {table} limit 100"
        found, wanted = ask(cursor, statement), lake.arrow(statement)
        assert found.schema.equals(wanted.schema), table
        # By another order of files, a limit takes other rows.
        assert found.num_rows == wanted.num_rows, table


@pytest.mark.parametrize("table", ["neural.sessions", "neural.units", "imaging.slides", "lab.reagents", "manufacturing.electrode_tests", "training.decoders"])
def test_every_row_is_the_same_as_by_http(table: str, lake: Lake, cursor: dbapi.Cursor) -> None:
    found, wanted = ask(cursor, f"select * from {table}"), lake.arrow(f"select * from {table}")
    assert found.num_rows > 0

    def rows(answer: pa.Table) -> list[str]:
        return sorted(map(repr, answer.to_pylist()))

    assert rows(found) == rows(wanted)
    ordered = f"select * from {table} order by 1, 2, 3 limit 20"
    assert ask(cursor, ordered).schema == lake.arrow(ordered).schema


def test_polars_reads_with_a_line(connection: dbapi.Connection) -> None:
    frame = polars.read_database("select session_id, implant_id from neural.sessions order by session_id", connection)
    assert frame.height == 105
    assert frame.schema == {"session_id": polars.Int64, "implant_id": polars.Int32}


@pytest.mark.parametrize(
    "value",
    [
        7,
        -(2**63),
        0.1,
        True,
        "it's ?",
        "",
        b"\0\xff",
        None,
        datetime.date(2026, 3, 1),
        datetime.datetime(2026, 3, 1, 12, 30, 0, 500),
        decimal.Decimal("12345.678"),
    ],
)
def test_a_value_comes_back_as_it_was_sent(value: object, cursor: dbapi.Cursor) -> None:
    cursor.execute("select ? as value", (value,))
    assert cursor.fetchone() == (value,)


def test_values_are_values_and_never_sql(cursor: dbapi.Cursor) -> None:
    cursor.execute("select count(*) from neural.sessions where session_id > ? and implant_id = ? -- ?", (0, 7))
    (some,) = cursor.fetchone()
    cursor.execute("select count(*) from neural.sessions where implant_id = $2 and session_id > $1", (0, 7))
    assert cursor.fetchone() == (some,) and some > 0
    cursor.execute("select count(*) from neural.sessions where cast(session_id as text) = ?", ("' or 1 = 1 --",))
    assert cursor.fetchone() == (0,)


def test_values_may_have_names(cursor: dbapi.Cursor) -> None:
    values = pa.RecordBatch.from_pydict({"b": [3], "a": ["x"]})
    cursor.execute("select $a as a, $b as b", values)
    assert cursor.fetchall() == [("x", 3)]


def test_a_statement_is_prepared_once_and_run_often(cursor: dbapi.Cursor) -> None:
    for implant in (7, 8, 7):
        cursor.execute("select count(*) from neural.sessions where implant_id = ?", (implant,))
        (count,) = cursor.fetchone()
        cursor.execute(f"select count(*) from neural.sessions where implant_id = {implant}")
        assert cursor.fetchone() == (count,)


@pytest.mark.parametrize(
    "statement, values, message",
    [
        ("select ?", None, "`\\$1` has no value"),
        ("select ?", (1, 2), "2 values are given for 1 parameter"),
        ("select ?, ?", (1,), "\\$2"),
        ("select ?, $1", (1,), "parameters of two kinds"),
        ("select 1", (1,), "1 values are given for 0 parameters"),
        ("select ?", pa.RecordBatch.from_pydict({"a": [1, 2]}), "more than one row"),
        ("select ?", pa.RecordBatch.from_pydict({"a": pa.array([], pa.int64())}), "`\\$1` has no value"),
    ],
)
def test_wrong_parameters_are_refused(statement: str, values: object, message: str, cursor: dbapi.Cursor) -> None:
    with pytest.raises(dbapi.Error, match=message):
        cursor.execute(statement, values)
        cursor.fetchall()
    cursor.execute("select 2")
    assert cursor.fetchone() == (2,)


def test_columns_and_parameters_are_known_before_anything_runs(connection: dbapi.Connection) -> None:
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("select session_id, 'x' as x from neural.sessions")
        assert schema.names == ["session_id", "x"]
        cursor.adbc_prepare("select * from neural.sessions where implant_id = ? and session_id = ?")
        found = cursor.adbc_prepare("select * from neural.sessions where implant_id = ? and session_id = ?")
        assert [(field.name, field.type) for field in found] == [("$1", pa.int32()), ("$2", pa.int64())]


def test_the_lake_is_listed(lake: Lake, connection: dbapi.Connection) -> None:
    (catalog,) = connection.adbc_get_objects(depth="columns").read_all().to_pylist()
    assert catalog["catalog_name"] == "neurolake_demo"
    found = {
        f'"{database["db_schema_name"]}"."{table["table_name"]}"': [column["column_name"] for column in table["table_columns"]]
        for database in catalog["catalog_db_schemas"]
        for table in database["db_schema_tables"]
    }
    for table in lake.tables():
        assert found[table] == lake.arrow(f"select * from {table} limit 0").schema.names, table


def test_listing_heeds_patterns_and_kinds(connection: dbapi.Connection) -> None:
    def tables(**filters: object) -> set[str]:
        catalogs = connection.adbc_get_objects(depth="tables", **filters).read_all().to_pylist()
        return {
            f"{database['db_schema_name']}.{table['table_name']}"
            for catalog in catalogs
            for database in catalog["catalog_db_schemas"] or []
            for table in database["db_schema_tables"] or []
        }

    every = tables()
    assert tables(db_schema_filter="neural") == {name for name in every if name.startswith("neural.")}
    assert tables(table_name_filter="s%", db_schema_filter="neural") == {name for name in every if name.startswith("neural.s")}
    assert tables(table_name_filter="session_") == {name for name in every if name.split(".")[1][:-1] == "session" and len(name.split(".")[1]) == 8}
    assert "neural.channel_quality" in tables(table_types_filter=["VIEW"])
    assert "neural.sessions" not in tables(table_types_filter=["VIEW"])
    assert tables(table_types_filter=["NOTHING"]) == set()
    assert tables(catalog_filter="nothing") == set()
    assert connection.adbc_get_table_types() == ["TABLE", "VIEW"]


def test_a_table_is_described_with_docs(lake: Lake, connection: dbapi.Connection) -> None:
    schema = connection.adbc_get_table_schema("sessions", db_schema_filter="neural")
    assert schema.equals(lake.arrow("select * from neural.sessions limit 0").schema)
    assert b"" != schema.field("session_id").metadata[b"ARROW:FLIGHT:SQL:REMARKS"]
    with pytest.raises(dbapi.Error):
        connection.adbc_get_table_schema("nothing", db_schema_filter="neural")


def test_the_server_says_what_it_is(connection: dbapi.Connection) -> None:
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "neurolake"
    assert info["vendor_version"]


@pytest.mark.parametrize(
    "statement, kind, code",
    [
        ("selec 1", dbapi.ProgrammingError, "INVALID_ARGUMENT"),
        ("select nothing from neural.sessions", dbapi.ProgrammingError, "INVALID_ARGUMENT"),
        ("select 1/0", dbapi.ProgrammingError, "INVALID_ARGUMENT"),
        ("select * from neural.sesions", dbapi.ProgrammingError, "NOT_FOUND"),
        ("drop table neural.sessions", dbapi.ProgrammingError, "UNAUTHORIZED"),
        (" ", dbapi.ProgrammingError, "INVALID_ARGUMENT"),
        ("select 1; select 2", dbapi.ProgrammingError, "UNAUTHORIZED"),
        (f"select '{'x' * (1 << 20)}'", dbapi.ProgrammingError, "INVALID_ARGUMENT"),
    ],
)
def test_errors_say_what_to_do(statement: str, kind: type[Exception], code: str, cursor: dbapi.Cursor) -> None:
    with pytest.raises(kind) as refused:
        cursor.execute(statement)
        cursor.fetchall()
    assert refused.value.status_code == adbc_driver_manager.AdbcStatusCode[code], refused.value
    if code == "NOT_FOUND":
        assert "did you mean `neural.sessions`?" in str(refused.value)


def test_nothing_is_written(connection: dbapi.Connection) -> None:
    with connection.cursor() as cursor:
        for write in (
            lambda: cursor.adbc_ingest("x", pa.table({"a": [1]})),
            lambda: cursor.adbc_ingest("sessions", pa.table({"a": [1]}), mode="append", db_schema_name="neural"),
            lambda: cursor.executemany("insert into neural.sessions values (?)", [(1,)]),
            lambda: cursor.executemany("select ?", [(1,), (2,)]),
        ):
            with pytest.raises(dbapi.Error):
                write()


@pytest.mark.filterwarnings("error")
def test_transactions_that_drivers_begin_are_fine(lake: Lake) -> None:
    with dbapi.connect(lake.flight) as connection, connection.cursor() as cursor:
        for end in (connection.commit, connection.rollback):
            cursor.execute("select count(*) from neural.sessions")
            assert cursor.fetchone() == (105,)
            end()


def test_a_name_and_a_password_give_a_token(lake: Lake) -> None:
    options = {"username": "ada", "password": "x:y"}
    with dbapi.connect(lake.flight, db_kwargs=options) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)


def test_a_wish_to_end_is_heard(lake: Lake, connection: dbapi.Connection) -> None:
    with connection.cursor() as cursor:
        timer = threading.Timer(0.5, cursor.adbc_cancel)
        timer.start()
        with pytest.raises(dbapi.Error):
            cursor.execute(LONG)
            cursor.fetchall()
        timer.join()
    lake.wait_until_nothing_runs()


def test_a_deadline_of_the_client_holds(lake: Lake) -> None:
    options = {adbc_driver_flightsql.DatabaseOptions.TIMEOUT_FETCH.value: "0.5"}
    with dbapi.connect(lake.flight, db_kwargs=options) as connection, connection.cursor() as cursor:
        with pytest.raises(dbapi.Error):
            cursor.execute(LONG)
            cursor.fetchall()
    lake.wait_until_nothing_runs()


def test_many_clients_at_once(lake: Lake) -> None:
    connections = [dbapi.connect(lake.flight) for _ in range(200)]
    try:
        for connection in connections:
            with connection.cursor() as cursor:
                cursor.execute("select 1")
                assert cursor.fetchone() == (1,)
    finally:
        for connection in connections:
            connection.close()


def test_rows_come_while_the_query_runs(lake: Lake, cursor: dbapi.Cursor) -> None:
    # More rows than there is memory for.
    cursor.execute("select a.*, b.session_id from neural.spikes a, neural.spikes b, neural.sessions c")
    reader = cursor.fetch_record_batch()
    for _ in range(20):
        assert reader.read_next_batch().num_rows > 0
    del reader
    cursor.close()
    lake.wait_until_nothing_runs()
