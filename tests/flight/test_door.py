"""What the door promises beyond what drivers show: types, tickets, nonsense, and that it only reads."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import urllib.parse
from pathlib import Path

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from pyarrow.flight import Action, FlightCallOptions, FlightClient, FlightDescriptor, Ticket

from lake import Lake, command, field, started, statement
from test_clients import LONG

# pyarrow has exceptions of many families for the codes of gRPC.
REFUSED = (flight.FlightError, pa.ArrowException, OSError, NotImplementedError)
HOSTILE = (Path(__file__).parent.parent / "hostile.sql").read_text().splitlines()

# Every kind of type that the engine can be made to answer with, with a value, nulls, and rows enough for two batches.
TYPES = [
    "arrow_cast(v, 'Int8')",
    "arrow_cast(v, 'Int16')",
    "arrow_cast(v, 'Int32')",
    "v",
    "arrow_cast(v, 'UInt8')",
    "arrow_cast(v, 'UInt16')",
    "arrow_cast(v, 'UInt32')",
    "arrow_cast(v, 'UInt64')",
    "arrow_cast(v, 'Float16')",
    "arrow_cast(v, 'Float32')",
    "arrow_cast(v, 'Float64')",
    "v > 2",
    "arrow_cast(v, 'Utf8')",
    "arrow_cast(v, 'LargeUtf8')",
    "arrow_cast(arrow_cast(v, 'Utf8'), 'Utf8View')",
    "arrow_cast(arrow_cast(v, 'Utf8'), 'Binary')",
    "arrow_cast(arrow_cast(v, 'Utf8'), 'LargeBinary')",
    "arrow_cast(arrow_cast(v, 'Utf8'), 'BinaryView')",
    "arrow_cast(arrow_cast('abcd', 'Binary'), 'FixedSizeBinary(4)')",
    "arrow_cast(arrow_cast(v, 'Utf8'), 'Dictionary(Int32, Utf8)')",
    "arrow_cast(arrow_cast(v, 'Utf8'), 'Dictionary(Int8, Utf8)')",
    "arrow_cast(v, 'Decimal128(38, 10)')",
    "arrow_cast(v, 'Decimal256(60, 10)')",
    "arrow_cast(arrow_cast(v, 'Int32'), 'Date32')",
    "arrow_cast(v, 'Date64')",
    "arrow_cast(arrow_cast(v, 'Int32'), 'Time32(Second)')",
    "arrow_cast(arrow_cast(v, 'Int32'), 'Time32(Millisecond)')",
    "arrow_cast(v, 'Time64(Microsecond)')",
    "arrow_cast(v, 'Time64(Nanosecond)')",
    "arrow_cast(v, 'Timestamp(Second, None)')",
    "arrow_cast(v, 'Timestamp(Millisecond, None)')",
    "arrow_cast(v, 'Timestamp(Microsecond, Some(\"UTC\"))')",
    "arrow_cast(v, 'Timestamp(Nanosecond, Some(\"+02:00\"))')",
    "arrow_cast(v, 'Duration(Second)')",
    "arrow_cast(v, 'Duration(Nanosecond)')",
    "interval '1 month 2 days 3 hours'",
    "null",
    "[v, null, v + 1]",
    "arrow_cast([v, null], 'LargeList(Int64)')",
    "arrow_cast([v, v], 'FixedSizeList(2, Int64)')",
    "[[v], [], null]",
    "struct(v, arrow_cast(v, 'Utf8'))",
    "[struct(v, [arrow_cast(v, 'Utf8')])]",
    "map(['a', 'b'], [v, null])",
    "arrow_cast([arrow_cast(v, 'Utf8')], 'LargeList(Dictionary(Int32, Utf8))')",
]


def read(client: FlightClient, sql: str) -> pa.Table:
    info = client.get_flight_info(statement(sql))
    (endpoint,) = info.endpoints
    answer = client.do_get(endpoint.ticket).read_all()
    assert answer.schema.equals(info.schema), sql
    return answer


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in (folder / "buckets").rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def alive(client: FlightClient) -> bool:
    return read(client, "select 1 as one").to_pylist() == [{"one": 1}]


@pytest.mark.parametrize("expression", TYPES)
def test_every_type_is_the_same_as_by_http(expression: str, lake: Lake, client: FlightClient) -> None:
    values = "(select case when value % 100 = 3 then null else value % 100 end as v from generate_series(1, 20000) as s(value))"
    for condition in ("", "where v is null", "where v = 2", "where v < 0"):
        sql = f"select {expression} as x from {values} {condition} order by v"
        found, wanted = read(client, sql), lake.arrow(sql)
        assert found.schema.equals(wanted.schema, check_metadata=True)
        assert found.num_rows == {"": 20000, "where v is null": 200, "where v = 2": 200, "where v < 0": 0}[condition]
        if "dictionary" in str(found.schema.field("x").type):
            # In which order values stand in a dictionary depends on which part of the query was first.
            found, wanted = ([value.as_py() for value in answer["x"]] for answer in (found, wanted))
        assert found == wanted


@pytest.mark.parametrize(
    "sql",
    [
        "select nullif(1, 1) as a, case when true then 1 end as b, coalesce(null, 2) as c",
        "select 1 as \"\", 2 as \"A b\"",
        "select * from neural.sessions where false",
        "select sum(session_id), count(*), array_agg(session_id) from neural.sessions where false",
        "show tables",
        "describe neural.sessions",
        "explain select 1",
        "select * from information_schema.columns",
        "select a.session_id, b.session_id from neural.sessions a left join neural.sessions b on a.session_id = b.session_id + 1 order by 1",
    ],
)
def test_odd_answers_are_the_same_as_by_http(sql: str, lake: Lake, client: FlightClient) -> None:
    found, wanted = read(client, sql), lake.arrow(sql)
    assert found.schema.types == wanted.schema.types
    assert found.schema.names == wanted.schema.names
    assert found.to_batches() == [] or [column.to_pylist() for column in found.columns] == [column.to_pylist() for column in wanted.columns]


def test_nothing_that_is_sent_changes_a_byte(lake: Lake, client: FlightClient) -> None:
    before = contents(lake.data)
    assert before and len(HOSTILE) >= 40
    with dbapi.connect(lake.flight) as connection:
        for sql in HOSTILE:
            with pytest.raises(REFUSED):
                client.get_flight_info(statement(sql))
            with pytest.raises(REFUSED):
                client.get_schema(statement(sql))
            with pytest.raises(REFUSED):
                prepared = Action("CreatePreparedStatement", command("ActionCreatePreparedStatementRequest", field(1, sql.encode())))
                list(client.do_action(prepared))
            update = FlightDescriptor.for_command(command("CommandStatementUpdate", field(1, sql.encode())))
            with pytest.raises(REFUSED, match="can only be read"):
                writer, reader = client.do_put(update, pa.schema([]))
                writer.done_writing()
                reader.read()
                writer.close()
            with connection.cursor() as cursor, pytest.raises(dbapi.Error):
                cursor.execute(sql)
                cursor.fetchall()
            assert alive(client), sql
    assert contents(lake.data) == before
    assert not Path("/tmp/stolen").exists()


def test_a_ticket_may_be_redeemed_again(client: FlightClient) -> None:
    info = client.get_flight_info(statement("select count(*) as n from neural.sessions"))
    for _ in range(2):
        assert client.do_get(info.endpoints[0].ticket).read_all().to_pylist() == [{"n": 105}]
    assert info.endpoints[0].expiration_time is not None


def test_a_ticket_can_not_be_forged(client: FlightClient) -> None:
    honest = client.get_flight_info(statement("select 1 as one")).endpoints[0].ticket.ticket
    place = honest.index(b"select 1")
    forged = honest[:place] + b"select 2" + honest[place + 8 :]
    for ticket in (forged, command("TicketStatementQuery", field(1, b"select 1")), command("TicketStatementQuery", field(1, b""))):
        with pytest.raises(pa.ArrowInvalid, match="not one of this server"):
            client.do_get(Ticket(ticket)).read_all()
    with pytest.raises(pa.ArrowInvalid, match="not one of this server"):
        client.get_flight_info(FlightDescriptor.for_command(command("CommandPreparedStatementQuery", field(1, forged))))
    assert alive(client)


@pytest.mark.parametrize(
    "name",
    ["GetCatalogs", "GetDbSchemas", "GetTables", "GetTableTypes", "GetSqlInfo", "GetExportedKeys", "GetImportedKeys", "GetCrossReference", "GetXdbcTypeInfo", "GetPrimaryKeys"],
)
def test_every_question_about_the_lake_has_columns_as_promised(name: str, client: FlightClient) -> None:
    info = client.get_flight_info(FlightDescriptor.for_command(command(f"Command{name}")))
    answer = client.do_get(info.endpoints[0].ticket).read_all()
    assert answer.schema.equals(info.schema)
    empty = {"GetExportedKeys", "GetImportedKeys", "GetCrossReference", "GetXdbcTypeInfo", "GetPrimaryKeys"}
    assert (answer.num_rows == 0) == (name in empty)


def test_unique_columns_are_primary_keys(client: FlightClient) -> None:
    asked = command("CommandGetPrimaryKeys", field(2, b"neural"), field(3, b"normalized_band_power"))
    info = client.get_flight_info(FlightDescriptor.for_command(asked))
    keys = client.do_get(info.endpoints[0].ticket).read_all().to_pylist()
    assert [(key["db_schema_name"], key["table_name"], key["column_name"], key["key_sequence"]) for key in keys] == [
        ("neural", "normalized_band_power", "session_id", 1),
        ("neural", "normalized_band_power", "bin", 2),
    ]


def test_a_query_begins_when_its_rows_are_read(lake: Lake, client: FlightClient) -> None:
    for _ in range(50):
        client.get_flight_info(statement(LONG))
    lake.wait_until_nothing_runs()


def test_a_query_is_cancelled_by_its_flight(lake: Lake, client: FlightClient) -> None:
    info = client.get_flight_info(statement(LONG))
    wishes = [
        (Action("CancelFlightInfo", field(1, info.serialize())), b"\x08\x01"),
        (Action("CancelQuery", command("ActionCancelQueryRequest", field(1, info.serialize()))), command("ActionCancelQueryResult", b"\x08\x01")),
    ]
    for wish, cancelled in wishes:
        with pytest.raises(REFUSED, match="doesn't run"):
            list(client.do_action(wish))
        reader = client.do_get(info.endpoints[0].ticket)
        assert reader.schema == info.schema
        (answer,) = client.do_action(wish)
        assert answer.body.to_pybytes() == cancelled
        # `read_all` would take it for Ctrl-C.
        with pytest.raises(flight.FlightCancelledError, match="was cancelled"):
            reader.read_chunk()
    lake.wait_until_nothing_runs()


def test_a_ticket_is_renewed(client: FlightClient) -> None:
    (endpoint,) = client.get_flight_info(statement("select 1 as one")).endpoints
    (answer,) = client.do_action(Action("RenewFlightEndpoint", field(1, endpoint.serialize())))
    renewed = flight.FlightEndpoint.deserialize(answer.body.to_pybytes())
    assert renewed.expiration_time.as_py() >= endpoint.expiration_time.as_py()
    assert client.do_get(renewed.ticket).read_all().to_pylist() == [{"one": 1}]


def test_the_end_of_the_server_is_not_held_up(tmp_path: Path) -> None:
    with started(tmp_path) as lake, flight.connect(lake.flight) as client:
        info = client.get_flight_info(statement(LONG))
        reader = client.do_get(info.endpoints[0].ticket)
        os.kill(lake.process, signal.SIGTERM)
        with pytest.raises(REFUSED):
            reader.read_all()


def test_a_deadline_of_the_client_ends_the_query(lake: Lake, client: FlightClient) -> None:
    info = client.get_flight_info(statement(LONG))
    with pytest.raises(flight.FlightTimedOutError):
        client.do_get(info.endpoints[0].ticket, FlightCallOptions(timeout=0.5)).read_all()
    lake.wait_until_nothing_runs()


def test_a_client_that_leaves_takes_its_query_along(lake: Lake) -> None:
    # More of them than may run at once: were they to go on, nothing else would be answered.
    for _ in range(20):
        client = flight.connect(lake.flight)
        info = client.get_flight_info(statement(LONG))
        client.do_get(info.endpoints[0].ticket).cancel()
        client.close()
    lake.wait_until_nothing_runs()


def test_a_slow_reader_holds_up_nobody(lake: Lake, client: FlightClient) -> None:
    info = client.get_flight_info(statement("select * from neural.spikes a, neural.sessions b"))
    slow = client.do_get(info.endpoints[0].ticket)
    slow.read_chunk()
    with flight.connect(lake.flight) as other:
        for _ in range(20):
            assert alive(other)
    slow.cancel()
    lake.wait_until_nothing_runs()


def test_rows_that_are_not_read_take_no_memory(lake: Lake, client: FlightClient) -> None:
    def resident() -> int:
        status = Path(f"/proc/{lake.process}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10

    info = client.get_flight_info(statement("select a.*, b.ts as other from neural.spikes a, neural.spikes b"))
    before, bytes, most = resident(), 0, 0
    reader = client.do_get(info.endpoints[0].ticket)
    while bytes < 1 << 30:
        bytes += reader.read_chunk().data.nbytes
        most = max(most, resident())
    reader.cancel()
    lake.wait_until_nothing_runs()
    assert most - before < 150 << 20


def test_paths_and_unknown_commands_are_refused(client: FlightClient) -> None:
    for descriptor in (
        FlightDescriptor.for_path("neural", "sessions"),
        FlightDescriptor.for_command(b""),
        FlightDescriptor.for_command(b"select 1"),
        FlightDescriptor.for_command(b"\xff" * 100),
        FlightDescriptor.for_command(command("CommandNothing")),
        FlightDescriptor.for_command(command("ActionBeginTransactionRequest")),
        FlightDescriptor.for_command(field(1, b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery") + field(2, b"\xff\xff")),
    ):
        with pytest.raises(pa.ArrowInvalid):
            client.get_flight_info(descriptor)
        with pytest.raises(pa.ArrowInvalid):
            client.do_get(Ticket(descriptor.command or b"")).read_all()
        with pytest.raises(REFUSED):
            writer, reader = client.do_put(descriptor, pa.schema([("a", pa.int64())]))
            writer.done_writing()
            reader.read()
            writer.close()
    for action in ("CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "CancelQuery", "RenewFlightEndpoint", "BeginSavepoint", "Nothing"):
        with pytest.raises(REFUSED):
            list(client.do_action(Action(action, b"\xff\xff\xff")))
    with pytest.raises(NotImplementedError):
        list(client.list_flights())
    assert len(list(client.list_actions())) == 7
    assert alive(client)


def test_parameters_that_would_cost_memory_are_refused(client: FlightClient) -> None:
    prepared = Action("CreatePreparedStatement", command("ActionCreatePreparedStatementRequest", field(1, b"select $1 as x")))
    (result,) = client.do_action(prepared)
    # The handle is the first field of what stands within the `Any`.
    body = result.body.to_pybytes()
    handle = first_field(second_field(body))
    descriptor = FlightDescriptor.for_command(command("CommandPreparedStatementQuery", field(1, handle)))

    def bind(batch: pa.RecordBatch, options: pa.ipc.IpcWriteOptions | None = None) -> None:
        writer, reader = client.do_put(descriptor, batch.schema, FlightCallOptions(write_options=options))
        writer.write_batch(batch)
        writer.done_writing()
        reader.read()
        writer.close()

    bind(pa.RecordBatch.from_pydict({"x": ["fine"]}))
    for batch, options, message in (
        (pa.RecordBatch.from_pydict({"x": ["x" * 100_000]}), pa.ipc.IpcWriteOptions(compression="zstd"), "compressed"),
        (pa.RecordBatch.from_pydict({"x": pa.nulls(1 << 20)}), None, "more than one row"),
        (pa.RecordBatch.from_pydict({"x": ["x" * (2 << 20)]}), None, "longer than"),
        (pa.RecordBatch.from_pydict({"x": pa.array([], pa.int64())}), None, "no row"),
    ):
        with pytest.raises(REFUSED, match=message):
            bind(batch, options)
    assert alive(client)


def first_field(message: bytes) -> bytes:
    return fields(message)[1]


def second_field(message: bytes) -> bytes:
    return fields(message)[2]


def fields(message: bytes) -> dict[int, bytes]:
    found, place = {}, 0
    while place < len(message):
        number, length, shift = message[place] >> 3, 0, 0
        place += 1
        while True:
            byte = message[place]
            place += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found[number] = message[place : place + length]
        place += length
    return found


@pytest.mark.parametrize("nested", ["not (", "("])
def test_deep_nesting_is_refused_at_once(nested: str, client: FlightClient) -> None:
    with pytest.raises(pa.ArrowInvalid, match="brackets in brackets"):
        client.get_flight_info(statement("select 1 where " + nested * 60 + "true" + ")" * 60))


def test_a_long_message_is_cut(client: FlightClient) -> None:
    with pytest.raises(REFUSED) as refused:
        client.get_flight_info(statement(f"select {'x' * 100_000} from neural.sessions"))
    assert "there is no column" in str(refused.value) and len(str(refused.value)) < 4000


def test_a_name_and_a_password_give_a_token(client: FlightClient) -> None:
    header, token = client.authenticate_basic_token("ada", "x")
    assert header == b"authorization" and token.startswith(b"Bearer ")
    options = FlightCallOptions(headers=[(header, token)])
    info = client.get_flight_info(statement("select 1 as one"), options)
    assert client.do_get(info.endpoints[0].ticket, options).read_all().num_rows == 1


@pytest.mark.parametrize(
    "bytes",
    [b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x01\x05\0\0\0\x01"],
)
def test_nonsense_ends_nothing_but_itself(bytes: bytes, lake: Lake, client: FlightClient) -> None:
    address = urllib.parse.urlsplit(lake.flight)
    with socket.create_connection((address.hostname, address.port), 5) as socket_:
        socket_.sendall(bytes)
    assert alive(client)
