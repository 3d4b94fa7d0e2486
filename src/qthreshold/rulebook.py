"""The rulebook: instruments of export control as data, and the choices that the law leaves open.

One TOML file per instrument in ``rules/``. Nothing here is legal advice.
"""

import datetime
import itertools
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from qthreshold.datafiles import load_toml, names_in, near_matches, shipped
from qthreshold.errors import InputError
from qthreshold.identity import Record
from qthreshold.schema import Schema

__all__ = ["Band", "Instrument", "Interpretation", "load_instrument", "load_instruments", "rule_ids", "short"]


class Band(Schema):
    """Qubits from ``min_qubits`` (inclusive) up to ``max_qubits`` (exclusive); C-NOT error at most ``max_error`` (inclusive)."""

    entry: Annotated[str, Field(min_length=1)]
    min_qubits: Annotated[int, Field(ge=1)]
    max_qubits: Annotated[int, Field(ge=2)] | None = Field(default=None, description="left out: no upper end")
    max_error: Annotated[float, Field(gt=0, le=1)] | None = Field(default=None, description="left out: no error criterion")


class Instrument(Schema):
    """One legal instrument that controls quantum computers."""

    file_schema: Literal["qthreshold/rule/1"] = Field(alias="schema")
    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: str
    jurisdiction: str
    entry: str
    citation: str
    url: str
    published: datetime.date
    in_force: datetime.date
    until: datetime.date | None = None
    standing: Literal["text", "secondary", "none"]
    text_as_of: datetime.date | None = None
    bands: list[Band]
    counted_qubits: str
    error_term: str
    exclusions: str = ""
    notes: tuple[str, ...] = ()

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> "Instrument":
        for lower, upper in itertools.pairwise(self.bands):
            if lower.max_qubits is None or lower.max_qubits > upper.min_qubits:
                raise ValueError(f"bands {lower.entry} and {upper.entry} overlap or are not in order")
        for band in self.bands:
            if band.max_qubits is not None and band.max_qubits <= band.min_qubits:
                raise ValueError(f"band {band.entry} is empty: min_qubits {band.min_qubits}, max_qubits {band.max_qubits}")
        if self.bands and self.standing != "text":
            raise ValueError(f"bands need standing 'text' (the entry itself was read), not {self.standing!r}")
        if self.until is not None and self.until < self.in_force:
            raise ValueError(f"until {self.until} lies before in_force {self.in_force}")
        return self

    def band_at(self, qubits: int) -> Band | None:
        """The band that a number of qubits falls into, if any."""
        for band in self.bands:
            if band.min_qubits <= qubits and (band.max_qubits is None or qubits < band.max_qubits):
                return band
        return None

    def in_force_on(self, day: datetime.date) -> bool:
        """Whether the instrument applied on a day (both ends inclusive)."""
        return self.in_force <= day and (self.until is None or day <= self.until)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Interpretation(Record):
    """Choices that the law leaves open, and what kind of numbers they were applied to; every verdict carries one.

    Attributes:
        aggregate: ``mean`` or ``median`` over pairs.
        infidelity: ``average_gate`` or ``process`` (5/4 of it for two qubits).
        context: ``isolated`` or ``simultaneous`` operation of pairs; ``unstated`` for numbers from elsewhere.
        gate: ``cnot`` (compiled C-NOT) or ``native``.
        register: ``whole_device``.
        estimate: ``interleaved``; ``upper``, where all error of a two-qubit Clifford is charged to its C-NOTs, so that the C-NOT
            error itself may be lower; ``unstated`` for numbers from elsewhere.
        connected: The number of connected working qubits is ``measured``, ``stated`` by the maker, or ``unstated`` how.
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


def short(value: float) -> str:
    """A limit in the way people write it.

    Example:
        >>> short(0.001)
        '1e-3'
    """
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def rule_ids() -> list[str]:
    """Ids of all shipped instruments, sorted."""
    return names_in("rules")


def load_instrument(rule: str) -> Instrument:
    """One shipped instrument.

    Raises:
        InputError: No instrument has that id.
    """
    if rule not in rule_ids():
        raise InputError(f"unknown rule {rule!r}: {near_matches(rule, rule_ids())}")
    return load_toml(shipped("rules") / f"{rule}.toml", Instrument, "rule")


def load_instruments(rules: list[str] | None = None) -> list[Instrument]:
    """Several instruments, in the order given; all shipped ones by default, the US first."""
    if rules is None:
        rules = sorted(rule_ids(), key=lambda r: (not r.startswith("us-"), r))
    return [load_instrument(r) for r in dict.fromkeys(rules)]
