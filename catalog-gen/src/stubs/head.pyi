# Made by `catalog-gen stubs`: what editors and type checkers know of this catalog.
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from os import PathLike
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, overload

import polars as pl
from neurolake.blobs import Blob as Blob
from neurolake.errors import (
    CatalogError as CatalogError,
    DeprecatedTableWarning as DeprecatedTableWarning,
    FilterError as FilterError,
    IngestError as IngestError,
    NeurolakeError as NeurolakeError,
    NotDirectError as NotDirectError,
    RowError as RowError,
    ServerError as ServerError,
    UnknownNameError as UnknownNameError,
)
from neurolake.ingestion import Ingested as Ingested
from typing_extensions import Required, Unpack

__version__: str

_T = TypeVar("_T")
_Any: TypeAlias = _T | Collection[_T | None] | None
_Date: TypeAlias = str | date
_Timestamp: TypeAlias = str | date | datetime
_Decimal: TypeAlias = str | int | float | Decimal
_Filters: TypeAlias = str | pl.Expr | Mapping[str, Any] | Sequence[Any] | None

def open_blob(value: object, *, store: str | None = None) -> Blob: ...

class Table:
    name: str
    database: str
    @property
    def full_name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def docs(self) -> str: ...
    @property
    def columns(self) -> list[str]: ...
    @property
    def partitions(self) -> list[str]: ...
    @property
    def arguments(self) -> list[dict[str, Any]]: ...
    @property
    def example(self) -> dict[str, Any]: ...
    @property
    def schema(self) -> pl.Schema: ...
    def describe(self) -> pl.DataFrame: ...
    def open_blob(self, value: object) -> Blob: ...

class Database:
    name: str
    @property
    def docs(self) -> str: ...
    @property
    def tables(self) -> list[str]: ...
    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pl.DataFrame: ...

class _Catalog:
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def docs(self) -> str: ...
    @property
    def databases(self) -> list[str]: ...
    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pl.DataFrame: ...
    def open_blob(self, value: object, *, store: str | None = None) -> Blob: ...
