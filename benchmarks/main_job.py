"""The main job as a user starts it: wall time with start-up, peak memory of all its processes, precision of the device mean.

python benchmarks/main_job.py [--repeat 3] [--backend aer:heron-133] [--recipe default]

Memory is the largest sum of resident sizes over the processes of the job, sampled ten times a second (Linux).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def resident(session: int) -> int:
    """Bytes resident in all processes of a session; 0 where there is no /proc."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                total += int(fields[21]) * 4096
        except (OSError, ValueError, IndexError):  # the process ended meanwhile
            continue
    return total


def measure(backend: str, recipe: str, *options: str) -> dict[str, Any]:
    """One run in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        started = time.monotonic()
        job = subprocess.Popen(
            [sys.executable, "-m", "qthreshold", "run", "--backend", backend, "--recipe", recipe, "--out", str(out), "--quiet", *options],
            start_new_session=True,
        )
        peak = 0
        while job.poll() is None:
            peak = max(peak, resident(job.pid))
            time.sleep(0.1)
        wall = time.monotonic() - started
        if job.returncode:
            sys.exit(f"the run failed with exit code {job.returncode}")
        summary = json.loads((out / "summary.json").read_text())
        error = summary["cnot_error"]
    mean = error["mean"]
    return {
        "wall": wall, "peak": peak, "half": (mean["high"] - mean["low"]) / 2 / mean["best"],
        "pull": mean["best"] / error["true_mean"] - 1, "pairs": error["measured_edges"],
        "stages": summary["cost"]["wall_seconds"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--backend", default="aer:heron-133")
    parser.add_argument("--recipe", default="default")
    options = parser.parse_args()
    for _ in range(options.repeat):
        m = measure(options.backend, options.recipe)
        print(
            f"{options.backend}, {options.recipe}: {m['wall']:.1f} s, {m['peak'] / 2**20:.0f} MiB, {m['pairs']:.0f} pairs; "
            f"half-width of the mean's interval {100 * m['half']:.2f} %, estimate / truth - 1 = {100 * m['pull']:+.2f} %"
        )


if __name__ == "__main__":
    main()
