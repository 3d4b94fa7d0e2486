"""Jobs at a provider: sent once, never lost, within a cap.

Before a job is sent, the intent is on the disk under a tag that the job carries; after it, the job's id. Whoever finds an intent
without an id (this process after a dropped connection, or the next one after a kill) asks the provider for that tag before
anything is sent again. Results are stored as they arrive.
"""

import contextlib
import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from qthreshold.backends.base import Provider, Sight
from qthreshold.counts import Counts, unpack_bits
from qthreshold.device import Device
from qthreshold.errors import (
    AuthenticationError,
    BackendError,
    ConsentError,
    CorruptResultError,
    InputError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    LostJobError,
    QuotaError,
    RejectedError,
    StoreError,
    TransientError,
)
from qthreshold.identity import content_id
from qthreshold.journal import PREFLIGHT, Attempt, Journal
from qthreshold.patience import Patience
from qthreshold.plan import Plan, circuit_seconds, preflight_plan
from qthreshold.store import RunDirectory
from qthreshold.ticket import Ticket

__all__ = ["Campaign", "Consent", "Watcher", "check_preflight", "estimate", "read_journal"]

T = TypeVar("T")

_PREFLIGHT_CHANCE = 0.75  # of reading the expected bit, at least: far from a coin, and from any device that is worth measuring
_on_their_way: set[str] = set()  # tags of requests that were given up on here, and may still arrive while this process lives
_ENDINGS: Mapping[str, type[JobFailedError]] = {"failed": JobFailedError, "cancelled": JobCancelledError, "timed_out": JobTimeoutError}


class Watcher(Protocol):
    """Told how a run goes on; the command line shows it as progress bars."""

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """A stage begins; ``total`` is the number of units it will work through, 0 if unknown, ``done`` those that were done before."""
        ...

    def advance(self, done: int) -> None:
        """Units finished since the last call."""
        ...

    def note(self, text: str) -> None:
        """What is going on right now, such as a place in a queue; comes often, and may be dropped."""
        ...

    def say(self, text: str) -> None:
        """Something that the user must see."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a user agrees to.

    Attributes:
        cap: Seconds of device time that the run may use in all; None: no cap.
        yes: Do not ask.
        ask: Puts a question to a person and returns the answer; None where there is none, as in scripts.
    """

    cap: float | None = None
    yes: bool = False
    ask: Callable[[str], bool] | None = None

    def __post_init__(self) -> None:
        if self.cap is not None and not 0 < self.cap < math.inf:
            raise InputError(f"the cap on device time must be a number of seconds above 0, got {self.cap:g}")


def read_journal(directory: RunDirectory) -> Journal:
    """The state of a run's jobs.

    Raises:
        StoreError: The journal is damaged.
    """
    return Journal.replay(directory.read_events())


