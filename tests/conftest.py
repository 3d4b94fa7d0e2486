"""Settings shared by all tests: property tests repeat exactly and have no time limit of their own; pages have figures where a test asks for them."""

import contextlib
import os

import pytest
from hypothesis import settings

os.environ["QDK_PYTHON_TELEMETRY"] = "none"  # a package that a test runs circuits on would otherwise report home

settings.register_profile("qthreshold", deadline=None, derandomize=True, print_blob=False, max_examples=60)
settings.load_profile("qthreshold")

collect_ignore = ["reference/no_figures"]  # importing it to look for doctests would take matplotlib away from this process


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
