"""Limits: what a provider accepts in one job, and what a job costs. Read from ``backends/limits/*.toml``; dated, because they change."""

import datetime
from typing import Annotated, Literal

from pydantic import Field

from qthreshold.schema import Schema

__all__ = ["Limits", "Prices"]

Most = Annotated[int, Field(ge=1)]
Price = Annotated[float, Field(ge=0, le=1e9)]


class Limits(Schema):
    """Limits of one job; none where a field is left out."""

    file_schema: Literal["qthreshold/limits/1"] = Field(alias="schema")
    provider: str
    checked: datetime.date
    source: str
    circuits: Most | None = None
    executions: Most | None = Field(default=None, description="circuits times shots")
    payload_bytes: Most | None = Field(default=None, description="of the request that carries the circuits")
    two_qubit_gates: Most | None = None
    instructions_per_qubit: Most | None = Field(default=None, description="control instructions, weighted as below")
    weights: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict, description="control instructions of a gate on each of its qubits")
    bytes_per_instruction: Annotated[float, Field(gt=0)] = 2.0
    bytes_per_circuit: Annotated[int, Field(ge=0)] = 4000
    job_overhead: Annotated[float, Field(ge=0)] = Field(default=2.0, description="seconds of device time beside the executions")
    longest_job: Annotated[float, Field(gt=0)] | None = Field(default=None, description="seconds after which the provider ends a job")


class Prices(Schema):
    """What device time costs, as the user's contract says; qthreshold ships no prices."""

    file_schema: Literal["qthreshold/prices/1"] = Field(alias="schema")
    provider: str = ""
    checked: datetime.date | None = None
    currency: Annotated[str, Field(min_length=1, max_length=8)]
    per_qpu_second: Price = 0.0
    per_execution: Price = 0.0
    per_job: Price = 0.0

    def cost(self, *, seconds: float, executions: int, jobs: int) -> float:
        """Money for some device time, executions and jobs."""
        return self.per_qpu_second * seconds + self.per_execution * executions + self.per_job * jobs
