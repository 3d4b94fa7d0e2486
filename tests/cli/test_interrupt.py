"""Kill runs, for real, at many moments: what was finished stays, and ``resume`` ends where an undisturbed run ends."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from qthreshold.store import RunDirectory
from reference.commands import RING, Answer, content_of, here, qthreshold, start

# isolated: one ticket, and so one file of counts, for every qubit and every pair
LONG = """\
schema = "qthreshold/recipe/1"
name = "long"

[readout]
patterns = 2
shots = 100

[one_qubit]
lengths = [1, 60]
sequences = 12
shots = 100
spacing = "isolated"

[two_qubit]
lengths = [1, 60]
sequences = 12
shots = 100
spacing = "isolated"
"""
TICKETS = 1 + 12 + 12
RECORDS = ("plan.npz", "decays.npz", "fits.npz", "metrics.json", "verdict.json", *(f"counts/{i:04d}.npz" for i in range(TICKETS)))

pytestmark = [pytest.mark.system, pytest.mark.skipif(os.name != "posix", reason="needs process groups")]


@pytest.fixture(scope="module")
def _whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    (directory / "ring.toml").write_text(RING)
    (directory / "long.toml").write_text(LONG)
    began = time.monotonic()
    assert qthreshold(*job("run"), "-q", cwd=directory).code == 0
    return directory, time.monotonic() - began


@pytest.fixture
def whole(_whole, monkeypatch):
    """The directory of an undisturbed run and the files that it was started with, now the working directory; and how long it took."""
    monkeypatch.chdir(_whole[0])
    return _whole


@pytest.fixture
def resumed(monkeypatch, capsys):
    """Resume a run in this process."""
    return lambda out: here(["resume", out, "-q", "--no-progress", "--workers", 1], monkeypatch, capsys)


def job(out, workers=1):
    return ["run", "-b", "aer:ring.toml", "-r", "long.toml", "--seed", 11, "-o", out, "--workers", workers, "--as-of", "2026-01-01"]


def summary_of(directory):
    summary = json.loads((directory / "summary.json").read_text())
    for changing in ("created_at", "run_id"):
        del summary[changing]
    del summary["cost"]["wall_seconds"]
    return summary


def assert_same_result(directory, reference):
    for name in RECORDS:
        assert (directory / name).read_bytes() == (reference / name).read_bytes(), name
    assert summary_of(directory) == summary_of(reference)
    assert not list(directory.rglob(".*.tmp"))
    assert RunDirectory(directory).verify() == []


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def counts_in(directory):
    return sorted(p.name for p in (directory / "counts").glob("[0-9]*.npz"))


def kill(process, number=signal.SIGKILL):
    os.killpg(process.pid, number)
    process.communicate(timeout=30)


def in_group(group):
    """Processes of a group that are still running (not zombies), with their command lines."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, members = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(members) == group and state != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_text()
        except OSError:  # it ended meanwhile
            continue
    return found


def assert_group_ends(group, seconds=10):
    end = time.monotonic() + seconds
    while in_group(group):
        assert time.monotonic() < end, f"still running: {in_group(group)}"
        time.sleep(0.05)


@pytest.mark.parametrize(("finished_tickets", "workers"), [(1, 1), (8, 2)])
def test_a_run_killed_while_it_collects_resumes_to_the_same_result(finished_tickets, workers, whole):
    reference, _ = whole
    out = reference / f"killed-{finished_tickets}"
    process = start(*job(out.name))
    wait_for(lambda: len(counts_in(out)) >= finished_tickets, process)
    kill(process)
    kept = content_of(out / "counts")
    assert finished_tickets <= len(counts_in(out)) < TICKETS
    assert qthreshold("resume", out.name, "-q", "--no-progress", "--workers", workers) == Answer(0, "", "")
    assert_same_result(out, reference / "run")
    after = content_of(out / "counts")
    assert all(after[name] == data for name, data in kept.items() if not name.startswith("."))


@pytest.mark.parametrize("share", [0.05, 0.4, 0.6, 0.95])
def test_a_run_killed_at_any_moment_can_be_resumed_or_started_again(share, whole, resumed, monkeypatch, capsys):
    reference, seconds = whole
    out = reference / f"killed-after-{share}"
    process = start(*job(out.name))
    time.sleep(share * seconds)
    kill(process)
    answer = resumed(out.name)
    if not (out / "run.json").exists():  # killed before the plan was written
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "is not a run directory" in answer.err
        assert f"qthreshold run --out {out.name}" in answer.err
        answer = here([*job(out.name), "-q", "--no-progress"], monkeypatch, capsys)
    assert answer == Answer(0, "", "")
    assert_same_result(out, reference / "run")


PLANNED = ("device.json", "truth.json", "plan.npz", "run.json")


