"""The real command line in a subprocess, and the files that its tests feed it."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from qthreshold.cli import main

RING = """\
schema = "qthreshold/profile/1"
name = "ring-12"

[topology]
kind = "ring"
qubits = 12

[qubits]
pulse_error = 5e-4

[pairs]
error = 6e-3
"""

PROFILE = """\
schema = "qthreshold/profile/1"
name = "mine"
seed = 1

[topology]
kind = "line"
qubits = 3

[qubits]
pulse_error = 5e-4
p1_given_0 = 0.01

[pairs]
error = 6e-3
"""

RECIPE = """\
schema = "qthreshold/recipe/1"
name = "short"

[readout]
patterns = 2
shots = 50

[one_qubit]
lengths = [1, 20]
sequences = 4
shots = 50

[two_qubit]
lengths = [1, 10]
sequences = 4
shots = 50
"""

NO_FIGURES = str(Path(__file__).parent / "no_figures")


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str


def command(*args):
    """The argument list of a command."""
    return [sys.executable, "-m", "qthreshold", *map(str, args)]


def plain_environment(*, figures=False):
    """An environment without settings that change the output's width or colour; without matplotlib, unless figures are wanted."""
    plain = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "PYTHONWARNINGS"}}
    return plain | {"PYTHONPATH": python_path(figures=figures)}


def python_path(*, figures):
    """Where processes find modules; among them one that makes matplotlib look absent, unless figures are wanted."""
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p not in ("", NO_FIGURES)]
    return os.pathsep.join(others if figures else [NO_FIGURES, *others])


def qthreshold(*args, cwd=None, env=None, figures=False, **options):
    """Run a command to its end; its pages have figures only if they are wanted."""
    done = subprocess.run(
        command(*args), cwd=cwd, env=plain_environment(figures=figures) | (env or {}), stdin=subprocess.DEVNULL, capture_output=True,
        encoding="utf-8", timeout=120, check=False, **options,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


def here(args, monkeypatch, capsys):
    """The entry point of the console script, called in this process, which spares importing qiskit every time."""
    monkeypatch.setattr(sys, "argv", ["qthreshold", *map(str, args)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    return Answer(stopped.value.code, *capsys.readouterr())


def start(*args, cwd=None):
    """Start a command in a process group of its own, with Ctrl-C as in a terminal (a background job would ignore it)."""
    return subprocess.Popen(
        command(*args), cwd=cwd, env=plain_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def content_of(path):
    """Every file below a directory and its bytes; directories as None. The lock, which is empty, does not count."""
    found = (p for p in sorted(path.rglob("*")) if p.name != ".lock")
    return {p.relative_to(path).as_posix(): p.read_bytes() if p.is_file() else None for p in found}
