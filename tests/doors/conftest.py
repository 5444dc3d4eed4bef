from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "pg"))

import engines
import servers

# Where the files of the tables lie that DuckDB reads.
FOLDERS = {
    "neural.sessions": "lake/neural/sessions",
    "neural.units": "lake/neural/units",
    "imaging.slides": "imaging-archive/tables/slides",
    "training.decoders": "lake/training/decoders",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", action="store_true", help="write what PostgreSQL and DuckDB answer into the files")


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Callable[[str], engines.Rows]]]:
    """Every engine and every door, by name."""
    folder = tmp_path_factory.mktemp("servers")
    with servers.lake(folder) as (lake, found), servers.postgresql(folder) as real:
        servers.copy_tables(lake, real)
        yield {
            "postgresql": engines.postgresql(real.address),
            "duckdb": engines.duck(lake.data, FOLDERS),
            "command": engines.command(lake.data, "json", engines.read_json),
            "json": engines.http(found["sql"], "json", engines.read_json),
            "ndjson": engines.http(found["sql"], "ndjson", engines.read_ndjson),
            "csv": engines.http(found["sql"], "csv", engines.read_csv),
            "arrow": engines.http(found["sql"], "arrow", engines.read_arrow),
            "flight": engines.flight(found["flight"]),
            # A statement alone is sent in the simple protocol; what is prepared or binary, in the extended one.
            "pg-simple": engines.postgresql(lake.address),
            "pg-text": engines.postgresql(lake.address, prepare=True),
            "pg-binary": engines.postgresql(lake.address, prepare=True, binary=True),
        }
