"""Tables: what is known of them without touching data, and their rows as a lazy frame."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl

from neurolake import delta, io_source, show, sql
from neurolake.blobs import Blob
from neurolake.data_types import (
    WrongValue,
    convert,
    describe_value,
    example_value,
    list_item,
    polars_type,
    type_name,
)
from neurolake.document import summary
from neurolake.errors import (
    DeprecatedTableWarning,
    FilterError,
    NeurolakeError,
    UnknownNameError,
    nearest,
    shown_url,
    unknown,
)
from neurolake.filters import Condition, Filters, Reader
from neurolake.stores import Place

if TYPE_CHECKING:
    from neurolake.client import Catalog

RESERVED = ("name", "filters", "columns", "version", "as_of")
_CASTS = pl.ScanCastOptions(
    integer_cast="upcast",
    float_cast="upcast",
    datetime_cast=["nanosecond-downcast", "convert-timezone"],
    missing_struct_fields="insert",
    extra_struct_fields="ignore",
)
# What stands in a path as it is written, whoever wrote it.
_SAFE_IN_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")

# polars looks for the escaped name of a folder with any of these, and finds nothing.
_ESCAPED = re.compile(r"[^\w/.~:@!$&'()*+,;=-]", re.ASCII)


class Columns:
    """Columns of a table as expressions: `table.c.ts` is `pl.col("ts")`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getattr__(self, name: str) -> pl.Expr:
        return self[name]

    def __getitem__(self, name: str) -> pl.Expr:
        if name not in self._table._types() and self._table._facts.get("columns"):
            raise unknown("column", name, self._table.columns, f"table `{self._table.full_name}`")
        return pl.col(name)

    def __dir__(self) -> list[str]:
        return self._table.columns


