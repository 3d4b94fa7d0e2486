"""Jobs at a provider: sent once, never lost, within a cap.

Before a job is sent, the intent is on the disk under a tag that the job carries; after it, the job's id. Whoever finds an intent
without an id (this process after a dropped connection, or the next one after a kill) asks the provider for that tag before
anything is sent again. Results are stored as they arrive.
"""

import contextlib
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
_STALE = 600.0  # seconds after which a job that was accepted must show in the provider's list
_ENDINGS: Mapping[str, type[JobFailedError]] = {"failed": JobFailedError, "cancelled": JobCancelledError, "timed_out": JobTimeoutError}


class Watcher(Protocol):
    """Told how a run goes on; the command line shows it as progress bars."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins; ``total`` is the number of units it will work through, 0 if unknown."""
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
        self.reconcile(resubmit=resubmit)
        if retry and resubmit:
            self._give_up_lost()
        todo = [t for t in self.tickets if self._to_send(t, retry)]
        if not todo:
            return
        obstacles = self.backend.obstacles(self.plan, self.device)
        if obstacles:
            more = f" (and {len(obstacles) - 3} more)" if len(obstacles) > 3 else ""
            raise InputError(
                f"{self.device.name} as it is now cannot run the plan of {self.directory.path}: {'; '.join(obstacles[:3])}{more}; "
                "nothing was sent, plan a new run"
            )
        self._agree(todo, consent)
        self.before_sending()
        if self.backend.preflight:
            self._preflight()
        self.watch.stage("submit", len(todo))
        for ticket in todo:
            self._send(ticket, self._next_number(ticket.number))
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

    def _estimate(self, plan: Plan, ticket: Ticket) -> float:
        return estimate(plan, self.device, ticket, self.backend.limits.job_overhead)

    def _how_to_agree(self) -> str:
        known = self.directory.has("run.json")
        return f"agree to it with 'qthreshold resume {self.directory.path} --max-qpu-seconds N'" if known else "agree to it with --max-qpu-seconds N"

    def _agree(self, todo: Sequence[Ticket], consent: Consent, plan: Plan | None = None) -> None:
        """See to it that somebody agreed to what is about to be sent.

        Raises:
            ConsentError: Nobody did.
            QuotaError: It does not fit under the cap.
        """
        if not self.backend.paid:
            return
        seconds = sum(self._estimate(plan or self.plan, t) for t in todo)
        cap = consent.cap if consent.cap is not None else self.journal.cap
        what = f"{len(todo)} job{'s' if len(todo) > 1 else ''} on {self.device.name}, about {seconds:,.0f} s of device time"
        if cap is None and consent.ask is None:
            raise ConsentError(f"{what}: nothing was sent, because nobody can be asked here and no cap is given; {self._how_to_agree()}")
        self._within_cap(seconds, cap, what)
        if not consent.yes and consent.ask is not None and not self._agreed_before(cap):
            limit = "without a cap" if cap is None else f"at most {cap:,.0f} s in all"
            if not consent.ask(f"{what} ({limit}). Submit?"):
                raise ConsentError(f"nothing was sent; {self._how_to_agree()}, or answer yes")
        if not self._agreed_before(cap):
            self._note("consent", cap=cap)

    def _agreed_before(self, cap: float | None) -> bool:
        return self.journal.consented and self.journal.cap == cap

    def _within_cap(self, seconds: float, cap: float | None, what: str) -> None:
        used = self.journal.seconds
        if cap is not None and used + seconds > cap:
            before = f" beside {used:,.1f} s used or under way" if used else ""
            raise QuotaError(
                f"{what}{before}, would exceed the cap of {cap:,.0f} s; nothing more was sent, {self._how_to_agree()}, or plan a smaller recipe"
            )

    def _send(self, ticket: Ticket, number: int, plan: Plan | None = None) -> Attempt:
        """Send one ticket: intent to the journal, the job, its id to the journal. Trouble that passes is waited out."""
        whole = plan or self.plan
        seconds = self._estimate(whole, ticket)
        name = "preflight" if ticket.number == PREFLIGHT else f"job {ticket.number + 1} of {len(self.tickets)}"
        tag = f"{self.tag}-{'p' if ticket.number == PREFLIGHT else ticket.number}-{number}"
        for attempt in range(1, self.patience.tries + 1):
            self._within_cap(seconds, self.journal.cap, name)
            left = None if self.journal.cap is None else self.journal.cap - self.journal.seconds
            self._note(
                "intent", ticket=ticket.number, attempt=number, tag=tag, circuits=len(ticket.circuits),
                executions=int(whole.circuit_shots[ticket.circuits].sum()), estimate=round(seconds, 3), content=_content(whole, ticket),
            )  # fmt: skip
            self.watch.note(f"sending {name}")
            last = attempt == self.patience.tries
            try:
                job_id = self.backend.send(whole, self.device, ticket, tags=(self.tag, tag), most_seconds=left)
            except (InputError, RejectedError) as error:
                self._note("refused", tag=tag, kind=type(error).__name__, message=str(error))
                raise
            except QuotaError as error:
                self._note("refused", tag=tag, kind=type(error).__name__, message=str(error))
                if last or not error.passing:
                    raise
                self._pause(attempt, f"{name}: {error}")
            except TransientError as error:
                if error.under_way:
                    raise  # the request may still arrive: only a later process may ask for its tag
                self._pause(attempt, f"{name}: {error}")
                self.reconcile()
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

    def reconcile(self, *, resubmit: bool = False) -> None:
        """Ask the provider about every intent without a job id.

        Raises:
            BackendError: It cannot be asked, and ``resubmit`` was not given.
        """
        unknown = [a for a in self.journal.attempts.values() if a.state == "intended"]
        if not unknown:
            return
        young = any(time.time() - a.at < _STALE for a in unknown)
        for wait in (0.0, self.patience.settle if young else 0.0):
            time.sleep(wait)
            found = self._patiently(lambda: self.backend.find(self.tag))
            if found is None:
                if not resubmit:
                    names = ", ".join("the preflight" if a.ticket == PREFLIGHT else f"job {a.ticket + 1}" for a in unknown)
                    raise BackendError(
                        f"{self.directory.path}: the last process ended while it sent {names}, and {self.backend.spec} cannot be asked whether "
                        f"it arrived. Look at the provider's list of jobs; if it is not there, 'qthreshold resume {self.directory.path} --resubmit'"
                    )
                found = {}
            for attempt in [a for a in unknown if a.state == "intended"]:
                if found.get(attempt.tag):
                    self._note("submitted", tag=attempt.tag, job_id=found[attempt.tag][0], found=True)
            unknown = [a for a in self.journal.attempts.values() if a.state == "intended"]
            if not unknown:
                return
        for attempt in unknown:
            self._note("absent", tag=attempt.tag)

    def _give_up_lost(self) -> None:
        """Take jobs for ended whose results cannot be had any more: the provider cannot give them back, or gives something else every time.

        Their estimates stay spoken for, because they may cost all the same.
        """
        for ticket in self.tickets:
            attempt = self.journal.last(ticket.number)
            if self._has_counts(ticket) or attempt is None or attempt.state != "submitted":
                continue
            try:
                if self._look(attempt).state == "done":
                    self._fetch(ticket, attempt)
            except LostJobError as error:
                self._note("ended", tag=attempt.tag, kind="failed", message=str(error))
            except CorruptResultError as error:
                self._note("ended", tag=attempt.tag, kind="corrupt", message=str(error))

    def _sweep(self) -> None:
        """Cancel second jobs of one tag: the client itself repeats a request that the service answered with an error."""
        found = self._patiently(lambda: self.backend.find(self.tag)) or {}
        for tag, ids in found.items():
            kept = self.journal.attempts[tag].job_id if tag in self.journal.attempts else None
            for job_id in ids if kept in ids else []:
                if job_id != kept:
                    self._patiently(lambda job_id=job_id: self.backend.cancel(job_id))  # type: ignore[misc]
                    self._note("duplicate", tag=tag, job_id=job_id)
                    self.watch.say(f"the service held job {job_id} as a copy of {kept}; the copy was cancelled")

    def _preflight(self) -> None:
        """Run the circuit with the known outcome, unless it came back well before.

        Raises:
            CorruptResultError: Something else came back.
        """
        last = self.journal.last(PREFLIGHT)
        if last is not None and last.state == "collected":
            return
        plan, ticket = self._preflight_ticket()
        if last is None or not last.open:
            last = self._send(ticket, self._next_number(PREFLIGHT), plan)
        sight = self._wait(last, "preflight")
        if sight.state != "done":
            self._note("ended", tag=last.tag, kind=sight.state, message=sight.message)
            raise _ENDINGS[sight.state](f"the preflight circuit on {self.device.name} {_words(sight)}; nothing else was sent")
        try:
            counts = self._patiently(lambda: self.backend.fetch(plan, self.device, ticket, str(last.job_id)))
            check_preflight(plan, counts, self.device.name)
        except CorruptResultError as error:
            self._note("ended", tag=last.tag, kind="corrupt", message=str(error))
            raise
        self._note("collected", tag=last.tag)
        self._ask_charge(self.journal.attempts[last.tag])

    def _preflight_ticket(self) -> tuple[Plan, Ticket]:
        plan = preflight_plan(self.device)
        return plan, Ticket(plan_id=plan.id, backend=self.backend.spec, number=PREFLIGHT, circuits=np.zeros(1, dtype=np.int64))

    def preflight_alone(self, consent: Consent, say: Callable[[str], None]) -> str:
        """The preflight by itself, once more; returns what came back, in words. Errors as for :meth:`submit`."""
        plan, ticket = self._preflight_ticket()
        self._agree([ticket], consent, plan)
        attempt = self._send(ticket, 1, plan)
        say(f"preflight on {self.device.name}: job {attempt.job_id}")
        self._preflight()
        done = self.journal.attempts[attempt.tag]
        return "as prepared" + (f", {done.charged:.1f} s charged" if done.charged is not None else "")

    # Getting results

    def collect(self) -> None:
        """Wait for every job that was sent and store its counts.

        Raises:
            BackendError: The provider failed, or some jobs ended without a result; all others are stored.
        """
        self.reconcile()
        size = {t.number: len(t.circuits) for t in self.tickets}
        left = [t for t in self.tickets if not self._has_counts(t)]
        self.watch.stage("collect", sum(size.values()))
        self.watch.advance(sum(size.values()) - sum(size[t.number] for t in left))
        spoilt: BackendError | None = None
        for ticket in left:
            attempt = self.journal.last(ticket.number)
            if attempt is None or attempt.job_id is None or attempt.state == "ended":
                continue
            name = f"job {ticket.number + 1} of {len(self.tickets)}"
            sight = self._wait(attempt, name)
            if sight.state != "done":
                self._note("ended", tag=attempt.tag, kind=sight.state, message=sight.message)
                self._ask_charge(attempt)
                self.watch.say(f"{name} ({attempt.job_id}) {_words(sight)}")
                continue
            try:
                counts = self._fetch(ticket, attempt)
            except CorruptResultError as error:
                spoilt = error
                self.watch.say(f"{name} ({attempt.job_id}): {error}")
                continue
            self.store(ticket, counts)
            self._note("collected", tag=attempt.tag)
            self._ask_charge(attempt)
            self.watch.advance(size[ticket.number])
        for attempt in list(self.journal.attempts.values()):
            if attempt.charged is None and attempt.job_id is not None and not attempt.open:
                self._ask_charge(attempt)
        self._complain(spoilt)

    def _complain(self, spoilt: BackendError | None) -> None:
        """Say what is missing and how to get it.

        Raises:
            BackendError: Anything is.
        """
        where = self.directory.path
        missing = [t for t in self.tickets if not self._has_counts(t)]
        if not missing:
            return
        circuits = sum(len(t.circuits) for t in missing)
        what = f"{len(missing)} of {len(self.tickets)} jobs ({circuits} circuits) have no counts"
        if spoilt is not None:
            raise CorruptResultError(
                f"{what}: {spoilt}; the jobs are kept, 'qthreshold collect {where}' fetches them again, "
                f"'qthreshold resume {where} --retry --resubmit' gives them up and sends new ones"
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

    def _wait(self, attempt: Attempt, name: str) -> Sight:
        """Look at a job, ever less often, until it has ended."""
        pause, started = self.patience.first, time.monotonic()
        while True:
            sight = self._look(attempt)
            if sight.state not in ("queued", "running"):
                return sight
            ahead = "" if sight.ahead is None else f", {sight.ahead} job{'' if sight.ahead == 1 else 's'} waiting for the device"
            self.watch.note(f"{name}: {sight.state}{ahead}")
            if self.patience.give_up is not None and time.monotonic() - started > self.patience.give_up:
                raise BackendError(
                    f"{name} ({attempt.job_id}) is still {sight.state} after {self.patience.give_up:,.0f} s; it goes on, "
                    f"'qthreshold collect {self.directory.path}' fetches it later"
                )
            time.sleep(pause)
            pause = min(1.5 * pause, self.patience.longest)

    def _look(self, attempt: Attempt) -> Sight:
        return self._patiently(lambda: self.backend.look(str(attempt.job_id)))

    def _fetch(self, ticket: Ticket, attempt: Attempt) -> Counts:
        return self._patiently(lambda: self.backend.fetch(self.plan, self.device, ticket, str(attempt.job_id)))

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
        """
        self.reconcile()
        for attempt in [a for a in self.journal.attempts.values() if a.state == "submitted"]:
            self._patiently(lambda a=attempt: self.backend.cancel(a.job_id))  # type: ignore[misc]
            sight = self._look(attempt)
            if sight.state in _ENDINGS:
                self._note("ended", tag=attempt.tag, kind=sight.state, message=sight.message)
                self._ask_charge(attempt)
            yield attempt, sight.state

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
