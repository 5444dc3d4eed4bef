"""A read-only S3 over a folder that counts what it hands out.

It runs in a process of its own: a client in Rust that holds Python's lock while it waits would wait
for ever for a thread of the same process.
"""

import json
import re
import subprocess
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

FOLDER = Path()
REQUESTS: list[tuple[str, str, int]] = []


class ObjectStore:
    """Serves `folder/bucket/key` as `s3://bucket/key`."""

    def __init__(self, folder: Path):
        self.process = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def _ask(self, path: str):
        with urllib.request.urlopen(self.url + path) as response:
            return json.load(response)

    def data(self) -> tuple[int, int]:
        """Bytes and number of data files handed out since the last `reset`."""
        files = [(path, size) for _, path, size in self._ask("/__log") if path.endswith(".parquet") and "_delta_log" not in path and size]
        return sum(size for _, size in files), len({path for path, _ in files})

    def reset(self):
        self._ask("/__reset")

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def path_is_ours(path):
    return path in ("/__log", "/__reset")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = urlsplit(self.path)
        if path_is_ours(parts.path):
            log = json.dumps(REQUESTS).encode()
            if parts.path == "/__reset":
                REQUESTS.clear()
            return self.write(200, log)
        path, query = unquote(parts.path).lstrip("/"), parse_qs(parts.query, keep_blank_values=True)
        if "list-type" in query:
            return self.listing(path.strip("/"), query)
        file = FOLDER / path
        if not file.is_file():
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>", path)
        data = file.read_bytes()
        headers = {"last-modified": "Sun, 01 Mar 2026 00:00:00 GMT", "etag": f'"{len(data)}"'}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("range", ""))
        if asked is None:
            return self.answer(200, data, path, headers)
        first, last = asked.groups()
        if first == "":
            start, end = max(0, len(data) - int(last)), len(data)
        else:
            start, end = int(first), min(len(data), int(last or len(data)) + 1)
        headers["content-range"] = f"bytes {start}-{end - 1}/{len(data)}"
        self.answer(206, data[start:end], path, headers)

    def listing(self, bucket, query):
        prefix = query.get("prefix", [""])[0]
        delimiter = query.get("delimiter", [""])[0]
        after = query.get("start-after", [""])[0]
        root = FOLDER / bucket
        keys = sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())
        folders, found = set(), []
        for key in keys:
            if not key.startswith(prefix) or key <= after:
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            size = (root / key).stat().st_size
            found.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>2026-03-01T00:00:00.000Z</LastModified>"
                f"<ETag>&quot;{size}&quot;</ETag><Size>{size}</Size></Contents>"
            )
        common = "".join(f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders))
        body = (
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{''.join(found)}{common}</ListBucketResult>"
        )
        self.answer(200, body.encode(), f"{bucket}?list={prefix}", {"content-type": "application/xml"})

    def answer(self, status, body, path, headers=None):
        REQUESTS.append((self.command, path, 0 if self.command == "HEAD" else len(body)))
        self.write(status, body, headers)

    def write(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)



if __name__ == "__main__":
    FOLDER = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