class Table:
    """A table of the catalog. Call it for its rows: `catalog.neural.spikes(implant_id=7)`."""

    def __init__(self, catalog: Catalog, database: str, facts: Mapping[str, Any]) -> None:
        self._catalog = catalog
        self._facts = facts
        self._kept: tuple[str, delta.Latest] | None = None
        self.name: str = facts["name"]
        self.database = database

    @property
    def full_name(self) -> str:
        """`database.table`"""
        return f"{self.database}.{self.name}"

    @property
    def kind(self) -> str:
        """`delta`, `parquet`, `postgres`, `sheet`, `sql` or `function`."""
        return self._facts["source"]["kind"]

    @property
    def docs(self) -> str:
        """Documentation in Markdown."""
        return self._facts.get("docs", "")

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.schema)

    @property
    def partitions(self) -> list[str]:
        """Columns whose filters skip whole folders of files, outermost first."""
        return [partition["name"] for partition in self._facts.get("partition_by", [])]

    @property
    def arguments(self) -> list[dict[str, Any]]:
        """Arguments of a function table."""
        return self._facts["source"].get("arguments", [])

    @property
    def example(self) -> dict[str, Any]:
        """Filters that make a small, meaningful query."""
        return {name: example_value(value) for name, value in self._facts.get("example", [])}

    @property
    def c(self) -> Columns:
        """Columns as expressions."""
        return Columns(self)

    @property
    def schema(self) -> pl.Schema:
        """Names and types, as declared; only a table without declared columns is looked at."""
        declared = self._declared()
        return declared if declared is not None else self._rows(None, None, None, None, None, {}).collect_schema()

    def describe(self) -> pl.DataFrame:
        """The columns, one row each, without touching data."""
        partitions = self.partitions
        rows = [
            {
                "column": column["name"],
                "type": type_name(column["type"]),
                "nullable": column["nullable"],
                "unit": column.get("unit"),
                "partition": column["name"] in partitions,
                "docs": summary(column.get("docs", "")),
            }
            for column in self._facts.get("columns", [])
        ]
        kinds = {"column": pl.String, "type": pl.String, "nullable": pl.Boolean, "unit": pl.String, "partition": pl.Boolean, "docs": pl.String}
        return pl.DataFrame(rows, schema=kinds)

    def open_blob(self, value: object) -> Blob:
        """Opens a file that a row of this table refers to."""
        return self._catalog.open_blob(value, store=self._facts.get("store") or "default")

    def __repr__(self) -> str:
        return show.table_text(self)

    def _repr_html_(self) -> str:
        return show.table_html(self)

    def __call__(
        self,
        *,
        filters: Any = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
        as_of: str | date | datetime | None = None,
        storage_options: Mapping[str, str] | None = None,
        **keywords: Any,
    ) -> pl.LazyFrame:
        """The rows as a lazy frame.

        Keywords are filters: a value must be equal, `None` is null, a list is any of its values.
        For a function table they are its arguments. `filters` takes `(column, operator, value)`
        tuples that must all hold, a list of such lists of which one must hold, a condition in SQL,
        or polars expressions. `version` and `as_of` read an older state of a Delta table.
        """
        self._warn()
        return self._rows(filters, columns, version, as_of, storage_options, keywords)

    def _rows(
        self,
        filters: Any,
        columns: Sequence[str] | None,
        version: int | None,
        as_of: str | date | datetime | None,
        storage_options: Mapping[str, str] | None,
        keywords: dict[str, Any],
    ) -> pl.LazyFrame:
        if storage_options is not None and not isinstance(storage_options, Mapping):
            keywords["storage_options"], storage_options = storage_options, None
        wanted = self._wanted(columns)
        at = self._at(version, as_of)
        reader = Reader(self.full_name, self._filterable(), is_open=not self._facts.get("columns"), renamed=self._renamed())
        try:
            found = reader.read(filters, keywords)
        except UnknownNameError as error:
            raise self._with_reserved(error, keywords) from None
        if self.kind == "function":
            arguments = self._take_arguments(found)
            return self._remote(found, wanted, at, arguments)
        place = self._place(storage_options)
        if self.kind == "delta" and place is not None:
            if place.local is None or not _ESCAPED.search(place.local):
                return _finish(self._delta(place, at), found, wanted)
            if not self._catalog._has_server():
                raise NeurolakeError(
                    f"can't open table `{self.full_name}` at {place.local}: polars reads no Delta table below a folder whose name "
                    "has spaces, `%` or other special characters\nhint: rename the folder, or start a server with `neurolake up`, which can"
                )
        elif self.kind == "parquet" and place is not None:
            return self._parquet(place, found, wanted)
        return self._remote(found, wanted, at, [])

    # What was asked

    def _types(self) -> dict[str, Any]:
        types = {column["name"]: column["type"] for column in self._facts.get("columns", [])}
        for partition in self._facts.get("partition_by", []):
            types.setdefault(partition["name"], partition.get("type"))
        return types

    def _filterable(self) -> dict[str, Any]:
        types = {argument["name"]: argument["type"] for argument in self.arguments}
        return types | self._types()

    def _renamed(self) -> dict[str, str]:
        return {column["renamed_from"]: column["name"] for column in self._facts.get("columns", []) if column.get("renamed_from")}

    def _declared(self) -> pl.Schema | None:
        if not self._facts.get("columns"):
            return None
        types = {name: declared for name, declared in self._types().items() if declared is not None}
        return pl.Schema({name: polars_type(declared) for name, declared in types.items()})

    def _wanted(self, columns: Sequence[str] | None) -> list[str] | None:
        if columns is None:
            return None
        names = [columns] if isinstance(columns, str) else list(columns)
        known = self._types()
        if self._facts.get("columns"):
            for name in names:
                if not isinstance(name, str):
                    raise FilterError(f"table `{self.full_name}`: expected names of columns, got {describe_value(name)}")
                if name not in known:
                    raise unknown("column", name, known, f"table `{self.full_name}`")
        if len(set(names)) < len(names):
            raise FilterError(f"table `{self.full_name}`: a column is asked for twice in {names}")
        return names

    def _with_reserved(self, error: UnknownNameError, keywords: Mapping[str, Any]) -> UnknownNameError:
        """A misspelt `columns` is no column."""
        options = [*RESERVED[1:], "storage_options"]
        for name in keywords:
            near = None if name in self._filterable() else nearest(name, [*self._filterable(), *options])
            if near in options:
                return UnknownNameError(f"no column or option `{name}` for table `{self.full_name}`; did you mean `{near}=`?")
        return error

    def _at(self, version: int | None, as_of: str | date | datetime | None) -> int | datetime | None:
        if version is None and as_of is None:
            return None
        if self.kind != "delta":
            raise FilterError(f"table `{self.full_name}` is a {self.kind} table: only Delta tables keep older versions")
        if version is not None and as_of is not None:
            raise FilterError("give `version` or `as_of`, not both")
        if version is not None:
            if isinstance(version, bool) or not isinstance(version, int) or version < 0:
                raise FilterError(f"expected the number of a version, such as version=3, got {describe_value(version)}")
            return version
        try:
            moment = convert(as_of, "timestamp")
        except WrongValue:
            raise FilterError(f"expected a time, such as as_of=\"2026-03-01T00:00:00Z\", got {describe_value(as_of)}") from None
        assert isinstance(moment, datetime)
        return moment

    def _warn(self) -> None:
        deprecated = self._facts.get("deprecated")
        if deprecated is None or self.full_name in self._catalog._warned:
            return
        self._catalog._warned.add(self.full_name)
        since = f" since {deprecated['since']}" if deprecated.get("since") else ""
        message = f"table `{self.full_name}` is deprecated{since}"
        replacement = deprecated.get("replacement")
        if replacement:
            message += f"; use `{replacement['database']}.{replacement['table']}`"
        if deprecated.get("note"):
            message += f": {summary(deprecated['note'])}"
        warnings.warn(message, DeprecatedTableWarning, stacklevel=_outside())

    # Function tables

    def _take_arguments(self, found: Filters) -> list[str]:
        """Takes the conditions that are only arguments, as SQL, and leaves those on columns."""
        types = self._types()
        arguments = {argument["name"]: argument for argument in self.arguments}
        for group in found.alternatives:
            for condition in group:
                if condition.name in arguments and condition.name not in types:
                    raise FilterError(f"table `{self.full_name}`: the argument `{condition.name}` can't be one of several alternatives")
        given = {c.name for c in found.conditions if c.operator in ("=", "in")}
        for name, argument in arguments.items():
            if argument["required"] and name not in given and name not in types:
                raise FilterError(f"table `{self.full_name}` needs the argument `{name}` ({type_name(argument['type'])}), {self._call_example(name)}")
        taken = [c for c in found.conditions if c.name in arguments and c.name not in types]
        found.conditions = [c for c in found.conditions if c not in taken]
        return [said for condition in taken if (said := self._argument(condition)) is not None]

    def _call_example(self, name: str) -> str:
        value = self.example.get(name)
        shown = "..." if value is None else repr(value)
        return f"such as `{name}={shown}`"

    def _argument(self, condition: Condition) -> str | None:
        item = list_item(condition.type)
        if condition.operator == "is null":
            return None
        if condition.operator == "=":
            if item is None:
                return f"{sql.name(condition.name)} = {sql.literal(condition.value, condition.type)}"
            values = ", ".join(sql.literal(value, item) for value in condition.value)
            return f"{sql.name(condition.name)} in ({values})" if values else None
        raise FilterError(
            f"table `{self.full_name}`: `{condition.name}` is an argument, which takes "
            f"{'a list of values' if item else 'one value'}; `{condition.operator}` can be asked of columns only"
        )

    # Where the rows come from

    def _place(self, options: Mapping[str, str] | None) -> Place | None:
        uri = self._facts["source"].get("uri")
        if uri is None:
            return None
        given = options if options is not None else self._catalog._storage_options
        if given is not None:
            return Place(uri, dict(given))
        if not self._catalog._direct:
            return None
        return self._catalog._stores().place(uri, self._facts.get("store"))

    def _delta(self, place: Place, at: int | datetime | None) -> pl.LazyFrame:
        try:
            if place.local is not None and at is None and not place.options:
                latest = self._latest(place.local)
                frame, stored = latest.frame(), latest.schema
            else:
                frame = pl.scan_delta(place.uri, version=at, storage_options=place.options or None)
                stored = frame.collect_schema()
        except Exception as error:
            raise self._unreadable(place, error, at) from None
        return self._as_declared(frame, stored)

    def _latest(self, path: str) -> delta.Latest:
        kept = self._kept
        if kept is None or kept[0] != path or not kept[1].still():
            # In one step, since other threads may ask too.
            self._kept = kept = path, delta.read(path)
        return kept[1]

    def _as_declared(self, frame: pl.LazyFrame, stored: pl.Schema) -> pl.LazyFrame:
        """The declared columns in their order and types. Columns that are as declared stay as they
        are, so that conditions on them reach the files."""
        declared = self._declared()
        if declared is None:
            return frame
        former = {new: old for old, new in self._renamed().items()}
        expressions = []
        for name, dtype in declared.items():
            column = name if name in stored else former.get(name, name)
            if column not in stored:
                expressions.append(pl.lit(None, dtype=dtype).alias(name))
            elif stored[column] == dtype:
                expressions.append(pl.col(column).alias(name) if column != name else pl.col(name))
            else:
                expressions.append(pl.col(column).cast(dtype).alias(name))
        return frame.select(expressions)

    def _unreadable(self, place: Place, error: Exception, at: int | datetime | None) -> NeurolakeError:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        state = "" if at is None else f" in version {at}" if isinstance(at, int) else f" as of {at.isoformat()}"
        message = f"can't open table `{self.full_name}`{state} at {shown_url(place.uri)}: {lines[0][:300]}"
        if at is not None:
            latest = "version" if isinstance(at, int) else "as_of"
            message += f"\nhint: the table may have no such state; leave out `{latest}` for the latest"
        if place.local is None and not place.options and not self._catalog._has_server():
            message += (
                "\nhint: no server answers that says where its files lie, so this machine's own credentials were tried; "
                "start one with `neurolake up`, or give storage_options={...}"
            )
        return NeurolakeError(message)

    def _parquet(self, place: Place, found: Filters, wanted: list[str] | None) -> pl.LazyFrame:
        layout = self._facts["source"]["partitioning"]
        partitions = self.partitions if layout != "none" else []
        types = self._types()
        fixed: dict[str, Any] = {}
        path: list[str] = []
        for name in partitions:
            value = found.equal(name)
            written = None if value is None or types.get(name) is None else _in_path(value)
            if written is None:
                break
            fixed[name] = value
            path.append(f"{name}={written}" if layout == "hive" else written)
        if layout == "directory" and len(fixed) < len(partitions) and self._catalog._has_server():
            # The server lists folders and leaves out those that a later filter rules out.
            return self._remote(found, wanted, None, [])
        frame = self._parquet_frame(place, layout, partitions, {}, [])
        if fixed:
            below = self._parquet_frame(place, layout, partitions, fixed, path)
            if _has_files(below, place.join(*path)):
                frame = below
        return _finish(frame, found, wanted)

    def _parquet_frame(self, place: Place, layout: str, partitions: list[str], fixed: dict[str, Any], path: list[str]) -> pl.LazyFrame:
        """The files below the folders of `fixed`, with all columns of the table."""
        types = self._types()
        declared = self._declared()
        rest = [name for name in partitions if name not in fixed]
        options: dict[str, Any] = {"hive_partitioning": False}
        if layout == "hive" and rest:
            known = {name: polars_type(types[name]) for name in rest if types.get(name) is not None}
            options = {"hive_partitioning": True, "hive_schema": known or None}
        if layout == "directory" and rest:
            options["include_file_paths"] = "__neurolake_path"
        if declared is not None:
            stored = {name: dtype for name, dtype in declared.items() if name not in partitions}
            options |= {"schema": stored, "missing_columns": "insert", "extra_columns": "ignore", "cast_options": _CASTS}
        folder = place.join(*path).uri.rstrip("/") + "/"
        frame = pl.scan_parquet(folder, storage_options=place.options or None, **options)
        added = [pl.lit(value, dtype=polars_type(types[name])).alias(name) for name, value in fixed.items()]
        if layout == "directory" and rest:
            parts = pl.col("__neurolake_path").str.split("/")
            for behind, name in enumerate(reversed(rest)):
                value = parts.list.get(-2 - behind)
                dtype = polars_type(types[name]) if types.get(name) is not None else pl.String()
                added.append(_from_path(value, dtype).alias(name))
        if added:
            frame = frame.with_columns(added)
        if declared is not None:
            return frame.select(list(declared))
        return frame.drop("__neurolake_path", strict=False) if layout == "directory" else frame

    def _remote(self, found: Filters, wanted: list[str] | None, at: int | datetime | None, arguments: list[str]) -> pl.LazyFrame:
        """The rows through the server, which gets the filters as SQL."""
        server = self._catalog._server_for(self)
        moment = None if at is None else str(at) if isinstance(at, int) else at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        source = sql.table(self.database, self.name, moment)
        own = [*arguments, *found.to_sql()]
        declared = self._declared()

        def statement(names: list[str] | None, conditions: list[str], limit: int | None) -> str:
            chosen = "*" if names is None else ", ".join(map(sql.name, names))
            where = " and ".join([*own, *conditions])
            return (
                f"select {chosen} from {source}"
                + (f" where {where}" if where else "")
                + (f" limit {limit}" if limit is not None else "")
            )

        def fetch(names: list[str] | None, conditions: list[str], limit: int | None) -> Iterator[pl.DataFrame]:
            return server.query(statement(names, conditions, limit))

        def schema() -> pl.Schema:
            found = next(iter(server.query(statement(wanted, [], 0)))).schema
            return pl.Schema(found)

        if declared is None:
            frame = io_source.scan(schema, fetch)
        else:
            frame = io_source.scan(pl.Schema({n: declared[n] for n in wanted}) if wanted and not found.expressions else declared, fetch)
        if found.expressions:
            frame = frame.filter(*found.expressions)
        return frame.select(wanted) if wanted is not None else frame


