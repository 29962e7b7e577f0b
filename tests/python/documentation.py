"""Looks at the documentation in a headless browser: every formula of every page is drawn.

    python tests/python/documentation.py TARGET/doc/scorebook

Nothing may be fetched from a network for it.
"""

import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright

pages = [page for page in pathlib.Path(sys.argv[1]).rglob("*.html") if 'class="language-latex"' in page.read_text()]
passed = failed = 0
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    context = browser.new_context(offline=True)
    for page in sorted(pages):
        tab = context.new_page()
        errors = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.resolve().as_uri())
        written = page.read_text().count('class="language-latex"')
        tab.evaluate("document.fonts.ready.then(() => true)")
        drawn = tab.evaluate("[...document.querySelectorAll('.katex-display')].filter((it) => it.querySelector('.katex-html').getBoundingClientRect().width > 50).length")
        if not tab.evaluate("[...document.fonts].some((font) => font.family.includes('KaTeX_Main') && font.status === 'loaded')"):
            errors.append("the letters of formulas are not loaded")
        wrong = tab.evaluate("[...document.querySelectorAll('.katex-error, merror')].map((it) => it.textContent)")
        if errors or wrong or drawn != written:
            print(f"{page}: {drawn} of {written} formulas are drawn {wrong} {errors}")
            failed += 1
        else:
            passed += 1
        tab.close()
    browser.close()
if not pages:
    print("no page has a formula")
    failed += 1
print(f"tally: {passed} passed, {failed} failed")
sys.exit(failed > 0)
