"""The catalog: its databases and tables, and the server behind it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from neurolake import blobs, child, document, ingestion, show
from neurolake.errors import IngestError, NotDirectError, ServerError, nearest, shown_url, unknown
from neurolake.server import Server
from neurolake.stores import Place, Stores
from neurolake.tables import Table

# Somebody may start a server while this process runs.
_FORGET_ABSENCE_SECONDS = 5.0


def connect(
    where: str | os.PathLike[str] | None = None,
    *,
    server: str | None = None,
    storage_options: Mapping[str, str] | None = None,
    direct: bool = True,
) -> Catalog:
    """Loads a catalog from a path or an address.

    Without one: `NEUROLAKE_CATALOG`, the server of the nearest `.neurolake/endpoints.json` upwards,
    `http://127.0.0.1:8080`, or the program of this Cargo workspace, started for this process.

    `server` is the address of the HTTP doors, if it isn't the one that the catalog came from or
    names. `storage_options` are used for all files instead of what the server says about its
    stores. With `direct=False` all rows come through the server.
    """
    found = Catalog(where, server=server, storage_options=storage_options, direct=direct)
    found._document  # noqa: B018 - loads it, so that what is wrong shows here
    return found


class Database:
    """A named group of tables. Tables are attributes: `catalog.neural.spikes`."""

    def __init__(self, catalog: Catalog, facts: Mapping[str, Any]) -> None:
        self._catalog = catalog
        self._facts = facts
        self._tables = {table["name"]: Table(catalog, facts["name"], table) for table in facts["tables"]}
        self.name: str = facts["name"]

    @property
    def docs(self) -> str:
        """Documentation in Markdown."""
        return self._facts.get("docs", "")

    @property
    def tables(self) -> list[str]:
        """Names of the tables."""
        return list(self._tables)

    def table(self, name: str, /, **arguments: Any) -> pl.LazyFrame:
        """The rows of a table as a lazy frame; see `Table.__call__` for what can be given."""
        return self[name](**arguments)

    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Runs a query on the server; tables are `database.table`. See `Catalog.sql`."""
        return self._catalog.sql(query, parameters)

    def __getitem__(self, name: str) -> Table:
        found = self._tables.get(name)
        if found is None:
            raise unknown("table", name, self._tables, f"database `{self.name}`")
        return found

    def __getattr__(self, name: str) -> Table:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._tables]

    def _ipython_key_completions_(self) -> list[str]:
        return self.tables

    def __repr__(self) -> str:
        return show.database_text(self)

    def _repr_html_(self) -> str:
        return show.database_html(self)


