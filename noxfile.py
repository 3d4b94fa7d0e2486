"""Tests against packages that do not install beside today's Qiskit, and against the oldest versions that are promised.

nox -s iqm | aqt | lower-bounds
"""

import re
import tomllib
from pathlib import Path

import nox

nox.options.sessions = ["iqm", "aqt", "lower-bounds"]
nox.options.reuse_existing_virtualenvs = True

TEST = ("pytest>=8.2", "hypothesis>=6.100", "pytest-benchmark>=5.0", "pytest-xdist>=3.6")


@nox.session(python="3.11")
def iqm(session: nox.Session) -> None:
    """IQM's simulated machines, on the last Qiskit that their package takes."""
    session.install(".", *TEST, "qiskit<2.2", "qiskit-aer<0.18", "iqm-client[qiskit]==36.*")
    session.run("pytest", "tests/providers/test_iqm.py", *session.posargs)


@nox.session(python="3.11")
def aqt(session: nox.Session) -> None:
    """AQT's offline simulators."""
    session.install(".", *TEST, "qiskit==2.4.1", "qiskit-aqt-provider==2.0.*")
    session.run("pytest", "tests/providers/test_aqt.py", *session.posargs)


@nox.session(name="lower-bounds", python="3.11")
def lower_bounds(session: nox.Session) -> None:
    """The lowest version of every direct dependency, and of those that draw reports and write for CI."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["pdf"] + extras["ci"] + extras["postgresql"][1:]  # whose first is ci
    lowest = [re.sub(r"^([\w\[\]-]+)>=([\w.]+).*", r"\1==\2.*", r) for r in wanted]
    session.install(".", *TEST, "qiskit-qasm3-import>=0.6", "stim>=1.13", "xmlschema>=3.4", *lowest)
    session.run("pytest", *(session.posargs or ["tests"]))
