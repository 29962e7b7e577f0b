"""Runs every notebook of the book by nbclient, as `jupyter execute` does, and judges what came out.

A notebook passes if every cell runs, its outputs are valid nbformat, and its figures are there: at least one, and as many
as in the committed notebook, so that a figure that was lost is seen.

The exercises of the book are not answered, and say so. Each has a worked solution in `notebooks/solutions`, whose cell ends
with the same check and is told that it is right; the wrong answers that the cell's metadata lists, as pairs of a text of
the solution and what takes its place, are told that they are not.
"""

import concurrent.futures
import functools
import os
import pathlib
import sys
import time

import nbclient
import nbformat

BOOK = pathlib.Path(__file__).parents[2] / "notebooks"
CHECK = "Exercise::new("


def figures(notebook):
    """The number of images among the outputs of each code cell."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    pictures = ("image/svg+xml", "image/png")
    return [sum(any(kind in o.get("data", {}) for kind in pictures) for o in cell.outputs) for cell in cells]


def exercises(notebook):
    """The cells of the exercises by their ids, `exercise-1` and so on."""
    return {cell.id: cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])}


def halves(cell):
    """An exercise's answer, and its check."""
    answer, begin, check = cell.source.partition(CHECK)
    assert begin, f"{cell.id} has no check"
    return answer, begin + check


def told(cell):
    """What the check of an exercise said."""
    said = [output.data["text/plain"] for output in cell.outputs if output.output_type == "execute_result"]
    assert len(said) == 1, f"{cell.id} shows {len(said)} results"
    return said[0]


def wrong_answers(solutions):
    """A block of code for each wrong answer, in which it hides the right one and its check says what it thinks of it."""
    blocks = []
    for name, cell in solutions.items():
        answer, check = halves(cell)
        assert cell.metadata.get("wrong"), f"{name} of the solutions lists no wrong answer"
        for old, new in cell.metadata.wrong:
            assert answer.count(old) == 1, f"{name}: {old!r} is not at one place"
            verdict = f'println!("{len(blocks)}: {{}} {{}}", told.is_answered(), told.is_right());'
            blocks.append(f"{{\n{answer.replace(old, new)}\nlet told = {check};\n{verdict}\n}};")
    return blocks


def run(path):
    """Runs a notebook of the book: what is told of it."""
    begun = time.time()
    notebook = execute(path)
    for name, cell in exercises(notebook).items():
        number = name.removeprefix("exercise-")
        assert told(cell).startswith(f"Exercise {number}: not answered yet: "), told(cell)
    return f"{time.time() - begun:.1f} s"


def run_solutions(path):
    """Runs the solutions of a notebook, and its wrong answers in the same kernel: what is told of it."""
    begun = time.time()
    asked, solved = (exercises(nbformat.read(p, as_version=4)) for p in (BOOK / path.name, path))
    assert list(asked) == list(solved), f"asked: {list(asked)}, solved: {list(solved)}"
    for name, cell in solved.items():
        assert halves(cell)[1] == halves(asked[name])[1], f"{name}: the book's check is another one"
    wrong = wrong_answers(solved)
    notebook = execute(path, "\n".join(wrong))
    for name, cell in exercises(notebook).items():
        number = name.removeprefix("exercise-")
        assert told(cell) == f"Exercise {number}: right.", told(cell)
    verdicts = "".join(output.get("text", "") for output in notebook.cells[-1].outputs).splitlines()
    for number, block in enumerate(wrong):
        assert f"{number}: true false" in verdicts, f"a wrong answer is not told that it is wrong:\n{block}"
    return f"{time.time() - begun:.1f} s, {len(wrong)} wrong answers"


def execute(path, last=None):
    """The notebook with new outputs, after it a cell with the code `last`; what is wrong with the outputs is raised."""
    committed = nbformat.read(path, as_version=4)
    nbformat.validate(committed)
    notebook = nbformat.read(path, as_version=4)
    if last:
        notebook.cells.append(nbformat.v4.new_code_cell(last))
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
    assert found[: len(expected)] == expected, f"figures a cell: {found}, committed: {expected}"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", output
            assert output.get("name") != "stderr", f"the cell wrote to stderr: {output.text}"
    return notebook


def judge(name, run):
    """Runs one notebook: whether it passed. The others are run all the same."""
    try:
        print(f"{name}: {run()}", flush=True)
        return True
    except Exception as error:
        print(f"{name}: FAILED: {error}", flush=True)
        return False


def main():
    # While notebooks run, the next one's kernel is started.
    os.environ["SCOREBOOK_KEEPER"] = str(os.getpid())
    books = sorted(BOOK.glob("*.ipynb"))
    assert books, f"no notebooks in {BOOK}"
    runs = [(path.name, functools.partial(run, path)) for path in books]
    runs += [(f"solutions/{path.name}", functools.partial(run_solutions, BOOK / "solutions" / path.name)) for path in books]
    # Two at a time: a cell is compiled on one core while another notebook computes.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        passed = sum(pool.map(lambda run: judge(*run), runs))
    print(f"tally: {passed} passed, {len(runs) - passed} failed")
    return len(runs) - passed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
