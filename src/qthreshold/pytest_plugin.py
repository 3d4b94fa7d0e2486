"""The pytest plugin: tests of a quantum computer ask the fixture ``device_report`` for its numbers. See ``docs/pytest.md``.

pytest loads it in every session of an environment that has qthreshold, so it imports the rest, numpy included, only once a test asks.
It has no tests whose assertions pytest should rewrite: PYTEST_DONT_REWRITE.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from qthreshold.device_report import DeviceReport
    from qthreshold.result import RunRecords

_OPTION = "--qthreshold-run"
_FORM = '@pytest.mark.qthreshold(backend="exact:tiny-5", recipe="quick", seed=1)'
_PAID = ("ibm", "provider")
_REFLECTED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

_reports = pytest.StashKey[dict[Path, "DeviceReport"]]()
_answers = pytest.StashKey[dict[str, str]]()  # by run directory, in the order of use


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option and its like in the configuration file."""
    parser.getgroup("qthreshold").addoption(_OPTION, metavar="DIR", help="Finished run whose numbers the fixture device_report gives.")
    parser.addini("qthreshold_run", f"The same as {_OPTION}, relative to this file; the option comes first.", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; see that an explicit run is one at all."""
    config.addinivalue_line("markers", "qthreshold(backend, recipe, seed, confidence, max_qpu_seconds): run this and test its device_report")
    config.stash[_reports], config.stash[_answers] = {}, {}
    if stated := config.getoption("qthreshold_run"):
        directory = (config.invocation_params.dir / stated).resolve()
        config.option.qthreshold_run = str(directory)  # workers of xdist get it as it is, wherever they work
        if not (directory / "run.json").is_file():
            raise pytest.UsageError(f"{_OPTION} {stated}: that is no run directory (it has no run.json); 'qthreshold run --out DIR' makes one")


def _stated(config: pytest.Config) -> Path | None:
    """The run of the option or of the configuration file."""
    if option := config.getoption("qthreshold_run"):
        return Path(option)
    ini = config.getini("qthreshold_run")
    return (config.inipath.parent if config.inipath is not None else config.rootpath) / ini if ini else None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which run is tested."""
    directory = _stated(config)
    if directory is None:
        return None
    try:
        device = json.loads((directory / "device.json").read_bytes())["fields"]["name"]
    except (OSError, ValueError, LookupError, TypeError):  # whoever reads the run says what is wrong with it
        return f"qthreshold: run {directory}"
    return f"qthreshold: run {directory}, device {device}"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Read the run of the option before the first test, so that a damaged one stops the session, in one line."""
    config = session.config
    unasked = not config.getoption("qthreshold_run") or config.option.collectonly or hasattr(config, "workerinput")
    if unasked or not any(_asks(item) and item.get_closest_marker("qthreshold") is None for item in session.items):
        return
    from qthreshold.errors import QThresholdError

    try:
        _read(config, Path(config.getoption("qthreshold_run")))
    except QThresholdError as error:
        raise pytest.UsageError(f"{_OPTION}: {error}") from None


def _asks(item: pytest.Item) -> bool:
    return "device_report" in getattr(item, "fixturenames", ())


@pytest.fixture
def device_report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "DeviceReport":
    """What a run says of a device: the run of the nearest marker ``qthreshold``, else that of ``--qthreshold-run``."""
    from qthreshold.errors import QThresholdError

    config, marker = request.config, request.node.get_closest_marker("qthreshold")
    directory = _stated(config)
    try:
        if marker is not None:
            return _made(config, marker, tmp_path_factory)
        if directory is not None:
            return _read(config, directory)
        fault = f"device_report needs a run: 'pytest {_OPTION} DIR', qthreshold_run = DIR in the configuration, or {_FORM}"
    except QThresholdError as error:
        fault = f"device_report: {error}"
    pytest.fail(fault, pytrace=False)  # outside of except, or the sentence stands there twice, as what it comes from too


def _read(config: pytest.Config, directory: Path) -> "DeviceReport":
    """The report of a finished run; each is read once."""
    from qthreshold.device_report import make_device_report
    from qthreshold.store import RunDirectory
    from qthreshold.workflow import load_result

    known = config.stash[_reports]
    if directory not in known:
        known[directory] = make_device_report(load_result(RunDirectory.open(directory)))
    config.stash[_answers][str(directory)] = known[directory].answer
    return known[directory]


def _made(config: pytest.Config, marker: pytest.Mark, factory: pytest.TempPathFactory) -> "DeviceReport":
    """The report of a marker's run, which is made once for equal arguments, by whichever worker comes first.

    A run that failed half-way is not begun again, since every try may cost: the next test finds it unfinished, and says so.
    """
    import hashlib

    from filelock import FileLock

    from qthreshold.errors import InputError, QThresholdError

    arguments = _checked(marker)
    base = factory.getbasetemp()
    folder = base.parent if hasattr(config, "workerinput") else base  # what all workers share
    directory = folder / f"qthreshold-{hashlib.sha256(repr(sorted(arguments.items())).encode()).hexdigest()[:12]}"
    with FileLock(directory.with_suffix(".lock")):
        if not directory.exists():
            try:
                _run(directory, **arguments)
            except QThresholdError as error:
                raise InputError(f"{error}{f'; what there is of the run is in {directory}' if directory.exists() else ''}") from error
    return _read(config, directory)


def _checked(marker: pytest.Mark) -> dict[str, Any]:
    """A marker's arguments, with the usual ones where it states none.

    Raises:
        InputError: One is unknown, the backend is missing, or device time may cost and has no cap.
    """
    from qthreshold.errors import InputError

    usual = {"backend": None, "recipe": "default", "seed": 1, "confidence": 0.95, "max_qpu_seconds": None}
    if marker.args or not set(marker.kwargs) <= set(usual) or not isinstance(marker.kwargs.get("backend"), str):
        raise InputError(f"the marker qthreshold takes a backend and, by name, {', '.join(list(usual)[1:])}, such as {_FORM}")
    arguments = {**usual, **marker.kwargs}
    if arguments["backend"].partition(":")[0] in _PAID and arguments["max_qpu_seconds"] is None:
        raise InputError(f"runs on {arguments['backend']} may cost: state a cap on device time in the marker, such as max_qpu_seconds=120")
    return arguments


def _run(directory: Path, *, max_qpu_seconds: float | None, **arguments: Any) -> "RunRecords":
    from qthreshold.jobs import Consent
    from qthreshold.workflow import run

    with warnings.catch_warnings():
        warnings.simplefilter("default")  # warnings as errors are for the tests; they must not end a run half-way
        return run(out=directory, consent=Consent(cap=max_qpu_seconds), **arguments)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """A failed comparison of a number of a report, in words."""
    if "qthreshold.device_report" not in sys.modules:
        return None
    from qthreshold.device_report import Outcome, Value

    if isinstance(left, (Value, Outcome)):
        return left.explain(op, right)
    return right.explain(_REFLECTED[op], left) if isinstance(right, (Value, Outcome)) and op in _REFLECTED else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist tells which runs it used."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["qthreshold"] = session.config.stash[_answers]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Note what a worker of xdist used."""
    node.config.stash[_answers].update(getattr(node, "workeroutput", {}).get("qthreshold", {}))


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter", config: pytest.Config) -> None:
    """What the runs say that were tested, in a sentence each."""
    # the reporter's type is quoted, since pytest 8.2 has no public name for it
    if config.stash[_answers]:
        terminalreporter.section("qthreshold")
        for directory, answer in config.stash[_answers].items():
            terminalreporter.write_line(f"{directory}: {answer}")
