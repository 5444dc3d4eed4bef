"""Every table of a NeuroLake catalog as a lazy polars frame.

>>> from neurolake import catalog
>>> df = catalog.db("neural").table("spikes", implant_id=7, session_date="2026-03-01")
>>> df.head(10).collect()

Nothing is read until a frame is collected, and then only what the query needs: filters, columns and
limits reach the files or the server.
"""

from neurolake.blobs import Blob
from neurolake.client import Catalog, Database, connect
from neurolake.errors import (
    CatalogError,
    DeprecatedTableWarning,
    FilterError,
    NeurolakeError,
    NotDirectError,
    ServerError,
    UnknownNameError,
)
from neurolake.tables import Table

__version__ = "0.1.0"

__all__ = [
    "Blob",
    "Catalog",
    "CatalogError",
    "Database",
    "DeprecatedTableWarning",
    "FilterError",
    "NeurolakeError",
    "NotDirectError",
    "ServerError",
    "Table",
    "UnknownNameError",
    "catalog",
    "connect",
    "open_blob",
]

catalog: Catalog = Catalog()
"""The catalog that `neurolake.connect()` finds, loaded when it is first used."""


def open_blob(value: object, *, store: str | None = None) -> Blob:
    """Opens a file that a row of the default catalog refers to; see `Catalog.open_blob`."""
    return catalog.open_blob(value, store=store)
