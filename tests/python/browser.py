"""Opens the tour in JupyterLab in headless Chromium, runs all its cells, and looks at the page.

JupyterLab is started by `scorebook lab`, the way a reader starts it. Usage: browser.py SCOREBOOK [SCREENSHOT]
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_lab(scorebook, folder, log):
    """`scorebook lab` on a copy of the notebooks, with the test's Python first on the path; the process and its URL."""
    environment = dict(os.environ)
    config = pathlib.Path(environment.setdefault("JUPYTER_CONFIG_DIR", tempfile.mkdtemp()))
    config.mkdir(parents=True, exist_ok=True)
    # Lets the test ask the page's own model of the notebook.
    (config / "jupyter_lab_config.py").write_text("c.LabApp.expose_app_in_browser = True\n")
    environment["PATH"] = str(pathlib.Path(sys.executable).parent) + os.pathsep + environment["PATH"]
    command = [scorebook, "lab", str(folder), "--no-browser", "--port", str(free_port())]
    lab = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    deadline = time.time() + 900
    while time.time() < deadline:
        found = re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab\S*", pathlib.Path(log.name).read_text())
        if found:
            return lab, found.group(0)
        if lab.poll() is not None:
            break
        time.sleep(0.5)
    raise RuntimeError("scorebook lab did not start: " + pathlib.Path(log.name).read_text())


def run_all(page, url, screenshot):
    # The command opens the tour.
    page.goto(url, timeout=120_000)
    page.locator(".jp-Notebook").wait_for(timeout=120_000)
    # The kernel is there when the prompt of the status bar says idle.
    page.locator(".jp-Toolbar-kernelName", has_text="Rust (scorebook)").first.wait_for(timeout=120_000)
    page.get_by_text("Edit", exact=True).first.click()
    page.get_by_text("Clear Outputs of All Cells", exact=True).click()
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).first.click()
    # JupyterLab renders only the cells near the screen, so the model is asked, not the page.
    state = """() => {
        const panel = window.jupyterapp.shell.currentWidget;
        const cells = panel.content.model.sharedModel.cells.filter(c => c.cell_type === 'code').map(c => c.toJSON());
        const outputs = cells.flatMap(c => c.outputs);
        return {
            cells: cells.length,
            run: cells.filter(c => c.execution_count).length,
            figures: outputs.filter(o => o.data && (o.data['image/svg+xml'] || o.data['image/png'])).length,
            errors: outputs.filter(o => o.output_type === 'error').map(o => o.evalue),
            status: panel.sessionContext.session?.kernel?.status,
        };
    }"""
    deadline = time.time() + 900
    found = {}
    while time.time() < deadline:
        found = page.evaluate(state)
        if found["errors"] or (found["run"] == found["cells"] and found["status"] == "idle"):
            break
        time.sleep(1)
    assert not found["errors"], found
    assert found["run"] == found["cells"], f"not every cell ran: {found}"
    assert found["figures"] >= 5, f"too few figures: {found}"
    # The last figure, on the page itself.
    page.evaluate("""() => {
        const content = window.jupyterapp.shell.currentWidget.content;
        content.activeCellIndex = content.widgets.length - 1;
        content.scrollToItem(content.widgets.length - 1);
    }""")
    images = page.locator(".jp-RenderedImage img, .jp-RenderedSVG svg, .jp-RenderedSVG img")
    images.last.wait_for(timeout=60_000)
    sizes = [box for box in (image.bounding_box() for image in images.all()) if box]
    assert any(box["width"] > 200 and box["height"] > 100 for box in sizes), f"no figure on the page: {sizes}"
    if screenshot:
        page.screenshot(path=screenshot)
    return found


def main(scorebook, screenshot=None):
    folder = pathlib.Path(tempfile.mkdtemp())
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(path, folder)
    log = open(folder / "lab.log", "w")
    lab = None
    try:
        lab, url = start_lab(scorebook, folder, log)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            found = run_all(page, url, screenshot)
            browser.close()
        print(f"the tour in JupyterLab: {found['cells']} cells, {found['figures']} figures, no errors")
        lab.send_signal(signal.SIGINT)
        code = lab.wait(timeout=30)
        assert code == 0, f"scorebook lab ended with {code} after Ctrl-C"
        print("tally: 1 passed, 0 failed")
    finally:
        if lab and lab.poll() is None:
            os.killpg(lab.pid, signal.SIGKILL)
        log.close()
        print((folder / "lab.log").read_text()[-2000:])
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
