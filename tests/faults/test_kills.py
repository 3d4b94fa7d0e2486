"""Kill -9 at random moments of submit and collect, again and again: nothing is lost, nothing runs twice."""

import contextlib
import os
import random
import signal
import time

import pytest

from mock_ibm import faults
from mock_ibm.tally import survived

ROUNDS, KILLS = 10, 5
"""Rounds, and kills in each: 50 kills."""


@pytest.mark.parametrize("number", [pytest.param(i, marks=() if i == 0 else pytest.mark.system) for i in range(ROUNDS)])
def test_a_run_killed_at_random_moments_loses_and_repeats_nothing(number, bench, reference):
    rng = random.Random(f"kill {number}")
    kills = 0
    while kills < KILLS:
        b = bench(queue_polls=rng.choice([0, 1, 2]))
        while kills < KILLS and len(b.counts()) < len(reference):
            kills += killed(b, rng.choice(["submit", "collect"]), rng)
        assert b.submit().code == 0
        assert b.collect().code == 0
        b.settle(reference)
    survived["kill -9"] += kills


def killed(b, command, rng):
    """Start a command and kill it at a random moment; whether it was still running then."""
    cap = ["--max-qpu-seconds", 100] if command == "submit" else []
    before = len(b.mock.requests)
    pid = b.zygote.start(command, b.run, *cap, out=b.home / "killed", env=b.env, cwd=b.home)
    # after a random number of requests, and a random part of what happens between two
    wanted, pause = before + rng.randrange(0, 30), rng.choice([0.0, rng.uniform(0, 0.02), rng.uniform(0, 0.1)])
    while len(b.mock.requests) < wanted and not b.zygote.ended(pid):
        time.sleep(0.0005)
    time.sleep(pause)
    with contextlib.suppress(ProcessLookupError):  # it had ended
        os.kill(pid, signal.SIGKILL)
    return b.zygote.wait(pid) == -signal.SIGKILL


@pytest.mark.system
def test_a_kill_after_the_service_accepted_and_before_it_answered(bench, reference):
    b = bench()
    b.mock.inject("POST /jobs", faults.stall(), times=1, skip=3)
    pid = b.zygote.start("submit", b.run, "--max-qpu-seconds", 100, out=b.home / "killed", env=b.env | {"QTHRESHOLD_PATIENCE": "post=60"}, cwd=b.home)
    while len(b.mock.jobs) < 4:
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    b.zygote.wait(pid)
    survived["kill -9"] += 1
    last = b.events()[-1]
    assert (last["event"], last["ticket"]) == ("intent", 3)
    assert b.submit().code == 0
    assert [e["tag"] for e in b.events("submitted") if e.get("found")] == [last["tag"]]
    assert b.collect().code == 0
    b.settle(reference)
