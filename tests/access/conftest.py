from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars
import pytest

# Behind this folder: both have tests of the same names.
sys.path.append(str(Path(__file__).parent.parent / "pg"))

import lakes
from lakes import Lake, basic


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with lakes.lake(tmp_path_factory.mktemp("lake")) as lake:
        yield lake


@pytest.fixture(scope="session")
def whole(lake: Lake) -> Callable[[str], polars.DataFrame]:
    """All of a table, as the owner reads it."""
    known: dict[str, polars.DataFrame] = {}

    def read(table: str) -> polars.DataFrame:
        if table not in known:
            known[table] = lake.frame("owner", f"select * from {table}")
        return known[table]

    return read


@pytest.fixture(scope="session", autouse=True)
def nothing_is_said(lake: Lake) -> Iterator[None]:
    """After all tests: no token stands in what the server wrote, whatever was asked of it, nor as it is sent with a name."""
    yield
    for path in lake.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found = [name for name, token in lake.tokens.items() if token.encode() in content or basic(name, token)[6:].encode() in content]
            assert not found, f"the token of {found} is in {path}"
