#!/usr/bin/env python3
"""The Rust code of each table's page as modules of `tests/engine`: code that reads is compiled and run,
code that sends events is compiled.

`write` makes the modules, `check` says whether they are what the pages offer. Needs `catalog-gen`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
MODULE = REPOSITORY / "tests/engine/tests/engine/snippets.rs"
SENDS = MODULE.with_name("sends.rs")
REPAIR = "the Rust code in tests/engine is out of date\nhint: run `tests/journeys/rust_snippets.py write`"
# Where a catalog says that the platform answers, unless it is told.
HTTP = "http://127.0.0.1:8080"

HEAD = """\
//! The Rust code of each table's page, as it is copied.
//! Made by `tests/journeys/rust_snippets.py write`.

use futures::future::BoxFuture;
use neurolake::{DataFrame, Lake, Result};

/// Calls the code of one page.
type Snippet = for<'a> fn(&'a Lake) -> BoxFuture<'a, Result<DataFrame>>;

/// Tables whose code fails or finds nothing, each with the reason.
pub(crate) async fn failures(lake: &Lake) -> Vec<String> {
    let mut failures = Vec::new();
    for (table, snippet) in SNIPPETS {
        match count(snippet, lake).await {
            Ok(0) => failures.push(format!("{table}: no rows")),
            Ok(_) => {}
            Err(error) => failures.push(format!("{table}: {error}")),
        }
    }
    failures
}

/// Rows with all their columns.
async fn count(snippet: Snippet, lake: &Lake) -> Result<usize> {
    let batches = snippet(lake).await?.collect().await?;
    Ok(batches
        .iter()
        .map(neurolake::datafusion::arrow::array::RecordBatch::num_rows)
        .sum())
}
"""
# The code begins in a column of its own, so that it stays as it is copied.
ENTRY = """
// {table}
#[rustfmt::skip]
mod {module} {{
{code}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> {{ Box::pin(rows(lake)) }}
}}
"""
SEND_HEAD = """\
//! The Rust code of each table's page that sends events, as it is copied. It is compiled and not run: it
//! names the address of the site.
//! Made by `tests/journeys/rust_snippets.py write`.
"""
SEND_ENTRY = """
// {table}
#[rustfmt::skip]
pub(crate) mod {module} {{
{code}

    const _: fn(&[Row]) = |rows| drop(send(rows));
}}
"""
FOUND = re.compile(r"^// (\S+)\n#\[rustfmt::skip\]\n(?:pub\(crate\) )?mod \w+ \{\n(.*?)\n\n    (?:pub\(super\) fn run|const _)", re.M | re.S)


def module(codes: dict[str, str]) -> str:
    names = {table: table.replace(".", "_") for table in codes}
    assert len(set(names.values())) == len(names), "two tables have one name as a module"
    table = "".join(f'    ("{table}", {names[table]}::run),\n' for table in codes)
    text = HEAD + f"\n/// Each table with a page.\n#[rustfmt::skip]\nconst SNIPPETS: [(&str, Snippet); {len(codes)}] = [\n{table}];\n"
    return text + "".join(ENTRY.format(table=name, module=names[name], code=code) for name, code in codes.items())


def sends(codes: dict[str, str]) -> str:
    entries = (SEND_ENTRY.format(table=name, module=name.replace(".", "_"), code=code) for name, code in codes.items())
    return SEND_HEAD + "".join(entries)


def embedded(file: Path) -> dict[str, str]:
    """What a module holds."""
    return dict(FOUND.findall(file.read_text())) if file.exists() else {}


def offered() -> tuple[dict[str, str], dict[str, str]]:
    """What the pages of the demo lake offer to read and to send, with the tables of all its features:
    `tests/engine` has them on. The preview writes nothing."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
    command = Path(os.environ.get("CATALOG_GEN") or target / "debug/catalog-gen")
    if not command.exists():
        sys.exit(f"error: {command} is missing\nhint: run `cargo build --package catalog-gen`")
    preview = subprocess.Popen(
        [command, "serve", "--quiet", "--all-features", "--port", "0"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    try:
        site = preview.stdout.readline().strip().rstrip("/")
        catalog = json.loads(get(f"{site}/catalog.json"))
        names = sorted(f"{d['name']}.{t['name']}" for d in catalog["databases"] for t in d["tables"] if not t.get("hidden"))
        pages = {name: get(f"{site}/{name.replace('.', '/')}.md") for name in names}
    finally:
        preview.kill()
        preview.wait()

    def codes(heading: str) -> dict[str, str]:
        shape = re.compile(rf"^{heading} Rust\n\n```rust\n(.*?)\n```$", re.M | re.S)
        found = {name: shape.search(page) for name, page in pages.items()}
        return {name: match[1] for name, match in found.items() if match}

    return codes("##"), codes("###")


def get(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=30) as response:
        return response.read().decode()


def main(action: str) -> int:
    reading, sending = offered()
    files = {MODULE: module(reading), SENDS: sends(sending)}
    if action == "write":
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    elif action != "check":
        print(f"error: unknown action `{action}`, expected `write` or `check`", file=sys.stderr)
        return 2
    elif any(not file.exists() or file.read_text() != text for file, text in files.items()):
        print(f"error: {REPAIR}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "check"))
