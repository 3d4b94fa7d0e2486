"""Gauges for Prometheus: by way of node_exporter's textfile collector, a Pushgateway, or GitLab's metrics report."""

import datetime

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client import generate_latest as classic_text
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text

from qthreshold.check import OUTCOMES, CheckResult
from qthreshold.report.words import printable

__all__ = ["openmetrics", "prometheus"]

_DIGITS = 4  # GitLab compares the texts of two branches: noise in the last digits would be a change


def openmetrics(result: CheckResult) -> bytes:
    """OpenMetrics text. Labels are bounded: device, metric and outcome; no run, job, pair or qubit.

    Args:
        result: What the gate said.
    """
    return bytes(openmetrics_text(_registry(result)))


def prometheus(result: CheckResult) -> bytes:
    """The same in the older text format, which is the one that node_exporter's textfile collector reads.

    Args:
        result: What the gate said.
    """
    return bytes(classic_text(_registry(result)))


def _registry(result: CheckResult) -> CollectorRegistry:
    registry = CollectorRegistry()
    device = printable(result.device)
    of_metric = {
        name: Gauge(f"qthreshold_{name}", text, ["device", "metric"], registry=registry)
        for name, text in (
            ("estimate", "Best estimate, by metric"), ("low", "Lower end of the interval"),
            ("high", "Upper end of the interval"),
        )
    }  # fmt: skip
    for metric, value in result.metrics.items():
        if value is not None and value["best"] is not None:
            for name, end in (("estimate", "best"), ("low", "low"), ("high", "high")):
                if (at := value[end]) is not None:
                    of_metric[name].labels(device, metric).set(float(f"{at:.{_DIGITS}g}"))
    cases = Gauge("qthreshold_check_cases", "Cases of the gate that count, by outcome", ["device", "outcome"], registry=registry)
    for outcome in OUTCOMES:
        cases.labels(device, outcome).set(len(result.having(outcome)))
    code = Gauge(
        "qthreshold_check_exit_code", "0 passed, 1 failed, 3 cannot tell, 4 data missing, 5 worse than the baseline", ["device"], registry=registry
    )
    code.labels(device).set(result.exit_code)
    taken = _seconds(result.taken_at)
    if taken is not None:
        Gauge("qthreshold_run_timestamp_seconds", "When the run was made", ["device"], registry=registry).labels(device).set(taken)
    return registry


def _seconds(text: str) -> float | None:
    try:
        return float(round(datetime.datetime.fromisoformat(text).timestamp()))
    except ValueError:
        return None
