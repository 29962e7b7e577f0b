"""Builds the book's site and reads every page of it from the file system in headless Chromium, without a network.

    python tests/python/site.py [DOC]

Formulas and figures must be drawn, links lead somewhere, nothing be fetched, and the search find what is there. DOC is what
`cargo doc` made, if it did.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPOSITORY = re.search(r'^repository = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]

# What a page looks like to its reader.
LOOK = """async () => {
    await document.fonts.ready;
    const size = (it) => { const box = it.getBoundingClientRect(); return Math.min(box.width, box.height); };
    const formulas = [...document.querySelectorAll('.math')];
    const loaded = new Set([...document.fonts].filter((font) => font.status === 'loaded')
        .map((font) => [font.family.replaceAll('"', ''), font.weight.replace('normal', 400).replace('bold', 700), font.style].join(' ')));
    const letters = [...document.querySelectorAll('.katex-html span')].filter((it) => [...it.childNodes].some((node) => node.nodeType === 3 && /\\S/.test(node.data)))
        .map((it) => getComputedStyle(it)).map((style) => [style.fontFamily.split(',')[0].replaceAll('"', ''), style.fontWeight, style.fontStyle].join(' '));
    const images = [...document.querySelectorAll('article img')];
    await Promise.all(images.map((image) => { image.loading = 'eager'; return image.decode().catch(() => null); }));
    const article = document.querySelector('article').cloneNode(true);
    for (const it of article.querySelectorAll('pre, code, .katex')) it.remove();
    return {
        formulas: document.querySelectorAll('article .math').length,
        undrawn: formulas.filter((it) => !it.querySelector('.katex-html') || size(it.querySelector('.katex-html')) < 4).map((it) => it.textContent),
        wrong: [...document.querySelectorAll('.katex-error, merror')].map((it) => it.textContent),
        without_letters: [...new Set(letters)].filter((font) => !loaded.has(font)),
        figures: document.querySelectorAll('.cell_output img').length,
        empty: images.filter((image) => image.naturalWidth < 50 || size(image) < 20).map((image) => image.src),
        text: article.textContent,
        links: [...document.querySelectorAll('a[href]')].map((link) => link.href),
        code: [...document.querySelectorAll('.cell_input .highlight-rust')].filter((it) => it.querySelector('span[class]')).length,
    };
}"""


def written(notebook):
    """The formulas, figures and code cells of a notebook."""
    cells = json.loads(notebook.read_text())["cells"]
    texts = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    texts = re.sub(r"^```.*?^```|`[^`\n]+`", "", texts, flags=re.M | re.S)
    data = [output["data"] for cell in cells for output in cell.get("outputs", []) if "data" in output]
    return {
        "formulas": len(re.findall(r"\$\$.+?\$\$|\$.+?\$", texts, re.S)),
        "figures": sum("image/svg+xml" in kinds or "image/png" in kinds for kinds in data),
        "code": sum(cell["cell_type"] == "code" for cell in cells),
    }


def read(context, page):
    """What is wrong with a page, and its links."""
    tab = context.new_page()
    problems = []
    tab.on("pageerror", lambda error: problems.append(f"error: {error}"))
    tab.on("console", lambda message: message.type in ("error", "warning") and problems.append(f"console: {message.text}"))
    tab.on("requestfailed", lambda request: problems.append(f"not loaded: {request.url}"))
    tab.on("request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(f"fetched: {request.url}"))
    tab.goto(page.as_uri())
    seen = tab.evaluate(LOOK)
    for what in ("undrawn", "wrong", "without_letters", "empty"):
        problems += [f"{what}: {one}" for one in seen[what]]
    problems += [f"raw formula: {raw}" for raw in re.findall(r"\$[^$\n]+\$|\\[a-zA-Z]{2,}", seen["text"])]
    notebook = ROOT / page.relative_to(site).with_suffix(".ipynb")
    if notebook.is_file():
        expected = written(notebook)
        found = {key: seen[key] for key in expected}
        if found != expected:
            problems.append(f"{found} on the page, {expected} in the notebook")
    tab.set_viewport_size({"width": 400, "height": 800})
    width = tab.evaluate("document.documentElement.scrollWidth")
    if width > 400:
        problems.append(f"{width} wide on a screen of 400")
    tab.close()
    return problems, seen["links"]


def anchors(page):
    if page not in known:
        known[page] = set(re.findall(r'\bid="([^"]*)"', page.read_text()))
    return known[page]


def leads_nowhere(link):
    """Whether a link leads to no file, or to no place in it."""
    address = urllib.parse.urlsplit(link)
    if address.scheme in ("http", "https"):
        # What lies in the repository must be there.
        path = link.removeprefix(f"{REPOSITORY}/blob/main/")
        return path != link and not (ROOT / path.partition("#")[0]).exists()
    target = pathlib.Path(urllib.parse.unquote(address.path))
    if address.scheme != "file" or not target.is_file() or not target.is_relative_to(site):
        return True
    return address.fragment != "" and urllib.parse.unquote(address.fragment) not in anchors(target)


def search(context, words):
    """The pages that a reader finds who types words into the box of the front page; the first one must say them."""
    tab = context.new_page()
    tab.goto((site / "index.html").as_uri())
    tab.get_by_placeholder("Search").first.fill(words)
    tab.keyboard.press("Enter")
    tab.wait_for_function("/found|did not match/.test(document.querySelector('.search-summary')?.textContent)", timeout=20_000)
    found = [pathlib.Path(urllib.parse.urlsplit(link).path).stem for link in tab.evaluate("[...document.querySelectorAll('ul.search li a')].map((it) => it.href)")]
    if found:
        with tab.expect_navigation():
            tab.locator("ul.search li a").first.click()
        assert words.lower() in tab.locator("article").inner_text().lower(), f"{tab.url} does not say {words}"
    tab.close()
    return found


def check_map(links):
    """The map of concepts leads to the very section of each row, and to the documentation where it is there."""
    rows = [row.split(" | ") for row in (ROOT / "notebooks/CONCEPTS.md").read_text().splitlines() if row.startswith("| 00")]
    sections = [urllib.parse.urlsplit(link) for link in links if "#" in link and re.search(r"/\d\d-[\w-]+\.html#", link)]
    assert len(sections) == len(rows), f"{len(sections)} links to sections, {len(rows)} rows"
    for row, section in zip(rows, sections):
        number = row[4].rsplit(", ")[-1].strip()
        page = pathlib.Path(urllib.parse.unquote(section.path)).read_text()
        heading = re.search(rf'id="{re.escape(urllib.parse.unquote(section.fragment))}".*?<h2>(.*?)<a', page, re.S)
        assert heading and heading[1].startswith(f"{number}. "), f"{row[4]} leads to {heading and heading[1]}"
    if doc:
        items = [link for link in links if re.search(r"/doc/scorebook/.*/(struct|enum|trait|fn)\.\w+\.html$", link)]
        assert len(items) == len(rows), f"{len(items)} links to items, {len(rows)} rows"


site = pathlib.Path(tempfile.mkdtemp()) / "site"
doc = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 and (pathlib.Path(sys.argv[1]) / "scorebook").is_dir() else None
known = {}
passed = failed = 0
try:
    subprocess.run(["python3", ROOT / "book/build.py", site, "--doc", doc or site], check=True)
    ours = sorted(page for page in site.rglob("*.html") if not page.is_relative_to(site / "doc"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(offline=True, viewport={"width": 1400, "height": 900})
        for page in ours:
            problems, links = read(context, page)
            problems += [f"leads nowhere: {link}" for link in sorted(set(links)) if leads_nowhere(link)]
            if page.stem == "CONCEPTS":
                check_map(links)
            for problem in problems:
                print(f"{page.relative_to(site)}: {problem}")
            failed += bool(problems)
            passed += not problems
        for words, expected in [("Hutchinson", "12-likelihood"), ("Stratonovich", "05-ito-diffusions"), ("RePaint", "16-inverse-problems"), ("nbgrader", "README")]:
            found = search(context, words)
            assert expected in found[:3], f"{words}: {found}"
        assert search(context, "zyzzyva") == []
        passed += 5
        browser.close()
    # The documentation leads back: all that the map names, from the very room.
    for row in (ROOT / "notebooks/CONCEPTS.md").read_text().splitlines() if doc else []:
        if row.startswith("| 00"):
            room, notebook = re.search(r"\.\./src/(\w+)/", row)[1], re.search(r"\(([\w-]+)\.ipynb\)", row)[1]
            link = f"../../../notebooks/{notebook}.html"
            page = site / f"doc/scorebook/{room}/index.html"
            assert f'href="{link}"' in page.read_text() and (page.parent / link).is_file(), f"{room} does not lead to {notebook}"
    for notebook in [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("notebooks/solutions/*.ipynb")]:
        assert (site / notebook.relative_to(ROOT).with_suffix(".html")).is_file(), f"{notebook} is not in the site"
finally:
    shutil.rmtree(site.parent, ignore_errors=True)
print(f"tally: {passed} passed, {failed} failed")
sys.exit(failed > 0)
