"""Runs every notebook of the book by nbclient, as `jupyter execute` does, and judges what came out.

A notebook passes if every cell runs, its outputs are valid nbformat, and its figures are there: at least one, and as many
as in the committed notebook, so that a figure that was lost is seen.
"""

import os
import pathlib
import sys
import time

import nbclient
import nbformat

BOOK = pathlib.Path(__file__).parents[2] / "notebooks"


def figures(notebook):
    """The number of images among the outputs of each code cell."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    pictures = ("image/svg+xml", "image/png")
    return [sum(any(kind in o.get("data", {}) for kind in pictures) for o in cell.outputs) for cell in cells]


def run(path):
    committed = nbformat.read(path, as_version=4)
    nbformat.validate(committed)
    notebook = nbformat.read(path, as_version=4)
    begun = time.time()
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="scorebook",
        timeout=600,
        startup_timeout=300,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    nbformat.validate(notebook)
    found, expected = figures(notebook), figures(committed)
    assert sum(found) > 0, "no figure"
    assert found == expected, f"figures a cell: {found}, committed: {expected}"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", output
            assert output.get("name") != "stderr", f"the cell wrote to stderr: {output.text}"
    return time.time() - begun


def main():
    # While one notebook runs, the next one's kernel is started.
    os.environ["SCOREBOOK_KEEPER"] = str(os.getpid())
    passed = failed = 0
    for path in sorted(BOOK.glob("*.ipynb")):
        try:
            print(f"{path.name}: {run(path):.1f} s", flush=True)
            passed += 1
        except Exception as error:  # the next notebook is tried all the same
            print(f"{path.name}: FAILED: {error}", flush=True)
            failed += 1
    if passed + failed == 0:
        print(f"no notebooks in {BOOK}")
        failed = 1
    print(f"tally: {passed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
