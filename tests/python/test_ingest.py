"""Rows to a door that misbehaves on purpose."""

import base64
import io
import json
import math
import threading
import time
from collections import deque
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import neurolake
import neurolake.ingestion
import polars as pl
import pytest
from neurolake import IngestError, RowError, UnknownNameError
from polars.testing import assert_frame_equal

UTC = timezone.utc
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def struct(**fields):
    return {"struct": {"fields": [{"name": name.rstrip("_"), "type": kind, "nullable": name.endswith("_")} for name, kind in fields.items()]}}


def of(item, nullable=False):
    return {"list": {"item": item, "nullable": nullable}}


def column(name, kind, nullable=True):
    return {"name": name, "type": kind, "nullable": nullable}


COLUMNS = [
    column("id", "int64", nullable=False),
    column("flag", "bool"),
    column("i8", "int8"),
    column("i32", "int32"),
    column("f32", "float32"),
    column("f64", "float64"),
    column("text", "string"),
    column("raw", "binary"),
    column("on", "date"),
    column("ts", "timestamp"),
    column("price", {"decimal": {"precision": 6, "scale": 2}}),
    column("power", of("float32")),
    column("counts", of(of("int16", nullable=True), nullable=True)),
    column("place", struct(x="float32", label_="string")),
    column("places", of(struct(x="int32", on_="date"))),
    column("by_name", {"map": {"key": "string", "value": "float64", "nullable": True}}),
    column("by_number", {"map": {"key": "int32", "value": "string", "nullable": False}}),
    column("image", "blob"),
]


def table(name, columns, **more):
    facts = {"name": name, "source": {"kind": "delta", "uri": f"s3://lake/{name}"}, "columns": columns, "rust_path": name, "location": {"file": "src/lib.rs", "line": 1}}
    return {**facts, **more}


CATALOG = {
    "format_version": 1,
    "name": "rig",
    "endpoints": {"http": "http://127.0.0.1:9"},
    "databases": [
        {"name": "lab", "location": {"file": "src/lib.rs", "line": 1}, "tables": [table("everything", COLUMNS, ingest=True), table("quiet", COLUMNS)]},
        {"name": "neural", "location": {"file": "src/lib.rs", "line": 1}, "tables": [table("spikes", COLUMNS, ingest=True)]},
    ],
}


class Door:
    """Keeps each named request once. `faults` are what happens to the next ones: an answer
    `(status, headers, body)`, `"break"` before the request is kept, `"lose"` after it."""

    def __init__(self):
        self.faults, self.seen, self.taken, self.offsets = deque(), [], [], {}
        self.lock = threading.Lock()
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.answer(200, {}, {"stores": {}})

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                parts = urlsplit(self.path)
                request = SimpleNamespace(path=parts.path, query={k: v[0] for k, v in parse_qs(parts.query).items()}, kind=self.headers["content-type"], key=self.headers["idempotency-key"], headers=self.headers, body=body)
                with door.lock:
                    door.seen.append(request)
                    fault = door.faults.popleft() if door.faults else None
                    if isinstance(fault, tuple):
                        return self.answer(*fault)
                    if fault == "break":
                        return self.leave()
                    duplicate = request.key in door.offsets
                    if duplicate:
                        assert door.taken[door.offsets[request.key] - 1].body == body, "the key was used for other content"
                    else:
                        door.taken.append(request)
                        door.offsets[request.key] = len(door.taken)
                if fault == "lose":
                    return self.leave()
                offset = door.offsets[request.key]
                content = {"accepted": rows(request).height, "offset": offset, "duplicate": duplicate}
                if request.query.get("ack") == "committed":
                    return self.answer(200, {}, {**content, "committed": True, "version": 40 + offset})
                self.answer(202, {}, content)

            def leave(self):
                self.close_connection = True
                self.connection.close()

            def answer(self, status, headers, content):
                body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"content-length": len(body), "content-type": "application/json", **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

        self.handler = Handler
        self.open(0)

    def open(self, port):
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self.handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def rows(request):
    """What a request carries, as a frame."""
    if request.kind == "application/vnd.apache.arrow.stream":
        return pl.read_ipc_stream(io.BytesIO(request.body))
    assert request.kind == "application/x-ndjson"
    assert request.body.endswith(b"\n")
    return pl.DataFrame({"row": [json.loads(line) for line in request.body.splitlines()]}, schema={"row": pl.Object})


