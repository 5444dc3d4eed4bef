"""Every snippet of every table: copied by a click, run as a reader runs it, and rows come back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import notebooks
import processes
import pytest

KINDS_WITH_FILES = {"delta", "parquet"}
OF_ALL = ["Python", "HTTP", "GraphQL", "REST", "psql", "Rust", "R"]
OF_FILES = ["Polars", "DuckDB", "Spark"]
SENDING = ["Python", "HTTP", "Rust"]
ORDER = ["Python", "Polars", "DuckDB", "HTTP", "GraphQL", "REST", "psql", "Rust", "R", "Spark"]
# Words that handle a credential. `provider credential_chain` asks for what the reader has.
CREDENTIAL = re.compile(r"(?i)password|passwd|secret_|access_key|api_?key|token|://[^/\s]*@")
# Sail 0.7.2 panics over a required list in a required struct ("unmasked nulls"), but only behind a
# Delta log: the same code over the table's files runs.
SAIL_PANICS = ["training.decoders"]

Results = dict[str, dict[str, object]]


def of(copied: dict[str, dict[str, str]], client: str) -> dict[str, str]:
    codes = {table: codes[client] for table, codes in copied.items() if client in codes}
    assert codes, f"no page has code for {client}"
    return codes


def all_have_rows(results: Results, codes: dict[str, str]) -> None:
    assert results.keys() == codes.keys()
    failures = []
    for table, result in results.items():
        if result.get("rows"):
            continue
        failures.append(f"--- {table}: {result.get('error', 'no rows')}\n{codes[table]}")
    if failures:
        pytest.fail(f"{len(failures)} of {len(codes)} snippets fail\n" + "\n".join(failures), pytrace=False)


def test_every_page_offers_what_can_be_run_and_nothing_else(platform, copied):
    assert copied.keys() == platform.tables().keys()
    for table, codes in copied.items():
        kind = platform.tables()[table]["source"]["kind"]
        expected = OF_ALL + (OF_FILES if kind in KINDS_WITH_FILES else [])
        assert list(codes) == sorted(expected, key=ORDER.index), table


def test_tables_that_take_events_offer_to_send_them(platform, sends):
    taking = {table for table, facts in platform.tables().items() if facts.get("ingest")}
    assert taking and {table: list(codes) for table, codes in sends.items()} == dict.fromkeys(taking, SENDING)


def test_no_snippet_handles_credentials(copied, sends):
    found = {
        f"{table}, {client}": word[0]
        for table, codes in [*copied.items(), *sends.items()]
        for client, code in codes.items()
        if (word := CREDENTIAL.search(code))
    }
    assert found == {}


def test_python_in_a_notebook(copied, platform, user):
    codes = of(copied, "Python")
    all_have_rows(notebooks.run(codes, user), codes)


def in_shell(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = processes.bare_environment(folder / "shell", no_proxy="127.0.0.1")
    return subprocess.run(["bash", "-c", code], env=environment, capture_output=True, text=True, timeout=120)


def count_rows(answer: object) -> int | None:
    """Rows of a list, of the only field of a GraphQL answer, or counted by it."""
    if isinstance(answer, list):
        return len(answer)
    match answer:
        case {"data": data} if "errors" not in answer:
            (field,) = data.values()
            return len(field) if isinstance(field, list) else field["aggregate"]["count"]
    return None


@pytest.mark.parametrize("client", ["HTTP", "GraphQL", "REST"])
def test_http_in_a_shell(client, copied, folder):
    codes = of(copied, client)

    def run(code: str) -> dict[str, object]:
        done = in_shell(code, folder)
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = None
        rows = count_rows(answer)
        if done.returncode or rows is None:
            return {"error": f"exit {done.returncode}: {done.stdout[:500]}{done.stderr[:500]}"}
        return {"rows": rows}

    with ThreadPoolExecutor(4) as shells:
        all_have_rows(dict(zip(codes, shells.map(run, codes.values()), strict=True)), codes)


def test_psql(copied, folder):
    codes = of(copied, "psql")

    def run(code: str) -> dict[str, object]:
        done = in_shell(code, folder)
        rows = re.search(r"^\((\d+) rows?\)$", done.stdout, re.MULTILINE)
        if done.returncode or not rows:
            return {"error": f"exit {done.returncode}: {done.stdout[:500]}{done.stderr[:500]}"}
        return {"rows": int(rows[1])}

    with ThreadPoolExecutor(4) as shells:
        all_have_rows(dict(zip(codes, shells.map(run, codes.values()), strict=True)), codes)


def test_r(copied, folder):
    codes = of(copied, "R")

    def run(table: str) -> dict[str, object]:
        script = folder / f"{table}.R"
        script.write_text(f'answer <- local({{\n{codes[table]}\n}})\ncat("rows:", nrow(answer), "\\n")\n')
        done = in_shell(f"Rscript --vanilla {script}", folder)
        rows = re.search(r"^rows: (\d+)", done.stdout, re.MULTILINE)
        if done.returncode or not rows:
            return {"error": f"exit {done.returncode}: {done.stdout[:500]}{done.stderr[:1000]}"}
        return {"rows": int(rows[1])}

    with ThreadPoolExecutor(2) as shells:
        all_have_rows(dict(zip(codes, shells.map(run, codes), strict=True)), codes)


@pytest.mark.parametrize("client", ["Python", "HTTP"])
def test_what_was_sent_is_in_the_next_query(client, sends, platform, user, folder):
    codes = of(sends, client)

    def counts() -> dict[str, int]:
        def count(table: str) -> int:
            query = urllib.parse.urlencode({"q": f"select count(*) as n from {table}"})
            return json.loads(processes.get(f"{platform.http}/api/sql?{query}"))[0]["n"]

        return {table: count(table) for table in codes}

    before = counts()
    if client == "Python":
        results = notebooks.run(codes, user)
        answers = {table: result.get("text") or str(result) for table, result in results.items()}
        accepted = {table: "accepted=1," in answer for table, answer in answers.items()}
    else:
        answers = {table: in_shell(code, folder).stdout for table, code in codes.items()}
        accepted = {table: '"accepted":1,' in answer.replace(" ", "") for table, answer in answers.items()}
    assert all(accepted.values()), answers
    assert counts() == {table: rows + 1 for table, rows in before.items()}


def in_cells(client: str, codes: dict[str, str], home: Path, variables: dict[str, str]) -> Results:
    """Runs them with the packages that a user of these clients has."""
    python = Path(os.environ["JOURNEYS_CLIENTS"], "bin/python")
    done = subprocess.run(
        [python, Path(__file__).with_name("cells.py"), client],
        env=processes.bare_environment(home, **variables),
        cwd=home,
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("client", ["Polars", "DuckDB"])
def test_files_are_read_directly(client, copied, object_store, folder):
    codes = of(copied, client)
    all_have_rows(in_cells(client.lower(), codes, folder / client, object_store), codes)


def test_spark_reads_the_files(copied, object_store, folder):
    """Sail speaks Spark's protocol, so the code is run by PySpark as it is."""
    codes = of(copied, "Spark")
    port = processes.free_port()
    command = [str(Path(os.environ["JOURNEYS_CLIENTS"], "bin/sail")), "spark", "server", "--ip", "127.0.0.1", "--port", str(port)]
    environment = processes.bare_environment(folder / "sail", **object_store)
    with processes.running(command, folder / "sail.log", environment, lambda: processes.accepts(port)):
        variables = {"SPARK_REMOTE": f"sc://127.0.0.1:{port}"}
        results = in_cells("spark", codes, folder / "spark", variables)
        instead = {table: codes[table].replace('format("delta")', 'format("parquet")') for table in SAIL_PANICS}
        as_parquet = in_cells("spark", instead, folder / "spark", variables)
    for table in SAIL_PANICS:
        assert "error" in results[table], f"Sail reads {table} now: take it off the list"
    all_have_rows(results | as_parquet, codes)


def test_rust_is_compiled_elsewhere_as_it_is_copied(copied):
    """`tests/engine` runs a function for each table; here it is proven to be what is copied."""
    import rust_snippets

    codes = of(copied, "Rust")
    # It also holds the tables of features that this program may lack.
    embedded = {table: code for table, code in rust_snippets.embedded(rust_snippets.MODULE).items() if table in codes}
    assert embedded == codes, rust_snippets.REPAIR


def test_rust_that_sends_is_compiled_elsewhere_as_it_is_copied(sends, platform):
    import rust_snippets

    codes = {table: code.replace(platform.http, rust_snippets.HTTP) for table, code in of(sends, "Rust").items()}
    assert rust_snippets.embedded(rust_snippets.SENDS) == codes, rust_snippets.REPAIR
