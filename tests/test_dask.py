"""A real scheduler with real workers: the same results as here, and clear words when something is wrong."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time

import pytest

from qthreshold import cluster as cluster_module
from qthreshold import pool as pool_module
from qthreshold import workflow
from qthreshold.errors import BackendError
from qthreshold.pool import Pool
from reference import work
from reference.commands import RING, Answer, here, qthreshold, start
from reference.dask_cluster import DaskCluster, other_version

pytest.importorskip("distributed", reason="needs the extra 'dask': pip install 'qthreshold[dask]'")
pytestmark = [pytest.mark.system, pytest.mark.skipif(os.name != "posix", reason="needs process groups")]

RECIPE = """\
schema = "qthreshold/recipe/1"
name = "wide"

[readout]
patterns = 2
shots = 100

[one_qubit]
lengths = [1, 60]
sequences = 10
shots = 100

[two_qubit]
lengths = [1, 60]
sequences = 10
shots = 100
spacing = "isolated"
"""
NOBODY = "tcp://127.0.0.1:9"  # the discard port


def job(out, *options, engine="aer"):
    return ["run", "-b", f"{engine}:ring.toml", "-r", "wide.toml", "--seed", 3, "-o", out, "--as-of", "2026-01-01", "--no-progress", *options]


def counts_of(directory):
    return {p.name: p.read_bytes() for p in sorted((directory / "counts").glob("[0-9]*.npz"))}


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A profile, a recipe, and a run of them in this process."""
    path = tmp_path_factory.mktemp("dask")
    (path / "ring.toml").write_text(RING)
    (path / "wide.toml").write_text(RECIPE)
    workflow.run(str(f"aer:{path / 'ring.toml'}"), str(path / "wide.toml"), out=path / "alone", seed=3, workers=1)
    return path


@pytest.fixture
def at(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with DaskCluster(tmp_path_factory.mktemp("cluster"), options=("--nanny",)) as running, Pool(dask=running.address) as pool:
        wait_for(lambda: len(pool.connect()["workers"]) and pool._crew._members()[1:])  # both
        yield running


def test_a_cluster_gives_the_tallies_of_one_process(at, cluster, monkeypatch, capsys):
    for out, options in (("exact", ("--workers", 1)), ("exactly", ("--dask", cluster.address, "--max-memory", "64MiB"))):
        assert here(job(out, "-q", *options, engine="exact"), monkeypatch, capsys) == Answer(0, "", "")
    assert counts_of(at / "exact") == counts_of(at / "exactly")


def test_a_cluster_gives_the_counts_of_one_process(at, cluster, monkeypatch, capsys):
    assert here(job("both", "-q", "--dask", cluster.address), monkeypatch, capsys) == Answer(0, "", "")
    assert here(job("two", "-q", "--workers", 2), monkeypatch, capsys) == Answer(0, "", "")
    assert len(counts_of(at / "alone")) > 10
    assert counts_of(at / "both") == counts_of(at / "two") == counts_of(at / "alone")


def test_work_is_spread_and_its_memory_follows_the_workers(cluster):
    with Pool(dask=cluster.address) as pool:
        assert pool.workers == 2
        assert len({pid for _, pid in pool.run(work.where, range(20))}) == 2
        assert 2**24 < pool.task_memory < 2**42
    with Pool(dask=cluster.address, max_memory="1GiB") as pool:
        assert pool.task_memory == 2**29


def test_errors_of_tasks_come_as_they_are(cluster):
    with Pool(dask=cluster.address) as pool:
        with pytest.raises(BackendError, match=r"^task 3 fails$"):
            dict(pool.run(work.fail, range(50)))
        assert dict(pool.run(work.square, range(50))) == {x: x * x for x in range(50)}


def test_a_killed_worker_is_survived(cluster):
    with Pool(dask=cluster.address) as pool:
        pids = sorted({pid for _, pid in pool.run(work.where, range(20))})
        found = {}
        for index, result in pool.run(work.slowly, range(60)):
            found[index] = result
            if len(found) == 10:
                os.kill(pids[0], signal.SIGKILL)
    assert found == {x: x * x for x in range(60)}


def test_a_run_whose_worker_is_killed_has_the_same_counts(at, cluster):
    with Pool(dask=cluster.address) as pool:
        pids = sorted({pid for _, pid in pool.run(work.where, range(20))})
    process = start(*job("bereft", "-q", "--dask", cluster.address))
    wait_for(lambda: len(counts_of(at / "bereft")) >= 2)
    os.kill(pids[-1], signal.SIGKILL)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0
    assert counts_of(at / "bereft") == counts_of(at / "alone")


def test_doctor_examines_a_cluster(cluster, monkeypatch, capsys):
    monkeypatch.setenv("QTHRESHOLD_DASK", cluster.address)
    answer = here(["doctor"], monkeypatch, capsys)
    assert (answer.code, answer.err) == (0, "")
    for words in (cluster.address, "2 with 2 threads", "a task", "the same everywhere", "All well"):
        assert words in answer.out


def test_a_worker_with_other_versions_is_named(cluster, tmp_path):
    with DaskCluster(tmp_path / "other", 1, worker_environment=other_version(tmp_path / "version")) as other:
        with pytest.raises(BackendError) as caught, Pool(dask=other.address) as pool:
            pool.connect()
        assert str(caught.value).startswith("worker tcp://127.0.0.1:")
        assert " has qthreshold 0.0.9 (here " in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_worker_with_other_versions_that_joins_later_is_refused(tmp_path):
    with DaskCluster(tmp_path / "cluster", 1) as growing, Pool(dask=growing.address) as pool:
        pool.connect()
        growing.add_worker(other_version(tmp_path / "version"))
        with pytest.raises(BackendError, match=r"^a worker that joined has qthreshold 0\.0\.9"):
            dict(pool.run(work.slowly, range(2000)))


def test_a_worker_out_of_memory_is_one_line(tmp_path):
    environment, options = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}, ("--memory-limit", "300MB")
    with (
        DaskCluster(tmp_path, 1, scheduler_environment=environment, options=options) as small,
        pytest.raises(BackendError, match=r"were killed 2 times while working on one task.*--memory-limit.*--max-memory"),
        Pool(dask=small.address) as pool,
    ):
        dict(pool.run(work.eat, [1, 2, -1]))


