"""Every table of a NeuroLake catalog as a lazy polars frame.

>>> from neurolake import catalog
>>> df = catalog.db("neural").table("spikes", implant_id=7, session_date="2026-03-01")
>>> df.head(10).collect()

Nothing is read until a frame is collected, and then only what the query needs: filters, columns and
limits reach the files or the server.
"""

from typing import Any

from neurolake.blobs import Blob
from neurolake.client import Catalog, Database, connect
from neurolake.errors import (
    CatalogError,
    DeprecatedTableWarning,
    FilterError,
    IngestError,
    NeurolakeError,
    NotDirectError,
    RowError,
    ServerError,
    UnknownNameError,
)
from neurolake.ingestion import Ingested
from neurolake.tables import Table

__version__ = "0.1.0"

__all__ = [
    "Blob",
    "Catalog",
    "CatalogError",
    "Database",
    "DeprecatedTableWarning",
    "FilterError",
    "IngestError",
    "Ingested",
    "NeurolakeError",
    "NotDirectError",
    "RowError",
    "ServerError",
    "Table",
    "UnknownNameError",
    "catalog",
    "connect",
    "ingest",
    "open_blob",
]

catalog: Catalog = Catalog()
"""The catalog that `neurolake.connect()` finds, loaded when it is first used."""


def open_blob(value: object, *, store: str | None = None) -> Blob:
    """Opens a file that a row of the default catalog refers to; see `Catalog.open_blob`."""
    return catalog.open_blob(value, store=store)


def ingest(table: str, rows: Any, **options: Any) -> Ingested:
    """Sends rows to a table of the default catalog; see `Catalog.ingest`."""
    return catalog.ingest(table, rows, **options)
