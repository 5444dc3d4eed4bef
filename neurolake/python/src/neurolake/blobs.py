"""Files that rows refer to: images, videos, raw recordings."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from neurolake.errors import NeurolakeError, shown_url
from neurolake.stores import Place


class Blob:
    """A file that a row refers to. Nothing is read before `bytes()` or `open()`."""

    def __init__(self, uri: str, place: Place, media_type: str | None = None, size: int | None = None) -> None:
        self.uri = uri
        self.media_type = media_type
        self.size = size
        """Length in bytes, where the row says it."""
        self._place = place

    def __repr__(self) -> str:
        facts = [shown_url(self.uri)]
        if self.media_type:
            facts.append(self.media_type)
        if self.size is not None:
            facts.append(f"{self.size:,} bytes")
        return f"Blob({', '.join(facts)})"

    def open(self) -> BinaryIO:
        """The file for reading, with `seek`; what isn't read isn't fetched."""
        local = self._place.local
        try:
            if local is not None:
                return open(local, "rb")
            return _open_object(self._place)
        except (OSError, ValueError) as error:
            raise NeurolakeError(f"can't read {shown_url(self.uri)}: {_short(error)}") from None

    def bytes(self) -> bytes:
        """All of the file."""
        with self.open() as file:
            try:
                return file.read()
            except OSError as error:
                raise NeurolakeError(f"can't read {shown_url(self.uri)}: {_short(error)}") from None


def reference(value: Any) -> tuple[str, str | None, int | None]:
    """Address, media type and length in a value of a blob column, or an address alone."""
    if isinstance(value, str):
        return value, None, None
    if isinstance(value, Mapping) and isinstance(value.get("uri"), str):
        return value["uri"], value.get("media_type"), value.get("bytes")
    raise NeurolakeError(
        "expected a value of a blob column or an address, such as row[\"image\"] of df.row(0, named=True), "
        f"got {type(value).__name__}"
    )


class _Object(io.RawIOBase):
    """An object of a store as a file of Python."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = bytes(self._inner.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._inner.seek(offset, whence))

    def tell(self) -> int:
        return int(self._inner.tell())


def _open_object(place: Place) -> BinaryIO:
    # The file handler of delta-rs, which every installation has. Its public face wants pyarrow.
    from deltalake._internal import DeltaFileSystemHandler

    folder, _, name = place.uri.rpartition("/")
    handler = DeltaFileSystemHandler(folder, place.options)
    return cast(BinaryIO, io.BufferedReader(_Object(handler.open_input_file(name)), 1 << 20))


def bucket(uri: str) -> str:
    """Store of an address: its scheme and bucket."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{unquote(parts.netloc)}"


def _short(error: Exception) -> str:
    """The first line of an error, which says enough and repeats no settings."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200]
