"""Looks at the documentation: an example calls every public function and method, and every formula is drawn.

    python tests/python/documentation.py TARGET/doc/scorebook

A method has an example if one calls it that names its type or stands on the type's own page; where no other type has a
method of its name, any example will do. A type has one if an example names it, stands on its page or uses a member of
it. Examples are what readers see of them: lines that the documentation hides do not count.

The formulas are looked at in a headless browser. Nothing may be fetched from a network for it.
"""

import html
import pathlib
import re
import shutil
import sys
from collections import Counter

from playwright.sync_api import sync_playwright

# What has no example, and why.
NO_EXAMPLE = {
    "notebook::ask_password": "waits for a reader, as `ask` does, whose example is not run",
    "notebook::Bundle::evcxr_display": "notebooks call it on the last expression of a cell",
    "plot::Figure::evcxr_display": "notebooks call it on the last expression of a cell",
    "sde::OrderReport::evcxr_display": "notebooks call it on the last expression of a cell",
    "notebook::Answer": "what numbers, words and lists become by themselves",
    "reverse::FusedReverse": "coefficients that only the fused loop sees",
}
# The one file with an example that is not run.
NOT_RUN = ["src/notebook/question.rs"]

EXAMPLE = re.compile(r'<pre class="rust rust-example-rendered">(.*?)</pre>', re.S)
# Where the items of other libraries begin, or the types that implement a trait.
FOREIGN = re.compile(r'id="(trait-implementations|synthetic-implementations|foreign-impls|implementors)[^"]*"')


def examples(page):
    return [html.unescape(re.sub("<[^>]+>", "", code)) for code in EXAMPLE.findall(page)]


def call(name):
    return re.compile(rf"\b{name}(::<[^()]*>)?\(")


def method_call(name):
    """Or its definition, where an example implements a trait, or its path, where it is handed on."""
    return re.compile(rf"(\.|\bfn ){name}(::<[^()]*>)?\(|::{name}\b")


def without_example(root):
    """The public functions, methods and types that no example uses."""
    pages = {
        path.relative_to(root): path.read_text()
        for path in sorted(root.rglob("*.html"))
        # The prelude repeats what stands in the rooms.
        if "prelude" not in path.parts
    }
    every = {example for page in pages.values() for example in examples(page)}
    items = []
    for path, page in pages.items():
        kind, _, name = path.stem.partition(".")
        if kind in ("fn", "struct", "enum", "trait") and 'http-equiv="refresh"' not in page:
            own = FOREIGN.split(page)[0]
            methods = set(re.findall(r'id="(?:ty)?method\.(\w+)"', own))
            others = set(re.findall(r'id="(?:structfield|variant)\.(\w+)"', own))
            items.append(("::".join((*path.parts[:-1], name)), kind, name, methods, others, examples(page)))
    types_with = Counter(method for *_, methods, _, _ in items for method in methods)
    missing = []
    for path, kind, name, methods, others, on_page in items:
        named = [example for example in every if re.search(rf"\b{name}\b", example)]
        if kind == "fn":
            if not any(call(name).search(example) for example in every):
                missing.append(path)
            continue
        for method in sorted(methods):
            where = every if types_with[method] == 1 else [*named, *on_page]
            if not any(method_call(method).search(example) for example in where):
                missing.append(f"{path}::{method}")
        member = re.compile("|".join(rf"\.{it}\b" for it in methods | others) or "(?!)")
        if not named and not on_page and not any(member.search(example) for example in every):
            missing.append(path)
    return len(items) + sum(len(methods) for *_, methods, _, _ in items), missing


def examples_not_run(sources):
    """The files with an example that is only compiled, or not even that."""
    fence = re.compile(r"^\s*//[/!] ```.*(no_run|ignore|compile_fail|should_panic)", re.M)
    return [str(path) for path in sorted(sources.rglob("*.rs")) if fence.search(path.read_text())]


def wrong_formulas(root):
    """What is wrong with the pages that have formulas, and how many there are."""
    wrong = []
    pages = [page for page in sorted(root.rglob("*.html")) if 'class="language-latex"' in page.read_text()]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(offline=True)
        for page in pages:
            tab = context.new_page()
            errors = []
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.goto(page.resolve().as_uri())
            written = page.read_text().count('class="language-latex"')
            tab.evaluate("document.fonts.ready.then(() => true)")
            drawn = tab.evaluate(
                "[...document.querySelectorAll('.katex-display')]"
                ".filter((it) => it.querySelector('.katex-html').getBoundingClientRect().width > 50).length"
            )
            if not tab.evaluate("[...document.fonts].some((font) => font.family.includes('KaTeX_Main') && font.status === 'loaded')"):
                errors.append("the letters of formulas are not loaded")
            failed = tab.evaluate("[...document.querySelectorAll('.katex-error, merror')].map((it) => it.textContent)")
            if errors or failed or drawn != written:
                wrong.append(f"{page}: {drawn} of {written} formulas are drawn {failed} {errors}")
            tab.close()
        browser.close()
    return len(pages), wrong


root = pathlib.Path(sys.argv[1])
sources = pathlib.Path(__file__).resolve().parents[2]
passed, failures = 0, []

items, missing = without_example(root)
failures += [f"no example uses {item}" for item in missing if item not in NO_EXAMPLE]
failures += [f"{item} has an example, and stands among those without" for item in NO_EXAMPLE if item not in missing]
passed += items - len(missing)

not_run = [str(pathlib.Path(path).relative_to(sources)) for path in examples_not_run(sources / "src")]
failures += [f"{path} has an example that is not run" for path in not_run if path not in NOT_RUN]

pages, wrong = wrong_formulas(root)
failures += wrong if pages else ["no page has a formula"]
passed += pages - len(wrong)

for failure in failures:
    print(failure)
print(f"tally: {passed} passed, {len(failures)} failed")
sys.exit(bool(failures))
