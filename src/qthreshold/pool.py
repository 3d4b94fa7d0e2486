"""The pool: who does the work of stages and simulators, here in processes or on a cluster. Results do not depend on who.

Both are driven by the same loop through the interface of ``concurrent.futures``. Tasks hold their seeds, so a task may be done
anywhere, in any order, and more than once.
"""

import collections
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from typing import Generic, Protocol, Self, TypeVar

from qthreshold.cluster import Cluster, checked_address
from qthreshold.errors import BackendError, InputError
from qthreshold.memory import available_memory, parse_memory, written_memory
from qthreshold.processes import Processes, usable_cores
from qthreshold.tasks import inline

__all__ = ["Crew", "Pool"]

T = TypeVar("T")
R = TypeVar("R")

_MOST_WORKERS = 8  # each takes about 200 MB before it has done anything
_MOST_MEMORY = 4 * 2**30
_LEAST_MEMORY, _LEAST_SHARE = 64 * 2**20, 8 * 2**20
_AHEAD = 3  # tasks handed over for each worker: enough that none waits, few enough that a million tasks do not lie in memory
_SUSPECT = 2  # kills a task may be at work in before it has to work alone, so that it is known whether it is to blame
_LIVES, _ALONE = 3, 2  # it is given up after so many kills, if it was alone in so many
_LOOK = 5.0  # seconds without a result after which to look whether there can be one


class Crew(Protocol):
    """Those who do the work: an executor, and what is particular about it."""

    @property
    def workers(self) -> int:
        """How many tasks run at once."""
        ...

    def submit(self, function: Callable[[T], R], task: T) -> Future[R]:
        """Have a task done.

        Raises:
            BrokenExecutor: A worker was killed and nothing more is done before :meth:`restart`.
        """
        ...

    def check(self) -> None:
        """Called when nothing has come back for a while.

        Raises:
            BackendError: Nothing ever will.
        """
        ...

    def explain(self, error: BaseException) -> BackendError | None:
        """What the crew's own exceptions mean; None for a task's."""
        ...

    def restart(self) -> None:
        """New workers in place of broken ones."""
        ...

    def close(self, *, abruptly: bool) -> None:
        """Send the workers away; ``abruptly``: whatever they are at."""
        ...


