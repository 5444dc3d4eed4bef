"""The workspace's own program as the server of a Python process."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import neurolake
import pytest

HERE = Path(__file__).parent


@pytest.fixture
def workspace(lake, tmp_path, monkeypatch):
    """A Cargo workspace whose built program is the fake server, with data at its usual place."""
    root = tmp_path / "workspace"
    program = root / "target/debug/neurolake"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\n{(HERE / 'fake_server.py').read_text()}")
    program.chmod(0o755)
    (root / "Cargo.toml").write_text("[workspace]\n")
    data = root / ".neurolake"
    data.mkdir()
    for file in [*lake.folder.glob("*.json"), *lake.folder.glob("*.parquet")]:
        if file.name != "endpoints.json":
            shutil.copy(file, data)
    shutil.copy(lake.folder / "catalog.json", root)
    (root / "src").mkdir()
    monkeypatch.setenv("PYTHONPATH", os.environ["NEUROLAKE_TEST_SERVER"])
    monkeypatch.delenv("CARGO_TARGET_DIR", raising=False)
    return root


# The process of the fake server needs pyarrow, so the child's path holds it; a process of its own
# for the client keeps the two apart.
ASK = """
import neurolake, os, sys
catalog = neurolake.connect({where!r})
print(catalog.lab.summary(since="2026-03-01").collect().height)
print(catalog._server_for(None).url, flush=True)
{more}
"""


def ask(workspace, more="", where="catalog.json", **variables):
    code = ASK.format(where=where and str(workspace / where), more=more)
    return subprocess.Popen([sys.executable, "-c", code], cwd=workspace / "src", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables})


def is_gone(url):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            neurolake.server.Server(url).get("/health")
        except neurolake.ServerError:
            return True
        time.sleep(0.05)
    return False


def test_it_is_started_and_ends_with_python(workspace):
    out, err = ask(workspace).communicate(timeout=60)
    rows, url = out.split()
    assert rows == "2", err
    assert is_gone(url)


def test_it_ends_when_python_is_killed(workspace):
    process = ask(workspace, "sys.stdin.read()")
    assert process.stdout.readline() == "2\n"
    url = process.stdout.readline().strip()
    neurolake.server.Server(url).get("/health")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert is_gone(url)


def test_the_default_catalog_comes_from_it(workspace):
    if neurolake_answers():
        pytest.skip("something listens at the usual address")
    out, err = ask(workspace, where=None).communicate(timeout=60)
    assert out.split()[0] == "2", err


def neurolake_answers():
    try:
        neurolake.server.Server("http://127.0.0.1:8080").get("/health")
    except neurolake.ServerError as error:
        return error.code != "unreachable"
    return True


def test_a_program_can_be_named(workspace, tmp_path):
    program = tmp_path / "elsewhere"
    shutil.move(workspace / "target/debug/neurolake", program)
    out, err = ask(workspace, NEUROLAKE_BINARY=str(program)).communicate(timeout=60)
    assert out.split()[0] == "2", err
    _, err = ask(workspace, NEUROLAKE_BINARY="/nowhere/x").communicate(timeout=60)
    assert "NEUROLAKE_BINARY names `/nowhere/x`, which is no file" in err


def test_what_it_says_when_it_fails_is_shown(workspace):
    (workspace / ".neurolake/tables.json").unlink()
    _, err = ask(workspace).communicate(timeout=60)
    assert "ended with code 3" in err and "holds no tables" in err


def test_the_newest_program_is_taken(workspace):
    from neurolake.child import binary

    debug = workspace / "target/debug/neurolake"
    assert binary(workspace / "src") == (debug, workspace)
    release = workspace / "target/release/neurolake-lab"
    release.parent.mkdir()
    shutil.copy(debug, release)
    os.utime(release, (time.time() + 10, time.time() + 10))
    assert binary(workspace / "src") == (release, workspace)
    assert binary(workspace / "src", "lab") == (release, workspace)
    assert binary(workspace / "src", "other") == (debug, workspace)
    assert binary(workspace.parent) is None
