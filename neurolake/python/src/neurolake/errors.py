"""What can go wrong, in the words of whoever has to mend it. No message holds a credential."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit


class NeurolakeError(Exception):
    """Anything that this package reports."""


class CatalogError(NeurolakeError):
    """The catalog can't be found, loaded or understood."""


class UnknownNameError(NeurolakeError, AttributeError, LookupError):
    """There is no database, table, column or argument of that name."""


class FilterError(NeurolakeError, ValueError):
    """A filter that can't be understood, or whose value is of the wrong type."""


class ServerError(NeurolakeError):
    """The server can't be reached, refused the query, or broke off its answer."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        passing: bool = False,
        retry_after: float | None = None,
        rows: Sequence[Any] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.passing = passing
        """Whether the same request may succeed in a moment."""
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again."""
        self.rows = list(rows)


@dataclass(frozen=True)
class RowError:
    """A row that a table doesn't take."""

    row: int | None
    """Number of the row, counted from 0; none where all rows are meant."""
    path: str
    """The value in it, such as `band_power[3]`; empty for the row itself."""
    message: str
    """What was expected, and what was found."""

    def __str__(self) -> str:
        place = ", ".join(filter(None, [f"row {self.row}" if self.row is not None else "", f"`{self.path}`" if self.path else ""]))
        return f"{place}: {self.message}" if place else self.message


class IngestError(ServerError, ValueError):
    """Rows weren't taken: they don't fit, or the server can't be reached or refused them."""

    rows: list[RowError]
    """Rows that don't fit, and why."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        rows: Sequence[RowError] = (),
        accepted: int = 0,
        key: str | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, rows=rows)
        self.accepted = accepted
        """Rows that were taken before: those of the first pieces."""
        self.key = key
        """The key of the rows: sent again with it, those that were taken aren't taken twice."""


class NotDirectError(NeurolakeError):
    """The files lie in a store that only the server may read."""


class DeprecatedTableWarning(DeprecationWarning):
    """The table should no longer be used."""


def unknown(what: str, name: str, known: Iterable[str], where: str) -> UnknownNameError:
    """An error that names the nearest thing there is."""
    known = list(known)
    near = nearest(name, known)
    message = f"no {what} `{name}` in {where}"
    if near is not None:
        return UnknownNameError(f"{message}; did you mean `{near}`?")
    if not known:
        return UnknownNameError(f"{message}, which has none")
    shown = ", ".join(f"`{name}`" for name in known[:20])
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    return UnknownNameError(f"{message}; it has {shown}{more}")


def nearest(found: str, valid: Iterable[str]) -> str | None:
    """The valid name that was probably meant, by the rule of `catalog-gen`."""
    found = found.lower()
    candidates = [
        (distance, not name.lower().startswith(found), name)
        for name in valid
        if (distance := _distance(found, name.lower())) <= 1 + len(name) // 4
    ]
    return min(candidates)[2] if candidates else None


def _distance(a: str, b: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, right in enumerate(b, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]


def shown_url(url: str) -> str:
    """An address without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
