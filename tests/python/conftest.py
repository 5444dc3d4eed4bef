"""Fixtures."""

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import lake as lakes
import neurolake
import polars as pl
import pytest
from object_store import ObjectStore

HERE = Path(__file__).parent
assert "site-packages" in neurolake.__file__, "the installed wheel is tested, not the source"
assert importlib.util.find_spec("pyarrow") is None, "the client does without pyarrow"

for variable in ("NEUROLAKE_CATALOG", "NEUROLAKE_BINARY", "http_proxy", "HTTP_PROXY"):
    os.environ.pop(variable, None)
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def start(command, data, **variables):
    """Starts a server and gives its process and address."""
    endpoints = data / "endpoints.json"
    endpoints.unlink(missing_ok=True)
    process = subprocess.Popen([*command, "up", "--http", "127.0.0.1:0", "--data", str(data)], env={**os.environ, **variables})
    deadline = time.monotonic() + 300
    while not endpoints.exists():
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server didn't say where it listens"
        time.sleep(0.02)
    address = json.loads(endpoints.read_text())["http"]
    return process, address if "://" in address else f"http://{address}"


def end(process):
    """Ends a real server, which must have lived until now and ends in order."""
    assert process.poll() is None, f"the server ended by itself with status {process.returncode}"
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    """Files, catalog and a server of the lake for tests."""
    folder = tmp_path_factory.mktemp("lake")
    store = ObjectStore(folder / "files")
    everything = lakes.write(folder, store.url)
    process, url = start([os.environ.get("NEUROLAKE_TEST_SERVER_PYTHON", sys.executable), str(HERE / "fake_server.py")], folder, PYTHONPATH=os.environ["NEUROLAKE_TEST_SERVER"])

    def log():
        with urllib.request.urlopen(f"{url}/log") as response:
            return json.load(response)

    yield SimpleNamespace(folder=folder, url=url, log=log, everything=everything, full=pl.read_parquet(folder / "full.parquet"), store=store)
    process.terminate()
    process.wait(10)
    store.close()


@pytest.fixture
def catalog(lake):
    return neurolake.connect(lake.url)


@pytest.fixture
def remote(lake):
    """The same with all rows through the server."""
    return neurolake.connect(lake.url, direct=False)


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo lake, served by the real program that `NEUROLAKE_BIN` names."""
    program = os.environ.get("NEUROLAKE_BIN")
    if not program:
        pytest.skip("NEUROLAKE_BIN names no program")
    folder = tmp_path_factory.mktemp("demo")
    process, url = start([program], folder)
    yield SimpleNamespace(folder=folder, url=url)
    end(process)
