"""Makes katex.css from KaTeX's npm package, here 0.16.47.

    python rustdoc/katex.py

rustdoc copies one style sheet of ours beside its pages (--extend-css) and no script, so KaTeX travels in it: its script as
the value of a property, which header.html reads, and of its fonts those that the formulas need. Nothing is fetched from a
network when a page is read. Needs npm.
"""

import base64
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

VERSION = "0.16.47"
FONTS = ["AMS-Regular", "Caligraphic-Regular", "Main-Regular", "Math-BoldItalic", "Math-Italic", "SansSerif-Regular", "Size1-Regular", "Size2-Regular", "Size3-Regular", "Size4-Regular"]

here = pathlib.Path(__file__).parent


def embedded(match):
    """A @font-face rule with its file in it; nothing for a font that is not needed."""
    name = re.search(r"KaTeX_([A-Za-z0-9]+-[A-Za-z]+)\.woff2", match[0])[1]
    if name not in FONTS:
        return ""
    file = base64.b64encode((package / f"fonts/KaTeX_{name}.woff2").read_bytes()).decode()
    return re.sub(r"src:[^}]*", f'src:url(data:font/woff2;base64,{file}) format("woff2")', match[0])


with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["npm", "pack", "--silent", f"katex@{VERSION}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(pathlib.Path(folder).glob("katex-*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    package = pathlib.Path(folder) / "package/dist"
    style = re.sub(r"@font-face\{[^}]*\}", embedded, (package / "katex.min.css").read_text())
    script = base64.b64encode((package / "katex.min.js").read_bytes()).decode()
    shutil.copy(package.parent / "LICENSE", here / "LICENSE-KaTeX")
head = f"/* KaTeX {VERSION}, script and fonts, MIT, see LICENSE-KaTeX; made by katex.py */\n"
(here / "katex.css").write_text(f'{head}:root{{--katex:"{script}"}}\n{style.strip()}\n.katex-display{{overflow:auto hidden}}\n')
