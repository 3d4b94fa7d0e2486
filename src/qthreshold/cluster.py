"""A cluster as a place to work: any that ``dask.distributed`` reaches. That package is imported only when a cluster is asked for."""

import asyncio
import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import logging
import pickle
import re
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, TypeVar

from qthreshold.errors import BackendError, InputError
from qthreshold.memory import written_memory

__all__ = ["Cluster", "Member", "checked_address", "software"]

T = TypeVar("T")
R = TypeVar("R")

_ADDRESS = re.compile(r"(?:tcp|tls|ucx)://(?P<host>\[[0-9a-fA-F:.]+\]|[\w.-]+):(?P<port>\d{1,5})", re.ASCII)
_PACKAGES = ("qthreshold", "numpy", "scipy", "qiskit", "qiskit-aer", "rustworkx")
_CONNECT = 3.0  # seconds for each step on the way to a scheduler
_ANSWER = 30.0  # for an answer of one that may be busy
_FIRST = 5.0  # for the first worker to register: long enough for commands that were given one after the other
_EMPTY = 30.0  # without any worker before giving up: long enough for one that is started again in place of a killed one
_CLOSE = 2.0
_UNLIMITED = 4 * 2**30  # what a worker without a limit is taken to have
_NAMED = 3  # workers in a message
_LOST = {"CancelledError", "CommClosedError", "ClosedClientError"}


def checked_address(text: str) -> str:
    """The address of a scheduler.

    Raises:
        InputError: It is none.

    Example:
        >>> checked_address("tcp://10.0.0.5:8786")
        'tcp://10.0.0.5:8786'
    """
    form = _ADDRESS.fullmatch(text.strip())
    if form is None or not 0 < int(form["port"]) < 65536:
        raise InputError(f"--dask {text!r} is not the address of a scheduler; it prints its own when it starts, such as tcp://10.0.0.5:8786")
    return text.strip()


@functools.cache
def software() -> tuple[tuple[str, str], ...]:
    """Versions here of everything that results may depend on."""
    found = [("python", f"{sys.version_info.major}.{sys.version_info.minor}")]
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "missing"))
    return tuple(found)


def _difference(theirs: object, ours: tuple[tuple[str, str], ...]) -> str:
    """What another place has instead of what is here; empty where it has the same."""
    if isinstance(theirs, BaseException):
        return f"no qthreshold {dict(ours)['qthreshold']} ({theirs})"
    found = dict(theirs)  # type: ignore[call-overload]
    return ", ".join(f"{name} {found.get(name, 'missing')} (here {version})" for name, version in ours if found.get(name) != version)


def _work(ours: tuple[tuple[str, str], ...], packed: bytes) -> Any:
    """What a worker does: a task, after making sure that its result will be the same as anywhere.

    The check is made with every task because workers may join at any time.
    """
    if difference := _difference(software(), ours):
        raise BackendError(f"a worker that joined has {difference}; install the same there")
    function, task = pickle.loads(packed)
    return function(task)


@dataclass(frozen=True, slots=True)
class Member:
    """A worker of the cluster.

    Attributes:
        address: Where it listens.
        threads: How many tasks it runs at once.
        memory: Bytes that it may use.
    """

    address: str
    threads: int
    memory: int


