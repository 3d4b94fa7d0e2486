"""What a report costs: time and size of the page and of every other form, at 156 and 2,025 qubits.

python benchmarks/report.py [--repeat 3]

Runs are measured once (exact engine, recipe quick); then `qthreshold report` is called in fresh processes, start of Python included, and the median
of its times is printed. "page alone" is the rendering in a process that has drawn before.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qthreshold import workflow
from qthreshold.report.export import FORM_NAMES, plates_of, report_files
from qthreshold.report.page import render_page
from qthreshold.report.summary import make_summary
from qthreshold.store import RunDirectory

PROFILE = """\
schema = "qthreshold/profile/1"
name = "heavy-hex-156"
seed = 156

[topology]
kind = "heavy-hex"
rows = 8
columns = 16

[qubits]
pulse_error = 2.6e-4
p1_given_0 = { median = 0.010, spread = 0.80 }

[pairs]
error = { median = 2.6e-3, spread = 0.50 }
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "heavy-hex-156.toml"
        profile.write_text(PROFILE)
        for spec in (f"exact:{profile}", "exact:grid-2025"):
            run = Path(folder) / Path(spec.partition(":")[2]).stem
            result = workflow.run(spec, "quick", out=run)
            print(f"{result.device.name}: {result.device.n_qubits:,} qubits, {len(result.device.edges):,} pairs")
            for forms in ("html", ",".join(FORM_NAMES)):
                seconds = []
                for _ in range(repeat):
                    started = time.perf_counter()
                    subprocess.run([sys.executable, "-m", "qthreshold", "report", str(run), "-q", "-f", forms], check=True)
                    seconds.append(time.perf_counter() - started)
                print(f"  qthreshold report -f {forms}: {statistics.median(seconds):.1f} s")
            s, times = make_summary(result), []
            for _ in range(repeat):
                started = time.perf_counter()
                render_page(result, s, plates_of(result, s))
                times.append(time.perf_counter() - started)
            print(f"  page alone: {statistics.median(times):.2f} s")
            for name, data in report_files(workflow.load_result(RunDirectory.open(run)), FORM_NAMES):
                if not name.startswith("figures/decay"):
                    print(f"  {name:24} {len(data) / 1024:8,.0f} KiB")


if __name__ == "__main__":
    main()
