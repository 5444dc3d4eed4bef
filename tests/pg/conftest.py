from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from servers import Server


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    folder: Path = tmp_path_factory.mktemp("servers")
    with servers.lake(folder) as (lake, _), servers.postgresql(folder) as real:
        servers.copy_tables(lake, real)
        yield {"postgresql": real, "neurolake": lake}


# The real server first: an expectation that it doesn't meet is a wrong one.
@pytest.fixture(params=["postgresql", "neurolake"])
def server(request: pytest.FixtureRequest, both: dict[str, Server]) -> Server:
    return both[request.param]


@pytest.fixture
def lake(both: dict[str, Server]) -> Server:
    return both["neurolake"]


@pytest.fixture
def real(both: dict[str, Server]) -> Server:
    return both["postgresql"]