def dicts(request):
    return [json.loads(line) for line in request.body.splitlines()]


def refusal(status, message, headers=None, **more):
    return status, headers or {}, {"error": {"code": "invalid_rows", "message": message, "request_id": "r7", **more}}


@pytest.fixture
def door():
    door = Door()
    yield door
    door.close()


@pytest.fixture
def catalog(door, tmp_path):
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(CATALOG))
    return neurolake.connect(file, server=f"http://127.0.0.1:{door.port}")


@pytest.fixture
def pauses(monkeypatch):
    """Waits nowhere, and tells for how long it would have."""
    found = []
    now = [1000.0]

    def sleep(seconds):
        found.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(neurolake.ingestion, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: now[0]))
    return found


# Dicts


def test_dicts_are_sent_in_the_servers_forms(door, catalog):
    row = {
        "id": 2**63 - 1,
        "flag": True,
        "f64": math.nan,
        "power": [0.5, math.inf, -math.inf],
        "text": 'say "hi"\n猫',
        "raw": b"\x00\xff\x07",
        "on": date(2026, 3, 1),
        "ts": datetime(2026, 3, 1, 13, 30, 0, 15, tzinfo=ZoneInfo("Europe/Zurich")),
        "price": Decimal("1E+2"),
        "counts": [[1, None], None],
        "place": {"x": 0.5, "label": None},
        "by_name": {"a": 1.0},
        "by_number": {-1: "b", 2: "c"},
        "image": {"uri": "s3://lake/a.png", "media_type": "image/png", "bytes": 7},
    }
    found = catalog.ingest("lab.everything", row)
    assert found == neurolake.Ingested(accepted=1, offset=1, key=found.key)
    (request,) = door.taken
    assert request.path == "/v1/ingest/lab/everything"
    assert request.query == {}
    assert dicts(request) == [
        {
            **row,
            "f64": "NaN",
            "power": [0.5, "Infinity", "-Infinity"],
            "raw": base64.b64encode(row["raw"]).decode(),
            "on": "2026-03-01",
            "ts": "2026-03-01T13:30:00.000015+01:00",
            "price": "100",
            "by_number": [{"key": -1, "value": "b"}, {"key": 2, "value": "c"}],
        }
    ]
    assert b"9223372036854775807" in request.body


def test_values_of_other_libraries(door, catalog):
    numpy = SimpleNamespace(tolist=lambda: [1.5, math.nan])
    catalog.ingest("lab.everything", [{"id": 1, "power": numpy, "ts": datetime(2026, 3, 1)}, {"id": 2, "power": pl.Series([1.0]), "counts": ((1,),)}])
    assert dicts(door.taken[0]) == [{"id": 1, "power": [1.5, "NaN"], "ts": "2026-03-01T00:00:00+00:00"}, {"id": 2, "power": [1.0], "counts": [[1]]}]


def test_anything_iterable_is_sent_without_being_kept(door, catalog, monkeypatch):
    monkeypatch.setattr(neurolake.ingestion, "_PIECE_BYTES", 40)
    ahead = []

    def made():
        for number in range(10):
            ahead.append(number - sum(len(dicts(request)) for request in door.taken))
            yield {"id": number, "text": "x" * 5}

    found = catalog.ingest("lab.everything", made(), key="night-7")
    assert (found.accepted, found.offset, found.key) == (10, 10, "night-7")
    assert [request.key for request in door.taken] == [f"night-7/{number}" for number in range(10)]
    assert max(ahead) <= 3
    again = catalog.ingest("lab.everything", ({"id": number, "text": "x" * 5} for number in range(10)), key="night-7")
    assert again.duplicate and again.accepted == 10
    assert len(door.taken) == 10


