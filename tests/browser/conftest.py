"""One browser for all tests of a process, and pages with their figures."""

import pytest

from browser_page import Browser, programs


@pytest.fixture(scope="session")
def browser():
    with Browser(*programs()) as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
def figures(drawing):
    with drawing(True):
        yield
