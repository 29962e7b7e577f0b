"""Builds the book as a static site: the notebooks as they are kept, with their outputs, and the texts around them.

    python3 book/build.py [OUT] [--doc DOC]

OUT is by default target/book; its index.html opens from the file system, and nothing on the site needs a network. Nothing
is run. Where `cargo doc --no-deps --lib` has left the library's documentation in DOC (by default target/doc), the site
contains it, and its links and the book's lead to each other. Sphinx and its theme are installed once, into the user's
cache.
"""

import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BOOK = pathlib.Path(__file__).resolve().parent
ROOT = BOOK.parent
REPOSITORY = re.search(r'^repository = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
LINK = re.compile(r"(!?)\[((?:[^\]`]|`[^`]*`)*)\]\(([^)\s]+)\)")
# Fenced blocks and code in a line, which have no links.
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`(?!\]\())", re.M | re.S)

CHAPTERS = {
    "The book": ["notebooks/[0-9]*.ipynb"],
    "Teaching": ["notebooks/CONCEPTS.md", "notebooks/assignments/README.md"],
    "Solutions of the exercises": ["notebooks/solutions/*.md", "notebooks/solutions/*.ipynb"],
    "The project": ["ARCHITECTURE.md", "datasets/README.md", "datasets/weights/README.md", "CONTRIBUTING.md", "CHANGELOG.md"],
}


def files(patterns):
    return [path.relative_to(ROOT) for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def python():
    """The interpreter of an environment with Sphinx, made anew when the requirements have changed."""
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "scorebook/book-python"
    interpreter, wanted = folder / "bin/python", BOOK / "requirements.txt"
    installed = folder / "requirements.txt"
    if not installed.is_file() or installed.read_text() != wanted.read_text():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
        shutil.copy(wanted, installed)
    return interpreter


class Site:
    """The pages as Sphinx gets them: links between files of the repository become links between pages."""

    def __init__(self, source, doc):
        self.source, self.doc = source, doc
        self.chapters = {title: files(patterns) for title, patterns in CHAPTERS.items()}
        self.pages = {pathlib.Path("README.md"): "index.md"}
        self.pages.update({path: str(path) for chapter in self.chapters.values() for path in chapter})
        self.concepts = [row.strip("|").split(" | ") for row in (ROOT / "notebooks/CONCEPTS.md").read_text().splitlines() if row.startswith("| 00")]

    def write(self):
        for path in self.pages:
            text = (ROOT / path).read_text()
            if path.suffix == ".ipynb":
                text = self.notebook(path, text)
            elif path.name == "CONCEPTS.md":
                text = self.markdown(path, self.map_of_concepts(text))
            else:
                text = self.markdown(path, text)
            if path.name == "README.md" and path.parent == pathlib.Path("."):
                text += self.contents()
            self.put(self.pages[path], text)
        self.put("reference.md", self.reference())

    def put(self, name, text):
        (self.source / name).parent.mkdir(parents=True, exist_ok=True)
        (self.source / name).write_text(text)

    def contents(self):
        """The tables of contents for the side bar."""
        chapters = {title: [f"{numbered(path)} <{path}>" for path in paths] for title, paths in self.chapters.items()}
        chapters["The project"].insert(0, "reference.md")
        tree = "\n```{{toctree}}\n:hidden:\n:caption: {}\n\n{}\n```\n"
        return "".join(tree.format(title, "\n".join(paths)) for title, paths in chapters.items() if paths)

    def markdown(self, path, text):
        pieces = CODE.split(text)
        pieces[::2] = [LINK.sub(lambda link: self.link(path, *link.groups()), piece) for piece in pieces[::2]]
        return "".join(pieces)

    def link(self, path, image, text, target):
        """A link of the file `path`, as the site has it."""
        here = path.parent
        if target.startswith(f"{REPOSITORY}/blob/main/"):
            here, target = pathlib.Path("."), target.removeprefix(f"{REPOSITORY}/blob/main/")
        if re.match(r"[a-z]+:|#", target):
            return f"{image}[{text}]({target})"
        target, _, anchor = target.partition("#")
        file = pathlib.Path(os.path.normpath(here / target))
        if (ROOT / file).is_dir() and file / "README.md" in self.pages:
            file = file / "README.md"
        if image:
            (self.source / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, self.source / file)
        elif file in self.pages:
            target = os.path.relpath(self.pages[file], path.parent)
            return f"[{text}]({target}{'#' if anchor else ''}{anchor})"
        elif file.parts[0] == "src":
            file = file.relative_to("src")
            page = f"scorebook/{file.parent}/index.html" if file.name == "mod.rs" else f"src/scorebook/{file}.html"
            return self.to_reference(path, text, page, f"src/{file}")
        else:
            return f"[{text}]({REPOSITORY}/blob/main/{file})"
        return f"{image}[{text}]({target})"

    def to_reference(self, path, text, page, file):
        """A link to a page of the library's documentation; where that is not there, to the file in the repository."""
        if self.doc and (self.doc / page).is_file():
            return f'<a href="{os.path.relpath(f"doc/{page}", path.parent)}">{code(text)}</a>'
        return f"[{text}]({REPOSITORY}/blob/main/{file})"

    def item(self, path, file, item):
        """A link to the documentation of a public item that is defined in `file`."""
        room = re.sub(r"(/mod)?\.rs$", "", file).split("/")[1]
        found = sorted((self.doc / "scorebook" / room).rglob(f"*.{item}.html"), key=lambda page: len(page.parts)) if self.doc else []
        page = found[0].relative_to(self.doc) if found else ""
        return self.to_reference(path, f"`{item}`", page, file)

    def map_of_concepts(self, text):
        """CONCEPTS.md with links to the items and to the very sections."""
        path = pathlib.Path("notebooks/CONCEPTS.md")
        for row in self.concepts:
            file, notebook = (LINK.search(cell)[3] for cell in (row[2], row[4]))
            number = row[4].rsplit(", ")[-1].strip()
            heading = next(line for line in prose(ROOT / "notebooks" / notebook) if line.startswith(f"## {number}. "))
            cells = row.copy()
            cells[3] = self.item(path, file.removeprefix("../"), row[3].strip("`"))
            cells[4] = row[4].replace(notebook, f"{notebook}#{slug(heading[3:])}")
            text = text.replace(f"|{' | '.join(row)}|", f"|{' | '.join(cells)}|")
        return text

    def notebook(self, path, text):
        """A notebook whose last cell leads to what it uses of the library."""
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = self.markdown(path, "".join(cell["source"]))
        used = {}
        for row in self.concepts:
            if LINK.search(row[4])[3] == path.name:
                file = LINK.search(row[2])[3].removeprefix("../")
                used.setdefault(self.item(path, file, row[3].strip("`")), []).append(row[1])
        if used and path.parent.name == "notebooks":
            lines = [f"- {item}: {'; '.join(concepts)}" for item, concepts in used.items()]
            source = "## In the library\n\n" + "\n".join(lines)
            notebook["cells"].append({"cell_type": "markdown", "id": "in-the-library", "metadata": {}, "source": source})
        return json.dumps(notebook)

    def reference(self):
        """The page that leads to the library's documentation: its table of rooms."""
        text = re.findall(r"^//! ?(.*)$", (ROOT / "src/lib.rs").read_text(), re.M)
        text = "\n".join(text[: text.index("```")])
        path = pathlib.Path("reference.md")

        def room(name):
            file = next(file for file in (f"src/{name[1]}.rs", f"src/{name[1]}/mod.rs") if (ROOT / file).is_file())
            return self.to_reference(path, f"`{name[1]}`", f"scorebook/{name[1]}/index.html", file)

        text = re.sub(r"\[`(\w+)`\](?:\([^)]*\))?", room, text)
        return f"# The library\n\n{self.to_reference(path, 'All of its documentation', 'scorebook/index.html', 'src/lib.rs')}\n\n{text}"


def numbered(path):
    """The title of a page, with the number of its notebook."""
    lines = prose(ROOT / path) if path.suffix == ".ipynb" else (ROOT / path).read_text().splitlines()
    title = next((line for line in lines if line.startswith("# ")), path.stem).removeprefix("# ")
    number = re.match(r"\d+", path.name)
    return f"{number[0]} {title}" if number else title


def code(text):
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", text)


def slug(heading):
    """The anchor of a heading as MyST makes it: GitHub's, without the formulas."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"\$[^$]*\$", "", heading).lower()).replace(" ", "-")


def prose(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    return [line for cell in cells if cell["cell_type"] == "markdown" for line in "".join(cell["source"]).splitlines()]


def static(folder):
    """The script and the letters of KaTeX, which the library's documentation carries in one style sheet, and our own files."""
    folder.mkdir()
    style = (ROOT / "rustdoc/katex.css").read_text()
    script = re.search(r':root\{--katex:"([^"]*)"\}\n', style)
    (folder / "katex.js").write_bytes(base64.b64decode(script[1]))
    (folder / "katex.css").write_text(style.replace(script[0], ""))
    for name in ("formulas.js", "book.css"):
        shutil.copy(BOOK / name, folder)


def copy_documentation(doc, out):
    """The library's documentation, with its links to notebooks in the repository leading to the site's pages."""
    shutil.copytree(doc, out / "doc", ignore=shutil.ignore_patterns(".lock"))
    there = re.compile(re.escape(f"{REPOSITORY}/blob/main/notebooks/") + r"([\w-]+)\.ipynb")
    for page in (out / "doc/scorebook").rglob("*.html"):
        text = page.read_text()
        if there.search(text):
            up = os.path.relpath(out / "notebooks", page.parent)
            page.write_text(there.sub(rf"{up}/\1.html", text))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=target / "book")
    parser.add_argument("--doc", type=pathlib.Path, default=target / "doc")
    settings = parser.parse_args()
    out, doc = settings.out.resolve(), settings.doc.resolve()
    if not (doc / "scorebook").is_dir():
        print(f"{doc} has no documentation of the library: the site will link to the repository (`cargo doc --no-deps --lib` makes it)")
        doc = None
    elif [path for path in (doc / "src").iterdir() if path.name != "scorebook"]:
        sys.exit(f"{doc} has the documentation of other packages too, more than a site should carry: remove it and run `cargo doc --no-deps --lib`")
    if out.exists() and any(out.iterdir()) and not (out / ".buildinfo").is_file():
        sys.exit(f"{out} is there and is not a site: name another folder")
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder)
        Site(source, doc).write()
        static(source / "_static")
        for name in ("conf.py", "search.js"):
            shutil.copy(BOOK / name, source)
        shutil.rmtree(out, ignore_errors=True)
        subprocess.run([python(), "-m", "sphinx", "-q", "-W", "--keep-going", "-d", ".doctrees", ".", out], cwd=source, check=True)
    if doc:
        copy_documentation(doc, out)
    print(f"the site is at {out / 'index.html'}")


if __name__ == "__main__":
    main()