def test_nothing_to_send(door, catalog):
    for nothing in ([], iter(()), pl.DataFrame(), pl.DataFrame({"id": []})):
        assert catalog.ingest("lab.everything", nothing).accepted == 0
    assert not door.seen


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": 1}, {"id": timedelta(1)}], r"row 1, `id`: no column holds datetime.timedelta"),
        ([{"id": 1}, {"place": {"x": [object()]}}], r"row 1, `place.x\[0\]`: no column holds <object"),
        ([{"id": 1}, [1]], r"row 1: expected a dict, found \[1\] \(list\)"),
        ([{1: 2}], "row 0: names of columns are text"),
        ([{"text": "\ud800"}], "half a character"),
        ("id", "rows are a dict, several dicts or a frame, not 'id'"),
        (7, "not 7"),
    ],
)
def test_rows_that_cant_be_sent(door, catalog, rows, words):
    with pytest.raises(IngestError, match=words):
        catalog.ingest("lab.everything", rows)
    assert not door.taken


# Frames


def test_frames_get_the_declared_types(door, catalog):
    frame = pl.DataFrame(
        {
            "ts": [datetime(2026, 3, 1), None],
            "id": [1, 2],
            "i8": [-128.0, None],
            "i32": [7, None],
            "f32": [0.1, math.nan],
            "f64": pl.Series([1, 2], dtype=pl.UInt8),
            "text": pl.Series(["a", None], dtype=pl.Categorical),
            "raw": [b"ab", b""],
            "on": [date(2026, 3, 1), None],
            "price": [0.1, 9999.99],
            "power": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
            "counts": [[[1, None], None, []], None],
            "place": [{"x": 1}, None],
            "places": [[{"on": None, "x": 5}, {"on": date(2026, 3, 2), "x": 6}], []],
            "by_name": [[{"key": "a", "value": 1}], None],
            "image": [None, {"bytes": 7, "uri": "s3://a", "media_type": "b"}],
        }
    )
    found = catalog.ingest("lab.everything", frame)
    assert found.accepted == 2
    (request,) = door.taken
    arrived = rows(request)
    table = catalog.lab.everything
    assert arrived.schema == table.schema
    expected = pl.DataFrame(
        {
            "id": [1, 2],
            "flag": [None, None],
            "i8": [-128, None],
            "i32": [7, None],
            "f32": [0.1, math.nan],
            "f64": [1.0, 2.0],
            "text": ["a", None],
            "raw": [b"ab", b""],
            "on": [date(2026, 3, 1), None],
            "ts": [datetime(2026, 3, 1, tzinfo=UTC), None],
            "price": [Decimal("0.10"), Decimal("9999.99")],
            "power": [[1.0, 2.0], [3.0, 4.0]],
            "counts": [[[1, None], None, []], None],
            "place": [{"x": 1.0, "label": None}, None],
            "places": [[{"x": 5, "on": None}, {"x": 6, "on": date(2026, 3, 2)}], []],
            "by_name": [[{"key": "a", "value": 1.0}], None],
            "by_number": [None, None],
            "image": [None, {"uri": "s3://a", "media_type": "b", "bytes": 7}],
        },
        schema=table.schema,
    )
    assert_frame_equal(arrived, expected)


class Exports:
    """Another library's frame."""

    def __init__(self, frame):
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema=None):
        return self.frame.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("made", [pl.DataFrame.lazy, Exports])
def test_frames_of_every_kind(door, catalog, made):
    frame = pl.DataFrame({"id": [1, 2, 3], "ts": [NOON] * 3})
    assert catalog.ingest("lab.everything", made(frame)).accepted == 3
    assert rows(door.taken[0])["id"].to_list() == [1, 2, 3]


