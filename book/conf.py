"""How Sphinx makes the site: build.py calls it."""

import html

from docutils import nodes

project = "scorebook"
html_title = "scorebook"
extensions = ["myst_nb"]
language = "en"

# The notebooks are shown as they are kept, outputs included.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["katex.css", "book.css"]
html_js_files = ["katex.js", "formulas.js"]
html_math_renderer = "katex"
html_copy_source = False
html_use_index = False
html_show_sphinx = False
html_show_copyright = False
# The lines of text below a hit would be fetched, which a browser does not do in a file system.
html_show_search_summary = False
html_search_scorer = "search.js"


def setup(app):
    """Formulas stay as they were written: formulas.js draws them."""

    def inline(writer, node):
        writer.body.append(f'<span class="math">{html.escape(node.astext())}</span>')
        raise nodes.SkipNode

    def display(writer, node):
        writer.body.append(f'<div class="math">{html.escape(node.astext())}</div>')
        raise nodes.SkipNode

    app.add_html_math_renderer("katex", (inline, None), (display, None))