class Catalog:
    """All databases of a workspace. Databases are attributes: `catalog.neural`.

    It is loaded when it is first used; `connect` loads it at once.
    """

    def __init__(
        self,
        where: str | os.PathLike[str] | None = None,
        *,
        server: str | None = None,
        storage_options: Mapping[str, str] | None = None,
        direct: bool = True,
    ) -> None:
        self._where = where
        self._given_server = server
        self._storage_options = storage_options
        self._direct = direct
        self._warned: set[str] = set()
        self._found: tuple[Server, Stores] | None = None
        self._looked = float("-inf")

    @cached_property
    def _document(self) -> document.Document:
        return document.load(self._where)

    @cached_property
    def _databases(self) -> dict[str, Database]:
        return {facts["name"]: Database(self, facts) for facts in self._document.content["databases"]}

    @property
    def name(self) -> str:
        """Name of the catalog in SQL."""
        return self._document.content["name"]

    @property
    def title(self) -> str:
        """The name for people."""
        return self._document.content.get("title") or self.name

    @property
    def docs(self) -> str:
        """Documentation in Markdown."""
        return self._document.content.get("docs", "")

    @property
    def databases(self) -> list[str]:
        """Names of the databases."""
        return list(self._databases)

    def db(self, name: str, /) -> Database:
        """A database by name."""
        found = self._databases.get(name)
        if found is None:
            raise unknown("database", name, self._databases, f"catalog `{self.name}`")
        return found

    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Runs a query on the server and gives its rows: the way to aggregate what is too much to fetch.

        `parameters` are the values of `$1`, `$2`, or of `$name`; they are never read as SQL.
        """
        return pl.concat(list(self._server_for(None).query(query, parameters)))

    def ingest(
        self,
        table: str,
        rows: Any,
        *,
        key: str | None = None,
        ack: ingestion.Ack = "queued",
        invalid: ingestion.Invalid = "reject",
        timeout: float = 30.0,
        patience: float = 60.0,
    ) -> ingestion.Ingested:
        """Sends rows to a table, `database.table`, that takes events; queries see them at once.

        `rows` is a dict, an iterable of dicts, a polars frame, or anything that exports an Arrow
        stream. A frame is checked here: its columns must hold nothing that the declared types don't.

        `ack="committed"` waits until the rows are in the table, for `timeout` seconds at most (up to
        300; the result says then that they are not `committed` yet, and they are safe). Of
        rows that don't fit, `invalid="reject"` refuses all rows with them, `"skip"` leaves them out
        and names them in the result, `"quarantine"` keeps them in the table's dead letters.

        Rows are sent in pieces of 4 MiB; each is taken as a whole or not at all. A piece is sent
        again, for `patience` seconds, while the server is busy or away, and taken once. `key` names
        the rows beyond this call: the same rows with the same key are taken once.
        """
        name = table
        database, _, short = name.partition(".")
        if not short:
            tables = [f"{each}.{one}" for each in self.databases for one in self.db(each).tables]
            same = [full for full in tables if full.endswith(f".{name}")]
            near = same[0] if same else nearest(name, tables)
            raise IngestError(f"a table is named as `database.table`, not `{name}`" + (f"; did you mean `{near}`?" if near else ""), code="not_found")
        facts = self.db(database)[short]._facts
        if not facts.get("ingest"):
            taking = [f"`{full}`" for full in self._taking_events()]
            known = f"; these do: {', '.join(taking[:10])}" if taking else ", and no other table of this catalog does"
            raise IngestError(
                f"`{name}` takes no events{known}\nhint: declare it with `#[table(delta = ..., ingest)]`", code="not_found"
            )
        return ingestion.ingest(
            lambda: self._server_for(self.db(database)[short]),
            facts,
            name,
            rows,
            key=key,
            ack=ack,
            invalid=invalid,
            timeout=timeout,
            patience=patience,
        )

    def _taking_events(self) -> list[str]:
        """Tables that take events."""
        databases = self._document.content["databases"]
        return [f"{database['name']}.{table['name']}" for database in databases for table in database["tables"] if table.get("ingest")]

    def open_blob(self, value: object, *, store: str | None = None) -> blobs.Blob:
        """Opens a file that a row refers to: a value of a blob column, or an address.

        `store` names the store that holds it; otherwise it is the one of the tables nearby.
        """
        uri, media_type, size = blobs.reference(value)
        place = self._blob_place(uri, store)
        if place is None:
            raise NotDirectError(
                f"{shown_url(uri)} lies in a store that only the server may read, and the server hands out rows, not files\n"
                "hint: give this machine access and pass it: neurolake.connect(..., storage_options={...})"
            )
        return blobs.Blob(uri, place, media_type, size)

    def _blob_place(self, uri: str, store: str | None) -> Place | None:
        if "://" not in uri or uri.startswith("file://"):
            return Place(uri)
        if self._storage_options is not None:
            return Place(uri, dict(self._storage_options))
        return self._stores().place(uri, store or self._store_of(uri))

    def _store_of(self, uri: str) -> str | None:
        """Store of the table whose files lie nearest."""
        best, nearest = 0, None
        for database in self._document.content["databases"]:
            for table in database["tables"]:
                near = len(os.path.commonprefix([uri, table["source"].get("uri", "")]))
                if near > best and blobs.bucket(uri) == blobs.bucket(table["source"]["uri"]):
                    best, nearest = near, table.get("store")
        return nearest

    # The server

    def _stores(self) -> Stores:
        found = self._server()
        return found[1] if found else Stores()

    def _has_server(self) -> bool:
        return self._server() is not None

    def _server(self) -> tuple[Server, Stores] | None:
        """The server and its stores, if one answers."""
        if self._found is None and time.monotonic() - self._looked > _FORGET_ABSENCE_SECONDS:
            self._found = self._look()
            self._looked = time.monotonic()
        return self._found

    def _look(self) -> tuple[Server, Stores] | None:
        own = self._document.server
        if self._given_server is not None:
            server = Server(self._given_server)
            return server, Stores(_stores_of(server))
        if own is not None:
            try:
                return own, Stores(_stores_of(own))
            except ServerError:
                pass
        nearby = child.endpoints(self._document.folder) or child.endpoints(Path.cwd())
        named = (self._document.content.get("endpoints") or {}).get("http")
        for address in dict.fromkeys(filter(None, [nearby, named])):
            server = Server(address)
            try:
                stores = Stores(_stores_of(server))
                # Another lake's server may listen at a common address.
                if server.get_json("/catalog.json").get("name") == self.name:
                    return server, stores
            except (ServerError, AttributeError):
                continue
        return None

    def _server_for(self, table: Table | None) -> Server:
        """A server, started if there is none. The table is for the error."""
        found = self._server()
        if found is not None:
            return found[0]
        for folder in (self._document.folder, Path.cwd()):
            program = child.binary(folder, self.name)
            if program is not None:
                server = Server(child.start(*program))
                self._found = server, Stores(_stores_of(server))
                return server
        what = "a query in SQL" if table is None else f"table `{table.full_name}` ({table.kind})"
        raise ServerError(
            f"{what} needs a server, and none answers\n"
            "hint: start one with `neurolake up`, name one with `neurolake.connect(..., server=URL)`, or build the "
            "workspace's program and name it with NEUROLAKE_BINARY",
            code="unreachable",
        )

    # As Python shows it

    def __getitem__(self, name: str) -> Database:
        return self.db(name)

    def __getattr__(self, name: str) -> Database:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.db(name)

    def __dir__(self) -> list[str]:
        try:
            names = self.databases
        except Exception:
            names = []  # completion is no place for an error
        return [*super().__dir__(), *names]

    def _ipython_key_completions_(self) -> list[str]:
        return self.databases

    def __repr__(self) -> str:
        return show.catalog_text(self)

    def _repr_html_(self) -> str:
        return show.catalog_html(self)


def _stores_of(server: Server) -> Mapping[str, Any]:
    found = server.get_json("/api/stores")
    stores = found.get("stores") if isinstance(found, dict) else None
    if not isinstance(stores, dict):
        raise ServerError(f"{shown_url(server.url)}/api/stores names no stores; is it a neurolake server?")
    return stores