def test_instants_of_every_unit_and_zone(door, catalog):
    zurich = pl.Series([NOON]).dt.convert_time_zone("Europe/Zurich")
    for series in (zurich, pl.Series([NOON]).cast(pl.Datetime("ns", "UTC")), pl.Series([NOON]).cast(pl.Datetime("ms", "UTC")), pl.Series([NOON.replace(tzinfo=None)])):
        catalog.ingest("lab.everything", pl.DataFrame({"id": [1], "ts": series}))
        assert rows(door.taken[-1])["ts"].to_list() == [NOON]


GOOD = {"id": [1, 2, 3]}


@pytest.mark.parametrize(
    ("frame", "row", "path", "words"),
    [
        ({"i32": [1, None, 3_000_000_000]}, 2, "i32", "expected int32, found 3000000000 (int)"),
        ({"i8": [1.0, 1.5, 2.0]}, 1, "i8", "expected int8, found 1.5 (float)"),
        ({"i8": [1.0, math.nan, 2.0]}, 1, "i8", "expected int8, found nan (float)"),
        ({"i32": ["a", "b", "c"]}, 0, "i32", "expected int32, found 'a' (str)"),
        ({"i32": [None, True, False]}, 1, "i32", "expected int32, found True (bool)"),
        ({"flag": [0, 1, 0]}, 0, "flag", "expected bool, found 0 (int)"),
        ({"f32": [0.1, math.inf, 1e300]}, 2, "f32", "expected float32, found 1e+300 (float)"),
        ({"id": [1, None, 3]}, 1, "id", "expected int64, found null"),
        ({"text": [b"a", b"b", b"c"]}, 0, "text", "expected string, found b'a' (bytes)"),
        ({"on": ["2026-03-01"] * 3}, 0, "on", "expected date, found '2026-03-01' (str)"),
        ({"on": [NOON] * 3}, 0, "on", "expected date, found datetime.datetime("),
        ({"ts": pl.Series([0, 1000, 1001], dtype=pl.Datetime("ns", "UTC"))}, 2, "ts", "expected timestamp, found datetime"),
        ({"price": [1.0, 0.25, 0.125]}, 2, "price", "expected decimal(6, 2), found 0.125 (float)"),
        ({"price": [1, 2, 10_000]}, 2, "price", "expected decimal(6, 2), found 10000 (int)"),
        ({"price": [Decimal("1.5"), Decimal("1.999"), None]}, 1, "price", "expected decimal(6, 2), found Decimal('1.999')"),
        ({"power": [[], [0.5, 0.5], [0.5, None]]}, 2, "power[1]", "expected float32, found null"),
        ({"power": [None, [1e300], [0.5]]}, 1, "power[0]", "expected float32, found 1e+300 (float)"),
        ({"power": [0.5, 0.5, 0.5]}, 0, "power", "expected list<float32>, found 0.5 (float)"),
        ({"counts": [[[1], None], [], [None, [1, 2], [3, 70_000]]]}, 2, "counts[2][1]", "expected int16, found 70000 (int)"),
        ({"place": [None, {"x": 0.5}, {"x": None}]}, 2, "place.x", "expected float32, found null"),
        ({"place": [None, {"label": "a"}, None]}, 1, "place.x", "missing"),
        ({"place": [None, {"x": 0.5, "lable": "a"}, None]}, 1, "place.lable", "no such field; did you mean `label`?"),
        ({"place": ["here", None, None]}, 0, "place", "expected struct, found 'here' (str)"),
        ({"places": [[], None, [{"x": 1}, {"x": 2**40}]]}, 2, "places[1].x", "expected int32, found 1099511627776 (int)"),
        ({"by_name": [[], [{"key": None, "value": 1.0}], None]}, 1, "by_name[0].key", "expected string, found null"),
        ({"image": [None, {"uri": "a", "media_type": "b"}, None]}, 1, "image.bytes", "missing"),
        ({"flagg": [True, False, True]}, None, "flagg", "no such column; did you mean `flag`?"),
        ({"nonsense": [1, 2, 3]}, None, "nonsense", "no such column"),
    ],
)
def test_frames_that_dont_fit(door, catalog, frame, row, path, words):
    with pytest.raises(IngestError) as caught:
        catalog.ingest("lab.everything", pl.DataFrame({**GOOD, **frame}))
    (found,) = caught.value.rows
    assert (found.row, found.path) == (row, path)
    assert found.message.startswith(words), found
    place = f"`{path}`" if row is None else f"row {row}, `{path}`"
    assert f"\n  {place}: {words}" in str(caught.value)
    assert "doesn't fit `lab.everything`, and nothing was sent" in str(caught.value)
    assert not door.seen


