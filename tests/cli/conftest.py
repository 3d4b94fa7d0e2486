"""One finished run for all tests that need one; they work on copies."""

import shutil

import pytest

from qthreshold import workflow


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    workflow.run("aer:tiny-5", "quick", out=out, seed=7, workers=1)
    return out


@pytest.fixture
def finished(_finished, tmp_path):
    """A copy of a finished run of tiny-5 with the quick recipe."""
    return shutil.copytree(_finished, tmp_path / "run")