def estimate(plan: Plan, device: Device, ticket: Ticket, job_overhead: float) -> float:
    """Seconds of device time that a ticket will take as one job."""
    shots, duration = plan.circuit_shots[ticket.circuits], circuit_seconds(plan, device)[ticket.circuits]
    return float((shots * (device.repetition_delay + duration)).sum()) + job_overhead


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A ticket about to be sent: under which tag, as which attempt, for about how many seconds of device time."""

    plan: Plan
    ticket: Ticket
    number: int
    seconds: float
    name: str
    tag: str

    @property
    def least(self) -> int:
        """Whole seconds that it must be given."""
        return max(1, math.ceil(self.seconds))


@dataclass(slots=True, kw_only=True)
class Campaign:
    """A run's jobs at a provider. The directory must be locked by the caller.

    Attributes:
        directory: The run.
        backend: The provider.
        plan: The plan.
        device: Its device, as it was planned.
        tickets: One per job.
        tag: The run's own tag, part of every job's.
        before_sending: Called once before the first job of a submission, to keep the device's calibration as it is then.
        store: Writes the counts of a ticket.
        watch: Told about progress.
        patience: How long to wait.
    """

    directory: RunDirectory
    backend: Provider
    plan: Plan
    device: Device
    tickets: Sequence[Ticket]
    tag: str
    before_sending: Callable[[], None]
    store: Callable[[Ticket, Counts], None]
    watch: Watcher
    patience: Patience
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = read_journal(self.directory)

    # Sending

    def submit(self, consent: Consent, *, retry: bool = False, resubmit: bool = False) -> None:
        """Hand over every ticket that has not been handed over yet.

        Args:
            consent: What the user agrees to.
            retry: Send tickets again whose jobs ended without a result.
            resubmit: Send tickets again of which nobody can say whether they were accepted, because the provider cannot be asked;
                with ``retry``, also those whose jobs the provider cannot give back.

        Raises:
            InputError: The device can no longer run the plan, or nobody agreed; nothing was sent.
            BackendError: The provider failed or the cap is reached; what was sent is in the journal.
        """
        self._ask_charges()
        self.reconcile(resubmit=resubmit)
        if retry and resubmit:
            self._give_up_lost()
        todo = [t for t in self.tickets if self._to_send(t, retry)]
        if not todo:
            if consent.cap not in (None, self.journal.cap):
                self._note("consent", cap=consent.cap)  # for what may still come
            return
        obstacles = self.backend.obstacles(self.plan, self.device)
        if obstacles:
            more = f" (and {len(obstacles) - 3} more)" if len(obstacles) > 3 else ""
            raise InputError(
                f"{self.device.name} as it is now cannot run the plan of {self._where}: {'; '.join(obstacles[:3])}{more}; "
                "nothing was sent, plan a new run"
            )
        first = self._preflight_due(retry)
        self._agree(([self._preflight_job()] if first else []) + [self._planned_job(t) for t in todo], consent)
        self.before_sending()
        jobs = [self._planned_job(t) for t in todo]
        if self.backend.preflight:
            self._preflight(again=first, rest=jobs)
        self.watch.stage("submit", len(jobs))
        for number, job in enumerate(jobs):
            self._send(job, jobs[number + 1 :])
            self.watch.advance(1)
        self._sweep()

    def _to_send(self, ticket: Ticket, retry: bool) -> bool:
        last = self.journal.last(ticket.number)
        if self._has_counts(ticket):
            return False
        return last is None or last.state in ("refused", "absent") or (last.state == "ended" and retry)

    def _has_counts(self, ticket: Ticket) -> bool:
        return self.directory.has(f"counts/{ticket.number:04d}.npz")

    def _next_number(self, ticket: int) -> int:
        """A new attempt after a job that ended; the same one where there never was a job, so that a late one is known by its tag."""
        last = self.journal.last(ticket)
        return 1 if last is None else last.number + (last.state == "ended")

    def _planned_job(self, ticket: Ticket, plan: Plan | None = None) -> "_Job":
        whole = plan or self.plan
        preflight = ticket.number == PREFLIGHT
        number = self._next_number(ticket.number)
        return _Job(
            plan=whole, ticket=ticket, number=number, seconds=estimate(whole, self.device, ticket, self.backend.limits.job_overhead),
            name="preflight" if preflight else f"job {ticket.number + 1} of {len(self.tickets)}",
            tag=f"{self.tag}-{'p' if preflight else ticket.number}-{number}",
        )  # fmt: skip

    def _how_to_agree(self) -> str:
        known = self.directory.has("run.json")
        return f"'qthreshold resume {self._where} --max-qpu-seconds N' agrees to it" if known else "--max-qpu-seconds N agrees to it"

    def _agree(self, jobs: Sequence["_Job"], consent: Consent) -> None:
        """See to it that somebody agreed to what is about to be sent.

        Raises:
            ConsentError: Nobody did.
            QuotaError: It does not fit under the cap.
        """
        if not self.backend.paid:
            return
        cap = consent.cap if consent.cap is not None else self.journal.cap
        seconds = sum(j.seconds for j in jobs)
        what = f"{len(jobs)} job{'s' if len(jobs) > 1 else ''} on {self.device.name}, about {seconds:,.0f} s of device time"
        if cap is None and consent.ask is None:
            alone = " (--yes alone is not enough)" if consent.yes else ""
            raise ConsentError(f"{what}: nothing was sent, because nobody can be asked here and no cap is given{alone}; {self._how_to_agree()}")
        self._within_cap(jobs, cap, what)
        before = self.journal.consented and self.journal.cap == cap and cap is not None
        if not consent.yes and consent.ask is not None and not before:
            limit = "without a cap" if cap is None else f"at most {cap:,.0f} s in all"
            if not consent.ask(f"{what} ({limit}). Submit?"):
                raise ConsentError(f"nothing was sent; {self._how_to_agree()}, or answer yes")
        if not before:
            self._note("consent", cap=cap)

    def _within_cap(self, jobs: Sequence["_Job"], cap: float | None, what: str) -> None:
        used, needed = self.journal.seconds, sum(j.least for j in jobs)
        if cap is not None and used + needed > cap:
            before = f", beside {used:,.1f} s used or under way," if used else ""
            raise QuotaError(
                f"{what}{before} needs {needed:,.0f} s and would exceed the cap of {cap:,.0f} s; nothing more was sent. "
                f"Give a higher one ({self._how_to_agree()}), or plan a smaller recipe"
            )

    def _limit(self, job: "_Job", rest: Sequence["_Job"]) -> int | None:
        """Seconds after which the provider shall end a job: its share of what is left, so that all of them together keep the cap."""
        if self.journal.cap is None or not self.backend.ends_jobs:
            return None
        left = self.journal.cap - self.journal.seconds
        share = left * job.seconds / (job.seconds + sum(j.seconds for j in rest))
        return max(job.least, math.floor(min(share, left - sum(j.least for j in rest))))

    def _send(self, job: "_Job", rest: Sequence["_Job"] = ()) -> Attempt:
        """Send one job: intent to the journal, the job, its id to the journal. Trouble that passes is waited out.

        Args:
            job: What to send.
            rest: What will be sent after it, and has a share in the cap.
        """
        ticket, tag = job.ticket, job.tag
        self.watch.note(f"preparing {job.name}")
        prepared = self.backend.prepare(job.plan, self.device, ticket)  # before the intent: whatever fails here has sent nothing
        for attempt in range(1, self.patience.tries + 1):
            self._within_cap([job], self.journal.cap, job.name)
            limit = self._limit(job, rest)
            self._note(
                "intent", ticket=ticket.number, attempt=job.number, tag=tag, circuits=len(ticket.circuits), limit=limit,
                executions=int(job.plan.circuit_shots[ticket.circuits].sum()), estimate=round(job.seconds, 3), content=_content(job.plan, ticket),
            )  # fmt: skip
            self.watch.note(f"sending {job.name}")
            last = attempt == self.patience.tries
            try:
                job_id = self.backend.send(prepared, tags=(self.tag, tag), most_seconds=limit)
            except (InputError, RejectedError) as error:
                self._note("refused", tag=tag, kind=type(error).__name__, message=str(error))
                raise
            except QuotaError as error:
                self._note("refused", tag=tag, kind=type(error).__name__, message=str(error))
                if last or not error.passing:
                    raise
                self._pause(attempt, f"{job.name}: {error}")
            except KeyboardInterrupt:
                _on_their_way.add(tag)
                raise
            except TransientError as error:
                if error.under_way:
                    _on_their_way.add(tag)
                    raise
                self._pause(attempt, f"{job.name}: {error}")
                self.reconcile(strict=False)
                found = self.journal.attempts[tag]
                if found.state == "submitted":
                    return found
                if last or found.open:
                    raise
            else:
                self._note("submitted", tag=tag, job_id=job_id)
                return self.journal.attempts[tag]
        raise AssertionError("every last try returns or raises")

    def _pause(self, attempt: int, why: str) -> None:
        seconds = self.patience.pause * 2 ** (attempt - 1)
        self.watch.note(f"{why}; trying again in {seconds:.0f} s")
        time.sleep(seconds)

    # Finding out

    def reconcile(self, *, resubmit: bool = False, strict: bool = True) -> None:
        """Ask the provider for jobs of this run that the journal does not know: of an intent without an id, or of a copy of the run.

        Args:
            resubmit: Take intents for absent where the provider cannot be asked.
            strict: Whether an intent of which nobody knows is an error.

        Raises:
            BackendError: The provider cannot be asked about an intent, or the request may still arrive.
        """
        found: dict[str, list[str]] | None = {}
        if self.backend.paid or self._intended():
            found = self._find()
        self._adopt(found or {})
        unknown = self._intended()
        if not unknown:
            return
        names = ", ".join("the preflight" if a.ticket == PREFLIGHT else f"job {a.ticket + 1}" for a in unknown)
        if any(a.tag in _on_their_way for a in unknown):
            if strict:
                raise TransientError(f"the request for {names} may still arrive from this process; end it, then 'qthreshold resume {self._where}'")
            return
        if found is None and not resubmit:
            if strict:
                raise BackendError(
                    f"{self._where}: the last process ended while it sent {names}, and {self.backend.spec} cannot be asked whether "
                    f"it arrived. Look at the provider's list of jobs; if it is not there, 'qthreshold resume {self._where} --resubmit'"
                )
            return
        if found is not None:
            time.sleep(self.patience.settle)  # a job that was just accepted may not be listed yet
            self._adopt(self._find() or {})
        for attempt in self._intended():
            self._note("absent", tag=attempt.tag)

    @property
    def _where(self) -> str:
        return shlex.quote(str(self.directory.path))

    def _find(self) -> dict[str, list[str]] | None:
        return self._patiently(lambda: self.backend.find(self.tag))

    def _intended(self) -> list[Attempt]:
        return [a for a in self.journal.attempts.values() if a.state == "intended"]

    def _adopt(self, found: Mapping[str, Sequence[str]]) -> None:
        """Take over the jobs that carry this run's tag and of which the journal knows no id."""
        for tag, ids in found.items():
            known = self.journal.attempts.get(tag)
            if known is not None and known.state not in ("intended", "absent", "refused"):
                continue
            if known is None:  # sent from a copy of this run, or before an older state of it was put back
                ticket, _, number = tag.removeprefix(f"{self.tag}-").partition("-")
                mine = {str(t.number): t for t in self.tickets}
                if ticket not in mine or not number.isdecimal():
                    continue
                job = self._planned_job(mine[ticket])
                self._note(
                    "intent",
                    ticket=int(ticket),
                    attempt=int(number),
                    tag=tag,
                    estimate=round(job.seconds, 3),
                    content=_content(self.plan, job.ticket),
                )
            self._note("submitted", tag=tag, job_id=ids[0], found=True)

    def _give_up_lost(self) -> None:
        """Take jobs for ended whose results cannot be had any more: the provider cannot give them back, or gives something else every time.

        Their estimates stay spoken for, because they may cost all the same.
        """
        plan, preflight = self._preflight_ticket()
        for ticket in (preflight, *self.tickets):
            attempt = self.journal.last(ticket.number)
            if self._has_counts(ticket) or attempt is None or attempt.state != "submitted":
                continue
            try:
                if self._look(attempt).state == "done":
                    self._fetch(ticket, attempt, plan if ticket is preflight else self.plan)
            except LostJobError as error:
                self._note("ended", tag=attempt.tag, kind="failed", message=str(error))
            except CorruptResultError as error:
                self._note("ended", tag=attempt.tag, kind="corrupt", message=str(error))

    def _sweep(self) -> None:
        """Cancel second jobs of one tag: the client itself repeats a request that the service answered with an error."""
        found = self._find() or {}
        for tag, ids in found.items():
            kept = self.journal.attempts[tag].job_id if tag in self.journal.attempts else None
            for job_id in ids if kept in ids else []:
                if job_id != kept and job_id not in self.journal.copies:
                    self._cancel(job_id)
                    ran = self._patiently(lambda job_id=job_id: self.backend.look(job_id)).state == "done"  # type: ignore[misc]
                    self._note("duplicate", tag=tag, job_id=job_id, estimate=self.journal.attempts[tag].estimate)
                    end = "it had run already, and may be charged" if ran else "it was cancelled"
                    self.watch.say(f"the service held job {job_id} as a copy of {kept}; {end}")

    def _preflight_due(self, retry: bool) -> bool:
        """Whether the preflight has to be sent before anything else."""
        last = self.journal.last(PREFLIGHT)
        return self.backend.preflight and (last is None or last.state in ("refused", "absent") or (last.state == "ended" and retry))

    def _preflight_ticket(self) -> tuple[Plan, Ticket]:
        plan = preflight_plan(self.device)
        return plan, Ticket(plan_id=plan.id, backend=self.backend.spec, number=PREFLIGHT, circuits=np.zeros(1, dtype=np.int64))

    def _preflight_job(self) -> "_Job":
        plan, ticket = self._preflight_ticket()
        return self._planned_job(ticket, plan)

    def _preflight(self, *, again: bool, rest: Sequence["_Job"] = ()) -> None:
        """Run the circuit with the known outcome, unless it came back well before.

        Args:
            again: Send it; else there is a job already.
            rest: What will be sent after it.

        Raises:
            CorruptResultError: Something else came back, now or before.
            JobFailedError: Its job ended without a result.
        """
        last = self._send(self._preflight_job(), rest) if again else self.journal.last(PREFLIGHT)
        assert last is not None
        where = f"; nothing else was sent, 'qthreshold resume {self._where} --retry' runs it again"
        if last.state == "collected":
            return
        if last.state == "ended":
            raise CorruptResultError(f"the preflight on {self.device.name} went wrong before ({last.message or last.kind}){where}")
        sight = self._wait(last, "preflight", math.inf if self.patience.give_up is None else time.monotonic() + self.patience.give_up)
        if sight.state in ("queued", "running"):
            raise BackendError(f"the preflight ({last.job_id}) is still {sight.state}; 'qthreshold resume {self._where}' goes on later")
        if sight.state != "done":
            self._note("ended", tag=last.tag, kind=sight.state, message=sight.message)
            raise _ENDINGS[sight.state](f"the preflight circuit on {self.device.name} {_words(sight)}{where}")
        plan, ticket = self._preflight_ticket()
        try:
            check_preflight(plan, self._fetch(ticket, last, plan), self.device.name)
        except CorruptResultError as error:
            self._note("ended", tag=last.tag, kind="corrupt", message=str(error))
            raise
        self._note("collected", tag=last.tag)
        self._ask_charge(self.journal.attempts[last.tag])

    def preflight_alone(self, consent: Consent, say: Callable[[str], None]) -> str:
        """The preflight by itself; returns what came back, in words. Errors as for :meth:`submit`."""
        job = self._preflight_job()
        self._agree([job], consent)
        say(f"preflight on {self.device.name}: sending a job with the tag {job.tag}")
        attempt = self._send(job)
        say(f"preflight on {self.device.name}: job {attempt.job_id}")
        self._preflight(again=False)
        done = self.journal.attempts[attempt.tag]
        return "as prepared" + (f", {done.charged:.1f} s charged" if done.charged is not None else "")

    # Getting results

    def collect(self) -> None:
        """Wait for every job that was sent and store its counts.

        Raises:
            BackendError: The provider failed, or some jobs have no counts; all others are stored.
        """
        self.reconcile(strict=False)
        self._note_stored()
        size = {t.number: len(t.circuits) for t in self.tickets}
        left = [t for t in self.tickets if not self._has_counts(t)]
        self.watch.stage("collect", sum(size.values()))
        self.watch.advance(sum(size.values()) - sum(size[t.number] for t in left))
        end = math.inf if self.patience.give_up is None else time.monotonic() + self.patience.give_up
        trouble: BackendError | None = None
        waiting: list[tuple[Attempt, Sight]] = []
        for ticket in left:
            attempt = self.journal.last(ticket.number)
            if attempt is None or attempt.job_id is None or attempt.state == "ended":
                continue
            name = f"job {ticket.number + 1} of {len(self.tickets)}"
            try:
                sight = self._wait(attempt, name, end)
                if sight.state == "done":
                    self.store(ticket, self._fetch(ticket, attempt, self.plan))
                    self._note("collected", tag=attempt.tag)
                    self.watch.advance(size[ticket.number])
            except (CorruptResultError, LostJobError) as error:
                trouble = trouble or error
                self.watch.say(f"{name} ({attempt.job_id}): {error}")
                continue
            if sight.state in ("queued", "running"):
                waiting.append((attempt, sight))
                continue
            if sight.state != "done":
                self._note("ended", tag=attempt.tag, kind=sight.state, message=sight.message)
                self.watch.say(f"{name} ({attempt.job_id}) {_words(sight)}")
            self._ask_charge(attempt)
        self._ask_charges()
        self._complain(trouble, waiting)

    def _note_stored(self) -> None:
        """Whatever was stored before a kill kept the journal from saying so."""
        for ticket in self.tickets:
            attempt = self.journal.last(ticket.number)
            if attempt is not None and attempt.state == "submitted" and self._has_counts(ticket):
                self._note("collected", tag=attempt.tag)

    def _ask_charges(self) -> None:
        for attempt in list(self.journal.attempts.values()):
            if attempt.charged is None and attempt.job_id is not None and not attempt.open:
                self._ask_charge(attempt)

    def _complain(self, trouble: BackendError | None, waiting: Sequence[tuple[Attempt, Sight]]) -> None:
        """Say what is missing and how to get it.

        Raises:
            BackendError: Anything is.
        """
        where = self._where
        missing = [t for t in self.tickets if not self._has_counts(t)]
        if not missing:
            return
        circuits = sum(len(t.circuits) for t in missing)
        what = f"{len(missing)} of {len(self.tickets)} jobs ({circuits} circuits) have no counts"
        if trouble is not None:
            raise type(trouble)(
                f"{what}: {trouble}; the jobs are kept, 'qthreshold collect {where}' asks for them again, "
                f"'qthreshold resume {where} --retry --resubmit' gives them up and sends new ones"
            )
        if waiting:
            attempt, sight = waiting[0]
            raise BackendError(
                f"{what}: job {attempt.ticket + 1} ({attempt.job_id}) is still {sight.state}; it goes on, "
                f"'qthreshold collect {where}' fetches it later"
            )
        last = [self.journal.last(t.number) for t in missing]
        ended = [a for a in last if a is not None and a.state == "ended"]
        if ended:
            a = ended[0]
            kind = _ENDINGS.get(a.kind, JobFailedError)
            raise kind(
                f"{what}: job {a.ticket + 1} ({a.job_id}) {_words(Sight(state=a.kind, message=a.message))}; "
                f"'qthreshold resume {where} --retry' sends such jobs again, 'qthreshold analyse {where} --partial' takes what there is"
            )
        raise BackendError(f"{what}: they were not sent yet; 'qthreshold submit {where}' sends them")

    def _wait(self, attempt: Attempt, name: str, end: float) -> Sight:
        """Look at a job, ever less often, until it has ended or the time is over."""
        pause = self.patience.first
        while True:
            sight = self._look(attempt)
            if sight.state not in ("queued", "running") or time.monotonic() >= end:
                return sight
            ahead = "" if sight.ahead is None else f", {sight.ahead} job{'' if sight.ahead == 1 else 's'} waiting for the device"
            self.watch.note(f"{name}: {sight.state}{ahead}")
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
            pause = min(1.5 * pause, self.patience.longest)

    def _look(self, attempt: Attempt) -> Sight:
        return self._patiently(lambda: self.backend.look(str(attempt.job_id)))

    def _fetch(self, ticket: Ticket, attempt: Attempt, plan: Plan) -> Counts:
        """Counts of a job, if it is of these circuits.

        Raises:
            StoreError: The ticket is not the one that was sent.
        """
        if attempt.content and attempt.content != _content(plan, ticket):
            raise StoreError(f"{self._where}/tickets: job {attempt.job_id} was sent with other circuits than ticket {ticket.number} has; put it back")
        return self._patiently(lambda: self.backend.fetch(plan, self.device, ticket, str(attempt.job_id)))

    def _ask_charge(self, attempt: Attempt) -> None:
        """What a job cost; a provider that cannot say now is asked again next time."""
        with contextlib.suppress(BackendError, AuthenticationError):
            seconds = self.backend.charged(str(attempt.job_id))
            if seconds is not None:
                self._note("charged", tag=attempt.tag, seconds=seconds)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """The answer to a question that may be repeated: reading, or cancelling."""
        for attempt in range(1, self.patience.tries + 1):
            try:
                return ask()
            except (TransientError, CorruptResultError) as error:
                if attempt == self.patience.tries:
                    raise
                self._pause(attempt, str(error))
            except QuotaError as error:
                if attempt == self.patience.tries or not error.passing:
                    raise
                self._pause(attempt, str(error))
        raise AssertionError("every last try returns or raises")

    # Cancelling

    def cancel(self) -> Iterator[tuple[Attempt, str]]:
        """Cancel what has not ended.

        Yields:
            Each attempt, and the state that its job is in now.

        Raises:
            BackendError: Some jobs could not be cancelled; the others were.
        """
        self.reconcile(strict=False)
        self._note_stored()
        trouble: BackendError | None = None
        for attempt in [a for a in self.journal.attempts.values() if a.state == "submitted"]:
            try:
                self._cancel(str(attempt.job_id))
                sight = self._look(attempt)
            except BackendError as error:
                trouble = error
                yield attempt, f"could not be cancelled: {error}"
                continue
            if sight.state in _ENDINGS:
                self._note("ended", tag=attempt.tag, kind=sight.state, message=sight.message)
                self._ask_charge(attempt)
            yield attempt, sight.state
        unknown = self._intended()
        if unknown:
            names = ", ".join(a.tag for a in unknown)
            raise BackendError(f"nobody knows whether {names} arrived; look at the provider's list of jobs") from None
        if trouble is not None:
            raise trouble

    def _cancel(self, job_id: str) -> None:
        self._patiently(lambda: self.backend.cancel(job_id))

    def _note(self, event: str, **facts: Any) -> None:
        line = {"event": event, "at": round(time.time(), 3), **facts}
        self.directory.append_event(line)
        self.journal.add(line)