def test_every_column_that_doesnt_fit_is_named(catalog):
    with pytest.raises(IngestError) as caught:
        catalog.ingest("lab.everything", pl.DataFrame({"i8": [1, 1000], "i32": [2**40, 1]}))
    assert [(found.row, found.path) for found in caught.value.rows] == [(None, "id"), (0, "i32"), (1, "i8")]


@pytest.mark.parametrize("invalid", ["skip", "quarantine"])
def test_rows_of_a_frame_that_dont_fit_go_to_the_server(door, catalog, invalid):
    answer = {"accepted": 1, "offset": 1, "duplicate": False, "rejected": 1, "errors": [{"row": 1, "path": "i8", "message": "expected int8"}]}
    door.faults.append((202, {}, answer))
    found = catalog.ingest("lab.everything", pl.DataFrame({"id": [1, 2], "i8": [1, 1000]}), invalid=invalid)
    assert (found.accepted, found.rejected, found.errors) == (1, 1, [RowError(1, "i8", "expected int8")])
    assert door.seen[0].query == {"invalid": invalid}
    assert dicts(door.seen[0]) == [{"id": 1, "i8": 1}, {"id": 2, "i8": 1000}]
    # One that fits stays Arrow.
    catalog.ingest("lab.everything", pl.DataFrame({"id": [1]}), invalid=invalid)
    assert rows(door.seen[1])["id"].to_list() == [1]


def test_nothing_kept_has_no_offset(door, catalog):
    answer = {"accepted": 0, "offset": None, "duplicate": False, "rejected": 1, "errors": [{"path": "on", "message": "expected a day"}]}
    door.faults.append((202, {}, answer))
    found = catalog.ingest("lab.everything", {"on": 7}, invalid="skip")
    assert (found.offset, found.rejected, str(found.errors[0])) == (None, 1, "`on`: expected a day")


def test_large_frames_are_sent_in_pieces(door, catalog, monkeypatch):
    monkeypatch.setattr(neurolake.ingestion, "_PIECE_BYTES", 20_000)
    # The second half is much larger than the first.
    frame = pl.DataFrame({"id": range(2000), "text": ["a"] * 1000 + ["b" * 400] * 1000})
    found = catalog.ingest("lab.everything", frame, key="k", ack="committed", timeout=7)
    assert (found.accepted, found.committed, found.version) == (2000, True, 40 + len(door.taken))
    assert len(door.taken) > 20
    assert max(len(request.body) for request in door.taken) <= 40_000
    assert pl.concat([rows(request) for request in door.taken])["id"].to_list() == list(range(2000))
    assert [request.key for request in door.taken] == [f"k/{number}" for number in range(len(door.taken))]
    # Commits keep the order: only the last piece waits for one.
    assert [request.query for request in door.taken[:-1]] == [{}] * (len(door.taken) - 1)
    assert door.taken[-1].query == {"ack": "committed", "timeout": "7"}


# What goes wrong on the way


def test_whatever_happens_rows_are_taken_once(door, catalog, pauses):
    busy = refusal(429, "the queue is behind", {"Retry-After": "3"})
    door.faults.extend(["break", busy, "lose", (502, {}, "<html>"), refusal(503, "starting"), (507, {"Retry-After": "1"}, ""), "lose", (202, {"content-length": "999"}, "{")])
    found = catalog.ingest("lab.everything", [{"id": 1}, {"id": 2}])
    assert found.duplicate and found.accepted == 2 and found.offset == 1
    assert len(door.taken) == 1
    assert len(door.seen) == 9
    assert len({request.key for request in door.seen}) == 1
    assert pauses[1] >= 3
    assert all(0.02 < pause <= 7.5 for pause in pauses), pauses
    # Other rows have another key.
    assert not catalog.ingest("lab.everything", {"id": 3}).duplicate
    assert [len(dicts(request)) for request in door.taken] == [2, 1]


