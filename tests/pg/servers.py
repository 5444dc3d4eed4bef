"""The two servers that every client meets: a real PostgreSQL and the demo lake, with the same rows."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEADLINE_SECONDS = 120
# Copied to PostgreSQL; small, and of many types between them.
TABLES = ("neural.sessions", "neural.units", "imaging.slides", "lab.reagents", "manufacturing.electrode_tests", "training.decoders")


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    database: str
    user: str
    data: Path

    @property
    def address(self) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{self.database}"

    @property
    def is_lake(self) -> bool:
        return self.name == "neurolake"


def get(address: str, statement: str | None = None) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(address, data=statement and statement.encode()), timeout=60) as answer:
        return answer.read()


def psql(server: Server, *arguments: str, text: str | None = None) -> str:
    command = ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", server.address, *arguments]
    environment = {**os.environ, "PAGER": "cat", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def running(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[tuple[dict, int]]:
    """`up` over the folder's `data`, which it makes up first: its `endpoints.json` and its process. What it says is in `log`."""
    data = folder / "data"
    log = folder / "log"
    command = [os.environ["NEUROLAKE_BIN"], "up", "--data", data, "--http", "127.0.0.1:0", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment)
    try:
        endpoints = data / "endpoints.json"
        end = time.monotonic() + DEADLINE_SECONDS
        while not endpoints.exists():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield json.loads(endpoints.read_text()), process.pid
    finally:
        process.terminate()
        # Otherwise it was ended by something else.
        assert process.wait(20) == 0, log.read_text()


def pg_port(endpoints: dict) -> int:
    return int(endpoints["postgres"]["address"].rsplit(":", 1)[1])


@contextlib.contextmanager
def lake(folder: Path) -> Iterator[tuple[Server, dict]]:
    with running(folder, "--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0") as (found, _):
        yield Server("neurolake", pg_port(found), found["postgres"]["database"], "reader", folder / "data"), found


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    data = folder / "postgresql"
    data.mkdir()
    as_user: list[str] = []
    if os.getuid() == 0:
        # The server refuses to run as root.
        account = pwd.getpwnam("postgres")
        os.chown(data, account.pw_uid, account.pw_gid)
        for parent in data.parents:
            if parent == Path("/tmp") or parent == Path("/"):
                break
            parent.chmod(parent.stat().st_mode | 0o011)
        as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command: str | Path) -> None:
        subprocess.run([*as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    run(bin / "initdb", "-D", data, "-U", "reader", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")
    settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={data} -c fsync=off -c timezone=UTC"
    run(bin / "pg_ctl", "-D", data, "-w", "-l", data / "log", "-o", settings, "start")
    try:
        server = Server("postgresql", port, "postgres", "reader", data)
        psql(server, "-c", "create database neurolake_demo")
        yield Server("postgresql", port, "neurolake_demo", "reader", data)
    finally:
        run(bin / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(data, ignore_errors=True)


def copy_tables(lake: Server, real: Server) -> None:
    """Makes the tables that the lake describes, and fills them through the lake's own `copy`."""
    for table in TABLES:
        schema, name = table.split(".")
        columns = psql(
            lake,
            "-At",
            "-c",
            "select a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod) || "
            "case when a.attnotnull then ' not null' else '' end "
            "from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid "
            f"join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = '{schema}' and c.relname = '{name}' "
            "order by a.attnum",
        ).splitlines()
        psql(real, "-c", f"create schema if not exists {schema}; create table {table} ({', '.join(columns)})")
        rows = psql(lake, "-c", f"copy (select * from {table}) to stdout")
        psql(real, "-c", f"copy {table} from stdin", text=rows)
