"""Where files lie: which of them this machine may read itself, and how."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_S3 = ("s3", "s3a")


@dataclass(frozen=True)
class Place:
    """Files that can be read from here."""

    uri: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def local(self) -> str | None:
        """The path, for files of this machine."""
        if self.uri.startswith("file://"):
            return urlsplit(self.uri).path
        return None if "://" in self.uri else self.uri

    def join(self, *parts: str) -> Place:
        """A place below."""
        return Place("/".join([self.uri.rstrip("/"), *parts]), self.options)


class Stores:
    """What a server says about its stores. Without one, addresses are taken as they are."""

    def __init__(self, known: Mapping[str, Any] | None = None) -> None:
        self._known = known or {}

    def place(self, uri: str, store: str | None) -> Place | None:
        """How to read an address; none if only the server may."""
        found = self._known.get(store or "default")
        if found is None:
            return Place(uri)
        if not found.get("direct"):
            return None
        options = _options(uri, found.get("options") or {})
        local = found.get("local")
        if not local:
            return Place(uri, options)
        parts = urlsplit(uri)
        if parts.scheme in ("", "file"):
            return Place(uri)
        # A server on another machine names folders that aren't here.
        if not os.path.isdir(local):
            return None
        return Place("/".join([str(local).rstrip("/"), parts.netloc, parts.path.strip("/")]).rstrip("/"))


def _options(uri: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Settings of a store as polars and deltalake name them."""
    found = {str(key): str(value).lower() if isinstance(value, bool) else str(value) for key, value in options.items()}
    if urlsplit(uri).scheme not in _S3:
        return found
    named = {key if key.startswith("aws_") else f"aws_{key}": value for key, value in found.items()}
    endpoint = named.pop("aws_endpoint", None) or named.get("aws_endpoint_url")
    if endpoint:
        named["aws_endpoint_url"] = endpoint
        if endpoint.startswith("http://"):
            named.setdefault("aws_allow_http", "true")
    return named
