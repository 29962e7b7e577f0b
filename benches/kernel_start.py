"""How long from the start of a kernel to its first finished cell that uses a tensor?

    python benches/kernel_start.py scorebook [--cold] [--repeat N]
    python benches/kernel_start.py evcxr [--repeat N]

Prints, for each start, the seconds until the kernel answers, until the first cell with a tensor has
finished, and of a second and third cell. `--cold` gives scorebook an empty cache, so that the notebooks'
dependencies are compiled first. Stock evcxr has no cache: its first cell names candle as a dependency.
Needs jupyter_client and the kernelspec named.
"""

import argparse
import os
import statistics
import tempfile
import time

from jupyter_client.manager import KernelManager

CELLS = {
    "scorebook": [
        "let x = Tensor::arange(0f32, 6f32, &Device::Cpu)?; x.sum_all()?.to_scalar::<f32>()?",
        'println!("{}", x.mean_all()?.to_scalar::<f32>()?);',
        "let y = (&x * 2.0)?; y.dims1()?",
    ],
    "evcxr": [
        ':dep candle-core = "=0.11.1"\n'
        "use candle_core::{Device, Tensor};\n"
        "let x = Tensor::arange(0f32, 6f32, &Device::Cpu)?; x.sum_all()?.to_scalar::<f32>()?",
        'println!("{}", x.mean_all()?.to_scalar::<f32>()?);',
        "let y = (&x * 2.0)?; y.dims1()?",
    ],
}


def run(client, code):
    """Runs a cell to its end and demands that it succeeds."""
    answer = client.execute_interactive(code, timeout=3600, output_hook=lambda message: None)
    content = answer["content"]
    if content["status"] != "ok":
        raise SystemExit(f"{code!r} failed: {content}")


def start(name, cells):
    """One start: the seconds until ready, until the first cell is done, and of each later cell."""
    begun = time.monotonic()
    manager = KernelManager(kernel_name=name)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=300)
        times = [time.monotonic() - begun]
        run(client, cells[0])
        times.append(time.monotonic() - begun)
        for cell in cells[1:]:
            before = time.monotonic()
            run(client, cell)
            times.append(time.monotonic() - before)
        return times
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernel", help="the name of a kernelspec: scorebook or evcxr's, usually `rust`")
    parser.add_argument("--cold", action="store_true", help="with an empty cache")
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    cells = CELLS["scorebook" if arguments.kernel == "scorebook" else "evcxr"]
    with tempfile.TemporaryDirectory() as cache:
        if arguments.cold:
            os.environ["XDG_CACHE_HOME"] = cache
        print(f"{'ready':>8} {'first':>8} {'second':>8} {'third':>8}   seconds, load {os.getloadavg()[0]:.1f}")
        measured = []
        for _ in range(arguments.repeat):
            measured.append(start(arguments.kernel, cells))
            print(" ".join(f"{value:8.2f}" for value in measured[-1]), flush=True)
        if arguments.repeat > 1:
            medians = [statistics.median(column) for column in zip(*measured)]
            print(" ".join(f"{value:8.2f}" for value in medians), "  median")


if __name__ == "__main__":
    main()
