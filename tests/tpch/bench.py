"""TPC-H in process: neurolake against plain DataFusion over delta-rs' own provider and against
DuckDB on the same Parquet files. Engines take turns in one run; figures are medians, CPU first,
because machines are shared.

    cargo build --release -p neurolake-engine-tests -p catalog-gen
    pip install -r tests/tpch/requirements.txt
    python tests/tpch/bench.py --scale 1 --rounds 5 target/release
"""

import argparse
import json
import pathlib
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

import deltalake
import duckdb
import polars as pl

HERE = pathlib.Path(__file__).parent
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
QUERIES = ["point", "partition", "limit", "count", "q01", "q03", "q06"]


def text(name, database, partitioned):
    folder = "queries" if name.startswith("q") else "bench"
    sql = (HERE / folder / f"{name}.sql").read_text()
    return sql.replace("{database}", database).replace("{partitioned}", partitioned)


def make(folder, scale, binaries):
    """The data, once: it is the same for the same scale."""
    if (folder / "catalog.json").exists():
        return
    generated = folder / "generated"
    subprocess.run(
        ["tpchgen-cli", "parquet", "-s", str(scale), "--parts", "8", f"--output-dir={generated}"],
        check=True,
        capture_output=True,
    )
    bucket = folder / "buckets/tpch"
    for table in TABLES:
        shutil.copytree(generated / table, bucket / "parquet" / table)
        # The same files under a Delta log: the bytes that engines read are the same.
        shutil.copytree(generated / table, bucket / "delta" / table)
        convert = deltalake.convert_to_deltalake
        convert(bucket / "delta" / table)
    lineitem = pl.scan_parquet(generated / "lineitem/*.parquet").with_columns(
        l_shipmonth=pl.col("l_shipdate").dt.strftime("%Y-%m")
    )
    deltalake.write_deltalake(
        bucket / "partitioned/lineitem",
        lineitem.sort("l_shipdate").collect().to_arrow(),
        partition_by=["l_shipmonth"],
    )
    subprocess.run(
        [
            binaries / "catalog-gen", "build",
            "--manifest-path", HERE / "lake/Cargo.toml", "--out", folder / "site",
        ],
        check=True,
        capture_output=True,
    )
    shutil.copy(folder / "site/catalog.json", folder / "catalog.json")


def rust(binaries, engine, folder, rounds, texts):
    with tempfile.TemporaryDirectory() as queries:
        files = []
        for name, sql in texts.items():
            file = pathlib.Path(queries) / f"{name}.sql"
            file.write_text(sql)
            files.append(file)
        output = subprocess.run(
            [
                binaries / "engine_bench", engine, folder / "catalog.json",
                folder / "buckets", str(rounds), *files,
            ],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    return json.loads(output)


def duck(folder, rounds, names):
    database = duckdb.connect()
    database.execute("create schema parquet; create schema partitioned")
    for table in TABLES:
        files = folder / "buckets/tpch/parquet" / table / "*.parquet"
        database.execute(f"create view parquet.{table} as from read_parquet('{files}')")
    files = folder / "buckets/tpch/partitioned/lineitem/*/*.parquet"
    database.execute(
        "create view partitioned.lineitem as "
        f"from read_parquet('{files}', hive_partitioning = true, "
        "hive_types = {'l_shipmonth': varchar})"
    )
    results = {}
    for name in names:
        sql = text(name, "parquet", "partitioned")
        rows = len(database.execute(sql).fetchall())
        cpu, wall = [], []
        for _ in range(rounds):
            before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            database.execute(sql).fetch_arrow_table()
            wall.append(time.perf_counter() - start)
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        results[name] = {"rows": rows, "cpu": cpu, "wall": wall}
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binaries", type=pathlib.Path, help="folder of the release build")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=3, help="how often engines take turns")
    parser.add_argument("--data", type=pathlib.Path, help="keep the data here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.data or pathlib.Path(temporary)
        make(folder, arguments.scale, arguments.binaries)
        measured = {}
        for _ in range(arguments.turns):
            for engine in ["neurolake", "delta-rs", "duckdb"]:
                if engine == "duckdb":
                    results = duck(folder, arguments.rounds, QUERIES)
                else:
                    texts = {name: text(name, "delta", "partitioned") for name in QUERIES}
                    results = rust(arguments.binaries, engine, folder, arguments.rounds, texts)
                for name, result in results.items():
                    cell = measured.setdefault((engine, name), {"rows": set(), "cpu": [], "wall": []})
                    cell["rows"].add(result["rows"])
                    cell["cpu"] += result["cpu"]
                    cell["wall"] += result["wall"]
    print(f"scale factor {arguments.scale}, CPU ms (wall ms), medians of {arguments.turns} x {arguments.rounds}")
    print(f"{'query':10} {'neurolake':>18} {'delta-rs':>18} {'DuckDB Parquet':>18}  delta-rs/us  DuckDB/us")
    for name in QUERIES:
        cells = {engine: measured[engine, name] for engine in ["neurolake", "delta-rs", "duckdb"]}
        rows = {frozenset(cell["rows"]) for cell in cells.values()}
        assert len(rows) == 1, f"{name}: engines disagree about the number of rows: {cells}"
        cpu = {engine: statistics.median(cell["cpu"]) * 1e3 for engine, cell in cells.items()}
        wall = {engine: statistics.median(cell["wall"]) * 1e3 for engine, cell in cells.items()}
        columns = " ".join(f"{cpu[e]:9.1f} ({wall[e]:6.1f})" for e in cells)
        print(
            f"{name:10} {columns}  {cpu['delta-rs'] / cpu['neurolake']:10.2f}x"
            f" {cpu['duckdb'] / cpu['neurolake']:8.2f}x"
        )


if __name__ == "__main__":
    main()