def test_a_server_that_comes_back_is_found(door, catalog):
    catalog.ingest("lab.everything", {"id": 1})
    door.close()
    found = []
    thread = threading.Thread(target=lambda: found.append(catalog.ingest("lab.everything", {"id": 2})))
    thread.start()
    time.sleep(0.3)
    assert not found
    door.open(door.port)
    thread.join(20)
    assert found[0].accepted == 1
    assert [dicts(request)[0]["id"] for request in door.taken] == [1, 2]


def test_patience_has_an_end(door, catalog, pauses):
    catalog.ingest("lab.everything", {"id": 1})
    door.faults.extend([refusal(503, "the queue doesn't answer", hint="look at its log")] * 100)
    with pytest.raises(IngestError) as caught:
        catalog.ingest("lab.everything", {"id": 2}, key="job-7", patience=20)
    error = caught.value
    assert (error.status, error.key, error.accepted) == (503, "job-7", 0)
    assert str(error) == (
        "the server refused (503): the queue doesn't answer\nhint: look at its log\n"
        "note: repeat the call with key='job-7' and no row is taken twice"
    )
    assert 10 < sum(pauses) <= 20
    seen = len(door.seen)
    with pytest.raises(IngestError):
        catalog.ingest("lab.everything", {"id": 2}, patience=0)
    assert len(door.seen) == seen + 1
    door.faults.clear()
    door.close()
    with pytest.raises(IngestError, match=r"(?s)can't reach the server.*repeat the call with key='job-7'") as caught:
        catalog.ingest("lab.everything", {"id": 2}, key="job-7", patience=3)
    assert caught.value.code == "unreachable"
    # A longer pause than the patience isn't begun.
    door.open(door.port)
    door.faults.append(refusal(429, "later", {"Retry-After": "3600"}))
    before = len(pauses)
    with pytest.raises(IngestError, match="later"):
        catalog.ingest("lab.everything", {"id": 2})
    assert len(pauses) == before


def test_what_is_refused_is_not_repeated(door, catalog, pauses):
    bad = [
        {"row": 0, "line": 1, "path": "power[1]", "message": 'expected float32, found "x"'},
        {"row": 2, "line": 3, "path": "", "message": "`idd` is no column; did you mean `id`?"},
        {"path": "on", "message": "expected date32 (date), found utf8"},
    ]
    door.faults.append(refusal(422, 'row 0 (line 1) doesn\'t fit: `power[1]` expected float32, found "x"; 2 more in `rows`', rows=bad, hint="none of the rows was kept"))
    with pytest.raises(IngestError) as caught:
        catalog.ingest("lab.everything", [{"id": 1}, {"id": 2}, {"id": 3}])
    assert str(caught.value) == (
        'the server refused (422): row 0 (line 1) doesn\'t fit: `power[1]` expected float32, found "x"; 2 more in `rows`\n'
        "  row 2: `idd` is no column; did you mean `id`?\n"
        "  `on`: expected date32 (date), found utf8\n"
        "hint: none of the rows was kept"
    )
    assert caught.value.rows == [RowError(0, "power[1]", 'expected float32, found "x"'), RowError(2, "", "`idd` is no column; did you mean `id`?"), RowError(None, "on", "expected date32 (date), found utf8")]
    assert (caught.value.status, caught.value.code) == (422, "invalid_rows")
    for status, message in [(400, "bad header"), (404, "no such table"), (409, "the key was used for other rows"), (413, "too large"), (507, "the disk is full"), (500, "a mistake")]:
        door.faults.append(refusal(status, message))
        with pytest.raises(IngestError, match=rf"\({status}\): {message}"):
            catalog.ingest("lab.everything", {"id": 1})
    assert not door.taken and not pauses


