#!/usr/bin/env python3
"""A server that keeps the contract of the HTTP doors, over DataFusion and Parquet files.

`fake_server.py up --http 127.0.0.1:0 --data DIR` serves `DIR/catalog.json` and the tables of
`DIR/tables.json` (database -> name -> Parquet file), writes `DIR/endpoints.json`, and tells at
`/log` which SQL it ran and how many bytes it answered.
"""

import argparse
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import SessionContext
from datafusion.catalog import Schema

BATCH_ROWS = 500


def load(data: Path) -> SessionContext:
    context = SessionContext()
    catalog = context.catalog("datafusion")
    for database, tables in json.loads((data / "tables.json").read_text()).items():
        catalog.register_schema(database, Schema.memory_schema())
        for name, file in tables.items():
            table = pq.read_table(data / file)
            frame = context.from_arrow(table)
            catalog.schema(database).register_table(name, frame.into_view())
    return context


class Counting:
    """Writes chunks of HTTP."""

    def __init__(self, stream):
        self.stream, self.count, self.closed = stream, 0, False

    def write(self, data):
        data = bytes(data)
        if data:
            self.count += len(data)
            self.stream.write(b"%x\r\n" % len(data) + data + b"\r\n")
        return len(data)

    def flush(self):
        self.stream.flush()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    context: SessionContext
    data: Path
    log: list = []
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/catalog.json":
            self.answer(200, (self.data / "catalog.json").read_bytes())
        elif self.path == "/api/stores":
            self.answer(200, (self.data / "stores.json").read_bytes())
        elif self.path == "/health":
            self.answer(200, b"{}")
        elif self.path == "/log":
            self.answer(200, json.dumps(self.log).encode())
        else:
            self.error(404, "not_found", "nothing is here")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        parameters = {}
        if self.headers.get_content_type() == "application/json":
            request = json.loads(body)
            body, parameters = request["sql"], request.get("parameters") or {}
            if isinstance(parameters, list):
                parameters = {str(at): value for at, value in enumerate(parameters, 1)}
        entry = {"sql": body, "bytes": 0}
        self.log.append(entry)
        try:
            with self.lock:
                frame = self.context.sql(body, param_values=parameters) if parameters else self.context.sql(body)
                table = frame.to_arrow_table()
        except Exception as error:  # noqa: BLE001
            return self.error(400, "bad_request", str(error).splitlines()[0], "look at the query")
        self.send_response(200)
        self.send_header("content-type", "application/vnd.apache.arrow.stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        out = Counting(self.wfile)
        sink = pa.PythonFile(out, mode="w")
        with pa.ipc.new_stream(sink, table.schema) as writer:
            for batch in table.to_batches(max_chunksize=BATCH_ROWS):
                writer.write_batch(batch)
        entry["bytes"] = out.count
        self.wfile.write(b"0\r\n\r\n")

    def error(self, status, code, message, hint=None):
        error = {"code": code, "message": message, "request_id": "r1"}
        if hint:
            error["hint"] = hint
        self.answer(status, json.dumps({"error": error}).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--http", default="127.0.0.1:0")
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    if not (arguments.data / "tables.json").exists():
        print(f"error: `{arguments.data}` holds no tables", file=sys.stderr)
        sys.exit(3)
    Handler.data = arguments.data
    Handler.context = load(arguments.data)
    host, _, port = arguments.http.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    endpoints = arguments.data / "endpoints.json"
    partial = endpoints.with_suffix(".part")
    partial.write_text(json.dumps({"http": f"http://127.0.0.1:{server.server_port}"}))
    partial.rename(endpoints)
    server.serve_forever()


if __name__ == "__main__":
    main()
