"""What `git diff` shows of a changed notebook, set up as CONTRIBUTING.md says: the change, and nothing of a figure's drawing.

    python tests/python/text.py
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOK = "notebooks/05-ito-diffusions.ipynb"


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def changed(change):
    """The lines that differ after `change` of the notebook's cells."""
    notebook = json.loads((ROOT / NOTEBOOK).read_text())
    change(notebook["cells"])
    (folder / NOTEBOOK).write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    lines = git("diff", "--no-color", "--unified=0").splitlines()
    return [line for line in lines if re.match(r"[+-](?![+-]{2} )", line)]


def source(cells):
    cells[1]["source"][1] = cells[1]["source"][1].replace("505", "506")


def figure(cells):
    """The figure of the first cell with one: the same size, another drawing."""
    data = next(output["data"] for cell in cells for output in cell.get("outputs", []) if "image/svg+xml" in output.get("data", {}))
    drawing = "".join(data["image/svg+xml"])
    data["image/svg+xml"] = drawing.replace("0", "1", 1)


def words(cells):
    output = next(output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "stream")
    output["text"] = ["".join(output["text"]).rstrip("\n") + " and more\n"]


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for file in (NOTEBOOK, "book/text.py", ".gitattributes"):
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    git("init", "--quiet")
    command = re.search(r'git config diff\.notebook\.textconv "(.*)"', (ROOT / "CONTRIBUTING.md").read_text())
    git("config", "diff.notebook.textconv", command[1])
    git("add", ".")
    git("-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "--message", "as it is")

    assert changed(lambda cells: None) == []
    assert changed(source) == ["-let mut generator = Generator::new(505);", "+let mut generator = Generator::new(506);"], changed(source)
    before, after = changed(figure)
    assert re.fullmatch(r"->> \[image/svg\+xml, \d+ bytes, [0-9a-f]{8}\]", before), before
    assert after[1:-10] == before[1:-10] and after != "+" + before[1:], (before, after)
    before, after = changed(words)
    assert after == "+" + before[1:] + " and more", (before, after)
    # With the marks of a merge in it a notebook is shown as it is.
    (folder / NOTEBOOK).write_text("<<<<<<< ours\n" + (ROOT / NOTEBOOK).read_text())
    assert "+<<<<<<< ours" in git("diff", "--no-color")
print("tally: 5 passed, 0 failed")
