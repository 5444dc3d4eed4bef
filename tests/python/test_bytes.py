"""Bytes that a query costs, counted by the object store. Bounds are shares of the whole table."""

import json
import random
from datetime import date

import neurolake
import polars as pl
import pytest
from lake import table
from object_store import ObjectStore

ROWS = 400_000
TYPES = {"implant_id": "int32", "day": "date", "ts": "int64", "power": "float64", "other": "float64", "label": "string"}
OPTIONS = {"aws_region": "us-east-1", "aws_skip_signature": "true", "aws_allow_http": "true"}


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """Eight partitions of sorted rows, as Delta and as hive Parquet, behind a counting store."""
    folder = tmp_path_factory.mktemp("big")
    rng = random.Random(5)
    files = []
    for at in range(8):
        start = at * ROWS // 8
        rows = ROWS // 8
        files.append(
            pl.DataFrame(
                {
                    "implant_id": pl.Series([at % 4] * rows, dtype=pl.Int32),
                    "day": [date(2026, 3, 1 + at // 4)] * rows,
                    "ts": range(start, start + rows),
                    "power": [rng.random() for _ in range(rows)],
                    "other": [rng.random() for _ in range(rows)],
                    "label": [f"{rng.random()}" for _ in range(rows)],
                }
            )
        )
    for frame in files:
        part, day = frame["implant_id"][0], frame["day"][0]
        target = folder / "lake/hive" / f"implant_id={part}" / f"day={day}"
        target.mkdir(parents=True)
        frame.drop("implant_id", "day").write_parquet(target / "a.parquet", row_group_size=2500)
        frame.write_delta(
            str(folder / "lake/delta"),
            mode="append",
            delta_write_options={"partition_by": ["implant_id", "day"]},
        )
    store = ObjectStore(folder)
    partitions = [{"name": n, "type": TYPES[n]} for n in ("implant_id", "day")]
    catalog = {
        "format_version": 1,
        "name": "big",
        "databases": [
            {
                "name": "neural",
                "tables": [
                    table("delta", {"kind": "delta", "uri": "s3://lake/delta"}, TYPES, partition_by=partitions),
                    table("hive", {"kind": "parquet", "uri": "s3://lake/hive", "partitioning": "hive"}, TYPES, partition_by=partitions),
                ],
            }
        ],
    }
    (folder / "catalog.json").write_text(json.dumps(catalog))
    options = {"aws_endpoint_url": store.url, **OPTIONS}
    yield neurolake.connect(folder / "catalog.json", storage_options=options).neural, store, pl.concat(files)
    store.close()


def cost(store, rows):
    store.reset()
    found = rows.collect()
    return found, *store.data()


@pytest.mark.parametrize("name", ["delta", "hive"])
def test_bytes(big, name):
    neural, store, full = big
    whole, size, files = cost(store, neural[name]())
    assert whole.height == ROWS and files == 8
    # polars fetches the end of each file, whatever is asked; a log knows which files have nothing.
    narrow = 0.15 if name == "delta" else 0.2
    cases = [
        # What is asked, what it must give, most of the bytes, most of the files.
        ("partition", neural[name](implant_id=2, day="2026-03-01"), full.filter(implant_id=2, day=date(2026, 3, 1)), 0.15, 1),
        ("partition later", neural[name]().filter(pl.col("implant_id") == 2, pl.col("day") == date(2026, 3, 1)), full.filter(implant_id=2, day=date(2026, 3, 1)), 0.15, 1),
        ("some partitions", neural[name](implant_id=[1, 2], day="2026-03-01"), full.filter(pl.col("implant_id").is_in([1, 2]), day=date(2026, 3, 1)), 0.28, 2),
        ("column", neural[name](columns=["ts"]), full.select("ts"), 0.3, 8),
        ("sorted column", neural[name](filters=[("ts", ">=", 100), ("ts", "<", 200)]), full.slice(100, 100), narrow, 8),
        ("all three", neural[name](implant_id=0, day="2026-03-01", filters=[("ts", "<", 200)], columns=["power"]), full.head(200).select("power"), 0.07, 1),
        ("limit", neural[name]().head(10), None, 0.2, 8),
        ("count", neural[name]().select(pl.len()), pl.DataFrame({"len": pl.Series([ROWS], dtype=pl.UInt32)}), 0.2, 8),
        ("no such partition", neural[name](implant_id=99, day="2026-03-01"), full.clear(), 0.01, 0),
    ]
    beyond = []
    for what, rows, expected, most, most_files in cases:
        found, fetched, touched = cost(store, rows)
        print(f"{name}, {what}: {fetched / size:.3f} of {size:,} bytes, {touched} files")
        if expected is None:
            assert found.height == 10
        else:
            assert found.select(sorted(found.columns)).sort(pl.all()).equals(expected.select(sorted(expected.columns)).sort(pl.all())), what
        if fetched > most * size or touched > most_files:
            beyond.append(f"{name}, {what}: {fetched / size:.3f} of the bytes, {touched} files")
    assert not beyond


def test_an_answer_of_the_server_is_as_small_as_the_question(lake, remote):
    """Through the server the same filters shrink what goes over the wire."""

    def sent(rows):
        rows.collect()
        return lake.log()[-1]["bytes"]

    whole = sent(remote.files.plain())
    assert sent(remote.files.plain(part=7, day="2026-03-01")) < 0.25 * whole
    assert sent(remote.files.plain().filter(pl.col("id") < 30)) < 0.03 * whole
    assert sent(remote.files.plain(columns=["i32"])) < 0.06 * whole
    assert sent(remote.files.plain().head(5)) < 0.02 * whole
    assert sent(remote.files.plain().select(pl.len())) < 0.03 * whole
