"""``scipy.special``, imported when one of its functions is first used: importing it takes longer than numpy and all fits together."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("scipy.special"), name)
