"""Tasks for pools, harmless and harmful: importable by worker processes here and by workers of a cluster."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from qthreshold.errors import BackendError


def square(x):
    return x * x


def slowly(x):
    time.sleep(0.05)
    return x * x


def where(_):
    time.sleep(0.02)
    return os.getpid()


def sleep(seconds):
    time.sleep(seconds)


def threads(_):
    return os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]


def fail(x):
    if x == 3:
        raise BackendError("task 3 fails")
    return x


def die(task):
    """``(x, marker)``: killed where there is a marker, once where it is a file that can be removed, for ever where it is a folder."""
    x, marker = task
    if marker and Path(marker).exists():
        if Path(marker).is_file():
            Path(marker).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return x * x


def eat(x):
    """Takes memory until it is killed; only a negative ``x`` does."""
    taken = []
    while x < 0:
        taken.append(np.ones(2_000_000))
        time.sleep(0.02)
    return x * x
