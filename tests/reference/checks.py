"""Results of a gate for tests: any there can be, and one that holds a bit of everything."""

from hypothesis import strategies as st

from qthreshold.check import OUTCOMES, Case, CheckResult
from qthreshold.measurements import METRICS

TEXTS = st.text(max_size=20) | st.sampled_from(
    ["]]>", "<b>", "a\nb", "::error::x", "##[error]x", "@everyone", "100%", "\x00\ud800", "| x |", "a=b\nc=d"]
)
_NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_ENDS = st.lists(st.floats(0, 1e3), min_size=3, max_size=3).map(sorted)
_KNOWN = _ENDS.map(lambda v: dict(zip(("low", "best", "high"), v, strict=True)) | {"level": 0.95})
INTERVALS = (
    st.none() | _KNOWN | _KNOWN.map(lambda v: v | {"low": None, "high": None}) | st.just(dict.fromkeys(("low", "best", "high", "level"), None))
)
CASES = st.builds(
    Case, kind=st.sampled_from(["rule", "limit", "regression", "run"]), name=TEXTS, target=TEXTS, outcome=st.sampled_from(OUTCOMES), reason=TEXTS,
    value=INTERVALS, before=INTERVALS, limit=_NUMBERS, p_value=_NUMBERS, q_value=_NUMBERS, gates=st.booleans(), lost=st.booleans(),
)  # fmt: skip
RESULTS = st.builds(
    CheckResult, run_id=TEXTS, device=TEXTS, taken_at=st.sampled_from(["", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00+02:00", "yesterday"]),
    answer=TEXTS, exit_code=st.sampled_from([0, 1, 3, 4, 5]), cases=st.lists(CASES, max_size=5).map(tuple),
    baseline=st.lists(TEXTS, max_size=2).map(tuple), properties=st.dictionaries(TEXTS, TEXTS, max_size=3),
    metrics=st.dictionaries(st.sampled_from([m for m in METRICS if "." in m or m.endswith("qubits")]), INTERVALS, max_size=4),
)  # fmt: skip


def result_of(*outcomes, **fields):
    """A result with one case of each outcome."""
    cases = tuple(
        Case(kind="limit", name="cnot_error", target=f"{i}-{i + 1}", outcome=o, reason=f"C-NOT error of pair {i}-{i + 1}: 0.004, {o}")
        for i, o in enumerate(outcomes)
    )
    interval = {"low": 3.9e-3, "best": 4.1e-3, "high": 4.3e-3, "level": 0.95}
    values = {
        "run_id": "0123456789abcdef", "device": "chip", "taken_at": "2026-11-25T12:00:00Z", "answer": "chip: the gate fails.", "exit_code": 1,
        "cases": cases, "properties": {"seed": "1"},
        "metrics": {"cnot_error.mean": interval, "working_qubits": {"low": 12.0, "best": 12.0, "high": 12.0, "level": 0.95}},
    }  # fmt: skip
    return CheckResult(**values | fields)
