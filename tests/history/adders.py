"""Processes that add runs: ``python adders.py together|killed ...``. One process imports, and the others are forked from it."""

import importlib
import json
import os
import random
import signal
import sys
import time
import warnings

import numpy as np

from qthreshold.history import open_history
from reference.measured import measured

for module in ("psycopg", "sqlalchemy.dialects.postgresql.psycopg", "qthreshold.history.book", "qthreshold.history.migrate"):
    importlib.import_module(module)  # before the fork

ROWS = tuple(("cnot_error", f"{k}-{k + 1}") for k in range(100))

warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside the idle threads of numpy


def run_of(run_id):
    """A run with numbers of its own."""
    return measured(run_id, rows=ROWS, scale=float(np.random.default_rng(abs(hash(run_id)) % 2**32).uniform(1, 2)))


def forked(work):
    """A child that does ``work(write)`` and what can be read of it."""
    out, into = os.pipe()
    child = os.fork()
    if child:
        os.close(into)
        return child, out
    code = 1
    try:
        os.close(out)
        work(lambda text: os.write(into, f"{text}\n".encode()))
        code = 0
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def read_all(out):
    """Whole lines that a child wrote."""
    with os.fdopen(out, "rb") as file:
        return file.read().decode().splitlines()


def together(where, processes, each, same):
    """Many processes open one history that is not there yet, and add runs, all the same ones or each its own."""
    began = time.monotonic() + 0.2

    def work(number):
        def add(write):
            time.sleep(max(0, began - time.monotonic()))
            for k in range(each):
                with open_history(where, create=True) as history:
                    run_id = f"run-{0 if same else number}-{k}"
                    write(f"{run_id} {history.add(run_of(run_id))}")

        return add

    children = [forked(work(number)) for number in range(processes)]
    said = [line.split() for _, out in children for line in read_all(out)]
    return {"codes": [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child, _ in children], "said": said}


def killed(where, times, longest):
    """A process that makes the history and adds runs is killed at a random moment, again and again."""
    rng, acknowledged = random.Random(7), []
    for number in range(times):

        def add(write, number=number):
            with open_history(where, create=True) as history:
                for k in range(10_000):
                    history.add(run_of(f"run-{number}-{k}"))
                    write(f"run-{number}-{k}")

        child, out = forked(add)
        time.sleep(rng.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acknowledged += read_all(out)
    return {"acknowledged": acknowledged}


if __name__ == "__main__":
    what, place, *rest = sys.argv[1:]
    print(json.dumps({"together": together, "killed": killed}[what](place, *map(json.loads, rest))))
