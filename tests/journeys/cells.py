"""Runs code as a notebook runs a cell: everything, then the value of the last expression.

Reads `{name: code}` as JSON, writes `{name: {"rows": n}}` or `{name: {"error": text}}`. Each cell
has names of its own, so that none lives on another's imports. Runs with the packages of a user.
"""

from __future__ import annotations

import ast
import contextlib
import glob
import io
import json
import os
import sys
import traceback
from collections.abc import Callable


def polars(code: str) -> int:
    tree = ast.parse(code)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr), "a cell that shows nothing"
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names).height


def spark(code: str) -> int:
    """Rows in the table that `show` prints."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "<cell>", "exec"), {"__name__": "__main__"})
    return max(0, sum(line.startswith("|") for line in shown.getvalue().splitlines()) - 1)


def duckdb() -> Callable[[str], int]:
    """Does what a user has done before: extensions are in place, as `INSTALL` leaves them, and a
    secret for each bucket says where it lies, because DuckDB takes no endpoint from the environment.
    """
    import duckdb
    import duckdb_extension_delta

    config = {"home_directory": os.environ["HOME"]}
    packages = os.path.dirname(os.path.dirname(duckdb_extension_delta.__file__))
    endpoint = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    with duckdb.connect(config=config) as session:
        for file in glob.glob(f"{packages}/duckdb_extension_*/extensions/*/*.duckdb_extension"):
            session.execute(f"install '{file}'")
        for bucket in json.loads(os.environ["JOURNEYS_BUCKETS"]):
            session.execute(
                f"create persistent secret \"{bucket}\" (type s3, provider credential_chain, scope 's3://{bucket}',"
                f" endpoint '{endpoint}', use_ssl false, url_style 'path')"
            )
    # Extensions are loaded by the code itself, as in any new session.
    session = duckdb.connect(config=config)
    return lambda code: len(session.cursor().execute(code).fetchall())


def main(client: str) -> None:
    results: dict[str, dict[str, object]] = {}
    run = duckdb() if client == "duckdb" else {"polars": polars, "spark": spark}[client]
    for name, code in json.load(sys.stdin).items():
        try:
            results[name] = {"rows": run(code)}
        except BaseException as error:
            lines = traceback.format_exception_only(error)
            results[name] = {"error": "".join(lines)[:1500]}
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
