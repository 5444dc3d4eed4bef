"""The types that `catalog-gen stubs` makes of the demo catalog, as checkers and editors use them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = """
from datetime import date, datetime, timezone
from decimal import Decimal

import neurolake
import polars as pl
from neurolake import catalog

rows: pl.LazyFrame = catalog.db("neural").table("spikes", implant_id=7, session_date="2026-03-01")
rows = catalog.neural.spikes(implant_id=[7, 8], session_date=date(2026, 3, 1), channel=None)
rows = catalog["neural"]["spikes"](filters=[("ts", ">", datetime.now(timezone.utc))], columns=["ts", "channel"])
rows = catalog.neural.spikes(filters="channel > 3", version=3).filter(catalog.neural.spikes.c.ts.is_not_null())
rows = catalog.neural.spikes(filters=pl.col("channel") > 3, as_of="2026-03-01T00:00:00Z")
rows = catalog.lab.reagents(unit_price="412.00", storage_options={"aws_region": "x"})
rows = catalog.lab.reagents(unit_price=[Decimal("1.5"), None])
rows = catalog.training.decoders(training_sessions=[5121, 5124])
rows = catalog.db("behavior").table("session_summaries", implant_id=7, tasks=["webgrid"])
rows = catalog.db("manufacturing").table("yield", since="2026-02-01")
frame: pl.DataFrame = catalog.sql("select 1")
other: neurolake.Catalog = neurolake.connect("catalog.json")
taken: neurolake.Ingested = catalog.ingest("neural.normalized_band_power", [{"bin": 1}], key="a", ack="committed")
taken = neurolake.ingest("behavior.cursor_events", pl.DataFrame(), invalid="skip")
data: bytes = catalog.neural.spikes.open_blob("s3://x/y").bytes()
try:
    names: list[str] = catalog.neural.spikes.columns
except (neurolake.FilterError, neurolake.UnknownNameError, neurolake.ServerError, neurolake.IngestError):
    pass
"""
MISTAKES = {
    "database": 'catalog.db("nural")',
    "database attribute": "catalog.nural",
    "table": 'catalog.db("neural").table("spike")',
    "table attribute": "catalog.neural.spike",
    "filter": 'catalog.db("neural").table("spikes", implant=7)',
    "filter of an attribute": "catalog.neural.spikes(implant=7)",
    "type of a filter": 'catalog.db("neural").table("spikes", implant_id="seven")',
    "type of an attribute's filter": 'catalog.neural.spikes(implant_id="seven")',
    "type in a list": 'catalog.neural.spikes(implant_id=[7, "eight"])',
    "column": 'catalog.neural.spikes(columns=["tz"])',
    "column expression": "catalog.neural.spikes.c.tz",
    "missing argument": 'catalog.db("manufacturing").table("yield")',
    "version of files": "catalog.neural.ecog(version=3)",
    "version's type": 'catalog.neural.spikes(version="3")',
    "table that takes no events": 'catalog.ingest("neural.spikes", [])',
    "acknowledgement": 'catalog.ingest("neural.normalized_band_power", [], ack="written")',
    "method of the frame": "catalog.neural.spikes().colect()",
}


@pytest.fixture(scope="module")
def generator():
    program = os.environ.get("NEUROLAKE_CATALOG_GEN")
    if not program:
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        program = target / "debug/catalog-gen"
    if not Path(program).exists():
        pytest.skip("catalog-gen is not built: cargo build -p catalog-gen")
    return program


@pytest.fixture(scope="module")
def environment(generator, tmp_path_factory):
    """Packages of this environment with the stubs beside them, as pip would lay them out."""
    folder = tmp_path_factory.mktemp("stubs")
    subprocess.run([generator, "stubs", "--catalog", ROOT / "site/catalog.json", "--out", folder / "package"], check=True)
    installed = folder / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--target", installed, folder / "package"],
        check=True,
    )
    assert (installed / "neurolake-stubs/py.typed").read_text() == "partial\n"
    # The stubs stand beside the client that they are for.
    shutil.copytree(Path(__import__("neurolake").__file__).parent, installed / "neurolake")
    return installed


def lines_with_errors(output, file):
    return {int(line) for line in re.findall(rf"{re.escape(file.name)}:(\d+)(?::\d+)?: error", output)}


def mypy(environment, file):
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--no-error-summary", "--cache-dir", os.devnull, file],
        capture_output=True,
        text=True,
        cwd=file.parent,
        env={**os.environ, "MYPYPATH": str(environment)},
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return lines_with_errors(run.stdout, file), run.stdout


def basedpyright(environment, file):
    settings = file.parent / "pyrightconfig.json"
    settings.write_text(json.dumps({"extraPaths": [str(environment)], "typeCheckingMode": "standard", "pythonVersion": "3.11"}))
    run = subprocess.run(
        [Path(sys.executable).parent / "basedpyright", "--outputjson", "--pythonpath", sys.executable, "--project", settings, file],
        capture_output=True,
        text=True,
        cwd=file.parent,
    )
    found = json.loads(run.stdout)["generalDiagnostics"]
    return {one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"}, json.dumps(found, indent=1)


@pytest.mark.parametrize("check", [mypy, basedpyright])
def test_good_code_passes_and_each_mistake_is_flagged(environment, tmp_path, check):
    good = tmp_path / "good.py"
    good.write_text(GOOD)
    wrong, output = check(environment, good)
    assert not wrong, output
    bad = tmp_path / "bad.py"
    bad.write_text("from neurolake import catalog\n\n" + "\n".join(MISTAKES.values()) + "\n")
    wrong, output = check(environment, bad)
    missed = [name for at, name in enumerate(MISTAKES, 3) if at not in wrong]
    assert not missed, output


def test_the_stub_itself_is_sound(environment, tmp_path):
    stub = tmp_path / "catalog_stub.pyi"
    stub.write_text((environment / "neurolake-stubs/__init__.pyi").read_text())
    wrong, output = mypy(environment, stub)
    assert not wrong, output
    wrong, output = basedpyright(environment, stub)
    assert not wrong, output


def test_jedi_completes(environment):
    import jedi

    project = jedi.Project(path=str(environment), added_sys_path=[str(environment)], smart_sys_path=False)

    def complete(code):
        script = jedi.Script("from neurolake import catalog\n" + code, project=project)
        return {one.name for one in script.complete()}

    assert {"neural", "surgery", "db", "sql"} <= complete("catalog.")
    assert {"spikes", "units", "table"} <= complete("catalog.neural.")
    assert {"ts", "channel", "waveform"} <= complete("catalog.neural.spikes.c.")
    assert "implant_id=" in complete("catalog.neural.spikes(impl")
    assert {"filter", "collect"} <= complete("catalog.neural.spikes().")
    assert {"filter", "collect"} <= complete('catalog.db("neural").table("spikes").')
    docs = jedi.Script("from neurolake import catalog\ncatalog.neural.spikes", project=project).help(2, 18)
    assert "Spikes as the implant detects them" in docs[0].docstring()


def test_a_running_catalog_completes_too(lake, catalog):
    """What Jupyter does without stubs: it looks at the live object."""
    import jedi

    names = {one.name for one in jedi.Interpreter("catalog.files.", [{"catalog": catalog}]).complete()}
    assert {"everything", "hive"} <= names
