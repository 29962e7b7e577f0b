"""Runs notebooks of the book under stock evcxr_jupyter 0.22, after one `:dep` cell. Not a part of the test run, as the kernel
is another project's and compiles the library and candle anew: `cargo install evcxr_jupyter --locked`, `evcxr_jupyter --install`,
then `python tests/python/stock_evcxr.py [NOTEBOOK…]` (by default the tour).

Stock evcxr answers `ok` whatever happens, so what it writes to standard error is looked at.
"""

import pathlib
import sys
import time

import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEP = f"""\
:dep scorebook = {{ path = "{ROOT}", default-features = false }}
:dep candle-core = "=0.11.1"
:dep candle-nn = "=0.11.1"
:dep rand = {{ version = "0.9", default-features = false, features = ["std"] }}
:dep rand_distr = "0.5"
"""


def run(path):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(DEP))
    client = nbclient.NotebookClient(
        notebook, kernel_name="rust", timeout=3600, startup_timeout=300, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    figures = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            said = output.get("text", "") if output.get("name") == "stderr" else output.get("evalue", "")
            assert not said, f"{cell.source}\n{said}"
            figures += "image/svg+xml" in output.get("data", {}) or "image/png" in output.get("data", {})
    assert figures, "no figure"
    return figures


def main(paths):
    for path in paths:
        begun = time.time()
        print(f"{path.name}: {run(path)} figures, {time.time() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main([pathlib.Path(argument) for argument in sys.argv[1:]] or [ROOT / "notebooks/00-tour.ipynb"])
