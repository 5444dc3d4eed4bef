"""Programs that the journeys start: on free ports, with an environment of their own, and ended with
everything they started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

DEADLINE_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def bare_environment(home: Path, **more: str) -> dict[str, str]:
    """What a fresh account has: a home and a path, no credentials, nothing of this shell's."""
    home.mkdir(parents=True, exist_ok=True)
    path = os.environ["PATH"]
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TZ": "UTC", **more}


@contextlib.contextmanager
def running(command: list[str], log: Path, environment: dict[str, str], is_ready: Callable[[], bool]) -> Iterator[None]:
    """Runs a program until the block ends; enters the block once the program is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=environment["HOME"],
            start_new_session=True,
        )
    try:
        until(is_ready, lambda: process.poll() is None, f"{command[0]} is not ready", log)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(is_done: Callable[[], bool], may_go_on: Callable[[], bool], complaint: str, log: Path) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not is_done():
        if not may_go_on() or time.monotonic() > end:
            raise AssertionError(f"{complaint}:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(address: str) -> bytes:
    """What stands at an address of this machine, past any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=30) as response:
        return response.read()
