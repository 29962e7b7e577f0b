"""A notebook as text: what its cells say and what they gave, without the drawing of a figure.

    python3 book/text.py NOTEBOOK

So that `git diff` shows what was changed in a notebook:

    git config diff.notebook.textconv "python3 book/text.py"
"""

import hashlib
import json
import sys


def text(lines):
    return lines if isinstance(lines, str) else "".join(lines)


def output(output):
    """What a cell gave: its words, and of anything else the size and a fingerprint."""
    if output["output_type"] == "stream":
        return text(output["text"])
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}\n"
    shown = []
    for kind, value in output["data"].items():
        content = value if isinstance(value, (str, list)) else json.dumps(value, sort_keys=True)
        content = text(content)
        if kind == "text/plain":
            shown.append(content)
        else:
            shown.append(f"[{kind}, {len(content)} bytes, {hashlib.sha256(content.encode()).hexdigest()[:8]}]")
    return "\n".join(shown)


def cell(cell):
    about = {key: value for key, value in cell["metadata"].items() if value}
    head = f"%% {cell['cell_type']} {cell.get('id', '')} {json.dumps(about, sort_keys=True) if about else ''}".rstrip()
    parts = [head, text(cell["source"]).rstrip("\n")]
    parts += [">> " + output(one).rstrip("\n").replace("\n", "\n>> ") for one in cell.get("outputs", [])]
    return "\n".join(parts) + "\n"


source = open(sys.argv[1], encoding="utf-8").read()
try:
    notebook = json.loads(source)
except ValueError:
    # Such as a file with the marks of a merge in it: git shows it as it is.
    sys.stdout.write(source)
else:
    print(json.dumps(notebook["metadata"], sort_keys=True), *map(cell, notebook["cells"]), sep="\n")
