"""pytest plugin: ``pytest --qthreshold-run DIR``, the fixture ``device_report`` and the marker ``qthreshold``.

Nothing but pytest is imported until a test asks for the fixture.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from qthreshold.device_report import DeviceReport

_USED = pytest.StashKey[dict[str, "DeviceReport"]]()
_MARKER = (
    "qthreshold(backend, recipe='default', seed=1, max_qpu_seconds=None): run a recipe and give it to the fixture device_report, "
    "unless --qthreshold-run names a run"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option, and the same in the configuration file."""
    group = parser.getgroup("qthreshold", "quantum device characterization")
    group.addoption("--qthreshold-run", metavar="DIR", default=None, help="Finished run that the fixture device_report reads.")
    parser.addini("qthreshold_run", "Finished run that the fixture device_report reads; --qthreshold-run goes first.", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)
    config.stash[_USED] = {}


def _run_directory(config: pytest.Config) -> str:
    return str(config.getoption("--qthreshold-run") or config.getini("qthreshold_run") or "")


@pytest.fixture
def device_report(request: pytest.FixtureRequest) -> "DeviceReport":
    """The finished run that ``--qthreshold-run`` names, or the run that the marker ``qthreshold`` describes; see ``docs/pytest.md``."""
    directory, marker = _run_directory(request.config), request.node.get_closest_marker("qthreshold")
    made = request.config.stash[_USED]
    key = str(Path(request.config.invocation_params.dir, directory)) if directory else repr(marker)
    if not directory and marker is None:
        pytest.fail("device_report needs a run: pytest --qthreshold-run DIR, or @pytest.mark.qthreshold(backend=...) on the test", pytrace=False)
    if key not in made:
        from qthreshold.errors import QThresholdError

        try:
            made[key] = _loaded(Path(key)) if directory else _measured(marker, request)
        except QThresholdError as error:
            pytest.fail(f"no report of a device: {error}", pytrace=False)
    return made[key]


def _loaded(directory: Path) -> "DeviceReport":
    from qthreshold.device_report import DeviceReport
    from qthreshold.store import RunDirectory
    from qthreshold.workflow import load_result

    return DeviceReport.of(load_result(RunDirectory.open(directory)))


def _measured(marker: Any, request: pytest.FixtureRequest) -> "DeviceReport":
    from qthreshold.device_report import DeviceReport

    folder = request.getfixturevalue("tmp_path_factory").mktemp("qthreshold")
    return DeviceReport.of(_run(folder / "run", *marker.args, **marker.kwargs))


def _run(out: Path, backend: str, recipe: str = "default", seed: int = 1, max_qpu_seconds: float | None = None) -> Any:
    """Run a recipe; on paid hardware within the cap that the marker states, and never without one."""
    from qthreshold import workflow
    from qthreshold.jobs import Consent

    consent = None if max_qpu_seconds is None else Consent(cap=max_qpu_seconds)
    return workflow.run(backend, recipe, out=out, seed=seed, consent=consent)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Failures of comparisons with ends of intervals, in words."""
    if not any(type(side).__module__ == "qthreshold.device_report" for side in (left, right)):
        return None
    from qthreshold.device_report import explain

    return explain(op, left, right)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which run is read."""
    directory = _run_directory(config)
    return f"qthreshold: run {directory}" if directory else None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The answers of the runs that tests have read."""
    for report in config.stash[_USED].values():
        terminalreporter.write_sep("-", "qthreshold")
        terminalreporter.write_line(report.answer)
