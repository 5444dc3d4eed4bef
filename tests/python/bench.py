"""What one click costs: the first query of a Python process, and the ones after it, through
neurolake and through its peers on the same Delta table. The first has all imports in it.

    python tests/python/bench.py --wheel neurolake/python/dist/*.whl --work target/bench-python

Contenders run in turns, each in a process and an environment of its own, so that a peer that needs
an old polars has it. `files` is `pl.scan_parquet` on the very files of the partition: the floor.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ENVIRONMENTS = {
    "ours": ["polars==2.1.0", "deltalake==1.6.6", "duckdb==1.5.5", "duckdb-extension-delta==1.5.5"],
    "datarepo": ["data-repository==0.1.0"],
}
CONTENDERS = {
    "neurolake": "ours",
    "scan_delta": "ours",
    "scan_parquet": "ours",
    "duckdb": "ours",
    "datarepo": "datarepo",
}
QUERIES = ["partition", "head"]
PARTITION = {"implant_id": 7, "session_date": "2026-03-01"}


def make(folder):
    """2.4 million rows in 8 partitions, sorted by time in each."""
    import numpy as np
    import polars as pl

    table = folder / "table"
    if (folder / "catalog.json").exists():
        return
    random = np.random.default_rng(1)
    for implant in [7, 11]:
        for day in range(1, 5):
            rows = 300_000
            frame = pl.DataFrame(
                {
                    "ts": pl.Series(np.arange(rows) * 15_000).cast(pl.Datetime("us"))
                    .dt.offset_by("56y2mo").dt.replace_time_zone("UTC"),
                    "implant_id": pl.Series([implant] * rows, dtype=pl.Int32),
                    "session_date": [f"2026-03-0{day}"] * rows,
                    "channel": pl.Series(random.integers(0, 1024, rows), dtype=pl.Int16),
                    "power": random.normal(size=rows),
                    "noise": random.normal(size=rows).astype("float32"),
                }
            )
            frame.write_delta(
                table, mode="append", delta_write_options={"partition_by": list(PARTITION)}
            )
    columns = [
        ("ts", "timestamp"), ("implant_id", "int32"), ("session_date", "string"),
        ("channel", "int16"), ("power", "float64"), ("noise", "float32"),
    ]
    location = {"file": "src/lib.rs", "line": 1}
    catalog = {
        "format_version": 1,
        "name": "bench",
        "databases": [
            {
                "name": "neural",
                "location": location,
                "tables": [
                    {
                        "name": "power",
                        "source": {"kind": "delta", "uri": str(table.resolve())},
                        "columns": [
                            {"name": name, "type": type_, "nullable": True}
                            for name, type_ in columns
                        ],
                        "partition_by": [
                            {"name": "implant_id", "type": "int32"},
                            {"name": "session_date", "type": "string"},
                        ],
                        "rust_path": "bench::neural::Power",
                        "location": location,
                    }
                ],
            }
        ],
    }
    (folder / "catalog.json").write_text(json.dumps(catalog))


def contender(name, folder):
    """Gives a function per query; each returns the number of rows that it saw."""
    uri = str((folder / "table").resolve())
    if name == "neurolake":
        import neurolake

        database = neurolake.connect(str(folder / "catalog.json")).db("neural")
        return {
            "partition": lambda: database.table("power", **PARTITION).collect().height,
            "head": lambda: database.table("power").head(10).collect().height,
        }
    if name == "duckdb":
        import duckdb

        connection = duckdb.connect()
        import importlib.util

        package = pathlib.Path(next(iter(importlib.util.find_spec("duckdb_extension_delta").submodule_search_locations)))
        extension = next(package.rglob("*.duckdb_extension"))
        connection.execute(f"load '{extension}'")
        where = "implant_id = 7 and session_date = '2026-03-01'"
        return {
            "partition": lambda: connection.sql(
                f"select * from delta_scan('{uri}') where {where}"
            ).to_arrow_table().num_rows,
            "head": lambda: connection.sql(
                f"select * from delta_scan('{uri}') limit 10"
            ).to_arrow_table().num_rows,
        }
    if name == "datarepo":
        import warnings

        warnings.simplefilter("ignore")
        import pyarrow as pa
        from datarepo.core import DeltalakeTable, Filter

        schema = pa.schema(
            [
                ("ts", pa.timestamp("us", "UTC")), ("implant_id", pa.int32()),
                ("session_date", pa.string()), ("channel", pa.int16()),
                ("power", pa.float64()), ("noise", pa.float32()),
            ]
        )
        table = DeltalakeTable(name="power", uri=uri, schema=schema)
        filters = [Filter(column, "=", value) for column, value in PARTITION.items()]
        return {
            "partition": lambda: table(filters=filters).collect().height,
            "head": lambda: table().head(10).collect().height,
        }
    import polars as pl

    if name == "scan_delta":
        where = [pl.col(column) == value for column, value in PARTITION.items()]
        return {
            "partition": lambda: pl.scan_delta(uri).filter(*where).collect().height,
            "head": lambda: pl.scan_delta(uri).head(10).collect().height,
        }
    files = f"{uri}/implant_id=7/session_date=2026-03-01/*.parquet"
    return {
        "partition": lambda: pl.scan_parquet(files).collect().height,
        "head": lambda: pl.scan_parquet(files).head(10).collect().height,
    }


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def child(name, query, folder, rounds):
    before, start = cpu(), time.perf_counter()
    # The first time is with what it takes to import and open, whoever does that when.
    run = contender(name, folder)[query]
    rows, measured = run(), [(cpu() - before, time.perf_counter() - start)]
    for _ in range(rounds):
        before, start = cpu(), time.perf_counter()
        rows = run()
        measured.append((cpu() - before, time.perf_counter() - start))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "first": measured[0], "rest": measured[1:], "rss": peak}))


def environment(work, name, wheel):
    folder = work / f"venv-{name}"
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        packages = ENVIRONMENTS[name] + ["numpy", "pyarrow"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    if name == "ours":
        command = [python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", wheel]
        subprocess.run(command, check=True)
    return python


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("target/bench-python"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.make:
        return make(arguments.work)
    if arguments.child:
        return child(*arguments.child, arguments.work, arguments.rounds)
    pythons = {name: environment(arguments.work, name, arguments.wheel) for name in ENVIRONMENTS}
    script = [pathlib.Path(__file__), "--work", arguments.work, "--rounds", str(arguments.rounds)]
    subprocess.run([pythons["ours"], *script, "--make"], check=True)
    results = {}
    for _ in range(arguments.turns):
        for query in QUERIES:
            for name, where in CONTENDERS.items():
                output = subprocess.run(
                    [pythons[where], *script, "--child", name, query],
                    check=True,
                    stdout=subprocess.PIPE,
                ).stdout
                results.setdefault((query, name), []).append(json.loads(output))
    for query in QUERIES:
        print(f"\n{query}: medians; ratios of CPU against scan_parquet on the partition's files")
        print(f"{'':13} {'first CPU':>10} {'wall':>9} {'warm CPU':>10} {'wall':>9} {'ratio':>7} {'peak RSS':>9}")
        floor = None
        for name in ["scan_parquet", *[name for name in CONTENDERS if name != "scan_parquet"]]:
            runs = results[query, name]
            first = [statistics.median(run["first"][i] for run in runs) * 1e3 for i in range(2)]
            rest = [
                statistics.median(round_[i] for run in runs for round_ in run["rest"]) * 1e3
                for i in range(2)
            ]
            floor = floor or rest[0]
            rss = statistics.median(run["rss"] for run in runs)
            print(
                f"{name:13} {first[0]:7.1f} ms {first[1]:6.1f} ms {rest[0]:7.1f} ms {rest[1]:6.1f} ms"
                f" {rest[0] / floor:6.2f}x {rss:6.0f} MB"
            )
        rows = {run["rows"] for name in CONTENDERS for run in results[query, name]}
        assert len(rows) == 1, f"contenders disagree about the number of rows: {rows}"


if __name__ == "__main__":
    main()
