"""`catalog.json`: where it is found and what it says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from neurolake import child
from neurolake.errors import CatalogError, ServerError, shown_url
from neurolake.server import Server

FORMAT_VERSION = 1
DEFAULT_SERVER = "http://127.0.0.1:8080"
VARIABLE = "NEUROLAKE_CATALOG"


class Document:
    """A loaded catalog, and the server that it came from, if one."""

    def __init__(self, content: dict[str, Any], origin: str, server: Server | None, folder: Path) -> None:
        self.content = content
        self.origin = origin
        self.server = server
        self.folder = folder
        """Where the workspace is looked for."""


def load(where: str | os.PathLike[str] | None) -> Document:
    """Loads a catalog from a path, an address, or where it is usually found."""
    if where is None:
        where = os.environ.get(VARIABLE) or None
    if where is None:
        return _search()
    text = os.fspath(where)
    if text.startswith(("http://", "https://")):
        return _from_address(text)
    return _from_file(Path(text).expanduser())


def _search() -> Document:
    """A server nearby, the usual server, or the program of this workspace."""
    here = Path.cwd()
    nearby = child.endpoints(here)
    tried: list[str] = []
    for address in [nearby, DEFAULT_SERVER]:
        if address is None or address in tried:
            continue
        try:
            return _from_address(address)
        except ServerError as error:
            if error.code != "unreachable":
                raise
            tried.append(address)
    found = child.binary(here)
    if found is not None:
        return _from_address(child.start(*found))
    raise CatalogError(
        f"no catalog: nothing answers at {' or '.join(tried)}\n"
        f"hint: start a server with `neurolake up`, or name a catalog with {VARIABLE}=PATH_OR_URL "
        "or `neurolake.connect(path_or_url)`"
    )


def _from_address(address: str) -> Document:
    base, name = address, "/catalog.json"
    path = address.split("?")[0]
    if path.endswith(".json"):
        base, _, last = path.rpartition("/")
        name = f"/{last}"
    server = Server(base)
    content = server.get_json(name)
    return Document(_checked(content, shown_url(address)), shown_url(address), server, Path.cwd())


def _from_file(path: Path) -> Document:
    if path.is_dir():
        path = path / "catalog.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"can't read the catalog `{path}`: {error.strerror}") from None
    except ValueError as error:
        raise CatalogError(f"`{path}` is no JSON: {error}") from None
    return Document(_checked(content, str(path)), str(path), None, path.resolve().parent)


def _checked(content: Any, origin: str) -> dict[str, Any]:
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or not isinstance(content.get("databases"), list):
        raise CatalogError(f"{origin} is no catalog: it has no `format_version` and `databases`")
    if version > FORMAT_VERSION:
        raise CatalogError(f"{origin} has format {version}, and this package reads {FORMAT_VERSION}\nhint: pip install --upgrade neurolake")
    return content


def summary(docs: str) -> str:
    """The first paragraph of a Markdown text on one line, without the marks of links and code."""
    paragraph = docs.strip().split("\n\n")[0]
    return plain(" ".join(paragraph.split()))


def plain(markdown: str) -> str:
    """Text without the marks of links and code."""
    text = re.sub(r"\[([^\]]*)\]\((?:[^()\\]|\\.)*\)", r"\1", markdown)
    return text.replace("`", "")
