"""Journal: what was asked of a provider and what came of it, as lines that are only ever added.

Each line is an event, on the disk before anything is done on its strength:

    consent      somebody agreed to jobs, with or without a cap in seconds of device time
    intent       a ticket is about to be sent under a tag: circuits, executions, estimate, hash of the content
    submitted    the provider named a job for that tag (``found``: it was found there later, by the tag)
    refused      the provider certainly did not take it
    absent       the provider was asked and knows no job of that tag
    duplicate    a second job of the same tag was found and cancelled; it may cost all the same
    ended        a job ended without a result: failed, cancelled, timed out
    collected    the counts of a job are stored
    charged      seconds of device time that the provider charged for a job
    calibration  the device's own calibration changed between plan and submission

What state a ticket is in follows from the lines alone, so any process that has them can go on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PREFLIGHT", "Attempt", "Journal"]

PREFLIGHT = -1
"""Number of the ticket that holds the preflight circuit."""

_OPEN = ("intended", "submitted")


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt to have a ticket run.

    Attributes:
        ticket: Number of the ticket, or :data:`PREFLIGHT`.
        number: 1 for the first attempt.
        tag: What the job is labelled with at the provider; unique to the attempt.
        state: ``intended`` (nobody knows whether there is a job), ``submitted``, ``refused``, ``absent``, ``ended`` or ``collected``.
        job_id: The provider's, once known.
        estimate: Seconds of device time, estimated before it was sent.
        limit: Seconds after which the provider was told to end the job; None: it was told nothing.
        content: Hash of the circuits and shots.
        charged: Seconds that the provider charged, once known.
        at: When it was intended, seconds since 1970.
        kind, message: Why it was refused or ended.
    """

    ticket: int
    number: int
    tag: str
    estimate: float
    at: float
    limit: float | None = None
    content: str = ""
    state: str = "intended"
    job_id: str | None = None
    charged: float | None = None
    kind: str = ""
    message: str = ""

    @property
    def open(self) -> bool:
        """Whether there may be a job whose result is still to come."""
        return self.state in _OPEN

    @property
    def seconds(self) -> float:
        """Device time to reckon with: what was charged, else the most that it can be, nothing for what never ran."""
        if self.charged is not None:
            return self.charged
        if self.state in ("refused", "absent"):
            return 0.0
        return max(self.estimate, self.limit or 0.0)


@dataclass(slots=True)
class Journal:
    """The state that events lead to.

    Attributes:
        attempts: By tag, in the order of their intents.
        cap: Seconds of device time that the run may use; None: no cap was given.
        consented: Whether anybody agreed to paid jobs.
        copies: Ids of second jobs of a tag, and their seconds: they were cancelled, but may have run.
    """

    attempts: dict[str, Attempt] = field(default_factory=dict)
    cap: float | None = None
    consented: bool = False
    copies: dict[str, float] = field(default_factory=dict)

    @classmethod
    def replay(cls, events: Iterable[Mapping[str, Any]]) -> "Journal":
        """The state after some events."""
        journal = cls()
        for event in events:
            journal.add(event)
        return journal

    def add(self, event: Mapping[str, Any]) -> None:
        """Take one more event into account; kinds of a later version are passed over."""
        kind = event["event"]
        if kind == "consent":
            self.consented, self.cap = True, event["cap"]
        elif kind == "intent":
            self.attempts[event["tag"]] = Attempt(
                ticket=event["ticket"], number=event["attempt"], tag=event["tag"], estimate=event["estimate"], at=event["at"],
                limit=event.get("limit"), content=event.get("content", ""),
            )  # fmt: skip
        elif kind == "duplicate":
            self.copies[event["job_id"]] = event.get("estimate", 0.0)
        elif event.get("tag") in self.attempts:
            self._follow(self.attempts[event["tag"]], kind, event)

    @staticmethod
    def _follow(attempt: Attempt, kind: str, event: Mapping[str, Any]) -> None:
        if kind == "submitted":
            attempt.state, attempt.job_id = "submitted", event["job_id"]
        elif kind in ("refused", "absent", "ended", "collected"):
            attempt.state = kind
            attempt.kind, attempt.message = event.get("kind", ""), event.get("message", "")
        elif kind == "charged":
            attempt.charged = event["seconds"]

    def last(self, ticket: int) -> Attempt | None:
        """The latest attempt at a ticket."""
        mine = [a for a in self.attempts.values() if a.ticket == ticket]
        return mine[-1] if mine else None

    @property
    def seconds(self) -> float:
        """Device time used or spoken for by all attempts so far."""
        return sum(a.seconds for a in self.attempts.values()) + sum(self.copies.values())

    @property
    def charged(self) -> float | None:
        """Device time that was charged; None unless it is known of every job that ran."""
        ran = [a for a in self.attempts.values() if a.state in ("submitted", "ended", "collected")]
        known = [a.charged for a in ran if a.charged is not None]
        return sum(known) if ran and len(known) == len(ran) else None
