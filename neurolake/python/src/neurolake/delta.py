"""Delta tables among this machine's files, kept open: as long as nobody writes, a table's log is
read once and not for every frame."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from deltalake import DeltaTable

_Commit = tuple[int, int, int]


@dataclass(frozen=True)
class Latest:
    """What was the latest state of a table when its log was read. It is never moved on to a later
    one, because frames hold it."""

    table: DeltaTable
    schema: pl.Schema
    _log: str
    _version: int
    _commit: _Commit | None

    def frame(self) -> pl.LazyFrame:
        """All rows."""
        return pl.scan_delta(self.table)

    def still(self) -> bool:
        """Whether the state is the latest still. Versions have no gaps, and a table that was
        deleted and made again has another file of the same name."""
        if self._commit is None or os.path.exists(_file(self._log, self._version + 1)):
            return False
        return self._commit == _identity(_file(self._log, self._version))


def read(path: str) -> Latest:
    """Reads the log of the table in a folder."""
    from deltalake import DeltaTable

    table = DeltaTable(path)
    # Through polars, which says here what it can't read.
    schema = pl.scan_delta(table).collect_schema()
    log, version = os.path.join(path, "_delta_log"), table.version()
    return Latest(table, schema, log, version, _identity(_file(log, version)))


def _file(log: str, version: int) -> str:
    return os.path.join(log, f"{version:020}.json")


def _identity(path: str) -> _Commit | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
