"""A small lake with every type and every layout, written through the real write paths."""

import json
import math
import random
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import polars as pl

SEED = 20260301
ROWS = 3000

DECIMAL = {"decimal": {"precision": 10, "scale": 2}}


def of(item):
    return {"list": {"item": item, "nullable": True}}


# Everything that a Delta table can hold, then what only Parquet can.
DELTA_TYPES = {
    "id": "int64",
    "part": "int32",
    "day": "date",
    "flag": "bool",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "f32": "float32",
    "f64": "float64",
    "text": "string",
    "raw": "binary",
    "on": "date",
    "ts": "timestamp",
    "price": DECIMAL,
    "numbers": of("int64"),
    "words": of("string"),
    "image": "blob",
}
UNSIGNED = {"u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64"}
PARTITIONS = ("part", "day")
NAN, INF = math.nan, math.inf

TEXTS = ["", "a", "b", "it's", 'say "hi"', "50%", "under_score", "back\\slash", "new\nline", "--", "'; drop table x; --", "Zürich", "猫", "1 or 1=1", "null", "x" * 300]


def moment(rng):
    return datetime(2026, 3, 1, tzinfo=timezone.utc) + timedelta(microseconds=rng.choice([0, 1, 999_999, -1, rng.randrange(-(10**15), 10**14)]))


def value(rng, declared):
    """A value of the type, often one that is easily got wrong."""
    if declared == "bool":
        return rng.random() < 0.5
    if declared in ("int8", "int16", "int32", "int64"):
        bits = int(declared[3:])
        return rng.choice([0, 1, -1, 7, 112, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), rng.randrange(-100, 100)])
    if isinstance(declared, str) and declared.startswith("uint"):
        return rng.choice([0, 1, 7, 2 ** int(declared[4:]) - 1, rng.randrange(200)])
    if declared == "float32":
        # Of 32 bits, so that it is the same number everywhere.
        return rng.choice([0.0, -0.0, NAN, INF, -INF, 0.1, 0.5, 1e-40, 3.25, float(rng.randrange(-5, 5)), 0.3])
    if declared == "float64":
        return rng.choice([0.0, -0.0, NAN, INF, -INF, 0.1, 0.1 + 0.2, 1e300, 5e-324, -2.5, float(rng.randrange(-5, 5))])
    if declared == "string":
        return rng.choice(TEXTS)
    if declared == "binary":
        return rng.choice([b"", b"\x00", b"ab", b"'", bytes(range(256)), rng.randbytes(2)])
    if declared == "date":
        return date(2026, 3, 1) + timedelta(days=rng.choice([0, 1, -1, -20_600, rng.randrange(-400, 400)]))
    if declared == "timestamp":
        return moment(rng)
    if declared == DECIMAL:
        return Decimal(rng.choice(["0.00", "-0.01", "1.50", "99999999.99", "-99999999.99", f"{rng.randrange(-500, 500)}.25"]))
    if declared == of("int64"):
        return [rng.choice([1, 2, 3, -7]) for _ in range(rng.randrange(4))]
    if declared == of("string"):
        return [rng.choice(["a", "b", "it's", ""]) for _ in range(rng.randrange(3))]
    if declared == "blob":
        return {"uri": f"s3://blobs/pictures/{rng.randrange(3)}.png", "media_type": "image/png", "bytes": 11}
    raise ValueError(declared)


def frame(rows=ROWS, seed=SEED):
    from neurolake.data_types import polars_type

    rng = random.Random(seed)
    types = DELTA_TYPES | UNSIGNED
    columns = {}
    for name, declared in types.items():
        if name == "id":
            values = list(range(rows))
        elif name == "part":
            values = [rng.choice([3, 7, 70]) for _ in range(rows)]
        elif name == "day":
            values = [date(2026, 3, rng.choice([1, 2])) for _ in range(rows)]
        else:
            values = [None if rng.random() < 0.15 else value(rng, declared) for _ in range(rows)]
        columns[name] = pl.Series(name, values, dtype=polars_type(declared), strict=False)
    return pl.DataFrame(columns)


def columns(types):
    return [{"name": n, "type": t, "nullable": n not in PARTITIONS, "docs": f"Docs of `{n}`.", **({"unit": "uV"} if n == "f32" else {})} for n, t in types.items()]


def table(name, source, types, **more):
    return {"name": name, "docs": f"Table {name}.\n\nMore.", "source": source, "columns": columns(types), "rust_path": f"lab::{name}", "location": {"file": "src/lib.rs", "line": 1}, **more}


def partitions(names):
    types = DELTA_TYPES
    return [{"name": name, "type": types[name]} for name in names]


