"""The CI gate's result: one case for each question, and what the whole comes to. Evidence, not point values, decides."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ["OUTCOMES", "Case", "CheckResult"]

SCHEMA = "qthreshold/check/1"

OUTCOMES = ("passed", "failed", "cannot_tell", "error")
"""Of a case: ``cannot_tell`` is neither good nor bad; ``error`` is missing data or another fault of the infrastructure, never a worse device."""

_Interval = Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question that the gate asked, and its answer.

    Attributes:
        kind: ``rule`` (is an instrument's entry met), ``limit`` (of the gate file), ``regression`` (against the baseline) or ``run``
            (are all data there).
        name: What was asked: the instrument, or the metric.
        target: Of what: empty for the device, a pair (``3-4``) or a qubit (``5``).
        outcome: Of :data:`OUTCOMES`.
        reason: One sentence with the numbers.
        value: Estimate as low, best, high, level; None where there is none.
        before: That of the baseline, for regressions.
        limit: Number that the value was held against, for limits; for regressions the tolerated relative change.
        end: Which end of its range the limit is: ``max`` or ``min``; empty where there is no limit.
        p_value: Of the one-sided test, for regressions.
        q_value: Adjusted for how many were tested (Benjamini and Hochberg), for regressions.
        gates: Whether it counts; what was only reported does not.
        lost: Whether the baseline has an estimate and the run has none any more.
    """

    kind: str
    name: str
    target: str
    outcome: str
    reason: str
    value: _Interval | None = None
    before: _Interval | None = None
    limit: float | None = None
    end: str = ""
    p_value: float | None = None
    q_value: float | None = None
    gates: bool = True
    lost: bool = False

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome {self.outcome!r} is none of {', '.join(OUTCOMES)}")

    @property
    def title(self) -> str:
        """What it is about: ``cnot_error 3-4``."""
        return f"{self.name} {self.target}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What the gate says of a run.

    Attributes:
        run_id, device, taken_at: The run; empty where it could not be read.
        answer: The sentence that answers first.
        exit_code: 0 passed, 1 a rule is met or a limit exceeded, 2 gate or baseline do not fit the run, 3 undetermined, 4 infrastructure,
            5 regression (see ``docs/ci.md``).
        cases: All questions, in the order in which they were asked.
        baseline: Ids of the runs that were compared with.
        properties: What a reader may ask next: calibration, versions, seed, recipe, gate file.
        metrics: Estimates of the device as a whole, by metric: low, best, high, level.
    """

    run_id: str
    device: str
    taken_at: str
    answer: str
    exit_code: int
    cases: tuple[Case, ...]
    baseline: tuple[str, ...] = ()
    properties: Mapping[str, str]
    metrics: Mapping[str, _Interval]

    @property
    def passed(self) -> bool:
        """Whether the pipeline may go on."""
        return self.exit_code == 0

    @property
    def outcome(self) -> str:
        """``passed``, ``failed``, ``undetermined`` or ``error``. A run is good only if nothing failed and no estimate was lost, whatever the gate
        was told to overlook.
        """
        if any(c.outcome == "failed" for c in self.cases):
            return "failed"
        if self.exit_code == 0 and any(c.lost for c in self.cases):
            return "undetermined"
        return {0: "passed", 2: "error", 3: "undetermined", 4: "error"}.get(self.exit_code, "failed")

    def having(self, *outcomes: str) -> tuple[Case, ...]:
        """Cases that count, of the given outcomes."""
        return tuple(c for c in self.cases if c.gates and c.outcome in outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form (schema ``qthreshold/check/1``)."""
        fields = asdict(self)
        return {"schema": SCHEMA, **fields, "baseline": list(self.baseline), "cases": list(fields["cases"])}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` gave, also by way of a JSON file.

        Raises:
            ValueError: It is of another schema.
        """
        fields = dict(document)
        if fields.pop("schema", None) != SCHEMA:
            raise ValueError(f"schema {document.get('schema')!r} is not {SCHEMA!r}")
        cases: Sequence[Mapping[str, Any]] = fields.pop("cases")
        return cls(**fields | {"cases": tuple(Case(**c) for c in cases), "baseline": tuple(fields["baseline"])})
