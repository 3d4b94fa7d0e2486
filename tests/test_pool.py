import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.errors import BackendError, InputError
from qthreshold.memory import available_memory, parse_memory, written_memory
from qthreshold.pool import Pool
from reference import work

KILLED = "a worker process was killed, perhaps for lack of memory; others take its place and do its work again"
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


class Counted:
    """A lazy sequence that knows how many of its items were made."""

    def __init__(self, length, item=lambda i: i):
        self.length, self.item, self.made = length, item, 0

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        if i >= self.length:
            raise IndexError
        self.made += 1
        return self.item(i)


@pytest.fixture(scope="module")
def pair():
    with Pool(2) as pool:
        yield pool


def test_results_are_those_of_one_worker(pair):
    tasks = list(range(40))
    assert dict(pair.run(work.square, tasks)) == dict(Pool(1).run(work.square, tasks)) == {x: x * x for x in tasks}
    assert dict(pair.run(work.square, [])) == {}
    assert len({pid for _, pid in pair.run(work.where, tasks)} - {os.getpid()}) == 2


def test_only_a_few_tasks_are_made_ahead(pair):
    tasks, seen = Counted(10**6), 0
    for seen, _ in enumerate(pair.run(work.square, tasks), 1):
        assert tasks.made <= seen + 6
        if seen == 50:
            break
    assert seen == 50


@pytest.mark.parametrize(("workers", "count", "options"), [(1, 9, {}), (2, 1, {}), (2, 9, {"small": True})])
def test_one_worker_one_task_or_little_work_start_no_process(workers, count, options):
    with Pool(workers) as pool:
        assert {pid for _, pid in pool.run(work.where, range(count), **options)} == {os.getpid()}


def test_processes_have_one_thread_each_for_linear_algebra(pair, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with Pool(2) as pool:
        assert {found for _, found in pool.run(work.threads, range(4))} == {("1", "1")}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_an_error_of_a_task_is_the_callers_and_the_pool_goes_on(pair):
    with pytest.raises(BackendError, match="task 3 fails"):
        dict(pair.run(work.fail, range(100)))
    assert dict(pair.run(work.square, range(5))) == {x: x * x for x in range(5)}


@posix
def test_what_a_killed_worker_was_at_is_done_again(tmp_path):
    marker, said = tmp_path / "once", []
    marker.touch()
    tasks = Counted(30, lambda i: (i, str(marker) if i == 11 else None))
    with Pool(2, say=said.append) as pool:
        assert dict(pool.run(work.die, tasks)) == {x: x * x for x in range(30)}
    assert said == [KILLED]


@posix
def test_a_task_that_kills_its_worker_every_time_ends_the_run_and_no_other_is_blamed(tmp_path):
    tasks = [(x, str(tmp_path) if x == 11 else None) for x in range(30)]
    done = {}
    with Pool(2) as pool:
        with pytest.raises(BackendError, match=r"a worker process was killed 4 times while working on task 12 of 30.*--max-memory or --workers"):
            done.update(pool.run(work.die, tasks))
        assert dict(pool.run(work.square, range(5))) == {x: x * x for x in range(5)}


@posix
def test_several_deadly_tasks_at_once_are_told_from_harmless_ones(tmp_path):
    markers = [tmp_path / str(x) for x in range(3)]
    for marker in markers:
        marker.touch()
    tasks = [(x, str(markers[x]) if x < 3 else None) for x in range(12)]  # the first kill hits innocent tasks too, three times in all
    with Pool(3) as pool:
        assert dict(pool.run(work.die, tasks)) == {x: x * x for x in range(12)}


@posix
def test_a_worker_that_is_killed_while_it_has_nothing_to_do_is_not_missed():
    said = []
    with Pool(2, say=said.append) as pool:
        for pid in {pid for _, pid in pool.run(work.where, range(8))}:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.3)
        assert dict(pool.run(work.square, range(9))) == {x: x * x for x in range(9)}
    assert said == [KILLED]


def interrupted(results):
    next(results)
    raise KeyboardInterrupt


@posix
def test_an_interrupt_does_not_wait_for_what_is_under_way():
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Pool(2) as pool:
        interrupted(pool.run(work.sleep, [0.0, 60.0, 60.0]))
    assert time.monotonic() - began < 20


