"""What the scripts that run a bench beside its peers have in common.

A contestant is a process that answers every line of its input with the wall and processor seconds of one run, and the end
of its input with the most memory that it held, in MB. All contestants run in turns, so that whatever else the machine
does falls on all alike.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


def environment(folder, packages):
    """The Python of a virtual environment with these packages, made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def built(bench):
    """The program of a bench, built now."""
    build = ["cargo", "bench", "--no-default-features", "--bench", bench, "--no-run"]
    subprocess.run(build, cwd=REPOSITORY, check=True)
    programs = [path for path in (TARGET / "release/deps").glob(f"{bench}-*") if not path.suffix]
    return max(programs, key=lambda path: path.stat().st_mtime)


def serve(run):
    """Is a contestant."""
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        end = run()
        seconds = time.perf_counter() - wall, time.process_time() - cpu
        print("%f %f" % seconds, flush=True)
        del end
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(int(peak.split()[1]) / 1e3)


def in_turns(commands, repeats, environ=None):
    """Runs the contestants {key: command} in turns, and gives for each the medians of its wall and processor seconds and
    its peak memory. The first run of each does not count: it compiles what compiles."""
    # Idle threads of PyTorch would otherwise spin, which costs it dearly where others use the machine.
    environ = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"} | (environ or {})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environ}
    running = {key: subprocess.Popen(command, **pipes) for key, command in commands.items()}

    def once(key):
        running[key].stdin.write("\n")
        running[key].stdin.flush()
        return [float(number) for number in running[key].stdout.readline().split()]

    for key in running:
        once(key)
    seconds = {key: [] for key in running}
    for repeat in range(repeats):
        for key in running:
            seconds[key].append(once(key))
        print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr)
    results = {}
    for key, process in running.items():
        process.stdin.close()
        peak = float(process.stdout.read())
        process.wait()
        wall, cpu = (statistics.median(run[i] for run in seconds[key]) for i in (0, 1))
        results[key] = wall, cpu, peak
    return results
