"""The lake for tests behind the real program, which `NEUROLAKE_BIN` names: random filters."""

import os
from types import SimpleNamespace

import lake as lakes
import neurolake
import polars as pl
import pytest
import test_fuzz
from conftest import end, start


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    program = os.environ.get("NEUROLAKE_BIN")
    if not program:
        pytest.skip("NEUROLAKE_BIN names no program")
    folder = tmp_path_factory.mktemp("real")
    lakes.write(folder, "http://127.0.0.1:9")
    full = pl.read_parquet(folder / "full.parquet")
    (folder / "copies").mkdir()
    full.write_parquet(folder / "copies/lab.animals.parquet")
    files = f'local = "{folder}/files"'
    (folder / "neurolake.toml").write_text(
        f'[stores.default]\n{files}\n[stores.vault]\n{files}\n[stores.hospital]\ncopies = "{folder}/copies"\n'
    )
    options = ["--config", str(folder / "neurolake.toml"), "--catalog", str(folder / "catalog.json")]
    (folder / "data").mkdir()
    process, url = start([program, *options], folder / "data")
    yield SimpleNamespace(full=full, url=url)
    end(process)


@pytest.mark.parametrize("way", ["delta", "delta remote", "parquet", "hive", "directory", "postgres"])
def test_random_filters(real, way):
    test_fuzz.test_random_filters(real, neurolake.connect(real.url), neurolake.connect(real.url, direct=False), way)


@pytest.mark.parametrize("way", ["delta remote", "postgres"])
def test_random_expressions(real, way):
    test_fuzz.test_random_expressions(real, neurolake.connect(real.url), neurolake.connect(real.url, direct=False), way)


@pytest.mark.parametrize("table", ["everything", "plain", "hive", "directory"])
def test_nan_is_above_every_number(real, table):
    """Bounds of a file say nothing about its NaN."""
    rows = neurolake.connect(real.url, direct=False).files[table]
    nan = real.full["f64"].is_nan()
    for condition in ("f64 > cast('inf' as double)", "f64 > 1e305 and f64 <> cast('inf' as double)"):
        assert sorted(rows(filters=condition, columns=["id"]).collect()["id"]) == sorted(real.full.filter(nan)["id"])
    query = neurolake.connect(real.url, direct=False).sql
    greatest = query(f"select max(f64) as f64 from files.{table}")
    first = query(f"select f64 from files.{table} where f64 is not null order by f64 desc limit 1")
    assert greatest["f64"].is_nan().all() and first["f64"].is_nan().all()
