"""Rows through the door of the real program, which `NEUROLAKE_BIN` names, and back by SQL."""

import json
import math
import os
from datetime import date, datetime, timezone
from decimal import Decimal
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import neurolake
import polars as pl
import pytest
import test_ingest
from conftest import end, start
from polars.testing import assert_frame_equal

UTC = timezone.utc
ROW = {
    "id": 1,
    "flag": True,
    "i8": -128,
    "i32": 7,
    "f32": math.nan,
    "f64": 0.1 + 0.2,
    "text": 'say "hi"\n猫',
    "raw": b"\x00\xff",
    "on": date(2026, 3, 1),
    "ts": datetime(2026, 3, 1, 12, 0, 0, 15, tzinfo=UTC),
    "price": Decimal("-1.50"),
    "power": [0.5, math.inf],
    "counts": [[1, None], None, []],
    "place": {"x": 0.5, "label": None},
    "places": [{"x": 1, "on": date(2026, 3, 2)}],
    "by_name": {"a": 1.5},
    "by_number": {-1: "b"},
    "image": {"uri": "s3://lake/a.png", "media_type": "image/png", "bytes": 7},
}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    program = os.environ.get("NEUROLAKE_BIN")
    if not program:
        pytest.skip("NEUROLAKE_BIN names no program")
    folder = tmp_path_factory.mktemp("ingest")
    (folder / "catalog.json").write_text(json.dumps(test_ingest.CATALOG))
    # With stores of its own, the program makes up no data.
    (folder / "files" / "lake").mkdir(parents=True)
    (folder / "neurolake.toml").write_text(f'[stores.default]\nlocal = "{folder}/files"\n')
    (folder / "data").mkdir()
    command = [program, "--config", str(folder / "neurolake.toml"), "--catalog", str(folder / "catalog.json")]
    process, url = start(command, folder / "data")
    real = SimpleNamespace(command=command, data=folder / "data", process=process, url=url)
    try:
        urlopen(f"{url}/v1/ingest").close()
    except HTTPError:
        end(process)
        pytest.skip("the program has no door for events")
    yield real
    end(real.process)


def stored(real, where):
    """Rows by SQL, and what they should be."""
    catalog = neurolake.connect(real.url)
    # polars has had a type for maps since 2.0; tables are declared without it.
    return catalog.sql(f"select * from lab.everything where {where} order by id").cast(dict(catalog.lab.everything.schema))


def expected(real, rows):
    schema = neurolake.connect(real.url).lab.everything.schema
    pairs = [{**row, **{name: [{"key": key, "value": value} for key, value in row[name].items()] for name in ("by_name", "by_number") if row.get(name) is not None}} for row in rows]
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in pairs], schema=schema)


def test_every_type_comes_back(real):
    catalog = neurolake.connect(real.url)
    empty = {"id": 2}
    found = catalog.ingest("lab.everything", [ROW, empty])
    assert (found.accepted, found.duplicate) == (2, False)
    # At once, out of the queue.
    assert_frame_equal(stored(real, "id in (1, 2)"), expected(real, [ROW, empty]))
    frame = expected(real, [{**ROW, "id": 3}, {"id": 4}])
    found = catalog.ingest("lab.everything", frame, ack="committed")
    assert found.committed and found.version is not None
    assert_frame_equal(stored(real, "id in (3, 4)"), frame)
    # The same rows by both ways.
    assert_frame_equal(stored(real, "id = 3").drop("id"), stored(real, "id = 1").drop("id"))


def test_rows_are_taken_once(real):
    catalog = neurolake.connect(real.url)
    frame = pl.DataFrame({"id": range(1000, 3000)})
    one = catalog.ingest("lab.everything", frame, key="once")
    two = catalog.ingest("lab.everything", frame, key="once", ack="committed")
    assert (one.duplicate, two.duplicate, two.offset, two.committed) == (False, True, one.offset, True)
    with pytest.raises(neurolake.IngestError, match=r"\(409\)"):
        catalog.ingest("lab.everything", {"id": 1}, key="once")
    end(real.process)
    real.process, real.url = start(real.command, real.data)
    again = neurolake.connect(real.url).ingest("lab.everything", frame, key="once")
    assert again.duplicate
    assert stored(real, "id between 1000 and 2999")["id"].to_list() == list(range(1000, 3000))


def test_rows_that_dont_fit(real):
    catalog = neurolake.connect(real.url)
    rows = [{"id": 5000}, {"id": 5001, "power": [0.5, "x"]}, {"id": 5002, "flagg": True}, {"id": 5003}]
    with pytest.raises(neurolake.IngestError) as caught:
        catalog.ingest("lab.everything", rows)
    assert [(found.row, found.path) for found in caught.value.rows][0] == (1, "power[1]")
    assert "flag" in caught.value.rows[1].message
    assert stored(real, "id between 5000 and 5999").height == 0
    found = catalog.ingest("lab.everything", rows, invalid="skip")
    assert (found.accepted, found.rejected, [error.row for error in found.errors]) == (2, 2, [1, 2])
    assert stored(real, "id between 5000 and 5999")["id"].to_list() == [5000, 5003]
    frame = pl.DataFrame({"id": [6000, 6001], "i8": [1, 1000]})
    found = catalog.ingest("lab.everything", frame, invalid="quarantine", ack="committed")
    assert (found.accepted, found.rejected) == (1, 1)
    letters = catalog.sql("select * from lab.everything__dead_letters")
    assert letters["row"].to_list() == [1]
    assert "1000" in letters["payload"][0]
