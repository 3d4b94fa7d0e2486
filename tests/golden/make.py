"""Writes the golden files: one small record of every schema version, through a run directory.

Run ``python tests/golden/make.py`` after a schema got a new version; it adds what is missing and leaves old files as they are.
"""

import contextlib
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from qthreshold import workflow
from qthreshold.backends.noise import Truth
from qthreshold.counts import Counts
from qthreshold.decays import DecayTable
from qthreshold.device import Device
from qthreshold.fits import FittedErrors
from qthreshold.frontier import Frontier
from qthreshold.history import open_history
from qthreshold.history.tables import VERSION
from qthreshold.metrics import DeviceMetrics
from qthreshold.plan import Plan
from qthreshold.store import RunDirectory
from qthreshold.tallies import tally
from qthreshold.ticket import Ticket
from qthreshold.verdict import Verdicts

HERE = Path(__file__).parent
RECORDS = {
    "device.json": Device, "truth.json": Truth, "plan.npz": Plan, "tickets/0001.json": Ticket, "counts/0001.npz": Counts, "decays.npz": DecayTable,
    "fits.npz": FittedErrors, "metrics.json": DeviceMetrics, "frontier.npz": Frontier, "verdict.json": Verdicts,
}  # fmt: skip
PROFILE = """\
schema = "qthreshold/profile/1"
name = "golden"
seed = 1
dead_qubits = [3]

[topology]
kind = "line"
qubits = 4

[qubits]
pulse_error = 5e-4
p1_given_0 = 0.01

[pairs]
error = { median = 6e-3, spread = 0.3 }
"""
RECIPE = """\
schema = "qthreshold/recipe/1"
name = "golden"
readout = { patterns = 2, shots = 20 }
one_qubit = { lengths = [1, 20], sequences = 4, shots = 20 }
two_qubit = { lengths = [1, 10], sequences = 4, shots = 20 }
"""


def file_of(name: str, cls: type) -> str:
    """Such as ``device-1.json`` for schema ``qthreshold/device/1``."""
    return "-".join(cls.schema.split("/")[1:]) + Path(name).suffix


def main() -> None:
    """Make a tiny run and keep its records."""
    with tempfile.TemporaryDirectory() as folder:
        profile, recipe = Path(folder) / "profile.toml", Path(folder) / "recipe.toml"
        profile.write_text(PROFILE)
        recipe.write_text(RECIPE)
        workflow.run(f"aer:{profile}", str(recipe), out=Path(folder) / "run", seed=5, workers=1)
        run, golden = RunDirectory(Path(folder) / "run"), RunDirectory(HERE)
        for name, cls in RECORDS.items():
            if golden.has(file_of(name, cls)):
                continue
            record = run.read_record(name, cls)
            if isinstance(record, DeviceMetrics):
                record = record.replace(**{d: getattr(record, d)[:20] for d in ("draw_qubits", "draw_qubits_if", "draw_mean", "draw_median")})
            if isinstance(record, Frontier):
                record = record.replace(draw_bound=record.draw_bound[:20], draw_bound_low=record.draw_bound_low[:20])
            if isinstance(record, Verdicts):
                record = record.replace(verdicts=record.verdicts[:2], alternatives=record.alternatives[:2])
            if isinstance(record, Ticket):
                record = record.replace(backend="aer:golden.toml")
            golden.write_record(file_of(name, cls), record, software={"qthreshold": "golden"})
        if not golden.has("tallies-1.npz"):
            device, plan, counts = (run.read_record(n, RECORDS[n]) for n in ("device.json", "plan.npz", "counts/0001.npz"))
            golden.write_record("tallies-1.npz", tally(plan, device, counts), software={"qthreshold": "golden"})
    history(HERE / f"history-{VERSION}.sql")
    shutil.rmtree(HERE / "__pycache__", ignore_errors=True)


def history(target: Path) -> None:
    """Keep a small history as SQL text."""
    sys.path.insert(0, str(HERE.parent))
    from reference.measured import golden_runs

    if target.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        with open_history(Path(folder) / "h.db", create=True) as made:
            for measurements, outcome in golden_runs():
                made.add(measurements, outcome)
        with contextlib.closing(sqlite3.connect(Path(folder) / "h.db")) as connection:
            target.write_text("\n".join(connection.iterdump()) + "\n")


if __name__ == "__main__":
    main()
