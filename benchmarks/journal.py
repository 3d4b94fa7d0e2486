"""What the journal adds to each job, and how many jobs a run is: ``python benchmarks/journal.py``.

A job takes four lines (intent, job id, counts stored, seconds charged), each on the disk before anything goes on.
"""

import statistics
import tempfile
import time
from pathlib import Path

from qthreshold.backends.profiles import build, load_profile
from qthreshold.circuits.native import NATIVE_UNITARY, block_element
from qthreshold.circuits.size import circuit_load
from qthreshold.datafiles import load_named
from qthreshold.limits import Limits
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe
from qthreshold.store import RunDirectory
from qthreshold.ticket import provider_tickets

JOBS = 100
WANTED_MS, WANTED_JOBS = 20.0, 20


def main() -> None:
    spent = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a real disk, not one in memory
        run = RunDirectory(Path(folder))
        for number in range(JOBS):
            tag = f"qth-000000000000-{number}-1"
            began = time.perf_counter()
            run.append_event({"event": "intent", "at": 0.0, "ticket": number, "attempt": 1, "tag": tag, "estimate": 9.9, "content": "0" * 64})
            run.append_event({"event": "submitted", "at": 0.0, "tag": tag, "job_id": "d" * 20})
            run.append_event({"event": "collected", "at": 0.0, "tag": tag})
            run.append_event({"event": "charged", "at": 0.0, "tag": tag, "seconds": 9.9})
            spent.append(1e3 * (time.perf_counter() - began))
        run.read_events()
    first, last = statistics.median(spent[:20]), statistics.median(spent[-20:])
    print(f"journal: {statistics.median(spent):.2f} ms a job (median of {JOBS}; first 20: {first:.2f}, last 20: {last:.2f}; wanted < {WANTED_MS:g})")
    device = build(load_profile("heron-133")).device
    limits = load_named("backends/limits", "ibm", Limits, "limits")
    for name in ("quick", "default", "thorough"):
        recipe = load_named("circuits", name, Recipe, "recipe")
        plan = make_plan(device, recipe, 1, {g: block_element("cnot", g) for g in NATIVE_UNITARY})
        began = time.perf_counter()
        load = circuit_load(plan, device, limits.weights)
        jobs = provider_tickets(plan, "ibm:x", load, limits)
        took = time.perf_counter() - began
        print(f"{name}: {plan.n_circuits} circuits, {load.instructions.sum():,} instructions in {len(jobs)} jobs; laid out in {took:.2f} s")
        if name == "default":
            assert len(jobs) <= WANTED_JOBS
    assert statistics.median(spent) < WANTED_MS


if __name__ == "__main__":
    main()