def _content(plan: Plan, ticket: Ticket) -> str:
    """Hash of what is sent: circuits and shots, both fixed by the plan."""
    return content_id("qthreshold/content/1", {"plan": plan.id}, {"circuits": ticket.circuits, "shots": plan.circuit_shots[ticket.circuits]})


def _words(sight: Sight) -> str:
    said = f": {' '.join(sight.message.split())[:200]}" if sight.message else ""
    return {"failed": f"failed{said}", "cancelled": "was cancelled", "timed_out": "took longer than it may", "corrupt": said.lstrip(": ")}[
        sight.state
    ]


def check_preflight(plan: Plan, counts: Counts, name: str) -> None:
    """Compare what came back with what was prepared.

    Raises:
        CorruptResultError: It is something else; the message says whether it is the reverse.
    """
    bits = unpack_bits(counts.bits, counts.n_qubits)
    read = counts.count @ bits / counts.count.sum()
    qubits, expected = plan.unit_target, plan.unit_expected
    seen = np.where(expected, read[qubits], 1 - read[qubits])
    if (seen >= _PREFLIGHT_CHANCE).all():
        return
    mirrored = read[::-1][qubits]
    known = int(qubits[expected.argmax()])
    what = f"preflight on {name}: X on qubit {known} should read 1 there and 0 on qubits {[q for q in qubits.tolist() if q != known]}"
    if (np.where(expected, mirrored, 1 - mirrored) >= _PREFLIGHT_CHANCE).all():
        raise CorruptResultError(f"{what}, but the bits came back in reverse order; this backend does not follow Qiskit's order and cannot be used")
    came = ", ".join(f"qubit {q}: 1 in {100 * read[q]:.0f} %" for q in qubits.tolist())
    raise CorruptResultError(f"{what}, but it read {came}; the result format or the device is not usable, nothing else was sent")