class Cluster:
    """A connection to a scheduler, as :class:`qthreshold.pool.Crew` wants it.

    Args:
        address: Of the scheduler, as :func:`checked_address` takes it.

    Raises:
        InputError: ``distributed`` is not installed, or not configured for this kind of address.
        BackendError: No scheduler answers, it has no workers, or other versions are installed there.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self._dask = importlib.import_module("distributed")
        except ModuleNotFoundError:
            raise InputError("--dask needs a package that is not installed: pip install 'qthreshold[dask]'") from None
        self._loggers = _silenced()
        self._client: Any = None
        self._empty_since: float | None = None
        try:
            self._client = self._connected()
            self.members = self._first_members()
            self._compare_software()
            self._executor = self._client.get_executor(pure=False)
        except BaseException:
            self.close(abruptly=True)
            raise

    @property
    def workers(self) -> int:
        """Threads of all workers as they were found."""
        return sum(m.threads for m in self.members)

    @property
    def task_memory(self) -> int:
        """Bytes for one task: half of what a worker has for each of its threads, as the other half goes to what it has loaded."""
        return min(m.memory // m.threads for m in self.members) // 2

    def describe(self) -> dict[str, str]:
        """The cluster in words."""
        least = min(m.memory for m in self.members)
        return {
            "scheduler": self.address, "workers": f"{len(self.members)} with {self.workers} threads",
            "memory": f"at least {written_memory(least)} a worker, {written_memory(self.task_memory)} a task", "software": "the same everywhere",
        }  # fmt: skip

    def submit(self, function: Callable[[T], R], task: T) -> Future[Any]:
        """Have a task done.

        It is packed here, so that nobody on the way looks into it: the scheduler needs nothing of what the function needs.

        Raises:
            BackendError: The scheduler is lost.
        """
        packed = pickle.dumps((function, task))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
            try:
                return self._executor.submit(_work, software(), packed)
            except Exception as error:
                if (told := self.explain(error)) is None:
                    raise
                raise told from None

    def check(self) -> None:
        """Look whether there is still somebody at work.

        Raises:
            BackendError: The scheduler does not answer, or has had no worker for a while.
        """
        if self._members():
            self._empty_since = None
            return
        now = time.monotonic()
        self._empty_since = self._empty_since or now
        if now - self._empty_since > _EMPTY:
            raise BackendError(f"the Dask scheduler at {self.address} has lost all of its workers; {self._how_to_start_one()}")

    def explain(self, error: BaseException) -> BackendError | None:
        """What exceptions of the cluster mean; None for a task's own."""
        kinds = {kind.__name__ for kind in type(error).__mro__}  # by name: where they live differs between versions
        if "KilledWorker" in kinds:
            _, last, allowed = error.args
            return BackendError(
                f"workers of {self.address} were killed {allowed + 1} times while working on one task, the last {last.address}, "
                "perhaps for lack of memory; give them more (--memory-limit), or lower --max-memory"
            )
        if kinds & _LOST:
            return self._lost()
        if isinstance(error, ImportError) and (error.name or "").startswith("qthreshold"):
            return BackendError(f"a worker of {self.address} cannot import {error.name}; install the same qthreshold there")
        return None

    def restart(self) -> None:
        """Not needed: the scheduler itself hands out again what killed workers were at."""

    def close(self, *, abruptly: bool) -> None:
        """Leave the cluster; what was handed over and is not done yet is cancelled."""
        if self._client is not None:
            with contextlib.suppress(OSError, CancelledError):
                self._client.close(timeout=_CLOSE)
        for logger, level in self._loggers:
            logger.setLevel(level)

    def _connected(self) -> Any:
        """A client.

        Raises:
            InputError: This kind of address needs something that is not there.
            BackendError: No scheduler answers.
        """
        self._check_protocol()
        self._knock()
        try:
            _within(2 * _CONNECT, lambda: asyncio.run(asyncio.wait_for(self._identity(), _CONNECT)))  # in a thread: a notebook has a loop of its own
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about versions: these are compared, and said in one line
                return _within(2 * _CONNECT, lambda: self._dask.Client(self.address, timeout=_CONNECT, set_as_default=False, name="qthreshold"))
        except OSError as error:
            raise self._unreachable(str(error) or "no answer in time") from None
        except Exception as error:  # what a stranger's answer leads to is not foreseeable
            raise self._unreachable(f"something else answers: {type(error).__name__}") from None

    async def _identity(self) -> Any:
        """What listens there says of itself: asked before there is a client, since one that fails to start complains when it is thrown away."""
        arguments = self._dask.Security().get_connection_args("client")
        async with self._dask.rpc(self.address, connection_args=arguments) as there:
            return await there.identity()

    def _check_protocol(self) -> None:
        """What an address other than tcp needs.

        Raises:
            InputError: It is not there.
        """
        kind = self.address.partition(":")[0]
        if kind == "tls" and not self._dask.Security().get_connection_args("client").get("ssl_context"):
            raise InputError(f"--dask {self.address} needs certificates, and Dask has none configured; see docs/cluster.md")
        if kind == "ucx" and not any(importlib.util.find_spec(n) for n in ("ucp", "ucxx", "distributed_ucxx")):
            raise InputError(f"--dask {self.address} needs ucx-py or ucxx, which are not installed; tcp:// and tls:// need nothing more")

    def _knock(self) -> None:
        """Whether anybody listens there: the client itself would try again and again for all of its time."""
        form = _ADDRESS.fullmatch(self.address)
        if form is None or self.address.startswith("ucx"):
            return
        try:
            socket.create_connection((form["host"].strip("[]"), int(form["port"])), timeout=_CONNECT).close()
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from None

    def _unreachable(self, reason: str) -> BackendError:
        return BackendError(f"no Dask scheduler answers at {self.address} ({reason}); start one with 'dask scheduler', or go on without --dask")

    def _lost(self) -> BackendError:
        return BackendError(f"lost the Dask scheduler at {self.address}")

    def _how_to_start_one(self) -> str:
        return f"start one with 'dask worker {self.address} --nthreads 1', in the same environment as here"

    def _members(self) -> list[Member]:
        """The workers as the scheduler knows them now.

        Raises:
            BackendError: It does not answer.
        """
        try:
            found: Mapping[str, Any] = self._client.sync(self._client.scheduler.identity, callback_timeout=_ANSWER)
        except (OSError, CancelledError, RuntimeError):
            raise self._lost() from None
        if found.get("type") != "Scheduler":
            raise BackendError(
                f"{self.address} is a Dask {str(found.get('type')).lower()}, not a scheduler; give the address that the scheduler prints"
            )
        return [Member(a, w["nthreads"], w["memory_limit"] or _UNLIMITED) for a, w in found["workers"].items()]

    def _first_members(self) -> list[Member]:
        end = time.monotonic() + _FIRST
        while not (found := self._members()):
            if time.monotonic() > end:
                raise BackendError(f"the Dask scheduler at {self.address} has no workers; {self._how_to_start_one()}")
            time.sleep(0.2)
        return found

    def _compare_software(self) -> None:
        """Compare what is installed here, at the scheduler and at the workers.

        Raises:
            BackendError: It is not the same.
        """
        ours, places = software(), dict[str, object]()
        try:
            theirs = _within(_ANSWER, lambda: self._client.run(software, on_error="return"))
            places |= {f"worker {address}": answer for address, answer in theirs.items() if not isinstance(answer, OSError)}  # those have left since
            places["the scheduler"] = _within(_ANSWER, lambda: self._client.run_on_scheduler(software))
        except OSError:
            raise self._lost() from None
        except Exception as error:  # whatever an unpickler raises at the scheduler
            places["the scheduler"] = error
        others = {place: difference for place, answer in places.items() if (difference := _difference(answer, ours))}
        if others:
            named = "; ".join(f"{place} has {difference}" for place, difference in list(others.items())[:_NAMED])
            more = f"; {len(others) - _NAMED} more differ" if len(others) > _NAMED else ""
            raise BackendError(f"{named}{more}. Install the same on all machines of {self.address}")


def _silenced() -> list[tuple[logging.Logger, int]]:
    """The loggers of distributed and below it, made silent, with the level that each had: what they report is said in one line instead."""
    names = [n for n in logging.root.manager.loggerDict if n.partition(".")[0] in ("distributed", "tornado")]
    found = [(logging.getLogger(n), logging.getLogger(n).level) for n in names]
    for logger, _ in found:
        logger.setLevel(logging.CRITICAL + 1)
    return found


def _within(seconds: float, ask: Callable[[], T]) -> T:
    """An answer that may never come.

    Raises:
        TimeoutError: It did not.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        raise TimeoutError(f"no answer in {seconds:.0f} s") from None
