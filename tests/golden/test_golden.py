"""Records can be read back and keep their ids: a changed schema needs a new version number.

What was measured is read in every version that ever was; what follows from it is not upgraded but derived again.
"""

import shutil
from pathlib import Path

import pytest

from qthreshold.backends.noise import Truth
from qthreshold.counts import Counts
from qthreshold.decays import DecayTable
from qthreshold.device import Device
from qthreshold.errors import OutdatedError
from qthreshold.fits import FittedErrors
from qthreshold.frontier import Frontier
from qthreshold.identity import parts
from qthreshold.metrics import DeviceMetrics
from qthreshold.plan import Plan
from qthreshold.store import RunDirectory
from qthreshold.tallies import Tallies
from qthreshold.ticket import Ticket
from qthreshold.verdict import Verdicts

GOLDEN = RunDirectory(Path(__file__).parent)
IDS = {
    "device-1.json": (Device, "b8ccef0644f0bea637fec37a0b9e3d970e49216a4b7051c502cf0500cf0f5aaf"),
    "truth-1.json": (Truth, "12d7c26b36db3f085adca0e4059cbbf55b18187417c3b9f10cebdecb929eb3bd"),
    "plan-1.npz": (Plan, "c327ca10d28f1a11e9caa805a0115cab436cfbe7576a4203cc31f4013d677374"),
    "plan-2.npz": (Plan, "2fe6865b1d43ab356315992cc82f6e2fdeeedc30a92118783111ff88122e1d65"),
    "ticket-1.json": (Ticket, "eac4d1e5989b31143670fa95e6b1bf8831a63f4d613fa176d86a5d6303a0cf15"),  # upgraded: the ids of its content today
    "ticket-2.json": (Ticket, "83d535053eae53620616e0e2c6165cb350f81bc95318cfcc10b0c49cca840949"),
    "counts-1.npz": (Counts, "30a29a7fbabb78569d9a89a170e8cdd92b691c5655484d2220a4ee355fc74e8f"),
    "tallies-1.npz": (Tallies, "3bd1a41f06df968e2ff7ace6abf666c06b87d8fb4e4af52005e823531c280b89"),
    "decays-2.npz": (DecayTable, "0ff74d5d53632fb63a9862afc71b10f3d970dfa013007e833487f30b51716b41"),
    "fits-3.npz": (FittedErrors, "e29addce2ffa9a2307b46c468ffd03d1851b0fc8b44ad8f18f094d7e9ded98e5"),
    "metrics-3.json": (DeviceMetrics, "5442e9b05244d6772fbcbb7f96ef0619e6e15867652e94d8eafe101d145f2f0d"),
    "frontier-1.npz": (Frontier, "02c644b2c896baaaca9ed5485cbbb466a7d27f0e7275f1f5b6cd0a2fb70862fb"),
    "verdicts-3.json": (Verdicts, "b567ba2f41f204ad4f3eaf021eb5d433ccb1b82026caff9b5cdd57a20975873d"),
}  # fmt: skip
OUTDATED = {
    "decays-1.npz": ("decays.npz", DecayTable), "fits-1.npz": ("fits.npz", FittedErrors), "fits-2.npz": ("fits.npz", FittedErrors),
    "metrics-1.json": ("metrics.json", DeviceMetrics),
    "metrics-2.json": ("metrics.json", DeviceMetrics), "verdicts-1.json": ("verdict.json", Verdicts), "verdicts-2.json": ("verdict.json", Verdicts),
}  # fmt: skip


@pytest.mark.parametrize(("name", "cls", "known"), [(n, *v) for n, v in IDS.items()], ids=IDS)
def test_a_stored_record_is_still_read_and_keeps_its_id(name, cls, known):
    record = GOLDEN.read_record(name, cls)
    assert record.id == known
    header, arrays = parts(record)
    assert header or arrays


ALL = [Device, Truth, Plan, Ticket, Counts, Tallies, DecayTable, FittedErrors, DeviceMetrics, Frontier, Verdicts]


@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
def test_every_schema_version_has_a_golden_file(cls):
    """A new version: run ``python tests/golden/make.py`` and replace the id above.

    An input (device, truth, plan, ticket, counts) needs a reader for the old version too; a derived record goes into ``OUTDATED``.
    """
    stem = "-".join(cls.schema.split("/")[1:])
    assert {"json", "npz"} & {n.partition(".")[2] for n in IDS if n.partition(".")[0] == stem}


@pytest.mark.parametrize("old", OUTDATED)
def test_a_derived_record_of_an_older_version_asks_to_be_derived_again(old, tmp_path):
    name, cls = OUTDATED[old]
    shutil.copy(GOLDEN.path / old, tmp_path / name)
    run = RunDirectory(tmp_path)
    was, now = Path(old).stem.rpartition("-")[2], cls.schema.rpartition("/")[2]
    with pytest.raises(OutdatedError, match=rf"{name}: schema \S+/{was}, .* \S+/{now}; run 'qthreshold analyse {tmp_path}' again, then judge"):
        run.read_record(name, cls)
    assert run.lacks(name, cls)