def test_memory_is_shared_out_and_how_work_is_cut_is_said_once():
    said = []
    pool = Pool(4, max_memory="2GiB", say=said.append)
    assert pool.task_memory == 2**29
    pool.announce(210e6)
    pool.announce(300e6)
    assert said == ["chunks of at most 210 MB on 4 workers"]
    with pytest.raises(InputError, match="leaves 7 MB for each of 10 workers"):
        _ = Pool(10, max_memory="64MiB").task_memory
    assert 2**26 <= Pool(1).task_memory <= 2**32
    assert Pool(2).task_memory <= Pool(1).task_memory


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": 0}, "--workers 0 .* at least 1"),
        ({"workers": 2, "dask": "tcp://127.0.0.1:8786"}, r"--workers 2 and --dask tcp://127\.0\.0\.1:8786 \(or QTHRESHOLD_DASK\) exclude"),
        ({"dask": "127.0.0.1:8786"}, "'127.0.0.1:8786' is not the address"),
        ({"dask": "http://127.0.0.1:8786"}, "not the address"),
        ({"dask": "tcp://127.0.0.1:99999"}, "not the address"),
        ({"dask": "tcp://[::1]"}, "not the address"),
        ({"max_memory": "lots"}, "'lots' is not an amount of memory; write it like"),
        ({"max_memory": "32MB"}, "--max-memory 32MB .* 64MiB"),
        ({"max_memory": 1000}, "--max-memory 1000 .* 64MiB"),
    ],
)
def test_what_a_pool_cannot_be_made_of(options, words):
    with pytest.raises(InputError, match=words):
        Pool(**options)


@given(st.integers(1, 10**6), st.sampled_from(["B", "kB", "MB", "GB", "KiB", "MiB", "GiB", "K", "M", "G", ""]), st.sampled_from(["", " "]))
def test_amounts_of_memory_are_read_in_any_case(number, unit, space):
    size = number * {"": 1, "B": 1, "k": 1000, "M": 1000**2, "G": 1000**3}[unit[:1] if unit.endswith("B") and "i" not in unit else ""]
    if unit not in ("", "B") and ("i" in unit or len(unit) == 1):
        size = number * 1024 ** ("KMG".index(unit[0]) + 1)
    for text in (f"{number}{space}{unit}", f"{number}{unit.lower()}", f" {number}{unit.upper()} "):
        assert parse_memory(text) == size


@given(st.text(max_size=12))
def test_any_text_is_an_amount_of_memory_or_explained(text):
    with contextlib.suppress(InputError):
        assert parse_memory(text) >= 1


@pytest.mark.parametrize("text", ["", "GiB", "-1GB", "1e3MB", "0", "4 PB", "1,5GB", "nan", "inf", "9" * 400, "1..5G", "٣GB"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(InputError, match="is not an amount of memory"):
        parse_memory(text)


@given(st.integers(10**6, 10**14))
def test_written_memory_is_right_to_a_digit(size):
    assert parse_memory(written_memory(size)) == pytest.approx(size, rel=0.5 if size < 10**7 else 0.06)


def machine(root: Path, available, groups=None, line="0::/job/step\n"):
    """What Linux says of its memory."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {available // 1024} kB\n")
    (root / "proc/self/cgroup").write_text(line)
    for folder, files in (groups or {}).items():
        (root / "sys/fs/cgroup" / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (root / "sys/fs/cgroup" / folder / name).write_text(text)
    return root


LIMITED = {"memory.max": f"{2**30}\n", "memory.current": f"{2**29}\n", "memory.stat": f"anon 5\ninactive_file {2**20}\n"}


@pytest.mark.parametrize(
    ("groups", "line", "expected"),
    [
        ({}, "0::/job/step\n", 2**34),
        ({"job/step": {"memory.max": "max\n", "memory.current": "4096\n"}}, "0::/job/step\n", 2**34),
        ({"job/step": {"memory.max": "max\n"}, "job": LIMITED}, "0::/job/step\n", 2**29 + 2**20),
        ({".": LIMITED}, "0::/not/seen/from/inside\n", 2**29 + 2**20),
        (
            {"memory/job": {"memory.limit_in_bytes": f"{2**31}\n", "memory.usage_in_bytes": f"{2**30}\n", "memory.stat": "total_inactive_file 0\n"}},
            "12:cpu,cpuacct:/\n4:memory:/job\n", 2**30,
        ),
        ({"job": LIMITED | {"memory.current": f"{2**31}\n"}}, "0::/job\n", 0),
    ],
)  # fmt: skip
def test_memory_is_what_machine_and_control_groups_leave(groups, line, expected, tmp_path):
    assert available_memory(machine(tmp_path, 2**34, groups, line)) == expected


def test_a_system_that_does_not_say_has_some_memory(tmp_path):
    assert available_memory(tmp_path) == 2**32
