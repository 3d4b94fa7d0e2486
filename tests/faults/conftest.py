"""Runs against the mock of the IBM service with the real client and the real command line, and what must hold after every fault."""

import json
import os
import shutil
from collections import Counter

import pytest

from mock_ibm import MockIBM
from mock_ibm.tally import survived
from mock_ibm.zygote import Zygote
from qthreshold.store import RunDirectory

RECIPE = """\
schema = "qthreshold/recipe/1"
name = "faults"
readout = { patterns = 2, shots = 60 }
one_qubit = { lengths = [1, 20], sequences = 4, shots = 40 }
two_qubit = { lengths = [1, 10], sequences = 4, shots = 50 }
"""
LIMITS = """\
schema = "qthreshold/limits/1"
provider = "the mock"
checked = 2026-11-24
source = "made up, so that a small run has several jobs"
circuits = 12
"""
PATIENCE = "first=0.05,longest=0.1,tries=3,pause=0.05,settle=0.1,read=1.5,post=3"
DEVICE = "FakeManilaV2"


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # one of several processes
        session.config.workeroutput["survived"] = dict(survived)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    survived.update(node.workeroutput.get("survived", {}))


def pytest_terminal_summary(terminalreporter):
    if survived:
        for kind, n in sorted(survived.items()):
            terminalreporter.write_line(f"  {n:4} x {kind}")
        terminalreporter.write_line(f"faults injected and survived: {survived.total()}, kills among them: {survived['kill -9']}")


@pytest.fixture(scope="session")
def zygote():
    keep = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PYTHONWARNINGS"}}
    with Zygote(keep) as started:
        yield started


class Bench:
    """A planned run, a mock service, and the commands between them."""

    def __init__(self, zygote, mock, directory, home):
        self.zygote, self.mock, self.run, self.home = zygote, mock, directory, home
        self.env = mock.environment | {"HOME": str(home), "QTHRESHOLD_PATIENCE": PATIENCE}

    def qthreshold(self, *args, env=None, **options):
        answer = self.zygote.run(*args, out=self.home / "output", env=self.env | (env or {}), cwd=self.home, **options)
        assert "Traceback" not in answer.err
        assert self.mock.token not in answer.out + answer.err
        return answer

    def submit(self, *args, **options):
        return self.qthreshold("submit", self.run, "--max-qpu-seconds", 100, *args, **options)

    def submit_without_cap(self, *args, **options):
        return self.qthreshold("submit", self.run, *args, **options)

    def collect(self, *args, **options):
        return self.qthreshold("collect", self.run, *args, **options)

    def events(self, kind=None):
        return [e for e in RunDirectory(self.run).read_events() if kind is None or e["event"] == kind]

    def counts(self):
        return {p.name: p.read_bytes() for p in sorted((self.run / "counts").glob("[0-9]*"))}

    def settle(self, reference):
        """Nothing lost, nothing twice, and the counts of a run without faults."""
        assert self.counts() == reference
        named = {e["job_id"] for e in self.events() if "job_id" in e}
        assert {job.id for job in self.mock.jobs} <= named, "a job that the service accepted is not in the journal"
        ran = Counter(h for job in self.mock.jobs for h in job.circuit_hashes if job.runs)
        assert all(job.runs <= 1 for job in self.mock.jobs)
        planned = Counter(h for tickets in _by_ticket(self.mock.jobs).values() for h in tickets[0].circuit_hashes)
        assert ran == planned, "a circuit ran twice, or never"
        assert RunDirectory(self.run).verify() == []
        for path in self.run.rglob("*"):
            assert path.is_dir() or self.mock.token.encode() not in path.read_bytes()
        survived.update({str(k): n for k, n in self.mock.faults.counts.items()})


def _by_ticket(jobs):
    found = {}
    for job in jobs:
        found.setdefault(job.tags[1].split("-")[2], []).append(job)
    return found


@pytest.fixture(scope="session")
def planned(zygote, tmp_path_factory):
    """A run that was planned against the mock, and is copied for each test."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "limits.toml").write_text(LIMITS)
    with MockIBM({"ibm_mock": DEVICE}) as mock:
        bench = Bench(zygote, mock, folder / "run", folder)
        answer = bench.qthreshold("plan", "run", "-b", "ibm:ibm_mock?limits=limits.toml", "-r", "recipe.toml", "--seed", 5)
        assert answer.code == 0, answer.err
    return folder / "run"


@pytest.fixture
def bench(zygote, planned, tmp_path):
    """Makes benches: ``bench(queue_polls=2)`` is a mock with a slow queue and a copy of the planned run."""
    made = []

    def make(**options):
        home = tmp_path / f"home{len(made)}"
        home.mkdir()
        mock = MockIBM({"ibm_mock": DEVICE}, **options)
        mock.__enter__()
        made.append(mock)
        return Bench(zygote, mock, shutil.copytree(planned, home / "run"), home)

    yield make
    for mock in made:
        mock.close()


@pytest.fixture(scope="session")
def reference(zygote, planned, tmp_path_factory):
    """The counts of a run without faults."""
    home = tmp_path_factory.mktemp("reference")
    with MockIBM({"ibm_mock": DEVICE}) as mock:
        bench = Bench(zygote, mock, shutil.copytree(planned, home / "run"), home)
        for answer in (bench.submit(), bench.collect()):
            assert answer.code == 0, answer.err
        counts = bench.counts()
        bench.settle(counts)
        assert len(counts) == len(mock.jobs) == 7
    return counts


@pytest.fixture(scope="session")
def reference_summary(zygote, planned, tmp_path_factory):
    """The summary of a run without faults, less what differs from run to run."""
    home = tmp_path_factory.mktemp("summary")
    with MockIBM({"ibm_mock": DEVICE}) as mock:
        bench = Bench(zygote, mock, shutil.copytree(planned, home / "run"), home)
        assert bench.qthreshold("resume", bench.run, "--max-qpu-seconds", 100, "-q", "--no-progress").code == 0
        return summary_of(bench.run)


def summary_of(run):
    summary = json.loads((run / "summary.json").read_text())
    del summary["cost"]["wall_seconds"]
    return summary