def test_a_later_piece_that_is_refused_says_what_was_taken(door, catalog, monkeypatch):
    monkeypatch.setattr(neurolake.ingestion, "_PIECE_BYTES", 25)
    many = [{"row": 1, "path": "id", "message": f"no {n}"} for n in range(7)]
    sent = [{"id": number} for number in range(8)]
    first = {"accepted": 1, "offset": 1, "rejected": 1, "errors": [{"row": 1, "path": "id", "message": "no"}]}
    door.faults.extend([(202, {}, first), (202, {}, first), refusal(422, "no", rows=many)])
    with pytest.raises(IngestError) as caught:
        catalog.ingest("lab.everything", sent, key="job-8")
    assert "row 5, `id`: no 0" in str(caught.value)
    assert "and 2 more" in str(caught.value)
    assert "note: `lab.everything` has the first 4 rows already; repeat the call with key='job-8'" in str(caught.value)
    assert caught.value.accepted == 2
    # Rows are counted over all pieces.
    door.faults.extend([(202, {}, first)] * 4)
    found = catalog.ingest("lab.everything", sent, key="job-9", invalid="skip")
    assert [error.row for error in found.errors] == [1, 3, 5, 7]
    assert (found.accepted, found.rejected) == (4, 4)


@pytest.mark.parametrize("answer", [(200, {}, "<html>"), (200, {}, {"rows": 1}), (200, {}, "[]"), (404, {}, "<html>")])
def test_what_is_no_door_is_told(door, catalog, answer):
    door.faults.append(answer)
    with pytest.raises(IngestError, match=r"is it a neurolake server|refused \(404\)"):
        catalog.ingest("lab.everything", {"id": 1})


def test_a_commit_that_takes_longer(door, catalog):
    door.faults.append((202, {}, {"accepted": 1, "offset": 1, "duplicate": False, "committed": False}))
    found = catalog.ingest("lab.everything", {"id": 1}, ack="committed", timeout=0.5)
    assert not found.committed and found.version is None
    assert door.seen[0].query == {"ack": "committed", "timeout": "1"}


# What is asked


def test_tables_are_found_before_anything_is_sent(door, catalog):
    with pytest.raises(UnknownNameError, match="did you mean `everything`"):
        catalog.ingest("lab.everythin", {"id": 1})
    with pytest.raises(UnknownNameError, match="did you mean `lab`"):
        catalog.ingest("labb.everything", {"id": 1})
    with pytest.raises(IngestError, match="named as `database.table`, not `spikes`; did you mean `neural.spikes`"):
        catalog.ingest("spikes", {"id": 1})
    with pytest.raises(IngestError, match=r"`lab.quiet` takes no events; these do: `lab.everything`, `neural.spikes`\nhint: declare it"):
        catalog.ingest("lab.quiet", {"id": 1})
    for key in ("", "two words", "ümlaut", "x" * 181, 7):
        with pytest.raises(IngestError, match="a key is 1 to 180 visible ASCII characters"):
            catalog.ingest("lab.everything", {"id": 1}, key=key)
    with pytest.raises(IngestError, match="ack is 'queued' or 'committed', not 'done'"):
        catalog.ingest("lab.everything", {"id": 1}, ack="done")
    with pytest.raises(IngestError, match="invalid is 'reject' or 'skip' or 'quarantine'"):
        catalog.ingest("lab.everything", {"id": 1}, invalid="drop")
    assert not door.seen


def test_the_default_catalog_takes_rows(door, catalog, monkeypatch):
    monkeypatch.setattr(neurolake, "catalog", catalog)
    assert neurolake.ingest("neural.spikes", {"id": 1}, key="a").key == "a"
    assert door.taken[0].path == "/v1/ingest/neural/spikes"


def test_without_a_server(tmp_path, monkeypatch):
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(CATALOG))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(neurolake.ServerError, match="needs a server, and none answers"):
        neurolake.connect(file).ingest("lab.everything", {"id": 1})
