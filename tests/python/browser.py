"""Opens the tour in JupyterLab in headless Chromium, runs all its cells, and looks at the page. Then trains in a second
notebook: the figure of the loss must grow and the bar move while the cell runs, and the interrupt button must stop it
and leave the model.

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

import nbformat
from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


# A training without an end, and a cell that uses what it leaves.
TRAINING = [
    """let mut generator = Generator::new(1);
let law = Mixture::ring(6, 1.2, 0.2)?;
let process = VariancePreserving::default();
let network = Mlp::new(MlpSettings::default(), process.into(), &mut generator, &Device::Cpu)?;
let mut training = Training::new(&network, TrainingSettings::default())?;
let mut losses: Vec<(f64, f64)> = vec![];
let progress = Progress::new("training", 10_000_000);
let mut live = notebook::Live::default();
let report = training.run(&law, 10_000_000, |step| {
    losses.push((step.step as f64, step.loss));
    progress.set(step.step, format!("loss {:.3}", step.loss));
    live.update(|| plot::line(&[("loss", &losses)])).unwrap();
})?;""",
    """let x = Tensor::zeros((3, 2), DType::F32, &Device::Cpu)?;
let score = training.average().score(&x, &Tensor::full(0.5f32, 3, &Device::Cpu)?)?;
println!("kept: {} {:?}", report.interrupted && losses.len() > 5, score.dims());""",
]


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


def outputs(page):
    """The outputs of each code cell, and the kernel's status."""
    return page.evaluate("""() => {
        const panel = window.jupyterapp.shell.currentWidget;
        const cells = panel.content.model.sharedModel.cells.filter(c => c.cell_type === 'code').map(c => c.toJSON());
        return [cells.map(c => c.outputs), panel.sessionContext.session?.kernel?.status];
    }""")


def wait_until(page, seconds, condition):
    """The outputs for which the condition holds, and after how many seconds it did."""
    begun = time.time()
    while time.time() - begun < seconds:
        cells, status = outputs(page)
        if condition(cells, status):
            return cells, time.time() - begun
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {status} {str(cells)[:2000]}")


def interrupt_training(page, url):
    page.goto(url, timeout=120_000)
    # The tour's tab is there still, at first before and then behind the other.
    shown = "() => window.jupyterapp?.shell?.currentWidget?.context?.path === 'training.ipynb'"
    page.wait_for_function(shown, timeout=120_000)
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    panel.locator(".jp-Toolbar-kernelName", has_text="Rust (scorebook)").wait_for(timeout=120_000)
    run = "() => { window.jupyterapp.commands.execute('notebook:run-cell-and-select-next'); }"
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    wait_until(page, 60, lambda cells, status: status == "idle")
    page.evaluate(run)

    figures, bars = set(), set()

    def grows(cells, status):
        assert not any(o["output_type"] == "error" for o in cells[0]), cells[0]
        for data in (o.get("data", {}) for o in cells[0]):
            (figures if "image/svg+xml" in data else bars).add(str(data))
        return len(figures) >= 3 and len(bars) >= 3 and status == "busy"

    wait_until(page, 120, grows)
    panel.locator('[data-jp-item-name="interrupt"]').get_by_role("button").first.click()
    stopped, took = wait_until(page, 20, lambda cells, status: status == "idle")
    errors = [o["ename"] for o in stopped[0] if o["output_type"] == "error"]
    assert errors == ["Interrupted"], stopped[0]
    assert took < 3, f"stopped only after {took:.1f} s"
    page.evaluate(run)
    cells, _ = wait_until(page, 60, lambda cells, status: cells[1] and status == "idle")
    said = "".join("".join(o.get("text", "")) for o in cells[1])
    assert said == "kept: true [3, 2]\n", cells[1]
    return took


def main(scorebook, screenshot=None):
    folder = pathlib.Path(tempfile.mkdtemp())
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(path, folder)
    training = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in TRAINING])
    training.metadata.kernelspec = {"name": "scorebook", "display_name": "Rust (scorebook)", "language": "rust"}
    nbformat.write(training, folder / "training.ipynb")
    log = open(folder / "lab.log", "w")
    lab = None
    try:
        lab, url = start_lab(scorebook, folder, log)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            found = run_all(page, url, screenshot)
            print(f"the tour in JupyterLab: {found['cells']} cells, {found['figures']} figures, no errors")
            took = interrupt_training(page, url.replace("00-tour", "training"))
            print(f"training, live, stopped {took:.1f} s after the interrupt button")
            browser.close()
        lab.send_signal(signal.SIGINT)
        code = lab.wait(timeout=30)
        assert code == 0, f"scorebook lab ended with {code} after Ctrl-C"
        print("tally: 2 passed, 0 failed")
    finally:
        if lab and lab.poll() is None:
            os.killpg(lab.pid, signal.SIGKILL)
        log.close()
        print((folder / "lab.log").read_text()[-2000:])
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
