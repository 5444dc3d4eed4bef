"""The wheel, as pip and other versions of Python see it."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

WHEEL = Path(os.environ.get("NEUROLAKE_TEST_WHEEL", "no-wheel"))
WORK = Path(os.environ.get("NEUROLAKE_TEST_WORK", "/nowhere"))
HERE = Path(__file__).parent


def test_content():
    with zipfile.ZipFile(WHEEL) as wheel:
        names = wheel.namelist()
        code = {name: wheel.read(name).decode() for name in names if name.endswith(".py")}
        metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "neurolake/py.typed" in names
    assert all(name.startswith(("neurolake/", "neurolake-0.1.0.dist-info/")) for name in names), names
    assert not [name for name in names if "test" in name or "pycache" in name]
    assert "Requires-Python: >=3.10" in metadata
    assert set(re.findall(r"Requires-Dist: (\w+)", metadata)) == {"polars", "deltalake"}
    assert [name for name, text in code.items() if "register_io_source" in text] == ["neurolake/io_source.py"]
    assert not [name for name, text in code.items() if "use_pyarrow" in text or "import pyarrow" in text or "import requests" in text]
    assert WHEEL.stat().st_size < 100_000


def python(version):
    """An interpreter that runs; shims of version managers may not."""
    candidates = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for path in filter(None, candidates):
        if subprocess.run([path, "-c", "pass"], capture_output=True).returncode == 0:
            return str(path)
    return None


@pytest.mark.parametrize(
    ("version", "polars"),
    [("3.10", "2.0.0"), ("3.11", "2.0.0"), ("3.12", "2.1.0"), ("3.13", "2.1.0")],
)
def test_other_versions(lake, version, polars):
    """Filters, expressions and layouts with this Python and this polars; the oldest and the newest,
    and those between when everything is asked for."""
    if version in ("3.11", "3.12") and not os.environ.get("NEUROLAKE_TEST_ALL"):
        pytest.skip("only with NEUROLAKE_TEST_ALL=1")
    program = python(version)
    if program is None:
        pytest.skip(f"no Python {version} on this machine")
    venv = WORK / f"venv-{version}-{polars}"
    inside = venv / "bin/python"
    if not (venv / "done").exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([program, "-m", "venv", venv], check=True)
        pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"polars=={polars}", "deltalake==1.6.6", "pytest==9.2.0"], check=True)
        (venv / "done").touch()
    subprocess.run([inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall", WHEEL], check=True)
    run = subprocess.run(
        [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "test_fuzz.py", "test_client.py"],
        cwd=HERE,
        capture_output=True,
        text=True,
        env={**os.environ, "NEUROLAKE_TEST_FILTERS": "15", "NEUROLAKE_TEST_SERVER_PYTHON": sys.executable},
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
