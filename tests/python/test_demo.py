"""The demo lake behind the real program: every table, both ways, and filters on what it holds.

Needs `NEUROLAKE_BIN`, the demo's program.
"""

import random
from pathlib import Path

import neurolake
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from test_fuzz import SEED


@pytest.fixture(scope="module")
def catalog(demo):
    return neurolake.connect(demo.url)


@pytest.fixture(scope="module")
def remote(demo):
    return neurolake.connect(demo.url, direct=False)


def tables(catalog):
    return [catalog[database][table] for database in catalog.databases for table in catalog[database].tables]


def given(table):
    """The example as a snippet writes it."""
    return {name: value for name, value in table.example.items() if not (table.kind == "function" and value is None)}


@pytest.mark.filterwarnings("ignore::neurolake.DeprecatedTableWarning")
def test_every_example_gives_rows(catalog):
    wrong = []
    for table in tables(catalog):
        try:
            rows = table(**given(table)).head(10).collect()
            if rows.schema != table.schema:
                wrong.append(f"{table.full_name}: {rows.schema} instead of {table.schema}")
            if rows.height == 0:
                wrong.append(f"{table.full_name}: no rows")
        except Exception as error:
            wrong.append(f"{table.full_name}: {str(error)[:300]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.filterwarnings("ignore::neurolake.DeprecatedTableWarning")
def test_files_are_the_same_directly_and_through_the_server(catalog, remote):
    wrong = []
    for table in tables(catalog):
        if table.kind not in ("delta", "parquet"):
            continue
        try:
            direct = table(**given(table)).collect()
            served = remote[table.database][table.name](**given(table)).collect()
            assert_frame_equal(direct, served, check_row_order=False)
        except Exception as error:
            wrong.append(f"{table.full_name}: {str(error)[:300]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.filterwarnings("ignore::neurolake.DeprecatedTableWarning")
def test_random_filters(catalog, remote):
    """Values that occur, in every table of moderate size: the server finds what polars finds."""
    rng = random.Random(f"{SEED} demo")
    wrong = []
    for table in tables(catalog):
        sample = table(**given(table)).head(2000).collect()
        names = [name for name, dtype in sample.schema.items() if not dtype.is_nested() and sample[name].null_count() < sample.height]
        if table.kind == "function" or not names:
            continue
        for _ in range(3):
            name = rng.choice(names)
            value = sample[name].drop_nulls().sample(1, seed=rng.randrange(1000)).item()
            op = rng.choice(["=", "!=", "<=", ">"] if sample.schema[name] != pl.Boolean else ["=", "!="])
            # Equality takes a list as a keyword does: any of the values, or the value of a list column.
            asked = [*((n, "=", v) for n, v in given(table).items() if v is not None), (name, op, value)]
            try:
                found = remote[table.database][table.name](filters=asked).collect()
                kept = catalog[table.database][table.name](**{n: v for n, v in given(table).items() if v is not None})
                column = pl.col(name)
                expected = kept.filter({"=": column.__eq__, "!=": column.__ne__, "<=": column.__le__, ">": column.__gt__}[op](value)).collect()
                assert_frame_equal(found, expected, check_row_order=False)
            except Exception as error:
                wrong.append(f"{table.full_name} {asked}: {str(error)[:300]}")
    assert not wrong, "\n".join(wrong)


def test_sql(catalog):
    found = catalog.sql("select count(*) as n from neural.sessions where implant_id = $1", [7])
    assert found.item() == catalog.neural.sessions(implant_id=7).select(pl.len()).collect().item()
    with pytest.raises(neurolake.ServerError, match="refused"):
        catalog.sql("drop table neural.sessions")
    with pytest.raises(neurolake.ServerError, match="refused"):
        catalog.sql("select * from neural.session")


def test_what_is_sent_means_the_same_there(remote):
    """Literals of every type are understood by the real server."""
    rows = remote.neural.spikes(implant_id=7, session_date="2026-03-01", filters=[("ts", ">", "1970-01-01"), ("amplitude", "!=", 0.0), ("amplitude", "!=", float("nan")), ("width", "not in", [0.1, float("inf")])])
    assert rows.head(1).collect().height == 1
    assert remote.imaging.slides(bregma="-1.50").head(1).collect().height == 1
    assert remote.training.decoders(implant_id=7, filters=[("training_sessions", "includes", 5121)]).collect().height > 0
    assert remote.neural.sessions(filters=[("subject", "contains", "it's; --")]).collect().height == 0


def test_the_readme(demo, monkeypatch):
    """Every block of the package's README runs."""
    monkeypatch.setenv("NEUROLAKE_CATALOG", demo.url)
    text = (Path(__file__).parents[2] / "neurolake/python/README.md").read_text()
    names = {}
    for block in text.split("```python\n")[1:]:
        code = block.split("```")[0]
        exec(compile(code, "README.md", "exec"), names)
    assert names["frame"].height == 1
