"""Ingestion of a real server over HTTP, against the disk it stands on and the Python package
`deltalake` writing the same rows. Peers are measured in the same run; machines are shared, so that
only ratios count.

    cargo engine-build --release
    apt-get install wrk
    pip install deltalake polars
    python tests/ingest/bench.py target/release/neurolake
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

import polars as pl
from deltalake import DeltaTable, write_deltalake

CATALOG = {
    "format_version": 1,
    "name": "bench",
    "databases": [
        {
            "name": "lab",
            "location": {"file": "src/lab.rs", "line": 1},
            "tables": [
                {
                    "name": name,
                    "source": {"kind": "delta", "uri": f"s3://lake/{name}"},
                    "columns": [
                        {"name": "id", "type": "int64", "nullable": False},
                        {"name": "channel", "type": "int32", "nullable": False},
                        {"name": "value", "type": "float64", "nullable": False},
                        {"name": "note", "type": "string", "nullable": True},
                    ],
                    "ingest": name != "single",
                    "rust_path": f"lab::{name}",
                    "location": {"file": "src/lab.rs", "line": 3},
                }
                for name in ("acks", "fresh", "small", "large", "commits", "single")
            ],
        }
    ],
}
# Every request holds other rows; wrk measures without being slower than the server.
LUA = """
local first, rows, note = 0, %d, string.rep("x", %d)
function init() math.randomseed(os.time() + tonumber(tostring({}):sub(8), 16)); first = math.random(1, 1e6) * 1e9 end
function request()
  local body = {}
  for row = 1, rows do
    first = first + 1
    body[row] = string.format('{"id":%%d,"channel":%%d,"value":%%f,"note":"%%s"}', first, first %% 64, first / 7, note)
  end
  return wrk.format("POST", "/v1/ingest/lab/%s", {["content-type"] = "application/x-ndjson"}, table.concat(body, "\\n"))
