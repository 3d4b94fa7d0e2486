"""Ticket: one submission of a range of a plan's circuits, and the jobs that hold it."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

from qthreshold.identity import Record
from qthreshold.plan import Plan

__all__ = ["Ticket", "make_tickets"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ticket(Record):
    """Circuits ``first`` to ``last - 1`` of a plan, as submitted.

    Attributes:
        plan_id: The plan.
        backend: Backend spec that the circuits were given to.
        number: Position among the run's tickets.
        first, last: Range of circuits.
        job_ids: Jobs at the provider; empty for local simulation.
    """

    schema: ClassVar[str] = "qthreshold/ticket/1"
    plan_id: str
    backend: str
    number: int
    first: int
    last: int
    job_ids: tuple[str, ...]


def make_tickets(plan: Plan, backend: str) -> list[Ticket]:
    """One ticket per layer of each experiment, in execution order."""
    return [
        Ticket(plan_id=plan.id, backend=backend, number=i, first=first, last=last, job_ids=())
        for i, (first, last) in enumerate(itertools.pairwise(plan.layer_starts))
    ]
