"""SQL over HTTP: the server against ROAPI's wheel and against DataFusion inside of one process, over
the same Delta tables of TPC-H. Engines take turns in one run; what counts is the CPU that a query costs
the server's process, because machines are shared.

    cargo build --release -p catalog-gen && cargo engine-build --release
    pip install -r tests/tpch/requirements.txt roapi==0.12.7
    python tests/tpch/serving_bench.py --scale 1 target/release

Of each statement there are three costs: `new` (a text that was never seen: nothing that is kept helps),
`again` (the same text, but no answer is kept: tables may have changed) and `kept` (the answer is kept).
ROAPI keeps nothing between statements. Inside of one process, without a door: DataFusion over delta-rs'
provider, its snapshot loaded once, and the engine of neurolake.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from bench import HERE, TABLES, make, rust, text

QUERIES = {"select_1": 2000, "point": 200, "partition": 200, "limit": 200, "q01": 5, "q03": 5, "q06": 10}
TICK = os.sysconf("SC_CLK_TCK")
JSON = "application/json"


class Server:
    """A process that answers `POST /api/sql`."""

    def __init__(self, name, process, address):
        self.name = name
        self.process = process
        self.address = address
        self.connection = http.client.HTTPConnection(address, timeout=600)

    def ask(self, sql, accept=JSON):
        self.connection.request("POST", "/api/sql", sql.encode(), {"Accept": accept})
        response = self.connection.getresponse()
        body = response.read()
        assert response.status == 200, f"{self.name}: {response.status}: {body[:500]!r}"
        return body

    def cpu(self):
        """Seconds that the process has used so far, of all its threads."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self, name):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(name + ":"))
        return int(line.split()[1]) / 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(name, command, folder, port):
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "RUST_LOG": "warn"}
        )
    try:
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            assert process.poll() is None and time.monotonic() < end, f"{name} doesn't start, see its log"
            time.sleep(0.1)
        yield Server(name, process, f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(60)


def neurolake(folder, binaries, name, cache):
    port = free_port()
    settings = folder / f"{name}.toml"
    settings.write_text(
        f'[stores.default]\nlocal = "{folder}/buckets"\n[http]\nlisten = "127.0.0.1:{port}"\ncache = "{cache}"\n'
    )
    program = binaries / "neurolake"
    command = [program, "--config", settings, "--catalog", folder / "catalog.json", "serve"]
    return running(name, command, folder, port)


def roapi(folder):
    port = free_port()
    bucket = folder / "buckets/tpch"
    places = {table: bucket / "delta" / table for table in TABLES}
    places["lineitem_m"] = bucket / "partitioned/lineitem"
    tables = [
        {"name": name, "uri": f"{place}/", "option": {"format": "delta", "use_memory_table": False}}
        for name, place in places.items()
    ]
    # JSON is YAML, and it takes no other name.
    settings = folder / "roapi.yml"
    doors = {"http": port, "postgres": free_port(), "flight_sql": free_port()}
    addresses = {door: f"127.0.0.1:{port}" for door, port in doors.items()}
    settings.write_text(json.dumps({"addr": addresses, "tables": tables}))
    program = shutil.which("roapi")
    assert program, "pip install roapi==0.12.7"
    return running("roapi", [program, "-c", settings], folder, port)


class Texts:
    """The statements of one query: each new one asks for something else, or for the same in another text."""

    def __init__(self, name, is_roapi):
        self.name = name
        self.numbers = itertools.count(1)
        if name == "select_1":
            self.sql = "select 1 as one"
            return
        # Of each 32 keys the first is there, at any scale.
        self.sql = text(name, "delta", "partitioned").replace("3000001", "64001")
        if is_roapi:
            self.sql = self.sql.replace("partitioned.lineitem", "lineitem_m").replace("delta.", "")

    def new(self):
        number = next(self.numbers)
        if self.name == "point":
            return self.sql.replace("64001", str(1 + 32 * (number * 37 % 4000)))
        return f"{self.sql} -- {number}"


def measure(server, texts, times):
    cpu, start = server.cpu(), time.perf_counter()
    rows = None
    for sql in texts:
        rows = server.ask(sql)
    wall = time.perf_counter() - start
    return (server.cpu() - cpu) / times, wall / times, rows


def number(value):
    try:
        return round(float(value), 2)
    except (TypeError, ValueError):
        return str(value)[:10]


def values(body):
    """Rows as both servers give them, in some order, numbers to cents, days without a time."""
    found = json.loads(body)
    found = found["data"] if isinstance(found, dict) else found
    return sorted([sorted((name, str(number(value))) for name, value in row.items()) for row in found])


def measured(servers, turns, scale):
    """CPU and wall seconds of one statement by query, server and whether it is new."""
    cells = {}
    statements = {
        (name, server.name): Texts(name, server.name == "roapi") for name in QUERIES for server in servers
    }
    for turn in range(turns):
        for name, most in QUERIES.items():
            times = max(3, int(most if name[0] != "q" else most / max(scale, 0.3)))
            answers = {}
            for server in servers:
                texts = statements[name, server.name]
                for kind in ["new", "again"]:
                    if server.name == "kept":
                        kind = "kept"
                    if kind in ["again", "kept"]:
                        server.ask(texts.sql)
                        several = times if kind == "again" else 2000
                        asked = itertools.repeat(texts.sql, several)
                    else:
                        server.ask(texts.new())
                        several = times
                        asked = [texts.new() for _ in range(times)]
                    cpu, wall, rows = measure(server, asked, several)
                    cells.setdefault((name, server.name, kind), []).append((cpu, wall))
                    if kind != "new" and name != "limit":
                        answers[server.name, kind] = values(rows)
                    if server.name != "fresh":
                        break
            first = next(iter(answers.values()), None)
            for who, answer in answers.items():
                if who[0] == "roapi":
                    continue
                assert answer == first, f"{name}: {who} disagrees"
    return cells


def median(cells, *key):
    return tuple(statistics.median(pair[position] for pair in cells[key]) * 1e3 for position in (0, 1))


def large(server, table, accept):
    """A result of millions of rows: memory over that of an idle server, first byte, whole time."""
    before = server.memory("VmRSS")
    pathlib.Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    connection = http.client.HTTPConnection(server.address, timeout=600)
    start = time.perf_counter()
    connection.request("POST", "/api/sql", f"select * from {table}".encode(), {"Accept": accept})
    response = connection.getresponse()
    assert response.status == 200, response.read()[:500]
    response.read(1)
    first = time.perf_counter() - start
    size = 1
    while piece := response.read(1 << 20):
        size += len(piece)
    whole = time.perf_counter() - start
    connection.close()
    return server.memory("VmHWM") - before, first, whole, size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binaries", type=lambda path: pathlib.Path(path).resolve(), help="folder of the release build")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--turns", type=int, default=3, help="how often servers take turns")
    parser.add_argument("--data", type=lambda path: pathlib.Path(path).resolve(), help="keep the data here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.data or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        make(folder, arguments.scale, arguments.binaries)
        with contextlib.ExitStack() as stack:
            fresh = stack.enter_context(neurolake(folder, arguments.binaries, "fresh", "0"))
            kept = stack.enter_context(neurolake(folder, arguments.binaries, "kept", "128MiB"))
            peer = stack.enter_context(roapi(folder))
            cells = measured([fresh, kept, peer], arguments.turns, arguments.scale)
            # What takes microseconds can't be measured there.
            texts = {name: Texts(name, is_roapi=False).sql for name in QUERIES if name != "select_1"}
            inside = {
                engine: rust(arguments.binaries, engine, folder, 15, texts)
                for engine in ["delta-rs", "neurolake"]
            }
            print(f"scale factor {arguments.scale}: CPU ms (wall ms) of one statement, medians of {arguments.turns}")
            heads = ["ROAPI", "new", "again", "kept", "delta-rs", "neurolake"]
            print(f"{'':10}{'server':>19}{'server':>19}{'server':>19}{'server':>19}{'inside':>19}{'inside':>19}")
            print(f"{'query':10}" + "".join(f"{head:>19}" for head in heads) + "   ROAPI/new   /again    /kept  again/delta-rs")
            for name in QUERIES:
                found = {
                    "ROAPI": median(cells, name, "roapi", "new"),
                    "new": median(cells, name, "fresh", "new"),
                    "again": median(cells, name, "fresh", "again"),
                    "kept": median(cells, name, "kept", "kept"),
                }
                for engine, results in inside.items():
                    if name in results:
                        found[engine] = tuple(
                            statistics.median(results[name][what]) * 1e3 for what in ("cpu", "wall")
                        )
                columns = "".join(
                    f"{found[head][0]:9.2f} ({found[head][1]:7.2f})" if head in found else " " * 19 for head in heads
                )
                ratios = " ".join(f"{found['ROAPI'][0] / max(found[head][0], 1e-9):8.1f}x" for head in ["new", "again", "kept"])
                against = f"{found['again'][0] / found['delta-rs'][0]:10.2f}x" if "delta-rs" in found else ""
                print(f"{name:10}{columns}  {ratios} {against}")
            print("\nall rows of lineitem: MiB over idle, first byte in % of the whole time, seconds, MB")
            for accept in [JSON, "text/csv", "application/vnd.apache.arrow.stream"]:
                for server, table in [(fresh, "delta.lineitem"), (peer, "lineitem")]:
                    if server is peer and accept == "text/csv":
                        accept = "application/csv"
                    more, first, whole, size = large(server, table, accept)
                    print(
                        f"{server.name:6} {accept:36} {more:8.0f} MiB {100 * first / whole:6.2f} % {whole:7.1f} s {size / 1e6:7.0f} MB"
                    )


if __name__ == "__main__":
    main()