end
function done(summary, latency)
  io.write(string.format('RESULT {"seconds":%%f,"requests":%%d,"errors":%%d,"p50":%%f,"p99":%%f}\\n',
    summary.duration / 1e6, summary.requests, summary.errors.status + summary.errors.connect + summary.errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def milliseconds(work, times):
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append((time.perf_counter() - begun) * 1e3)
    return found


class Server:
    """The program, and one connection to it."""

    def __init__(self, program, folder):
        (folder / "catalog.json").write_text(json.dumps(CATALOG))
        self.lake = folder / "data/buckets/lake"
        self.lake.mkdir(parents=True)
        # Commits and maintenance more often than by default: what is measured is what they cost.
        (folder / "neurolake.toml").write_text('[ingest]\nflush_age = "250ms"\n[maintenance]\ncompact_every = "10s"\n')
        command = [program, "--config", folder / "neurolake.toml", "--catalog", folder / "catalog.json", "--data", folder / "data"]
        self.command = command
        self.process = subprocess.Popen([*command, "up", "--http", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip().removeprefix("http://")
        self.connection = http.client.HTTPConnection(self.address)

    def ask(self, path, body, kind, connection=None):
        connection = connection or self.connection
        connection.request("POST", path, body, {"content-type": kind})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status in (200, 202), content
        return content

    def send(self, table, ids, options=""):
        rows = "\n".join(json.dumps({"id": i, "channel": i % 64, "value": i / 7}) for i in ids)
        return json.loads(self.ask(f"/v1/ingest/lab/{table}{options}", rows, "application/x-ndjson"))

    def sql(self, sql):
        return json.loads(self.ask("/api/sql", sql, "text/plain"))

    def load(self, table, rows, note, seconds, connections):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(LUA % (rows, note, table))
            script.flush()
            command = ["wrk", "-t", "2", "-c", str(connections), "-d", f"{seconds}s", "-s", script.name, f"http://{self.address}"]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(output.split("RESULT ")[1].splitlines()[0])
        assert not found["errors"], output
        return found

    def end(self):
        self.process.terminate()
        self.process.wait()


def floor(folder):
    """What the disk takes for 2 KB."""
    file = os.open(folder / "floor", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def append():
        os.write(file, b"x" * 2048)
        os.fsync(file)

    return milliseconds(append, 300)


def wheel(folder, rows, seconds):
    """Rows a second that `deltalake` commits, so many in each."""
    begun, commits = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        frame = pl.DataFrame({"id": range(rows), "channel": [1] * rows, "value": [0.5] * rows, "note": [None] * rows})
        write_deltalake(folder / f"wheel{rows}", frame.cast({"channel": pl.Int32, "note": pl.String}), mode="append")
        commits += 1
    return commits * rows / (time.perf_counter() - begun)


def visible(server):
    """From the acknowledgement to the end of a query that sees the row."""
    found = []
    for number in range(300):
        server.send("fresh", [number])
        begun = time.perf_counter()
        count = server.sql(f"select count(*) as n from lab.fresh where id = {number}")[0]["n"]
        found.append((time.perf_counter() - begun) * 1e3)
        assert count == 1
    return found


def committed(server):
    """From the acknowledgement until the commit is a file of the table's log."""
    log, found = server.lake / "fresh/_delta_log", []
    for number in range(60):
        offset = server.send("fresh", [1000 + number])["offset"]
        begun = time.perf_counter()
        while last_offset(log) < offset:
            time.sleep(0.002)
        found.append((time.perf_counter() - begun) * 1e3)
        time.sleep(0.013 * (number % 10))
    return found


def last_offset(log):
    """Of the newest commit that takes rows; compactions have none."""
    for name in sorted((n for n in os.listdir(log) if n.endswith(".json") and n[0].isdigit()), reverse=True):
        for line in (log / name).read_text().splitlines():
            action = json.loads(line)
            if action.get("txn", {}).get("appId", "").startswith("neurolake/ingest/"):
                return action["txn"]["version"]
    return 0


def commits(server, count):
    """One row, one commit, each waited for."""
    return milliseconds(lambda ids=iter(range(count)): server.send("commits", [next(ids)], "?ack=committed"), count)


def grouped(server):
    """A group-by over a table that takes events, against the same rows in one file."""
    sql = "select channel, count(*) as n, avg(value) as mean from lab.{} group by channel"
    rows = server.lake.parent.parent / "rows.parquet"
    subprocess.run([*server.command, "--quiet", "query", "select * from lab.large", "--output", rows], check=True)
    subprocess.run([*server.command, "--quiet", "write", "lab.single", rows], check=True)
    ends = threading.Event()

    def produce():
        connection, number = http.client.HTTPConnection(server.address), 0
        while not ends.is_set():
            number += 1
            body = "\n".join(json.dumps({"id": -number * 100 - i, "channel": i % 64, "value": 0.5}) for i in range(100))
            server.ask("/v1/ingest/lab/large", body, "application/x-ndjson", connection)
            time.sleep(0.05)

    producer = threading.Thread(target=produce)
    producer.start()
    ours, one = [], []
    for _ in range(40):
        ours += milliseconds(lambda: server.sql(sql.format("large")), 1)
        one += milliseconds(lambda: server.sql(sql.format("single")), 1)
    ends.set()
    producer.join()
    count = server.sql("select count(*) as n from lab.single")[0]["n"]
    return count, statistics.median(ours[5:]), statistics.median(one[5:])


def line(name, value, aim):
    print(f"{name:<58} {value:<44} aim {aim}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--commits", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--folder", type=pathlib.Path, help="on the disk that is meant")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(dir=arguments.folder))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = floor(folder)
        server = Server(arguments.program.resolve(), folder)
        stack.callback(server.end)
        acks = server.load("acks", 1, 950, arguments.seconds, 16)
        p50 = statistics.median(disk)
        line("append and fsync of 2 KB, p50", f"{p50:.2f} ms", "-")
        line("ack of 1 KB to 16 clients, p50", f"{acks['p50']:.2f} ms, {acks['p50'] / p50:.1f}x", "10x")
        line("ack of 1 KB to 16 clients, p99", f"{acks['p99']:.2f} ms, {acks['p99'] / p50:.1f}x", "100x")
        seen = visible(server)
        line("row seen by a query, from its ack, p50 / p99", f"{statistics.median(seen):.1f} / {quantile(seen, 0.99):.1f} ms", "100 ms")
        there = committed(server)
        line("row in the table's log, from its ack, p50 / p95", f"{statistics.median(there):.0f} / {quantile(there, 0.95):.0f} ms", "500 / 1000 ms")
        for rows, table, aim in ((10, "small", "50x"), (1000, "large", "1x")):
            peer = wheel(folder, rows, arguments.seconds)
            ours = server.load(table, rows, 4, arguments.seconds, 16)
            ours = ours["requests"] * rows / ours["seconds"]
            line(f"rows/s, {rows} in a request, ours / deltalake's", f"{ours:.0f} / {peer:.0f}, {ours / peer:.0f}x", aim)
        count, ours, one = grouped(server)
        line(f"group-by over {count} rows, ingested / one file", f"{ours:.1f} / {one:.1f} ms, {ours / one:.2f}x", "1.5x")
        took = commits(server, arguments.commits)
        early, late = statistics.median(took[:100]), statistics.median(took[-100:])
        line(f"commit at version {arguments.commits} against version 1", f"{late:.1f} / {early:.1f} ms, {late / early:.2f}x", "2x")
        time.sleep(25)
        files = len(DeltaTable(server.lake / "commits").file_uris())
        line(f"live files after {arguments.commits} commits", f"{files}", "200")


if __name__ == "__main__":
    main()
