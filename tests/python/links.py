"""Follows the links of the texts and of the notebooks' Markdown: every file and every heading that they name is there.

    python tests/python/links.py

Other sites are not asked; their addresses must be well formed. (rustdoc itself checks the links of the documentation.)
"""

import json
import pathlib
import re
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPOSITORY = re.search(r'^repository = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
TEXTS = ["*.md", "datasets/**/*.md", "notebooks/*.md", "notebooks/*.ipynb", "notebooks/solutions/*", "notebooks/assignments/*.md", "notebooks/assignments/source/*/*.ipynb"]
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.M | re.S)
LINK = re.compile(r"\]\(\s*<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\s*\)|^\s*\[[^\]]+\]:\s+(\S+)|<(https?:[^>\s]*)>|(?:src|href)=\"([^\"]*)\"", re.M)


def prose(file):
    """A text without its code; of a notebook the Markdown cells."""
    text = file.read_text()
    if file.suffix == ".ipynb":
        text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    elif file.suffix == ".rs":
        text = "\n".join(re.findall(r"^\s*//[/!] ?(.*)$", text, re.M))
    return text


def anchors(file):
    """The anchors of a text's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", prose(file)), re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\$[^$]*\$", "", heading).lower()).replace(" ", "-") for heading in headings}


def wrong(file, text):
    """What is wrong with the links of `text`, which stands in `file`."""
    found = []
    for groups in LINK.findall(CODE.sub("", text)):
        link = "".join(groups)
        path, _, anchor = link.partition("#")
        folder = file.parent
        if path.startswith(f"{REPOSITORY}/blob/main/"):
            folder, path = ROOT, path.removeprefix(f"{REPOSITORY}/blob/main/")
        elif re.match(r"[a-z]+:(?!:)", path):
            address = urllib.parse.urlsplit(link)
            if address.scheme not in ("http", "https") or not re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", address.hostname or "") or re.search(r"[\s\\]", link):
                found.append(f"{link} is no address")
            continue
        elif file.suffix == ".rs":
            # The names of items: rustdoc's.
            continue
        target = (folder / urllib.parse.unquote(path)).resolve() if path else file
        if not target.is_relative_to(ROOT) or not target.exists():
            found.append(f"there is no {link}")
        elif anchor and (target.suffix not in (".md", ".ipynb") or anchor not in anchors(target)):
            found.append(f"{link}: no such heading")
    return found


# A check that finds nothing is no check.
readme = ROOT / "README.md"
for text, cause in [
    ("[a](notebooks/05-itu.ipynb)", "there is no notebooks/05-itu.ipynb"),
    ("[a](Notebooks/CONCEPTS.md)", "there is no Notebooks/CONCEPTS.md"),
    ("![a](../picture.png)", "there is no ../picture.png"),
    ("[a](CONTRIBUTING.md#before)", "CONTRIBUTING.md#before: no such heading"),
    ("[a](#start-here)", "#start-here: no such heading"),
    ("[a](notebooks/05-ito-diffusions.ipynb#1)", "notebooks/05-ito-diffusions.ipynb#1: no such heading"),
    (f"[a]({REPOSITORY}/blob/main/src/sde/flaw.rs)", f"there is no {REPOSITORY}/blob/main/src/sde/flaw.rs"),
    ("[a](https//github.com)", "there is no https//github.com"),
    ("[a](https://github)", "https://github is no address"),
    ("[a]\n\n[a]: https:///path", "https:///path is no address"),
]:
    assert wrong(readme, text) == [cause], (text, wrong(readme, text))
for text in ["[a](CONTRIBUTING.md#before-a-pull-request)", "`[a](nothing)`", "```\n[a](nothing)\n```", "[`a`](src/sde/flow.rs)", "<https://docs.rs/candle>"]:
    assert wrong(readme, text) == [], (text, wrong(readme, text))

failed = passed = 0
for file in sorted({file for pattern in [*TEXTS, "src/**/*.rs"] for file in ROOT.glob(pattern) if file.suffix in (".md", ".ipynb", ".rs")}):
    problems = wrong(file, prose(file))
    for problem in problems:
        print(f"{file.relative_to(ROOT)}: {problem}")
    failed += bool(problems)
    passed += not problems
print(f"tally: {passed} passed, {failed} failed")
sys.exit(failed > 0)