class Pool:
    """Runs tasks; a context manager. Nothing is started before there is work for it.

    Args:
        workers: Worker processes on this machine; by default one per core, at most 8. With one, all is done in this process.
        dask: Address of a Dask scheduler, in place of processes here.
        max_memory: Bytes, or a text such as ``4GiB``, that all tasks together may use. By default half of what is available here,
            at most 4 GiB; on a cluster half of what its smallest worker has for each of its threads.
        say: Told what the user should know, a line at a time.

    Raises:
        InputError: An argument is not accepted.
    """

    def __init__(
        self, workers: int | None = None, dask: str | None = None, max_memory: int | str | None = None, *, say: Callable[[str], None] | None = None
    ) -> None:
        if workers is not None and type(workers) is not int:
            raise InputError(f"--workers {workers!r} is not accepted; a whole number is")
        if workers is not None and workers < 1:
            raise InputError(f"--workers {workers} is not accepted; at least 1 is")
        if workers is not None and dask is not None:
            raise InputError(f"--workers {workers} and --dask {dask} (or QTHRESHOLD_DASK) exclude each other: the work is done here or on a cluster")
        self._workers = workers
        self._dask = checked_address(dask) if dask is not None else None
        self._memory = parse_memory(max_memory) if isinstance(max_memory, str) else max_memory
        if self._memory is not None and self._memory < _LEAST_MEMORY:
            raise InputError(f"--max-memory {max_memory} is not accepted; at least 64MiB is")
        self._say = say or (lambda _: None)
        self._crew: Crew | None = None
        self._announced = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self.close(abruptly=kind is not None)

    def close(self, *, abruptly: bool = False) -> None:
        """End workers and connections; more work would start new ones.

        Args:
            abruptly: Do not wait for what is under way.
        """
        if self._crew is not None:
            crew, self._crew = self._crew, None
            crew.close(abruptly=abruptly)

    @property
    def workers(self) -> int:
        """How many tasks run at once; asks the cluster, where there is one."""
        if self._dask is not None:
            return self._cluster(self._dask).workers
        return self._workers or min(usable_cores(), _MOST_WORKERS)

    @property
    def task_memory(self) -> int:
        """Bytes that one task may use; asks the cluster, where there is one."""
        if self._memory is None and self._dask is not None:
            return self._cluster(self._dask).task_memory
        share = (self._memory or max(_LEAST_MEMORY, min(available_memory() // 2, _MOST_MEMORY))) // self.workers
        if share < _LEAST_SHARE:
            raise InputError(
                f"--max-memory leaves {written_memory(share)} for each of {self.workers} workers, and {written_memory(_LEAST_SHARE)} are needed; "
                "take fewer workers"
            )
        return share

    def connect(self) -> dict[str, str]:
        """Go to the cluster now, and say in words what is there; nothing without a cluster.

        Raises:
            InputError: ``distributed`` is not installed, or not configured for this kind of address.
            BackendError: No scheduler answers, it has no workers, or other versions are installed there.
        """
        return self._cluster(self._dask).describe() if self._dask is not None else {}

    def _cluster(self, address: str) -> Cluster:
        if not isinstance(self._crew, Cluster):
            self._crew = Cluster(address)
        return self._crew

    def announce(self, memory: float) -> None:
        """Say once in what chunks the work is done.

        Args:
            memory: Bytes that the largest needs.
        """
        if not self._announced:
            self._announced = True
            crew = "1 worker" if self.workers == 1 else f"{self.workers:,} workers"
            self._say(f"chunks of at most {written_memory(memory)} on {crew}")

    def run(self, function: Callable[[T], R], tasks: Sequence[T], /, *, small: bool = False) -> Iterator[tuple[int, R]]:
        """Run a function on every task, as :class:`qthreshold.tasks.Run` says; only a few tasks for each worker are made ahead.

        Args:
            function: Importable by name.
            tasks: Picklable. Items may be made when they are asked for; the same is asked for again where a worker was killed.
            small: The work is over sooner than processes would have started.

        Raises:
            InputError: There is no way to the cluster from here.
            BackendError: A task kills its worker again and again, or the cluster fails.
        """
        if self._dask is not None:
            self._crew = self._cluster(self._dask)
        elif self.workers == 1 or (self._crew is None and (small or len(tasks) <= 1)):
            yield from inline(function, tasks)
            return
        elif self._crew is None:
            self._crew = Processes(self.workers)
        yield from _Round(self._crew, function, tasks, self._say).results()


class _Round(Generic[T, R]):
    """One function on all of its tasks."""

    def __init__(self, crew: Crew, function: Callable[[T], R], tasks: Sequence[T], say: Callable[[str], None]) -> None:
        self._crew, self._function, self._tasks, self._say = crew, function, tasks, say
        self._fresh = iter(range(len(tasks)))
        self._again: collections.deque[int] = collections.deque()
        self._suspects: collections.deque[int] = collections.deque()
        self._kills: collections.Counter[int] = collections.Counter()
        self._alone: collections.Counter[int] = collections.Counter()  # of these, those where nothing else was under way
        self._pending: dict[Future[R], int] = {}  # in the order in which they were handed over

    def results(self) -> Iterator[tuple[int, R]]:
        """Index and result of every task."""
        try:
            while True:
                broken = not self._hand_over()
                if not self._pending and not broken:
                    return
                done = wait(self._pending, timeout=_LOOK, return_when=FIRST_COMPLETED).done
                if not done and not broken:
                    self._crew.check()
                broken = broken or any(isinstance(self._error(f), BrokenExecutor) for f in done)
                if broken:
                    done = wait(self._pending).done  # all of them end, most without a result
                lost = []
                for future in [f for f in self._pending if f in done]:
                    index, error = self._pending.pop(future), self._error(future)
                    if isinstance(error, BrokenExecutor):
                        lost.append(index)
                    elif error is not None:
                        raise self._crew.explain(error) or error
                    else:
                        yield index, future.result()
                if broken:
                    self._take_back(lost)
                    self._crew.restart()
                    self._say("a worker process was killed, perhaps for lack of memory; others take its place and do its work again")
        finally:
            for future in self._pending:
                future.cancel()

    @staticmethod
    def _error(future: Future[R]) -> BaseException | None:
        try:
            return future.exception()
        except CancelledError as error:
            return error

    def _hand_over(self) -> bool:
        """Keep the crew busy; False where it is found broken."""
        while (index := self._next()) is not None:
            task = self._tasks[index]
            try:
                future = self._crew.submit(self._function, task)
            except BrokenExecutor:
                self._queue(index).appendleft(index)
                return False
            self._pending[future] = index
        return True

    def _next(self) -> int | None:
        """The task to hand over next, if any. Suspects go first, each alone."""
        if len(self._pending) >= _AHEAD * self._crew.workers or any(self._kills[i] >= _SUSPECT for i in self._pending.values()):
            return None
        if self._suspects:
            return None if self._pending else self._suspects.popleft()
        return self._again.popleft() if self._again else next(self._fresh, None)

    def _take_back(self, lost: list[int]) -> None:
        """Have tasks done again that were under way when a worker was killed. Those handed over first were at work, the rest waited.

        Raises:
            BackendError: One of them has seen too many kills.
        """
        for index in lost[: self._crew.workers]:
            self._kills[index] += 1
            self._alone[index] += len(lost) == 1
            if self._kills[index] >= _LIVES and self._alone[index] >= _ALONE:
                raise BackendError(
                    f"a worker process was killed {self._kills[index]} times while working on task {index + 1:,} of {len(self._tasks):,}, "
                    "perhaps for lack of memory; lower --max-memory or --workers"
                )
        for index in lost:
            self._queue(index).append(index)

    def _queue(self, index: int) -> collections.deque[int]:
        return self._suspects if self._kills[index] >= _SUSPECT else self._again
