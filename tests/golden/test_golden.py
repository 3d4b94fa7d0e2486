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
    "plan-1.npz": (Plan, "c327ca10d28f1a11e9caa805a0115cab436cfbe7576a4203cc31f4013d677374"),
    "ticket-1.json": (Ticket, "02fd2514d355408b9f7fe802cc44de7e63f36b3827de2d4190f09933473127ef"),
    "counts-1.npz": (Counts, "30a29a7fbabb78569d9a89a170e8cdd92b691c5655484d2220a4ee355fc74e8f"),
    "decays-1.npz": (DecayTable, "515a64f56a65cf130fd2cf6f8a2eba32f1d33ac9754c318c219f0f302ce835af"),
    "fits-1.npz": (FittedErrors, "0eeaf312fec05073cb8e34c5d6abfda292c79f8a705829c567e75455760b96fb"),
    "metrics-1.json": (DeviceMetrics, "350e5e5734fe79d56db99dcf608b4b1ac18a2369d5a5739bb6af204f2970bbdb"),
    "verdicts-1.json": (Verdicts, "276fe7e9f6435d8d7883a34a72185d2dadc48c21f5e6c0e496a0cc5d39eadc25"),
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
