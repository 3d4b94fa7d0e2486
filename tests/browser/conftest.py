"""One browser for all tests of a process."""

import pytest

from browser_page import Browser, programs


@pytest.fixture(scope="session")
def browser():
    with Browser(*programs()) as started:
        yield started
