"""A history of 10,000 runs of 200 pairs: what adding one more takes, and following numbers over all of them.

    python benchmarks/history.py [--url postgresql://USER@HOST/DATABASE]    # default: a file in this folder, removed at the end

The bulk is written past the checks; what is measured is what users call. The server's database must be empty at the start.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from qthreshold.history import open_history
from qthreshold.history.book import History, _point_rows, _values
from qthreshold.history.tables import points, runs, series
from qthreshold.measurements import METRICS, Measurements

RUNS, PAIRS, ADDED, REPEATS = 10_000, 200, 200, 5
ROWS = [*((m, "") for m in METRICS if m not in ("cnot_error", "readout_error", "one_qubit_error", "works"))]
ROWS += [("cnot_error", f"{k}-{k + 1}") for k in range(PAIRS)]
WANTED_ADD_MS, WANTED_TREND_S = 50.0, 1.0


def run_of(number: int) -> Measurements:
    """One run, an hour after the one before."""
    best = np.random.default_rng(number).lognormal(-6, 0.3, len(ROWS))
    moment = np.datetime64("2020-01-01T00:00:00") + np.timedelta64(number, "h")
    return Measurements(
        run_id=f"{number:032x}", device="chip", taken_at=f"{moment}Z", calibrated_at=f"{moment}Z", calibration_id=f"c{number}",
        context={"device": "chip", "qubits": "133", "protocol": "interleaved", "gate": "cnot", "context": "simultaneous, spacing 1"},
        origin={"seed": str(number), "recipe": "default", "backend": "aer", "python": "3.11"}, missing=0, level=0.95,
        metric=tuple(m for m, _ in ROWS), target=tuple(t for _, t in ROWS), best=best, low=0.9 * best, high=1.1 * best,
        dof=np.full(len(ROWS), 37.25), status=("ok",) * len(ROWS),
    )  # fmt: skip


def fill(history: History) -> None:
    """Runs 0 to RUNS - 1, many in one transaction."""
    history.add(run_of(0), "passed")
    with history._database.reading() as connection:
        numbers = {(row.metric, row.target): row.id for row in connection.execute(series.select())}
    for start in range(1, RUNS, 500):
        with history._database.writing() as connection:
            heads, rows = [], []
            for number in range(start, min(start + 500, RUNS)):
                m = run_of(number)
                heads.append(_values(m) | {"id": number + 1, "outcome": "passed", "added_at": m.taken_at})
                keys = zip(m.metric, m.target, strict=True)
                rows += [row | {"run": number + 1, "series": numbers[key]} for row, key in zip(_point_rows(m), keys, strict=True)]
            connection.execute(insert(runs), heads)
            connection.execute(insert(points), sorted(rows, key=lambda row: (row["series"], row["run"])))
    if history._location.path is None:  # ids were given, so the server's count of them has to follow
        with history._database.writing() as connection:
            connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('runs', 'id'), (SELECT max(id) FROM runs))")
            connection.exec_driver_sql("ANALYZE")  # which the server otherwise does by itself after a minute


def seconds(work: Callable[[], object]) -> list[float]:
    """Of REPEATS calls, shortest first."""
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return sorted(spent)


def said(name: str, spent: list[float], unit: float = 1.0, word: str = "s") -> None:
    print(f"{name}: median {np.median(spent) / unit:.3g} {word}, 95 % {np.quantile(spent, 0.95) / unit:.3g} {word}, n = {len(spent)}", flush=True)


def measure(where: str) -> None:
    with open_history(where, create=True) as history:
        began = time.perf_counter()
        fill(history)
        print(f"filled with {RUNS:,} runs, {RUNS * len(ROWS):,} points in {time.perf_counter() - began:.0f} s", flush=True)
        new = [run_of(RUNS + k) for k in range(ADDED)]
        adds = []
        for m in new:
            began = time.perf_counter()
            history.add(m, "passed")
            adds.append(time.perf_counter() - began)
        said("add a run", adds, 1e-3, "ms")
        again = [(lambda m=m: history.add(m, "passed")) for m in new[:1]]
        said("add it again", seconds(again[0]), 1e-3, "ms")
        trend = seconds(lambda: history.series("chip", "cnot_error", "100-101"))
        said(f"one number over all {RUNS + ADDED:,} runs", trend)
        said("200 pairs over the last 200 runs", seconds(lambda: history.all_series("chip", "cnot_error")))
        said("list of all runs", seconds(history.runs))
        said("all numbers of one run, checked", seconds(lambda: history.measurements(new[7].run_id)), 1e-3, "ms")
        said("last good run", seconds(lambda: history.baseline("chip", "last-good", "")), 1e-3, "ms")

    def command(*words: str) -> None:
        done = subprocess.run([sys.executable, "-m", "qthreshold", "history", *words], env=os.environ | {"QTHRESHOLD_HISTORY": where},
                              capture_output=True, check=True)  # fmt: skip
        assert done.stdout

    cli = seconds(lambda: command("trend", "-m", "cnot_error", "-t", "100-101"))
    said("the same as a command", cli)
    said("the same with --json", seconds(lambda: command("trend", "-m", "cnot_error", "-t", "100-101", "--json")))
    with open_history(where, create=False) as history:
        began = time.perf_counter()
        assert history.verify() == []
        print(f"verify everything: {time.perf_counter() - began:.0f} s", flush=True)
        if history._location.path is not None:
            size = history._location.path.stat().st_size
            print(f"file: {size / 2**20:.0f} MiB, {size / ((RUNS + ADDED) * len(ROWS)):.0f} bytes a point")
    assert np.quantile(adds, 0.95) < WANTED_ADD_MS / 1e3
    assert np.median(trend) < WANTED_TREND_S
    assert np.median(cli) < WANTED_TREND_S


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="")
    url = parser.parse_args().url
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    if url:
        measure(url)
        return
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a real disk, not one in memory
        measure(str(Path(folder) / "history.db"))


if __name__ == "__main__":
    main()
