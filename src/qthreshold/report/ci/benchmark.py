"""The custom JSON of github-action-benchmark, which draws a chart of a value over commits."""

import json

from qthreshold.check import CheckResult
from qthreshold.measurements import LOWER_IS_WORSE, METRICS
from qthreshold.report.words import number

__all__ = ["benchmark"]

_UNITS = ("probability", "average gate infidelity")


def benchmark(result: CheckResult) -> bytes:
    """Error rates of the device as a whole, of which smaller is better (``tool: customSmallerIsBetter``). Numbers of qubits are left out.

    Args:
        result: What the gate said.
    """
    rows = [
        {
            "name": f"{result.device}: {METRICS.get(metric, metric)}", "unit": _UNITS[not metric.startswith("readout")],
            "value": value["best"], "range": f"{number(value['low'])} to {number(value['high'])}",
            "extra": f"{100 * (value['level'] or 0):g} % interval\nrun {result.run_id}",
        }
        for metric, value in result.metrics.items()
        if metric not in LOWER_IS_WORSE and value is not None and value["best"] is not None
    ]  # fmt: skip
    return (json.dumps(rows, indent=1, allow_nan=False) + "\n").encode()
