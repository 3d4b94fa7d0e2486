"""Many processes at once, and processes that are killed: what was acknowledged is there, once, and the database is sound."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qthreshold.history import open_history

TESTS = Path(__file__).parents[1]

pytestmark = [pytest.mark.system, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


def adders(*words):
    """The answer of ``adders.py``."""
    import qthreshold

    path = os.pathsep.join([str(TESTS), str(Path(qthreshold.__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, TESTS / "history/adders.py", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_ten_processes_at_once_lose_nothing(where):
    answer = adders("together", where, 10, 3, "false")
    assert answer["codes"] == [0] * 10
    assert sorted(answer["said"]) == sorted([f"run-{n}-{k}", "True"] for n in range(10) for k in range(3))
    with open_history(where, create=False) as history:
        assert {e.run_id for e in history.runs()} == {f"run-{n}-{k}" for n in range(10) for k in range(3)}
        assert history.verify() == []


def test_one_run_added_by_ten_processes_is_there_once(where):
    answer = adders("together", where, 10, 1, "true")
    assert answer["codes"] == [0] * 10
    assert sorted(added for _, added in answer["said"]) == ["False"] * 9 + ["True"]
    with open_history(where, create=False) as history:
        assert [e.run_id for e in history.runs()] == ["run-0-0"]
        assert history.verify() == []


@pytest.mark.parametrize(("times", "longest"), [(8, 0.4), (20, 0.05)])
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(where, times, longest):
    acknowledged = adders("killed", where, times, longest)["acknowledged"]
    with open_history(where, create=True) as history:
        there = {e.run_id for e in history.runs()}
        assert set(acknowledged) <= there
        assert len(there) <= len(acknowledged) + times  # a kill may come between the commit and the word of it
        assert history.verify() == []
    assert acknowledged or longest < 0.1  # that soon, the history may not even be there
