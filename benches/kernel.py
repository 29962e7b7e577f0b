"""The kernel beside stock evcxr_jupyter 0.22: starts, cells, completion, memory, in one run.

    python benches/kernel.py [--starts N] [--cells N] [--parts cold warm cells] [--evcxr NAME] [--library DIR]

Both kernels do the same work with the same library; ours has it already, stock evcxr gets it by `:dep` (with its
own cache of compiled crates switched on, so that it compiles them once only). What is compared alternates, and
each line gives the medians and the ratio ours / theirs.

- cold: from the start of the kernel, with empty caches, to the first finished cell with a tensor
- warm: the same, everything compiled once already; the cell is sent as soon as the kernel answers
- ahead: the same with a kernel started ahead, as `scorebook lab` does
- cells: latencies in kernels that have run a few cells

Needs jupyter_client, the kernelspec `scorebook` and one of evcxr_jupyter (`cargo install evcxr_jupyter --locked`).
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

FIRST = "let x = Tensor::arange(0f32, 6f32, &Device::Cpu)?; x.sum_all()?.to_scalar::<f32>()?"
WARM_UP = ["1", "let before = Tensor::ones((2, 2), DType::F32, &Device::Cpu)?;", "fn nothing() {}"]
CELLS = {
    "expression": "{n} + 1",
    "let of a tensor": "let t{n} = Tensor::zeros(({n}, 2), DType::F32, &Device::Cpu)?;",
    "function": "fn square{n}(x: f64) -> f64 {{ x * x }}",
    "figure": 'plot::line(&[("a", vec![(0., {n}.), (1., 2.)])])?',
}


class Kernel:
    """A kernel of this name, from its start on."""

    def __init__(self, name, first, environment):
        self.begun = time.monotonic()
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(env={**os.environ, **environment})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=300)
        self.ready = time.monotonic() - self.begun
        for code in first:
            self.run(code)
        self.first = time.monotonic() - self.begun

    def run(self, code):
        """Runs a cell to its end, demands that it succeeds, and gives its time."""
        before = time.monotonic()
        errors = []

        def hook(message):
            if message["msg_type"] == "error" or message["content"].get("name") == "stderr":
                errors.append(str(message["content"]))

        answer = self.client.execute_interactive(code, timeout=3600, output_hook=hook)["content"]
        took = time.monotonic() - before
        # Stock evcxr answers `ok` whatever happens.
        if answer["status"] != "ok" or any("error" in text.lower() for text in errors):
            raise SystemExit(f"{code!r} failed: {answer} {errors}")
        return took

    def complete(self, code):
        before = time.monotonic()
        reply = self.client.complete(code, len(code), reply=True, timeout=60)["content"]
        took = time.monotonic() - before
        if not reply["matches"]:
            raise SystemExit(f"no completion of {code!r}: {reply}")
        return took

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


def memory(program):
    """The memory of all processes that run this program, shared pages divided, in MB."""
    total = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.path.realpath(process / "exe") == program:
                for line in (process / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total / 1024


def specification(kernelspec):
    return KernelSpecManager().get_kernel_spec(kernelspec)


def wait_for_quiet(process):
    """Returns when the process and its threads have used no processor for a while."""

    def used():
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    last, quiet = used(), 0
    while quiet < 6:
        time.sleep(0.5)
        now = used()
        quiet = quiet + 1 if now - last <= 1 else 0
        last = now


def line(name, ours, theirs, unit="s"):
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"{name:24} {a:9.3f} {b:9.3f} {unit:3} {a / b:7.3f}   n = {len(ours)}, {len(theirs)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--cells", type=int, default=20)
    parts = ["cold", "warm", "cells"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--evcxr", default="rust", metavar="NAME", help="the kernelspec of evcxr_jupyter")
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--library", default=root, metavar="DIR", help="the library that evcxr gets by :dep")
    arguments = parser.parse_args()
    dep = (
        f':dep scorebook = {{ path = "{arguments.library}", default-features = false }}\n'
        ':dep candle-core = "=0.11.1"\n'
        "use scorebook::prelude::*;\n" + FIRST
    )
    programs = [os.path.realpath(specification(name).argv[0]) for name in ("scorebook", arguments.evcxr)]

    with tempfile.TemporaryDirectory() as scratch:
        # evcxr's own configuration, with its cache on.
        configuration = pathlib.Path(scratch, "configuration", "evcxr")
        configuration.mkdir(parents=True)
        configuration.joinpath("init.evcxr").write_text(":cache 4000\n")
        theirs_environment = {"XDG_CONFIG_HOME": str(configuration.parent), "XDG_CACHE_HOME": f"{scratch}/theirs"}

        def ours():
            return Kernel("scorebook", [FIRST], {})

        def theirs():
            return Kernel(arguments.evcxr, [dep], theirs_environment)

        print(f"{'':24} {'scorebook':>9} {'evcxr':>9}      ours/theirs   load {os.getloadavg()[0]:.1f}", flush=True)
        # evcxr's cache is filled on the way, so this part is always run, but ours only when asked for.
        kernel = theirs()
        cold_theirs = kernel.first
        kernel.end()
        print(f"evcxr's cold start: {cold_theirs:.1f} s", flush=True)
        if "cold" in arguments.parts:
            kernel = Kernel("scorebook", [FIRST], {"XDG_CACHE_HOME": f"{scratch}/ours"})
            line("cold start", [kernel.first], [cold_theirs])
            kernel.end()
            shutil.rmtree(f"{scratch}/ours", ignore_errors=True)
        if "warm" in arguments.parts:
            figures = {name: ([], []) for name in ("ready", "warm start")}
            ahead = []
            for _ in range(arguments.starts):
                for side, start in enumerate((ours, theirs)):
                    kernel = start()
                    figures["ready"][side].append(kernel.ready)
                    figures["warm start"][side].append(kernel.first)
                    kernel.end()
                standby = subprocess.Popen(
                    [specification("scorebook").argv[0], "standby", "--keeper", str(os.getpid())],
                    env={**os.environ, **specification("scorebook").env},
                )
                wait_for_quiet(standby.pid)
                kernel = ours()
                ahead.append(kernel.first)
                kernel.end()
                standby.wait()
            for name, (a, b) in figures.items():
                line(name, a, b)
            line("started ahead", ahead, figures["warm start"][1])
        if "cells" in arguments.parts:
            kernels = [ours(), theirs()]
            for kernel in kernels:
                for code in WARM_UP:
                    kernel.run(code)
                kernel.complete("let y = Tensor::ze")
            for name, code in CELLS.items():
                times = [[], []]
                for n in range(arguments.cells):
                    for side, kernel in enumerate(kernels):
                        times[side].append(kernel.run(code.format(n=n + 1)))
                line(name, *times)
            times = [[], []]
            for _ in range(arguments.cells):
                for side, kernel in enumerate(kernels):
                    times[side].append(kernel.complete("let y = Tensor::ze"))
            line("completion", *times)
            line("memory", *[[memory(program)] for program in programs], unit="MB")
            for kernel in kernels:
                kernel.end()


if __name__ == "__main__":
    sys.exit(main())
