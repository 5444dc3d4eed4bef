"""TPC-H at scale factor 0.1: all 22 queries give DuckDB's answers, cell by cell, over Delta and
over Parquet, through the command, over HTTP, in PostgreSQL's protocol and through the Python client."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.request
from decimal import Decimal

import deltalake
import duckdb
import polars as pl
import psycopg
import pytest

HERE = pathlib.Path(__file__).parent
QUERIES = {path.stem: path.read_text() for path in sorted((HERE / "queries").glob("*.sql"))}
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
PROGRAM = os.environ["NEUROLAKE_BIN"]
CATALOG_GEN = os.environ["CATALOG_GEN_BIN"]


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    """A folder with the data as Delta and as Parquet, `catalog.json` and `neurolake.toml`."""
    folder = tmp_path_factory.mktemp("tpch")
    generated = folder / "generated"
    subprocess.run(
        ["tpchgen-cli", "parquet", "-s", "0.1", "--parts", "4", f"--output-dir={generated}"],
        check=True,
        capture_output=True,
    )
    bucket = folder / "buckets" / "tpch"
    for table in TABLES:
        shutil.copytree(generated / table, bucket / "parquet" / table)
        # One commit per file, so that the log has a history.
        for file in sorted((generated / table).glob("*.parquet")):
            deltalake.write_deltalake(
                bucket / "delta" / table, pl.read_parquet(file).to_arrow(), mode="append"
            )
    subprocess.run(
        [CATALOG_GEN, "build", "--manifest-path", HERE / "lake/Cargo.toml", "--out", folder / "site"],
        check=True,
        capture_output=True,
    )
    shutil.copy(folder / "site/catalog.json", folder / "catalog.json")
    (folder / "neurolake.toml").write_text('[stores.default]\nlocal = "buckets"\n')
    return folder


@pytest.fixture(scope="session")
def expected(lake):
    """DuckDB's answers over the same Parquet files."""
    database = duckdb.connect()
    database.execute("create schema parquet")
    for table in TABLES:
        files = lake / "buckets/tpch/parquet" / table / "*.parquet"
        database.execute(f"create view parquet.{table} as from read_parquet('{files}')")
    return {
        name: database.execute(sql.replace("{database}", "parquet")).fetchall()
        for name, sql in QUERIES.items()
    }


@pytest.fixture(scope="session")
def endpoints(lake):
    """The whole platform as one process; gives the addresses of its doors."""
    data = lake / "data"
    process = subprocess.Popen(
        [PROGRAM, "--catalog", lake / "catalog.json", "up", "--data", data, "--http", "127.0.0.1:0", "--pg", "127.0.0.1:0"],
        cwd=lake,
    )
    endpoints = data / "endpoints.json"
    deadline = time.monotonic() + 60
    while not endpoints.exists():
        assert process.poll() is None, "`neurolake up` ended"
        assert time.monotonic() < deadline, "`neurolake up` wrote no endpoints.json"
        time.sleep(0.05)
    yield json.loads(endpoints.read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.fixture(scope="session")
def server(endpoints):
    return endpoints["http"]


def same(found, wanted):
    """Whether two cells are equal. Quotients and means have more digits in DuckDB."""
    if isinstance(wanted, (float, Decimal)) or isinstance(found, (float, Decimal)):
        found, wanted = float(found), float(wanted)
        return abs(found - wanted) <= 1e-6 * max(1.0, abs(wanted))
    return found == wanted


def compare(rows, wanted):
    assert len(rows) == len(wanted)
    for number, (row, wanted_row) in enumerate(zip(rows, wanted)):
        assert len(row) == len(wanted_row)
        for found, cell in zip(row, wanted_row):
            assert same(found, cell), f"row {number}: {row} instead of {wanted_row}"


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("database", ["delta", "parquet"])
def test_over_http(server, expected, name, database):
    request = urllib.request.Request(
        f"{server}/api/sql",
        data=QUERIES[name].replace("{database}", database).encode(),
        headers={"Accept": "application/vnd.apache.arrow.stream"},
    )
    with urllib.request.urlopen(request) as response:
        rows = pl.read_ipc_stream(response.read()).rows()
    compare(rows, expected[name])


# A statement alone is sent in the simple protocol; what is prepared or binary, in the extended one.
@pytest.mark.parametrize("way", [{}, {"prepare": True}, {"binary": True}], ids=["simple", "text", "binary"])
@pytest.mark.parametrize("name", QUERIES)
def test_over_postgresql(endpoints, expected, name, way):
    address, database = endpoints["postgres"]["address"], endpoints["postgres"]["database"]
    with psycopg.connect(f"postgresql://reader@{address}/{database}") as connection:
        answer = connection.execute(QUERIES[name].replace("{database}", "delta"), **way)
        compare(answer.fetchall(), expected[name])


@pytest.mark.parametrize("name", QUERIES)
def test_through_the_command(lake, expected, name, tmp_path):
    answer = tmp_path / "answer.arrow"
    subprocess.run(
        [
            PROGRAM, "--catalog", lake / "catalog.json", "query",
            QUERIES[name].replace("{database}", "delta"),
            "--format", "arrow", "--output", answer,
        ],
        cwd=lake,
        check=True,
    )
    compare(pl.read_ipc_stream(answer).rows(), expected[name])


@pytest.mark.parametrize("name", QUERIES)
def test_through_the_client(server, expected, name):
    import neurolake

    catalog = neurolake.connect(f"{server}/catalog.json")
    frame = catalog.sql(QUERIES[name].replace("{database}", "delta"))
    frame = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    compare(frame.rows(), expected[name])


@pytest.mark.parametrize("database", ["delta", "parquet"])
def test_whole_tables(server, lake, database):
    """Every cell of every table, not only what the queries touch."""
    import neurolake

    catalog = neurolake.connect(f"{server}/catalog.json")
    for table in TABLES:
        files = sorted((lake / "buckets/tpch/parquet" / table).glob("*.parquet"))
        wanted = pl.read_parquet(files)
        found = catalog.db(database).table(table).collect()
        keys = wanted.columns[:4]
        assert found.sort(keys).equals(wanted.sort(keys)), f"{database}.{table}"