def test_a_lost_scheduler_leaves_a_run_that_goes_on_elsewhere(at, tmp_path, monkeypatch, capsys):
    with DaskCluster(tmp_path, 1) as doomed:
        process = start(*job("lost", "--dask", doomed.address))
        wait_for(lambda: len(counts_of(at / "lost")) >= 2)
        doomed.scheduler.kill()
        began = time.monotonic()
        printed, errors = process.communicate(timeout=30)
        assert time.monotonic() - began < 8
    assert (process.returncode, printed) == (4, ""), errors
    assert errors == f"qthreshold: lost the Dask scheduler at {doomed.address}; finish it with 'qthreshold resume lost'\n"
    assert 2 <= len(counts_of(at / "lost")) < len(counts_of(at / "alone"))
    assert here(["resume", "lost", "-q", "--workers", 1], monkeypatch, capsys) == Answer(0, "", "")
    assert counts_of(at / "lost") == counts_of(at / "alone")


def test_a_run_goes_on_at_another_scheduler(at, cluster, monkeypatch, capsys):
    plan = ["plan", "elsewhere", "-b", "aer:ring.toml", "-r", "wide.toml", "--seed", 3, "--as-of", "2026-01-01"]
    assert here(plan, monkeypatch, capsys).code == 0
    answer = here(["resume", "elsewhere", "-q", "--dask", NOBODY], monkeypatch, capsys)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.endswith("; finish it with 'qthreshold resume elsewhere'\n")
    assert here(["resume", "elsewhere", "-q", "--dask", cluster.address], monkeypatch, capsys) == Answer(0, "", "")
    assert counts_of(at / "elsewhere") == counts_of(at / "alone")


def test_nobody_there_is_one_line_in_seconds(at):
    began = time.monotonic()
    answer = qthreshold(*job("nobody", "--dask", NOBODY))
    assert time.monotonic() - began < 8
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith(f"qthreshold: no Dask scheduler answers at {NOBODY} (Connection refused); start one with 'dask scheduler'")
    assert not (at / "nobody").exists()  # it is looked for first


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.6\r\n" * 20])
def test_somebody_else_there_is_one_line_in_seconds(greeting):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            with contextlib.suppress(OSError):  # closed
                while True:
                    callers.append(server.accept()[0])
                    callers[-1].sendall(greeting)

        callers = []
        threading.Thread(target=greet, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        answer = qthreshold("doctor", "--dask", address)
        assert time.monotonic() - began < 8
        for caller in callers:
            caller.close()
    assert answer.code == 4
    assert answer.err.startswith(f"qthreshold: no Dask scheduler answers at {address} (")
    assert answer.err.count("\n") == 1


def test_a_scheduler_without_workers_says_how_to_start_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster_module, "_FIRST", 0.5)
    with DaskCluster(tmp_path, 0) as empty:
        answer = here(["doctor", "--dask", empty.address], monkeypatch, capsys)
    assert answer.code == 4
    assert f"has no workers; start one with 'dask worker {empty.address} --nthreads 1'" in answer.err
    assert answer.err.count("\n") == 1


def test_a_cluster_that_loses_all_of_its_workers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "_EMPTY", 0.5)
    monkeypatch.setattr(pool_module, "_LOOK", 0.3)
    with DaskCluster(tmp_path, 1) as dwindling, Pool(dask=dwindling.address) as pool:
        results = pool.run(work.slowly, range(100))
        next(results)
        dwindling.workers[0].kill()
        with pytest.raises(BackendError, match=r"has lost all of its workers; start one with 'dask worker tcp://127"):
            dict(results)


def test_a_worker_that_starts_a_moment_later_is_waited_for(tmp_path):
    with DaskCluster(tmp_path, 0) as empty, Pool(dask=empty.address) as pool:
        threading.Timer(1.0, empty.add_worker).start()
        assert dict(pool.run(work.square, range(3))) == {0: 0, 1: 1, 2: 4}


def test_the_address_of_a_worker_is_no_scheduler(cluster):
    with Pool(dask=cluster.address) as pool:
        pool.connect()
        worker = pool._crew.members[0].address
    with pytest.raises(BackendError, match="scheduler"), Pool(dask=worker) as pool:
        pool.connect()


def test_the_package_that_is_missing_is_named(at, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    answer = here(["doctor", "--dask", NOBODY], monkeypatch, capsys)
    assert answer.code == 2
    assert answer.err == "qthreshold: --dask needs a package that is not installed: pip install 'qthreshold[dask]'\n"


def test_an_interrupt_leaves_a_run_that_goes_on(at, cluster):
    process = start(*job("interrupted", "--dask", cluster.address))
    wait_for(lambda: len(counts_of(at / "interrupted")) >= 1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "qthreshold: interrupted; finish it with 'qthreshold resume interrupted'\n")
    assert process.returncode == 130


def test_certificates_that_are_missing_are_one_line(cluster, monkeypatch, capsys):
    answer = here(["doctor", "--dask", cluster.address.replace("tcp", "tls")], monkeypatch, capsys)
    assert answer.code == 2
    assert "needs certificates" in answer.err
    assert answer.err.count("\n") == 1
