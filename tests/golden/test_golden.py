"""Records written by this and earlier versions can be read, and keep their ids: a changed schema needs a new version number."""

from pathlib import Path

import pytest

from qthreshold.backends.noise import Truth
from qthreshold.counts import Counts
from qthreshold.decays import DecayTable
from qthreshold.device import Device
from qthreshold.fits import FittedErrors
from qthreshold.identity import parts
from qthreshold.metrics import DeviceMetrics
from qthreshold.plan import Plan
from qthreshold.store import RunDirectory
from qthreshold.ticket import Ticket
from qthreshold.verdict import Verdicts

GOLDEN = RunDirectory(Path(__file__).parent)
IDS = {
    "device-1.json": (Device, "b8ccef0644f0bea637fec37a0b9e3d970e49216a4b7051c502cf0500cf0f5aaf"),
    "truth-1.json": (Truth, "12d7c26b36db3f085adca0e4059cbbf55b18187417c3b9f10cebdecb929eb3bd"),
    "plan-1.npz": (Plan, "1572919b6a41df9b435c5ed3709ad4aa0663358eb5fb5ccc02e01e40f2771d2d"),
    "ticket-1.json": (Ticket, "7df9d10bce418fe1b7157c9fcb72603c04a680a4c2c8e6512d3cf46bc1f7c8b3"),
    "counts-1.npz": (Counts, "86ee452a99c128ad31ec69381b219c58d7ac1b2021c5a6309164ed662ac66f4c"),
    "decays-1.npz": (DecayTable, "e122cdd676a93a4843d8fe5ec1197853e56987ed0668f6ef02f8bd2140ff7710"),
    "fits-1.npz": (FittedErrors, "33fa23c94b70605198f3e8c318a9c2bd700d34588c0c7937a307f1b41929fbce"),
    "metrics-1.json": (DeviceMetrics, "1823cb3879e8a80a1d5e92eb0658d1f92b035c03bfb1b2f5708219e9cde97aa1"),
    "verdicts-1.json": (Verdicts, "a95a6413434aec5ef234d606c06ec571af2ad8a934614bb00b01b10d59aa21f9"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "cls", "known"), [(n, *v) for n, v in IDS.items()], ids=IDS)
def test_a_stored_record_is_still_read_and_keeps_its_id(name, cls, known):
    record = GOLDEN.read_record(name, cls)
    assert record.id == known
    header, arrays = parts(record)
    assert header or arrays


@pytest.mark.parametrize("cls", [Device, Truth, Plan, Ticket, Counts, DecayTable, FittedErrors, DeviceMetrics, Verdicts], ids=lambda c: c.__name__)
def test_every_schema_version_has_a_golden_file(cls):
    """A new version: run ``python tests/golden/make.py``, add the id above, and keep a reader for the old one."""
    stem = "-".join(cls.schema.split("/")[1:])
    assert {"json", "npz"} & {n.partition(".")[2] for n in IDS if n.partition(".")[0] == stem}
