"""Random filters over every type give the same rows as a look at each row in Python, whichever way
the rows come."""

import math
import operator
import os
import random
from datetime import date, datetime, timezone
from decimal import Decimal

import lake as lakes
import polars as pl
import pytest

SEED = int(os.environ.get("NEUROLAKE_TEST_SEED", "1"))
COUNT = int(os.environ.get("NEUROLAKE_TEST_FILTERS", "60"))
TYPES = lakes.DELTA_TYPES | lakes.UNSIGNED
COMPARE = {"=": operator.eq, "==": operator.eq, "!=": operator.ne, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def single(x):
    """The 32-bit float nearest to a number, as the column holds it."""
    return pl.Series([x], dtype=pl.Float32)[0]


def order(x):
    """Floats in polars' order: NaN equals itself and is above everything."""
    return (1, 0.0) if isinstance(x, float) and math.isnan(x) else (0, x) if isinstance(x, float) else x


def equal(x, y):
    return order(x) == order(y)


def holds(found, op, value, declared):
    """Whether a row's value fulfils a condition, as SQL's three-valued logic has it."""
    if op == "is null":
        return found is None
    if op == "is not null":
        return found is not None
    if op == "in" and None in value and found is None:
        return True
    if op == "not in" and not value:
        # Nothing is excluded, and null isn't either.
        return True
    if found is None:
        return False
    if declared == "float32":
        value = [None if v is None else single(v) for v in value] if isinstance(value, list) else single(value)
    if op in COMPARE:
        if isinstance(found, list):
            return COMPARE[op](found, value)
        return COMPARE[op](order(found), order(value))
    return {
        "in": lambda: any(v is not None and equal(found, v) for v in value),
        "not in": lambda: not any(v is not None and equal(found, v) for v in value),
        "contains": lambda: value in found,
        "not contains": lambda: value not in found,
        "includes": lambda: value in found,
        "includes any": lambda: any(v in found for v in value),
        "includes all": lambda: all(v in found for v in value),
    }[op]()


def written(rng, value):
    """The value as a user may write it."""
    if isinstance(value, datetime):
        return rng.choice([value, value.replace(tzinfo=None), value.isoformat(), value.isoformat().replace("+00:00", "Z"), value.isoformat(" ").replace("+00:00", "")])
    if isinstance(value, date):
        return rng.choice([value, value.isoformat()])
    if isinstance(value, Decimal):
        return rng.choice([value, str(value)])
    return value


def condition(rng, types):
    name = rng.choice([name for name in types if name != "id"])
    declared = types[name]
    some = lambda: lakes.value(rng, declared)  # noqa: E731
    if name == "part":
        some = lambda: rng.choice([3, 7, 70, 8])  # noqa: E731
    if name == "day":
        some = lambda: date(2026, 3, rng.choice([1, 2, 3]))  # noqa: E731
    if isinstance(declared, dict) and "list" in declared:
        item = rng.choice([1, 2, 9] if declared["list"]["item"] == "int64" else ["a", "it's", "zz"])
        other = rng.choice([1, 3] if declared["list"]["item"] == "int64" else ["b", ""])
        op, value = rng.choice([("includes", item), ("includes any", [item, other]), ("includes all", [item, other]), ("=", some()), ("!=", some()), ("is null", None)])
        return name, op, value
    if declared == "blob":
        return name, rng.choice(["is null", "is not null"]), None
    if isinstance(declared, str) and "int" in declared and name != "part" and rng.random() < 0.2:
        some = lambda: rng.choice([-(2**63), -1, 300, 70_000, 2**40, 2**63, 2**64 - 1])  # noqa: E731
    ops = ["=", "==", "!=", "<>", "<", "<=", ">", ">=", "in", "not in", "is null", "is not null"]
    if declared == "string":
        ops += ["contains", "not contains"]
    if declared == "bool":
        ops = ["=", "!=", "in", "is null"]
    op = rng.choice(ops)
    if op in ("is null", "is not null"):
        return name, op, None
    if op in ("in", "not in"):
        values = [some() for _ in range(rng.randrange(4))]
        if op == "in" and rng.random() < 0.2:
            values.append(None)
        return name, op, values
    return name, op, some()


def spell(rng, name, op, value):
    """A condition as a tuple, with values in any spelling."""
    if op in ("is null", "is not null"):
        return (name, op)
    if isinstance(value, list) and op in ("in", "not in"):
        return (name, op, [written(rng, v) for v in value])
    return (name, op, written(rng, value))


def check(case, frame, expected):
    found = sorted(frame.select("id").collect().to_series().to_list())
    assert found == sorted(expected), f"{case}: {len(found)} rows instead of {len(expected)}"


@pytest.mark.parametrize("way", ["delta", "delta remote", "parquet", "hive", "directory", "postgres"])
def test_random_filters(lake, catalog, remote, way):
    where = {
        "delta": catalog.files.everything,
        "delta remote": remote.files.everything,
        "parquet": catalog.files.plain,
        "hive": catalog.files.hive,
        "directory": catalog.files.directory,
        "postgres": catalog.lab.animals,
    }[way]
    types = lakes.DELTA_TYPES if way.startswith("delta") else TYPES
    rows = lake.full.to_dicts()
    rng = random.Random(f"{SEED} {way}")
    some = 0
    for _ in range(COUNT):
        groups = [[condition(rng, types) for _ in range(rng.choice([1, 1, 2]))] for _ in range(rng.choice([1, 1, 1, 2]))]
        # Both partitions, so that folders are chosen by them.
        if rng.random() < 0.2 and len(groups) == 1:
            groups[0] += [("part", "=", 7), ("day", "=", date(2026, 3, 1))]
        expected = [row["id"] for row in rows if any(all(holds(row[n], op, v, TYPES[n]) for n, op, v in group) for group in groups)]
        spelled = [[spell(rng, *one) for one in group] for group in groups]
        check(f"seed {SEED}, {way}, {spelled}", where(filters=spelled if len(spelled) > 1 else spelled[0]), expected)
        some += 0 < len(expected) < len(rows)
    assert some > COUNT / 3, "most filters must choose"


@pytest.mark.parametrize("way", ["postgres", "delta remote"])
def test_random_expressions(lake, catalog, remote, way):
    """Conditions on the frame, which polars hands to the source."""
    where = {"delta remote": remote.files.everything, "postgres": catalog.lab.animals}[way]
    types = lakes.DELTA_TYPES if way.startswith("delta") else TYPES
    full = lake.full.lazy()
    rng = random.Random(f"{SEED} expressions {way}")
    for _ in range(COUNT):
        expression = pl.lit(True)
        for _ in range(rng.choice([1, 2, 3])):
            part = one_expression(rng, types)
            if rng.random() < 0.2:
                part = ~part
            expression = expression & part if rng.random() < 0.7 else expression & (part | one_expression(rng, types))
        expected = full.filter(expression).select("id").collect().to_series().to_list()
        for engine in ("in-memory", "streaming"):
            found = where().filter(expression).select("id").collect(engine=engine).to_series().to_list()
            assert sorted(found) == sorted(expected), f"seed {SEED}, {engine}: {expression}"


def one_expression(rng, types):
    name, op, value = condition(rng, types)
    column = pl.col(name)
    if op in COMPARE and not isinstance(value, list) and not (isinstance(value, int) and abs(value) > 2**31):
        return COMPARE[op](column, value)
    if op == "in" and not any(isinstance(v, float) or isinstance(v, int) and not 0 <= v < 100 for v in value):
        return column.is_in([v for v in value if v is not None] or [lakes.value(rng, types[name])])
    if op in ("contains", "not contains"):
        return column.str.contains(value, literal=True)
    if types[name] in ("float32", "float64"):
        return rng.choice([column.is_nan(), column.is_between(-1.0, 0.0), column.is_not_nan()])
    if types[name] == "string":
        return rng.choice([column.str.starts_with("it'"), column.str.to_uppercase() == "A"])
    return rng.choice([column.is_null(), column.is_not_null()])


def test_what_is_sent(lake, catalog):
    """The simple conditions do reach the server; their answers are small."""
    full = lake.full
    cases = [
        (pl.col("i32") > 100, '"i32" > 100'),
        (pl.col("text") == "it's", "\"text\" = 'it''s'"),
        (pl.col("on") >= date(2026, 3, 1), "\"on\" >= date '2026-03-01'"),
        (pl.col("ts") < datetime(2026, 3, 1, tzinfo=timezone.utc), "\"ts\" < arrow_cast("),
        (pl.col("price") > Decimal("1.50"), "\"price\" > cast('1.50' as decimal(3, 2))"),
        (pl.col("i16").is_in([1, 7]), '"i16" in (1, 7)'),
        (pl.col("flag") & pl.col("raw").is_null(), '"flag"'),
        (pl.col("text").str.contains("50%", literal=True), "strpos"),
        (~pl.col("f64").is_nan(), "not isnan"),
        (pl.col("f64").is_between(0.0, 3.0), '"f64" >='),
    ]
    for expression, sent in cases:
        # A condition that SQL can't say stays here, and the others still go.
        found = catalog.lab.animals().filter(expression, pl.col("text").str.len_chars() < 50).select("id").collect()
        expected = full.filter(expression, pl.col("text").str.len_chars() < 50).select("id")
        assert sorted(found["id"]) == sorted(expected["id"]), expression
        last = lake.log()[-1]["sql"]
        assert sent in last, (expression, last)
        assert "len" not in last