def _finish(frame: pl.LazyFrame, found: Filters, wanted: list[str] | None) -> pl.LazyFrame:
    conditions = found.to_polars()
    if conditions:
        frame = frame.filter(*conditions)
    return frame if wanted is None else frame.select(wanted)


def _in_path(value: Any) -> str | None:
    """The value as a folder's name, where everybody writes the same."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and _SAFE_IN_PATH.fullmatch(value):
        return quote(value)
    return None


def _from_path(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The value that a folder's name stands for."""
    if dtype == pl.String:
        return value
    if dtype == pl.Date:
        return value.str.to_date("%Y-%m-%d")
    if dtype == pl.Boolean:
        return value == "true"
    if isinstance(dtype, pl.Datetime):
        return value.str.to_datetime(time_unit="us", time_zone="UTC")
    return value.cast(dtype)


def _has_files(frame: pl.LazyFrame, place: Place) -> bool:
    """Whether there is anything below a folder; without one polars fails when rows are read."""
    if place.local is not None:
        return os.path.isdir(place.local)
    try:
        frame.head(1).select(pl.len()).collect()
    except Exception:
        return False
    return True


def _outside() -> int:
    """How far up the caller of the caller is that isn't this package, for `stacklevel`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level


def _is_ours(module: str) -> bool:
    return module == "neurolake" or module.startswith("neurolake.")
