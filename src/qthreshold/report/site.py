"""Static pages of a fleet: an index of devices, and a page for each, with trends, steps and alarms. Makes bytes; others write them.

Names of devices come from wherever the runs came from: in pages they are escaped, and file names are made of letters, digits and hyphens only.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from qthreshold.drift import DAY, DeviceDrift, Drift
from qthreshold.measurements import PER_TARGET
from qthreshold.report.page import NO_FIGURES, drawn, has_figures, render_template
from qthreshold.report.trendtext import day, drift_sentence, left_out_words, series_name, state_words, step_words, trend_words, value_words
from qthreshold.report.words import many, shown_name
from qthreshold.series import Series
from qthreshold.verdict import NOTICE

if TYPE_CHECKING:
    from qthreshold.report.plates import Plate

__all__ = ["drift_lines", "page_name", "site_files", "trend_plates"]

_ANSWERS = ("cnot_error.mean", "connected_working_qubits", "readout_error.mean", "one_qubit_error.mean")
_FIGURES = (*_ANSWERS, "cnot_error.worst", "readout_error.worst")
_OF_PARTS, _OF_ALL = "of errors of single pairs and qubits", "of all numbers but errors of single pairs and qubits"
_SHOWN = 8  # pairs and qubits with an alarm that get a figure
_SLUG = 40  # letters of a name that its file keeps


def site_files(devices: Sequence[DeviceDrift], *, now: float) -> Iterator[tuple[str, bytes]]:
    """All pages, each as it is made: ``index.html`` first.

    Args:
        devices: The fleet; every device once.
        now: Seconds since 1970, for the days since the last run.

    Raises:
        ValueError: A device is there twice.
    """
    names = [page_name(d.device) for d in devices]
    if len(set(names)) < len(names):
        raise ValueError(f"a device is there twice among {sorted(d.device for d in devices)}")
    ordered = sorted(zip(devices, names, strict=True), key=lambda dn: (-len(_to_the_worse(dn[0])), dn[0].device))
    yield "index.html", _index(ordered, now).encode()
    for device, name in ordered:
        yield name, _page(device, now).encode()


def page_name(device: str) -> str:
    """File of a device's page: what is plain in its name, and a part of the SHA-256 of all of it.

    Example:
        >>> page_name("../Lab 3"), page_name("../lab 3")
        ('device-lab-3-0a2e0699.html', 'device-lab-3-c1d2a070.html')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", device.lower())[:_SLUG].strip("-")
    digest = hashlib.sha256(device.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return "-".join(p for p in ("device", plain, digest) if p) + ".html"


def _to_the_worse(device: DeviceDrift) -> list[Drift]:
    return [d for d in device.alarms if d.worse]


def _index(devices: Sequence[tuple[DeviceDrift, str]], now: float) -> str:
    alarmed = [d for d, _ in devices if _to_the_worse(d)]
    answer = f"{many(len(devices), 'device')}: " + (
        f"{many(len(alarmed), 'device')} with an alarm to the worse ({', '.join(shown_name(d.device) for d in alarmed[:5])}"
        f"{', ...' if len(alarmed) > 5 else ''})."
        if alarmed
        else "no alarm to the worse."
    )
    rows = [
        SimpleNamespace(
            name=shown_name(d.device), page=page, last=day(d.last_at), days=_days(d.last_at, now),
            runs=f"{max((x.runs for x in d.drifts), default=0):,}",
            answers=[_last(d, metric) for metric in _ANSWERS], alarms=len(_to_the_worse(d)), others=len(d.alarms) - len(_to_the_worse(d)),
        )
        for d, page in devices
    ]  # fmt: skip
    lacking = [f"{shown_name(d.device)}: {said}" for d, _ in devices for said in _left_out(d)]
    if lacking:
        answer += f" Runs of {many(sum(bool(d.left_out) for d, _ in devices), 'device')} are left out, see below."
    return render_template("fleet.html", title="Devices over time", answer=answer, lacking=lacking, rows=rows, made=day(now), notice=NOTICE)


def _days(last: float, now: float) -> str:
    return "-" if last != last else f"{max(now - last, 0.0) / DAY:.1f}"


def _last(device: DeviceDrift, metric: str) -> str:
    return next((value_words(metric, d.last) for d in device.drifts if d.metric == metric and not d.target), "-")


def drift_lines(device: DeviceDrift) -> list[str]:
    """What drifts, in sentences: how many alarms, then each.

    Args:
        device: What its history says.
    """
    name, alarms, worse = shown_name(device.device), device.alarms, _to_the_worse(device)
    answer = f"{name}: {many(len(worse), 'alarm')} to the worse" if worse else f"{name}: no alarm to the worse"
    if len(alarms) > len(worse):
        answer += f", {len(alarms) - len(worse)} to the better"
    return [" ".join([f"{answer}.", *_left_out(device)]), *(drift_sentence(d) for d in alarms)]


def _left_out(device: DeviceDrift) -> list[str]:
    """Which runs are not looked at, in sentences; some count for errors of single pairs and qubits only."""
    metrics = {s.metric for s in device.series}
    return [
        left_out_words(what, "" if set(of) == metrics else _OF_PARTS if set(of) <= {*PER_TARGET} - {"works"} else _OF_ALL)
        for what, of in device.left_out.items()
    ]


def _page(device: DeviceDrift, now: float) -> str:
    name, (answer, *alarms) = shown_name(device.device), drift_lines(device)
    parts = [d for d in device.drifts if d.target]
    return render_template(
        "device.html", title=f"{name} over time", device=name, answer=answer, alarms=alarms,
        last=day(device.last_at), days=_days(device.last_at, now), calibrated=_calibration(device),
        plates=drawn(trend_plates(device)).drift if has_figures() else [], no_figures="" if has_figures() else NO_FIGURES,
        overall=[_row(d) for d in device.drifts if not d.target], rows=[_row(d) for d in sorted(parts, key=_urgency)],
        steps=_steps(device), made=day(now), notice=NOTICE,
    )  # fmt: skip


def _calibration(device: DeviceDrift) -> str:
    hours = [d.hours_since_calibration for d in device.drifts if d.hours_since_calibration == d.hours_since_calibration]
    return f"{min(hours):.1f} hours before" if hours else "not known"


def _urgency(drift: Drift) -> tuple[int, str, tuple[int, ...]]:
    """Alarms to the worse first, then what cannot be fitted, other alarms, and the rest in the order of their numbers."""
    rank = 0 if drift.worse else 1 if drift.state == "can no longer be fitted" else 2 if drift.alarmed else 3
    return rank, drift.metric, tuple(int(n) for n in re.findall(r"\d{1,9}", drift.target))


def _row(drift: Drift) -> SimpleNamespace:
    return SimpleNamespace(
        name=series_name(drift), last=value_words(drift.metric, drift.last) or "-", trend=trend_words(drift) or "-",
        state=state_words(drift), steps=len(drift.changes), kind="met" if drift.worse else "plain",
    )  # fmt: skip


def _steps(device: DeviceDrift) -> list[list[str]]:
    """Steps of all series, the latest first."""
    found = sorted(((c, d) for d in device.drifts for c in d.changes), key=lambda cd: -cd[0].taken_at)
    return [
        [day(c.taken_at), series_name(d), step_words(d.metric, c.size), f"{day(c.earliest)} to {day(c.latest)}", f"{c.p_value:.1g}"] for c, d in found
    ]


def trend_plates(device: DeviceDrift) -> list["Plate"]:
    """Figures of the device, then of pairs and qubits with an alarm.

    Args:
        device: What its history says.
    """
    from qthreshold.report import trends
    from qthreshold.report.plates import Plate

    both = list(zip(device.series, device.drifts, strict=True))
    of_device = [(s, d) for m in _FIGURES for s, d in both if s.metric == m and not s.target and d.measured]
    alarmed = sorted(((s, d) for s, d in both if s.target and d.alarmed), key=lambda sd: _urgency(sd[1]))
    return [
        Plate(
            name=f"trend-{k}", group="drift", title=series_name(d), alt=drift_sentence(d), caption="", size=trends.SIZE,
            draw=_drawer(trends.trend, s, d),
        )
        for k, (s, d) in enumerate([*of_device, *alarmed[:_SHOWN]])
    ]  # fmt: skip


def _drawer(draw: Callable[..., None], series: Series, drift: Drift) -> Callable[[Any], None]:
    return lambda figure: draw(figure.subplots(), series, drift)
