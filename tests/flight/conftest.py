from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow.flight
import pytest

# Behind this folder: both have tests of the same names.
sys.path.append(str(Path(__file__).parent.parent / "pg"))

import lake as lakes
from lake import Lake


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with lakes.started(tmp_path_factory.mktemp("lake")) as lake:
        yield lake


@pytest.fixture
def connection(lake: Lake) -> Iterator[dbapi.Connection]:
    with dbapi.connect(lake.flight) as connection:
        yield connection


@pytest.fixture
def cursor(connection: dbapi.Connection) -> Iterator[dbapi.Cursor]:
    with connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def client(lake: Lake) -> Iterator[pyarrow.flight.FlightClient]:
    with pyarrow.flight.connect(lake.flight) as client:
        yield client
