"""The workspace's own program as a server for this Python process, for laptops without one.

Run as a module it is the guard between the two: it ends the program when Python is gone, however
that happened.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from neurolake.errors import ServerError

ENDPOINTS = "endpoints.json"
DATA = ".neurolake"
# Making the demo's data is the longest thing that a start does.
_START_SECONDS = 600.0

_running: dict[Path, tuple[subprocess.Popen[bytes], str]] = {}
_lock = threading.Lock()


def endpoints(start: Path) -> str | None:
    """Address in the nearest `.neurolake/endpoints.json`, from the folder upwards."""
    for folder in (start, *start.parents):
        file = folder / DATA / ENDPOINTS
        if file.is_file():
            return _address(file)
    return None


def _address(file: Path) -> str | None:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    address = found.get("http") if isinstance(found, dict) else None
    if not isinstance(address, str) or not address:
        return None
    return address if "://" in address else f"http://{address}"


def binary(start: Path, catalog: str | None = None) -> tuple[Path, Path] | None:
    """The program and its workspace.

    `NEUROLAKE_BINARY` names it. Otherwise it lies in `debug` or `release` of the target folder of
    the Cargo workspace around `start`: the newest of `neurolake-CATALOG` and `CATALOG` (any
    `neurolake-...` while the catalog isn't known), else `neurolake`.
    """
    named = os.environ.get("NEUROLAKE_BINARY")
    workspace = next((folder for folder in _workspaces(start)), None)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ServerError(f"NEUROLAKE_BINARY names `{named}`, which is no file")
        return path.resolve(), workspace or start
    if workspace is None:
        return None
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    suffix = ".exe" if os.name == "nt" else ""
    own = [f"neurolake-{catalog}", catalog] if catalog else ["neurolake-*"]
    # `neurolake` alone may be the program that declares no tables.
    for names in (own, ["neurolake"]):
        found = [
            path
            for profile in ("release", "debug")
            for name in names
            for path in (workspace / target / profile).glob(name + suffix)
            if path.suffix == suffix and path.is_file() and os.access(path, os.X_OK)
        ]
        if found:
            return max(found, key=lambda path: path.stat().st_mtime), workspace
    return None


def _workspaces(start: Path) -> Iterator[Path]:
    """Folders upwards that hold a Cargo workspace; a package alone is one, too."""
    packages = []
    for folder in (start, *start.parents):
        manifest = folder / "Cargo.toml"
        if manifest.is_file():
            packages.append(folder)
            try:
                if "[workspace" in manifest.read_text(errors="replace"):
                    yield folder
            except OSError:
                continue
    yield from packages


def start(program: Path, workspace: Path) -> str:
    """Starts the program, or finds the one that was started, and gives its address."""
    with _lock:
        if program in _running:
            process, address = _running[program]
            if process.poll() is None:
                return address
        data = workspace / DATA
        data.mkdir(parents=True, exist_ok=True)
        file = data / ENDPOINTS
        # What an earlier server left isn't removed: it may be another's, who is just starting.
        before = _state(file)
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(program), "up", "--http", "127.0.0.1:0", "--data", str(data)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=workspace,
                start_new_session=True,
            )
            atexit.register(_stop, process)
            address = _wait(process, file, before, program, log)
        _running[program] = (process, address)
        return address


def _state(file: Path) -> tuple[int, bytes] | None:
    """What tells a file from the one that it replaces."""
    try:
        return file.stat().st_mtime_ns, file.read_bytes()
    except OSError:
        return None


def _wait(
    process: subprocess.Popen[bytes],
    file: Path,
    before: tuple[int, bytes] | None,
    program: Path,
    log: IO[bytes],
) -> str:
    deadline = time.monotonic() + _START_SECONDS
    pause = 0.02
    while True:
        address = _address(file)
        if address and _state(file) != before:
            return address
        code = process.poll()
        if code is not None or time.monotonic() > deadline:
            _stop(process)
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()[-5:]
            why = f"ended with code {code}" if code is not None else "didn't say where it listens"
            raise ServerError("\n  ".join([f"`{program} up` {why}", *said]))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Closing its input tells the guard to end the program."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def _guard(command: list[str]) -> int:
    """Runs the program until it ends or our input does."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def watch(stream: Any) -> None:
        stream.read()
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=watch, args=(sys.stdin.buffer,), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # Leaves without waiting for the thread, which reads until the other side closes.
    status = _guard(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)
