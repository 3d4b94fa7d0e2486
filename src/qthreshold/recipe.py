"""Recipe: what to measure and how thoroughly. Read from ``circuits/*.toml``."""

from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from qthreshold.schema import Schema

__all__ = ["Criteria", "Execution", "OneQubit", "Readout", "Recipe", "TwoQubit"]

Length = Annotated[int, Field(ge=0, le=10**9)]
Shots = Annotated[int, Field(ge=1, le=10**6)]
Probability = Annotated[float, Field(gt=0, le=1)]


class Readout(Schema):
    """Prepare random bit strings and their complements, read them back."""

    patterns: Annotated[int, Field(ge=2, le=1000, multiple_of=2)] = 4
    shots: Shots = 1000


class _Sequences(Schema):
    lengths: Annotated[list[Length], Field(min_length=2)] | Literal["optimal"] | None = Field(
        default=None,
        description="numbers of Cliffords; optimal: from the Fisher information, with unequal shots; left out: multiples of the expected decay",
    )
    fewest_lengths: Annotated[int, Field(ge=2, le=20)] = Field(default=4, description="of optimal lengths")
    length_factors: Annotated[list[Annotated[float, Field(ge=0, le=10)]], Field(min_length=2)] = Field(
        default=[0.0, 0.05, 0.35, 1.0], description="lengths in units of 1/(1-p), p from the reported errors; 0 gives one Clifford"
    )
    longest: Annotated[int, Field(ge=2, le=10**9)] = Field(default=2000, description="upper end of lengths taken from the expected error")
    sequences: Annotated[int, Field(ge=2, le=100_000)] = Field(
        default=12, description="random sequences per length; a multiple of 4 balances the outcomes"
    )
    shots: Shots = Field(default=300, description="per sequence and arm; the mean over the lengths where these are optimal")
    spacing: Annotated[int, Field(ge=0)] | Literal["isolated"] = Field(
        default=1, description="targets run at the same time only if farther apart than this; isolated: one at a time"
    )

    @pydantic.field_validator("length_factors")
    @classmethod
    def _reach(cls, value: list[float]) -> list[float]:
        if max(value) == 0:
            raise ValueError("at least one factor must be above 0")
        return value

    @pydantic.field_validator("lengths")
    @classmethod
    def _increasing(cls, value: list[int] | str | None) -> list[int] | str | None:
        if isinstance(value, list) and sorted(set(value)) != value:
            raise ValueError("lengths must increase")
        return value

    @pydantic.model_validator(mode="after")
    def _room(self) -> Self:
        if self.lengths == "optimal" and self.fewest_lengths > self.longest:
            raise ValueError(f"longest = {self.longest} leaves no room for {self.fewest_lengths} lengths")
        return self


class OneQubit(_Sequences):
    """One-qubit RB on every qubit."""


class TwoQubit(_Sequences):
    """Two-qubit RB and interleaved RB on every pair."""

    protocol: Literal["padded", "plain"] = "padded"
    gate: Literal["cnot", "native"] = Field(default="cnot", description="interleaved block: compiled C-NOT or the native gate alone")
    pairs_per_qubit: Annotated[int, Field(ge=2)] = Field(
        default=4, description="on all-to-all devices: measure this many random perfect matchings instead of every pair"
    )


class Criteria(Schema):
    """The maker's specification of a working qubit, which the law leaves open. The defaults only exclude what is plainly broken."""

    one_qubit_error: Probability = Field(default=0.01, description="largest error per one-qubit Clifford")
    readout_error: Probability = Field(default=0.2, description="largest mean misassignment")
    cnot_error: Probability = Field(default=0.1, description="largest C-NOT error of a working pair")


class Execution(Schema):
    """Error suppression of providers that offer it. A benchmark measures the device without, unless it says so."""

    dynamical_decoupling: Literal["off", "XX", "XpXm", "XY4"] = "off"
    gate_twirling: bool = False
    measure_twirling: bool = False
    repetition_delay: Annotated[float, Field(gt=0)] | None = Field(default=None, description="seconds between executions; left out: the device's own")


class Recipe(Schema):
    """What to measure."""

    file_schema: Literal["qthreshold/recipe/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1, max_length=60)]
    description: str = ""
    readout: Readout = Readout()
    one_qubit: OneQubit = OneQubit()
    two_qubit: TwoQubit = TwoQubit()
    criteria: Criteria = Criteria()
    execution: Execution = Execution()

    def as_planned(self) -> dict[str, Any]:
        """The JSON form in plans: without what says nothing, so that plans of older versions keep their ids."""
        return self.model_dump(mode="json", by_alias=True, exclude={"execution"} if self.execution == Execution() else None)
