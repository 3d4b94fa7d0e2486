"""Failures of other people's clients: bounded waiting, and what an exception means, by the names of its classes alone.

Exceptions of a client may hold what was sent, a token among it. So none of their text is passed on, nor are they chained.
"""

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

from qthreshold.errors import AuthenticationError, BackendError, QThresholdError, QuotaError, TransientError

__all__ = ["StalledError", "asking", "class_names", "class_of", "explained", "links", "looks_secret", "quietly", "within"]

T = TypeVar("T")

_THREAD = "qthreshold-ask"

_NETWORK = re.compile(
    r"Connect|Timeout|TimedOut|Network|Transport|Proxy|SSL|Retry|Unavailable|Gateway|gaierror|URLError|RemoteDisconnected|JSONDecode"
)
_ACCOUNT = re.compile(r"Auth|Unauthori|Forbidden|Credential|AccessDenied|Login|Token|Account")
_QUOTA = re.compile(r"Quota|RateLimit|TooManyRequests|Insufficient|Throttl")
_PASSING = re.compile(r"RateLimit|TooManyRequests|Throttl")
_SECRET = re.compile(r"token|key$|keys$|apikey|pass|pwd|secret|cred|auth|bearer|jwt|^pat$|session")
_REFUSALS = {"ValueError", "TypeError", "NotImplementedError", "QiskitError"}


class StalledError(Exception):
    """No answer came in time; the question may still be under way."""


def quietly(ask: Callable[[], T]) -> T:
    """The answer of a client, whose warnings are none of the user's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ask()


def within(seconds: float, ask: Callable[[], T]) -> T:
    """The answer to a question, or its exception.

    Raises:
        StalledError: Neither came in time.
    """
    answer: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(ask())
        except BaseException as error:  # whatever it is, it goes to the caller
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True, name=_THREAD)  # a read that hangs must not keep the program from ending
    with warnings.catch_warnings():  # here, not in the thread: filters belong to the whole process, and the thread may outlive the question
        warnings.simplefilter("ignore")
        thread.start()
        thread.join(seconds)
    if answer:
        return answer[0]
    raise failure[0] if failure else StalledError


def looks_secret(name: str, value: str = "") -> bool:
    """Whether a name, or an address with a user in it, looks like a secret. Specs and settings are written to files.

    Example:
        >>> looks_secret("access_key"), looks_secret("keyboard"), looks_secret("url", "https://me@host")
        (True, False, True)
    """
    plain = re.sub(r"[^a-z]", "", name.lower())
    return bool(_SECRET.search(plain)) or bool(re.search(r"://[^/?#]*@", value))


def asking() -> bool:
    """Whether this runs inside a question that :func:`within` put."""
    return threading.current_thread().name == _THREAD


def class_of(error: BaseException) -> str:
    """All that may be said about a foreign exception."""
    return type(error).__name__


def explained(error: BaseException, what: str, *, otherwise: type[BackendError], refusal: type[BackendError] | None = None) -> QThresholdError:
    """One of our kinds for an exception of a client.

    Args:
        error: The exception.
        what: What failed, as the start of a sentence.
        otherwise: The kind of those that say nothing.
        refusal: The kind of those that say that what was asked cannot be done; by default ``otherwise``.
    """
    if isinstance(error, QThresholdError):
        return error
    said = f"{what} ({class_of(error)})"
    codes, names = _codes(error), " ".join(class_names(error))
    if codes & {401, 403} or _ACCOUNT.search(names):
        return AuthenticationError(f"{said}: the account was not accepted; check it in the provider's own store or environment variables")
    if codes & {402, 429} or _QUOTA.search(names):
        return QuotaError(f"{said}: a quota or a limit of requests is used up", passing=429 in codes or bool(_PASSING.search(names)))
    if any(c in (408, 425) or c >= 500 for c in codes) or _NETWORK.search(names):
        return TransientError(f"{said}: the network or the service failed; try again later")
    refused = bool(codes) or any(cls.__name__ in _REFUSALS for cls in type(error).__mro__)
    return (refusal if refused and refusal is not None else otherwise)(said)


def links(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that led to it."""
    seen: list[BaseException] = []
    while error is not None and not any(error is s for s in seen):
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def class_names(error: BaseException) -> set[str]:
    """Names of the classes of an exception and of all that led to it."""
    return {cls.__name__ for e in links(error) for cls in type(e).__mro__ if cls is not PermissionError}


def _codes(error: BaseException) -> set[int]:
    """HTTP status codes that an exception carries, 400 and above."""
    found = [getattr(holder, name, None) for e in links(error) for holder in (e, getattr(e, "response", None)) for name in ("status_code", "code")]
    return {c for c in found if isinstance(c, int) and 400 <= c < 600}
