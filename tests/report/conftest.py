"""These tests look at figures."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def figures(drawing):
    with drawing(True):
        yield
