"""One finished run for all tests that need one; they work on copies."""

import shutil

import pytest

from qthreshold import workflow
from qthreshold.store import RunDirectory


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    workflow.run("aer:tiny-5", "quick", out=out, seed=7, workers=1)
    return out


@pytest.fixture(scope="session")
def _drawn(_finished, drawing, tmp_path_factory):
    out = shutil.copytree(_finished, tmp_path_factory.mktemp("drawn") / "run")
    with drawing(True):
        workflow.report(RunDirectory.open(out))
    return out


@pytest.fixture
def finished(request, tmp_path):
    """A copy of a finished run of tiny-5 with the quick recipe; its page has figures where the test asks for them."""
    whole = request.getfixturevalue("_drawn" if "figures" in request.fixturenames else "_finished")
    return shutil.copytree(whole, tmp_path / "run")