@pytest.mark.parametrize("written", range(4))
def test_a_run_killed_while_it_plans_can_be_started_again_in_the_same_place(written, whole, resumed, monkeypatch, capsys):
    """The window is milliseconds, so the directory is put into the state that a kill leaves: some files, one half-written."""
    reference, _ = whole
    out = reference / f"planned-{written}"
    out.mkdir()
    for name in PLANNED[:written]:
        (out / name).write_bytes((reference / "run" / name).read_bytes())
    if written:
        (out / "manifest.json").write_text('{\n "schema": "qthreshold/manifest/1",\n "files": {}\n}\n')
    (out / f".{PLANNED[written]}.4711.tmp").write_bytes(b"half")
    assert "is not a run directory" in resumed(out).err
    plan = ["plan", out, *job(out)[1:7], "-q"]
    assert here(plan, monkeypatch, capsys) == Answer(0, "", "")
    assert (out / "plan.npz").read_bytes() == (reference / "run/plan.npz").read_bytes()
    assert RunDirectory(out).verify() == []


@pytest.mark.parametrize("lost", [("counts/0024.npz",), ("tickets/0003.json", "counts/0003.npz"), ("decays.npz", "fits.npz", "metrics.json")])
def test_a_kill_between_a_file_and_its_manifest_entry_is_repaired(lost, whole, resumed):
    reference, _ = whole
    out = Path(shutil.copytree(reference / "run", reference / f"unlisted-{len(lost)}"))
    manifest = json.loads((out / "manifest.json").read_text())
    for name in (*lost, "summary.json", "verdict.json"):
        del manifest["files"][name]
    (out / "manifest.json").write_text(json.dumps(manifest))
    for name in (*lost[1:], "summary.json", "verdict.json"):  # the first was written, but is not listed
        (out / name).unlink()
    (out / "counts/.0002.npz.4711.tmp").write_bytes(b"half")
    assert resumed(out.name) == Answer(0, "", "")
    assert_same_result(out, reference / "run")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_while_collecting_says_how_to_go_on_and_leaves_nothing_running(workers, whole, resumed):
    reference, _ = whole
    out = reference / f"interrupted-{workers}"
    process = start(*job(out.name, workers), "--no-progress")
    wait_for(lambda: len(counts_in(out)) >= 1, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed) == (130, "")
    assert errors == f"qthreshold: interrupted; finish it with 'qthreshold resume {out.name}'\n"
    assert_group_ends(process.pid)
    assert resumed(out.name) == Answer(0, "", "")
    assert_same_result(out, reference / "run")


def test_ctrl_c_while_workers_start_is_one_line_too(whole):
    reference, _ = whole
    out = reference / "starting"
    process = start(*job(out.name, 2), "--no-progress")
    wait_for(lambda: sum("spawn_main" in line for line in in_group(process.pid).values()) == 2, process)  # and they are still importing
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed) == (130, "")
    assert errors == f"qthreshold: interrupted; finish it with 'qthreshold resume {out.name}'\n"
    assert_group_ends(process.pid)


def test_ctrl_c_before_anything_is_written_leaves_nothing(whole):
    reference, _ = whole
    process = start(*job("never"))
    wait_for(lambda: "numpy" in Path(f"/proc/{process.pid}/maps").read_text(), process)  # importing what the command needs
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed) == (130, "")
    assert errors in ("", "qthreshold: interrupted; nothing was started\n")  # no line while the options are still being read
    assert not (reference / "never").exists()


def test_workers_end_when_only_their_parent_is_killed(whole):
    reference, _ = whole
    out = reference / "orphans"
    process = start(*job(out.name, 2))
    wait_for(lambda: len(counts_in(out)) >= 1, process)
    process.kill()
    process.communicate(timeout=30)
    assert_group_ends(process.pid)


def kill_workers(process):
    for child, line in in_group(process.pid).items():
        if "spawn_main" in line:
            os.kill(child, signal.SIGKILL)  # as the kernel does when memory runs out


def test_a_worker_that_dies_is_replaced(whole):
    reference, _ = whole
    out = reference / "bereft"
    process = start(*job(out.name, 2))
    wait_for(lambda: len(counts_in(out)) >= 1, process)
    kill_workers(process)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "a worker process was killed, perhaps for lack of memory; others take its place and do its work again\n" in errors
    assert_group_ends(process.pid)
    assert_same_result(out, reference / "run")


def test_workers_that_die_again_and_again_are_one_line_and_the_run_is_resumable(whole, resumed):
    reference, _ = whole
    out = reference / "forsaken"
    process = start(*job(out.name, 2), "--no-progress")
    wait_for(lambda: len(counts_in(out)) >= 1, process)
    while process.poll() is None:
        kill_workers(process)
        time.sleep(0.05)
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed, errors.count("\n")) == (4, "", 1), errors
    assert "a worker process was killed" in errors
    assert f"qthreshold resume {out.name}" in errors
    assert_group_ends(process.pid)
    assert resumed(out.name) == Answer(0, "", "")
    assert_same_result(out, reference / "run")
