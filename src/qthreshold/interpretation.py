"""The choices that the law leaves open, as one record that every verdict carries, and what each choice means.

No text says which protocol, context, average or register is meant (see ``qthreshold rules show ID`` for what each does say).
A verdict is therefore computed under a default and under every other reading that the data allow.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from qthreshold.identity import Record, parts

__all__ = ["CHOICES", "Choice", "Interpretation", "Reading", "changes", "interpretation_dict", "readings"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Interpretation(Record):
    """Choices that the law leaves open, and what kind of numbers they were applied to.

    Attributes:
        aggregate: ``mean`` or ``median`` over pairs.
        infidelity: ``average_gate`` or ``process`` (5/4 of it for two qubits).
        context: ``isolated`` or ``simultaneous`` operation of pairs; ``unstated`` for numbers from elsewhere.
        gate: ``cnot`` (compiled C-NOT) or ``native``.
        register: ``whole_device``, or ``any_subregister``: the machine also counts as each of its connected parts.
        estimate: ``interleaved``; ``upper``, where all error of a two-qubit Clifford is charged to its C-NOTs, so that the C-NOT
            error itself may be lower; ``reported`` by the device, or ``unstated`` for other numbers from elsewhere.
        connected: The number of connected working qubits is ``measured``, ``stated`` by the maker, ``reported`` by the device, or
            ``unstated`` how.
        systematics: ``excluded``, or ``included`` (the verdict must hold at both ends of the systematic range).
    """

    schema: ClassVar[str] = "qthreshold/interpretation/2"
    aggregate: str = "mean"
    infidelity: str = "average_gate"
    context: str = "isolated"
    gate: str = "cnot"
    register: str = "whole_device"
    estimate: str = "interleaved"
    connected: str = "measured"
    systematics: str = "excluded"

    def _check(self) -> None:
        for choice in CHOICES:
            value = getattr(self, choice.name)
            if value not in choice.values:
                raise ValueError(f"{choice.name} {value!r} is not accepted; {', '.join(choice.values)} are")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value of a choice: what it means, and what it does to a verdict."""

    value: str
    meaning: str
    consequence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One question that the law leaves open.

    Attributes:
        name: Field of :class:`Interpretation`.
        question: What is not said.
        readings: The default first.
        decided_by: Whether one set of data holds several values (``judge``), or the measurement settles it (``data``).
    """

    name: str
    question: str
    readings: tuple[Reading, ...]
    decided_by: str

    @property
    def values(self) -> tuple[str, ...]:
        """All accepted values, the default first."""
        return tuple(r.value for r in self.readings)


def _reading(value: str, meaning: str, consequence: str) -> Reading:
    return Reading(value=value, meaning=meaning, consequence=consequence)


CHOICES: tuple[Choice, ...] = (
    Choice(
        name="aggregate", decided_by="judge",
        question="Which average over the neighbouring pairs is the C-NOT error of the machine?",
        readings=(
            _reading("mean", "arithmetic mean over all working neighbouring pairs", "a few bad pairs raise it"),
            _reading("median", "half of the pairs are better", "a few bad pairs do not count, so it is usually lower: stricter for the holder"),
        ),
    ),
    Choice(
        name="infidelity", decided_by="judge",
        question="Which infidelity is a gate error?",
        readings=(
            _reading("average_gate", "infidelity averaged over input states, as randomized benchmarking quotes it", "the smaller number"),
            _reading("process", "infidelity of the process (entangled inputs)", "5/4 of it for two qubits: 20 % below a limit is at the limit"),
        ),
    ),
    Choice(
        name="register", decided_by="judge",
        question="Does a good part of a larger, worse machine count as a machine of its own?",
        readings=(
            _reading("whole_device", "all connected working qubits together", "one count, one error"),
            _reading(
                "any_subregister", "every connected part of at least 34 qubits counts too, by the mean over its own pairs",
                "the best 34 or 100 qubits can meet a band that the whole misses; 'not met' needs a proof for all parts",
            ),
        ),
    ),
    Choice(
        name="systematics", decided_by="judge",
        question="Does the doubt of the protocol itself count beside the statistical one?",
        readings=(
            _reading("excluded", "statistical intervals only", "decisive sooner"),
            _reading("included", "the verdict must hold over the worst-case range of the protocol", "rarely decisive: it is 2 to 3 times the error"),
        ),
    ),
    Choice(
        name="context", decided_by="data",
        question="Are pairs operated one by one, or all at once?",
        readings=(
            _reading("isolated", "no neighbouring pair runs at the same time (spacing of 1 or more)", "crosstalk is left out: the smaller error"),
            _reading("simultaneous", "neighbouring pairs run at the same time (spacing = 0)", "crosstalk counts: the larger error"),
            _reading("unstated", "not said by whoever stated the number", "may be either"),
        ),
    ),
    Choice(
        name="gate", decided_by="data",
        question="Which gate is the C-NOT of a machine whose native gate is another one (cz, ecr, rzz)?",
        readings=(
            _reading("cnot", "the compiled C-NOT: native gate and its one-qubit frame gates, as one block", "what the law names"),
            _reading("native", "the native two-qubit gate alone", "usually the smaller error"),
        ),
    ),
    Choice(
        name="estimate", decided_by="data",
        question="No text names a protocol: where does the error come from?",
        readings=(
            _reading("interleaved", "interleaved randomized benchmarking", "the error of the C-NOT itself"),
            _reading("upper", "standard randomized benchmarking, all error charged to the C-NOTs", "an upper estimate: little proof above a limit"),
            _reading("reported", "the device's own calibration data", "nothing was measured here"),
            _reading("unstated", "a data sheet", "as good as its source"),
        ),
    ),
    Choice(
        name="connected", decided_by="data",
        question="How is the number of connected working qubits known? Working is what the maker's own specification says.",
        readings=(
            _reading("measured", "counted by the criteria of the recipe", "an uncertain count is a distribution over bands"),
            _reading("stated", "by the maker", "taken as it is"),
            _reading("reported", "counted from the device's own calibration data", "taken as it is"),
            _reading("unstated", "a data sheet", "taken as it is"),
        ),
    ),
)  # fmt: skip
"""Every choice, those first that one set of data can be read by in several ways."""


def readings(default: Interpretation, allowed: Mapping[str, Sequence[str]]) -> list[Interpretation]:
    """The default and every combination of allowed changes, those with the fewest changes first.

    Args:
        default: The usual reading.
        allowed: Values that the data allow, by field.

    Example:
        >>> found = readings(Interpretation(), {"aggregate": ("mean", "median"), "infidelity": ("average_gate", "process")})
        >>> [changes(i, Interpretation()) for i in found][1:]
        [{'aggregate': 'median'}, {'infidelity': 'process'}, {'aggregate': 'median', 'infidelity': 'process'}]
    """
    values = [allowed[name] for name in allowed]
    found = [default.replace(**dict(zip(allowed, combination, strict=True))) for combination in itertools.product(*values)]
    order = [c.name for c in CHOICES]
    found.sort(key=lambda i: (len(changed := changes(i, default)), [order.index(name) for name in changed]))
    return found if found and found[0] == default else [default, *found]


def changes(interpretation: Interpretation, default: Interpretation) -> dict[str, str]:
    """The fields in which a reading differs from the default, and their values, in the order of :data:`CHOICES`."""
    return {c.name: getattr(interpretation, c.name) for c in CHOICES if getattr(interpretation, c.name) != getattr(default, c.name)}


def interpretation_dict(interpretation: Interpretation) -> dict[str, str]:
    """The JSON form."""
    return parts(interpretation)[0]
