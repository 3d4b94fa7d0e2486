"""qthreshold: which export-control threshold does a quantum computer meet, measured, with intervals.

Names are loaded on first use, so that ``import qthreshold`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qthreshold.assess import judge
    from qthreshold.check import CheckResult
    from qthreshold.ci import compare
    from qthreshold.comparison import Comparison
    from qthreshold.device import Device
    from qthreshold.errors import BackendError, InputError, QThresholdError, StoreError
    from qthreshold.identity import Interval
    from qthreshold.jobs import Consent
    from qthreshold.verdict import Verdict
    from qthreshold.workflow import RunResult, run

__all__ = [
    "BackendError", "CheckResult", "Comparison", "Consent", "Device", "InputError", "Interval", "QThresholdError", "RunResult", "StoreError",
    "Verdict", "compare", "judge", "run",
]  # fmt: skip
__version__ = "0.1.0"

_HOME = {
    "BackendError": "errors",
    "CheckResult": "check",
    "Comparison": "comparison",
    "Consent": "jobs",
    "Device": "device",
    "InputError": "errors",
    "Interval": "identity",
    "QThresholdError": "errors",
    "RunResult": "workflow",
    "StoreError": "errors",
    "Verdict": "verdict",
    "compare": "ci",
    "judge": "assess",
    "run": "workflow",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"qthreshold.{_HOME[name]}"), name)
    raise AttributeError(f"module 'qthreshold' has no attribute {name!r}")
