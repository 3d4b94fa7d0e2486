"""Faults that a test injects into the mock service, and the rules that say on which requests they show."""

import re
import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request; `accepted` says whether the request has its effect on the service nevertheless."""

    kind: str
    accepted: bool = True
    code: int = 0
    retry_after: int | None = None
    seconds: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind}{f' {self.code}' if self.code else ''}{'' if self.accepted else ' before it is processed'}"


def status(code: int, *, retry_after: int | None = None, accepted: bool = False) -> Fault:
    """Answers with an HTTP status; with `accepted` the request is processed first (a job exists although the client reads an error)."""
    return Fault("status", accepted=accepted, code=code, retry_after=retry_after)


def drop(*, accepted: bool = False) -> Fault:
    """Drops the connection without an answer, before or after the request was processed."""
    return Fault("drop", accepted=accepted)


def stall(seconds: float | None = None, *, accepted: bool = True) -> Fault:
    """Sends nothing for some seconds and then answers, or for ever (until the mock closes)."""
    return Fault("stall", accepted=accepted, seconds=seconds)


def truncate() -> Fault:
    """Answers with the first half of the body, under a content length that agrees with it."""
    return Fault("truncate")


def empty() -> Fault:
    """Answers 200 with no body."""
    return Fault("empty")


def lagging_list() -> Fault:
    """Answers to GET /jobs that there are none: the list lags behind."""
    return Fault("lagging list")


def job_fails(reason: str = "Internal error", code: int = 9999) -> Fault:
    """The job posted by the request ends as Failed and never runs."""
    return Fault("job fails", code=code, reason=reason)


def job_cancelled(reason: str = "Cancelled by the provider") -> Fault:
    """The job posted by the request is cancelled by the provider and never runs."""
    return Fault("job cancelled", reason=reason)


def job_times_out() -> Fault:
    """The job posted by the request ends as the service ends one that ran longer than its maximum execution time."""
    return Fault("job times out", code=1305, reason="Job exceeded its maximum execution time")


def job_held() -> Fault:
    """The job posted by the request stays queued until it is released."""
    return Fault("job held")


@dataclass
class Rule:
    """One injection: the requests it is meant for, what happens to them, and how many are left."""

    pattern: str
    fault: Fault
    times: int | None
    skip: int
    expression: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        self.expression = re.compile(re.escape(self.pattern).replace(r"\*", "[^/ ]+"))


class Faults:
    """The injected rules, in order; a request meets the first rule that matches and is not used up."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def inject(self, pattern: str, fault: Fault, times: int | None, skip: int) -> None:
        with self._lock:
            self._rules.append(Rule(pattern, fault, times, skip))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request, counted as injected, or None."""
        with self._lock:
            for rule in self._rules:
                if rule.times == 0 or not rule.expression.fullmatch(f"{method} {path}"):
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                if rule.times is not None:
                    rule.times -= 1
                self.counts[f"{rule.pattern}: {rule.fault}"] += 1
                return rule.fault
        return None
