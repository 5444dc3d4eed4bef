"""The same statements through every door give the same rows, which PostgreSQL and DuckDB gave before."""

from __future__ import annotations

from pathlib import Path

import pytest

import slt
from cells import cell
from engines import Refused, Rows
from slt import Record

FILES = sorted((Path(__file__).parent / "cases").glob("*.slt"))
RECORDS = [record for file in FILES for record in slt.records(file)]
JUDGES = ["postgresql", "duckdb"]
DOORS = ["command", "json", "ndjson", "csv", "arrow", "flight", "pg-simple", "pg-text", "pg-binary"]


def lines(record: Record, rows: Rows) -> list[str]:
    for row in rows:
        assert len(row) == len(record.types), f"{len(row)} columns: {row}"
    return record.sorted(["\t".join(map(cell, row, record.types)) for row in rows])


@pytest.mark.parametrize("record", RECORDS, ids=str)
@pytest.mark.parametrize("engine", JUDGES + DOORS)
def test_rows(engine: str, record: Record, asked, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("write"):
        pytest.skip("files are written")
    if not record.meets(engine):
        pytest.skip("not for it")
    if record.head == ["statement", "error"]:
        with pytest.raises(Refused):
            asked[engine](record.sql)
    elif record.is_query:
        assert lines(record, asked[engine](record.sql)) == record.sorted(record.rows), record.sql
    else:
        asked[engine](record.sql)


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_somebody_else_judges(record: Record) -> None:
    # What is refused here alone is a gap, and said to be one.
    is_gap = record.head == ["statement", "error"] and any("neurolake" in name for name in record.only)
    assert is_gap or any(record.meets(judge) for judge in JUDGES)


def test_write(asked, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("write"):
        pytest.skip("only where it is asked for")
    disputed = []
    for file in FILES:
        answers = {}
        for record in slt.records(file):
            if not record.is_query:
                continue
            told = {}
            for judge in filter(record.meets, JUDGES):
                try:
                    told[judge] = lines(record, asked[judge](record.sql))
                except (AssertionError, KeyError, Refused) as error:
                    told[judge] = [repr(error)]
            answers[record.line] = next(iter(told.values()))
            if any(rows != answers[record.line] for rows in told.values()) or repr(told).count("Refused("):
                disputed.append(f"{record}: {record.sql}\n  {told}")
        slt.write(file, answers)
    assert not disputed, "\n".join(disputed)
