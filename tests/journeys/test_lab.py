"""One click to copy, one to paste, one to run: in the real JupyterLab."""

from __future__ import annotations

import sys
from pathlib import Path

import browsing
import nbformat
import notebooks
import processes
import pytest

TABLE = "neural.normalized_band_power"


@pytest.fixture
def lab(folder: Path, user: dict[str, str]):
    """Address of an empty notebook."""
    home = folder / "lab"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
    notebook.metadata.kernelspec = {"name": notebooks.KERNEL, "display_name": notebooks.KERNEL, "language": "python"}
    (home / "work").mkdir(parents=True)
    nbformat.write(notebook, home / "work/journey.ipynb")
    port = processes.free_port()
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={home / 'work'}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=",
    ]  # fmt: skip
    environment = user | {"JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    with processes.running(command, folder / "lab.log", environment, lambda: processes.accepts(port)):
        yield f"http://127.0.0.1:{port}/lab/tree/journey.ipynb?reset"


def test_copy_paste_run(lab, context, platform):
    page = context.new_page()
    page.goto(f"{platform.http}/{TABLE.replace('.', '/')}.html")
    code = browsing.copy(page, "Python")

    notebook = context.new_page()
    notebook.goto(lab)
    cell = notebook.locator(".jp-Notebook .jp-Cell").first
    cell.locator(".cm-content").wait_for()
    # Until the kernel is idle, the run button moves the cursor and runs nothing.
    notebook.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    cell.locator(".cm-content").click()
    notebook.keyboard.press("Control+V")
    notebook.wait_for_function(
        """code => [...document.querySelector(".jp-Notebook .jp-Cell").querySelectorAll(".cm-line")]
            .map(line => line.textContent).join("\\n") === code""",
        arg=code,
    )
    notebook.locator('[data-command="notebook:run-cell-and-select-next"]').first.click()
    output = cell.locator(".jp-OutputArea-output")
    output.first.wait_for()
    text = output.first.inner_text()
    assert cell.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0, text
    assert (notebooks.rows_in(text) or 0) > 0, text
