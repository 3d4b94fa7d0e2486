"""Settings shared by all tests: property tests repeat exactly and have no time limit of their own; pages have figures where a test asks for them."""

import contextlib
import os
import sys

import pytest
from hypothesis import settings

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of hundreds of processes would compile the package anew: a third of a second
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the processes of tests share the cores already; starting threads takes each a tenth of a second
os.environ["QDK_PYTHON_TELEMETRY"] = "none"  # a package that a test runs circuits on would otherwise report home

settings.register_profile("qthreshold", deadline=None, derandomize=True, print_blob=False, max_examples=60)
settings.load_profile("qthreshold")

collect_ignore = ["reference/no_figures"]  # importing it to look for doctests would take matplotlib away from this process


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One process more than there are cores with ``-n auto``: tests of services, schedulers and browsers wait a good part of their time."""
    return int(os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") or (os.cpu_count() or 1) + 1)


@pytest.fixture(scope="session", autouse=True)
def drawing():
    """Pages without figures, as where matplotlib is not installed: drawing takes longer than all the rest of a small run.

    In this process ``with drawing(True)`` has them again; other processes are asked for them with ``figures=True`` of :mod:`reference.commands`.
    """
    from qthreshold.report import export, page, runs, site
    from reference.commands import python_path

    has_figures = page.has_figures

    @contextlib.contextmanager
    def drawing(wanted):
        with pytest.MonkeyPatch.context() as patch:
            for module in (export, page, runs, site):
                patch.setattr(module, "has_figures", has_figures if wanted else lambda: False)
            yield

    with pytest.MonkeyPatch.context() as patch, drawing(False):
        patch.setenv("PYTHONPATH", python_path(figures=False))
        yield drawing


@pytest.fixture
def figures(drawing):
    """Figures in the pages that this process makes."""
    with drawing(True):
        yield
