"""A Superset of its own in a folder, and its REST API as its pages call it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import prison
import requests

import servers
from servers import Server

DEADLINE_SECONDS = 180
NAME = "admin"
APP = "superset.app:create_app()"
METADATA = "superset.db"


class Superset:
    def __init__(self, address: str, password: str) -> None:
        self.address = address
        self.password = password
        self.session = requests.Session()
        self.session.trust_env = False
        # Otherwise errors are pages.
        self.session.headers["Accept"] = "application/json"
        login = {"username": NAME, "password": password, "provider": "db", "refresh": True}
        self.session.headers["Authorization"] = f"Bearer {self.good('POST', '/security/login', login)['access_token']}"
        self.session.headers["X-CSRFToken"] = self.good("GET", "/security/csrf_token/")["result"]
        self.session.headers["Referer"] = address

    def again(self) -> Superset:
        return Superset(self.address, self.password)

    def ask(self, method: str, path: str, body: object = None, q: object = None, **more: object) -> requests.Response:
        query = {**more} if q is None else {"q": prison.dumps(q), **more}
        return self.session.request(method, f"{self.address}/api/v1{path}", json=body, params=query, timeout=DEADLINE_SECONDS)

    def good(self, method: str, path: str, body: object = None, q: object = None, **more: object) -> dict:
        answer = self.ask(method, path, body, q, **more)
        assert answer.ok, (path, answer.status_code, answer.text)
        return answer.json()

    def connect(self, server: Server, **more: object) -> Database:
        address = server.address.replace("postgresql:", "postgresql+psycopg2:")
        asked = {"database_name": f"{server.name}, written" if more else server.name, "sqlalchemy_uri": address}
        self.good("POST", "/database/test_connection/", asked)
        return Database(self, server, self.good("POST", "/database/", {**asked, "expose_in_sqllab": True, **more})["id"])


class Database:
    """A server as Superset knows it."""

    def __init__(self, superset: Superset, server: Server, id: int) -> None:
        self.superset = superset
        self.server = server
        self.id = id
        self.datasets: dict[str, int] = {}

    def get(self, path: str, q: object = None, **more: object) -> dict:
        return self.superset.good("GET", f"/database/{self.id}/{path}", q=q, **more)

    def execute(self, statement: str, client_id: str | None = None, **more: object) -> requests.Response:
        asked = {"database_id": self.id, "sql": statement, "client_id": client_id or secrets.token_hex(5), "runAsync": False, "expand_data": True}
        return self.superset.ask("POST", "/sqllab/execute/", {**asked, **more})

    def dataset(self, schema: str, table: str, sql: str | None = None) -> int:
        name = f"{schema}.{table}"
        if name not in self.datasets:
            asked = {"database": self.id, "schema": schema, "table_name": table, **({"sql": sql} if sql else {})}
            self.datasets[name] = self.superset.good("POST", "/dataset/", asked)["id"]
        return self.datasets[name]

    def chart(self, dataset: int, query: dict, form: dict | None = None, **more: object) -> requests.Response:
        source = {"id": dataset, "type": "table"}
        return self.superset.ask("POST", "/chart/data", {"datasource": source, "force": True, "queries": [query], "form_data": form or {}, **more})


@contextlib.contextmanager
def supersets(folder: Path, *names: str) -> Iterator[list[Superset]]:
    """One for each name, made once and copied: over SQLite, Superset holds no two tables of one name."""
    key, password = secrets.token_hex(32), secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        environment = configured(folder, key)
        log = folder / "log"
        with log.open("wb") as output:
            for command in (
                ["db", "upgrade"],
                ["fab", "create-admin", "--username", NAME, "--firstname", NAME, "--lastname", NAME, "--email", "admin@example.com", "--password", password],
                ["init"],
            ):
                done = subprocess.run(["superset", *command], stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment)
                assert done.returncode == 0, log.read_text()
        yield [Superset(stack.enter_context(served(folder, name, key)), password) for name in names]


def configured(folder: Path, key: str) -> dict[str, str]:
    settings = {"SECRET_KEY": key, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / METADATA}", "DATA_DIR": str(folder)}
    config = folder / "superset_config.py"
    config.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    return {**os.environ, "SUPERSET_CONFIG_PATH": str(config), "SUPERSET_HOME": str(folder), "FLASK_APP": APP}


@contextlib.contextmanager
def served(made: Path, name: str, key: str) -> Iterator[str]:
    folder = made / name
    folder.mkdir()
    shutil.copy(made / METADATA, folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Two workers, so that a query can be stopped while it runs; of one thread each, since Superset's time limit needs it.
    command = ["gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2", "--timeout", "300", "--graceful-timeout", "5", APP]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=configured(folder, key), start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        end = time.monotonic() + DEADLINE_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if servers.get(f"{address}/health") == b"OK":
                    break
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            # A worker may still be at it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
