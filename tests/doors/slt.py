"""Files of sqllogictest: records that are parted by empty lines.

    statement ok | statement error
    query TYPES [nosort | rowsort]
    ----                             rows, cells parted by tabs
    skipif ENGINE, onlyif ENGINE     the next record isn't for it, is only for it; `neurolake` are all doors,
                                     `neurolake-pg` those of PostgreSQL's protocol, `neurolake-sql` the others

Types are T text, I integer, R a float (twelve digits), N a decimal (all digits), B boolean, D day, P instant, J a list or a struct as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Record:
    file: Path
    line: int
    head: list[str]
    sql: str
    rows: list[str]
    skipped: set[str] = field(default_factory=set)
    only: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.file.stem}:{self.line}"

    @property
    def types(self) -> str:
        return self.head[1]

    @property
    def is_query(self) -> bool:
        return self.head[0] == "query"

    def meets(self, engine: str) -> bool:
        names = {engine}
        if engine not in ("postgresql", "duckdb"):
            names |= {"neurolake", "neurolake-pg" if engine.startswith("pg-") else "neurolake-sql"}
        return not names & self.skipped and (not self.only or bool(names & self.only))

    def sorted(self, rows: list[str]) -> list[str]:
        return sorted(rows) if "rowsort" in self.head else rows


def records(file: Path) -> list[Record]:
    found = []
    line = 1
    for block in file.read_text().split("\n\n"):
        lines = block.split("\n")
        at = line
        line += len(lines) + 1
        lines = [text for text in lines if not text.startswith("#")]
        skipped: set[str] = set()
        only: set[str] = set()
        while lines and lines[0].partition(" ")[0] in ("skipif", "onlyif", ""):
            word, _, engine = lines.pop(0).partition(" ")
            {"skipif": skipped, "onlyif": only, "": set()}[word].add(engine)
        if not lines:
            continue
        head = lines.pop(0).split()
        assert head in (["statement", "ok"], ["statement", "error"]) or head[0] == "query" and set(head[1]) <= set("TIRNBDPJ"), f"{file}:{at}: {head}"
        end = lines.index("----") if "----" in lines else len(lines)
        found.append(Record(file, at, head, "\n".join(lines[:end]).strip(), [row for row in lines[end + 1 :] if row], skipped, only))
    return found


def write(file: Path, answers: dict[int, list[str]]) -> None:
    """Puts rows below their statements, by the lines of the records."""
    blocks = file.read_text().rstrip("\n").split("\n\n")
    line = 1
    for number, block in enumerate(blocks):
        if line in answers:
            head = block.split("\n----")[0]
            blocks[number] = "\n".join([head, "----", *answers[line]])
        line += block.count("\n") + 2
    file.write_text("\n\n".join(blocks) + "\n")
