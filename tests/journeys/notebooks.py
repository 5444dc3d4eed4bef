"""Notebooks with the kernel of a user: an environment that holds the client and what it needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import nbformat
from nbclient import NotebookClient

KERNEL = "user"


def install_kernel(kernel: Path, data: Path) -> None:
    """Makes the kernel known below `data`, a folder for `JUPYTER_DATA_DIR`."""
    subprocess.run(
        [kernel / "bin/python", "-m", "ipykernel", "install", "--prefix", data / "prefix", "--name", KERNEL],
        check=True,
        capture_output=True,
    )
    (data / "prefix/share/jupyter/kernels").rename(data / "kernels")


def run(cells: dict[str, str], environment: dict[str, str]) -> dict[str, dict[str, object]]:
    """Runs each cell as pasted, with no names of the ones before it."""
    notebook = nbformat.v4.new_notebook()
    for code in cells.values():
        notebook.cells += [nbformat.v4.new_code_cell(code), nbformat.v4.new_code_cell("%reset -f")]
    client = NotebookClient(notebook, kernel_name=KERNEL, allow_errors=True, timeout=120)
    client.create_kernel_manager()
    client.execute(env=environment)
    return {name: result(cell.outputs) for name, cell in zip(cells, notebook.cells[::2], strict=True)}


def result(outputs: list[dict]) -> dict[str, object]:
    for output in outputs:
        if output["output_type"] == "error":
            return {"error": "\n".join([f"{output['ename']}: {output['evalue']}"])}
    shown = [output["data"] for output in outputs if output["output_type"] == "execute_result"]
    text = shown[-1].get("text/plain", "") if shown else ""
    rows = rows_in(text)
    if rows is None:
        return {"text": text, "error": f"the cell shows no frame: {outputs}"}
    return {"text": text, "rows": rows}


def rows_in(text: str) -> int | None:
    """Rows of a frame that is shown."""
    found = re.search(r"shape: \(([\d_]+), ", text)
    return int(found[1].replace("_", "")) if found else None