def write(folder: Path, s3_endpoint: str) -> pl.DataFrame:
    """Writes data, catalog, stores and the fake server's tables. Returns all rows of `everything`."""
    full = frame()
    files = folder / "files"
    (files / "lake" / "everything").mkdir(parents=True)
    stored = full.drop(list(UNSIGNED))
    half = stored.height // 2
    root = str(files / "lake" / "everything")
    stored.head(half).write_delta(root, delta_write_options={"partition_by": list(PARTITIONS)})
    stored.tail(stored.height - half).write_delta(root, mode="append")
    everything = full.select(stored.columns)
    for (part, day), group in full.group_by("part", "day"):
        for layout, path in (("hive", f"part={part}/day={day}"), ("directory", f"{part}/{day}")):
            target = files / "lake" / layout / path
            target.mkdir(parents=True)
            # The columns of a partition stand in the path only.
            group.drop("part", "day").write_parquet(target / "data.parquet")
    plain = files / "lake" / "plain"
    plain.mkdir()
    full.head(1000).write_parquet(plain / "a.parquet")
    full.slice(1000).write_parquet(plain / "b.parquet")
    old = files / "lake" / "old"
    pl.DataFrame({"id": [1], "was": ["x"]}).write_delta(str(old))
    blobs = files / "blobs" / "pictures"
    blobs.mkdir(parents=True)
    for at in range(3):
        (blobs / f"{at}.png").write_bytes(b"picture %d.." % at)

    catalog = {
        "format_version": 1,
        "name": "lab",
        "title": "Lab <b>lake</b>",
        "docs": "A lake for tests.",
        "endpoints": {"http": "http://127.0.0.1:9", "postgres": "127.0.0.1:9"},
        "databases": [
            {
                "name": "files",
                "docs": "Files.",
                "location": {"file": "src/lib.rs", "line": 1},
                "tables": [
                    table("directory", {"kind": "parquet", "uri": "s3://lake/directory", "partitioning": "directory"}, DELTA_TYPES | UNSIGNED, partition_by=partitions(PARTITIONS)),
                    table("everything", {"kind": "delta", "uri": "s3://lake/everything"}, DELTA_TYPES, partition_by=partitions(PARTITIONS), example=[["part", {"int": 7}], ["day", {"date": "2026-03-01"}]]),
                    table("hive", {"kind": "parquet", "uri": "s3://lake/hive", "partitioning": "hive"}, DELTA_TYPES | UNSIGNED, partition_by=partitions(PARTITIONS)),
                    table("old", {"kind": "delta", "uri": "s3://lake/old"}, {"id": "int64", "since_two": "string", "now": "string"}, deprecated={"since": "2025.7.1", "note": "Use [`files.everything`](table:files.everything).", "replacement": {"database": "files", "table": "everything"}}),
                    table("plain", {"kind": "parquet", "uri": "s3://lake/plain", "partitioning": "none"}, DELTA_TYPES | UNSIGNED),
                    table("secret", {"kind": "parquet", "uri": "s3://vault/plain", "partitioning": "none"}, DELTA_TYPES | UNSIGNED, store="vault"),
                ],
            },
            {
                "name": "lab",
                "docs": "Behind the server.",
                "location": {"file": "src/lib.rs", "line": 1},
                "tables": [
                    table("animals", {"kind": "postgres", "relation": "public.animals"}, DELTA_TYPES | UNSIGNED, store="hospital"),
                    table(
                        "summary",
                        {
                            "kind": "function",
                            "arguments": [
                                {"name": "since", "type": "date", "required": True},
                                {"name": "tasks", "type": of("string"), "required": False},
                                {"name": "below", "type": "float64", "required": False},
                                {"name": "part", "type": "int32", "required": False},
                            ],
                        },
                        {"part": "int32", "total": "int64"},
                        example=[["since", {"date": "2026-03-01"}], ["tasks", {"list": [{"string": "webgrid"}]}]],
                    ),
                    {**table("view", {"kind": "sql", "query": "select 1"}, {}), "columns": []},
                ],
            },
        ],
    }
    # The former name of a column in the files.
    for database in catalog["databases"]:
        for entry in database["tables"]:
            if entry["name"] == "old":
                entry["columns"][2]["renamed_from"] = "was"
    stores = {
        "stores": {
            "default": {"kind": "objects", "direct": True, "local": str(files)},
            "s3": {"kind": "objects", "direct": True, "options": {"endpoint": s3_endpoint, "region": "us-east-1", "skip_signature": True}},
            "hospital": {"kind": "postgres", "direct": False},
            "vault": {"kind": "objects", "direct": False},
        }
    }
    (folder / "catalog.json").write_text(json.dumps(catalog))
    (folder / "stores.json").write_text(json.dumps(stores))
    full.write_parquet(folder / "full.parquet")
    full.drop(list(UNSIGNED)).write_parquet(folder / "everything.parquet")
    full.drop(list(UNSIGNED)).head(half).write_parquet(folder / "everything0.parquet")
    summary = pl.DataFrame(
        {"part": [3, 7], "total": [10, 20], "since": [date(2026, 3, 1)] * 2, "tasks": ["webgrid"] * 2, "below": [0.5, 0.5]},
        schema_overrides={"part": pl.Int32},
    )
    summary.write_parquet(folder / "summary.parquet")
    tables = {
        "files": {"directory": "full.parquet", "everything": "everything.parquet", "everything@0": "everything0.parquet", "hive": "full.parquet", "plain": "full.parquet", "secret": "full.parquet"},
        "lab": {"animals": "full.parquet", "summary": "summary.parquet", "view": "full.parquet"},
    }
    (folder / "tables.json").write_text(json.dumps(tables))
    return everything
