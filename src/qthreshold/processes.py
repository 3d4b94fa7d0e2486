"""Worker processes on this machine."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import connection, get_context, parent_process, resource_tracker
from typing import TypeVar

from qthreshold.errors import BackendError

__all__ = ["Processes", "usable_cores"]

T = TypeVar("T")
R = TypeVar("R")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What linear algebra libraries read when they are loaded."""


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes:
    """Worker processes that are started when work comes in and can be replaced when one of them is killed.

    Args:
        workers: How many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._open()

    def _open(self) -> None:
        context = get_context("spawn")
        follow, self._lead = context.Pipe(duplex=False)  # closing our end ends the workers, busy or not
        self._follow = follow
        self._executor = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_start_worker, initargs=(follow,))

    def submit(self, function: Callable[[T], R], task: T) -> Future[R]:
        """Have a task done; any call may start a process.

        Raises:
            BrokenExecutor: A process was killed; nothing more is done before :meth:`restart`.
        """
        with _interrupts_held(), _main_hidden(), _one_thread_each():
            return self._executor.submit(function, task)

    def check(self) -> None:
        """Nothing to look after: a process that ends is noticed at once."""

    def explain(self, error: BaseException) -> BackendError | None:
        """Nothing to translate: errors come as the tasks raised them."""

    def restart(self) -> None:
        """New processes in place of broken ones."""
        self.close(abruptly=True)
        self._open()

    def close(self, *, abruptly: bool) -> None:
        """End all processes.

        Args:
            abruptly: Also those that are at work; otherwise what they do is waited for.
        """
        if abruptly:
            self._lead.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._lead.close()
        self._follow.close()


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep the linear algebra of new processes to one thread: as many threads as cores in every one would get in each other's way."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep new processes from importing the caller's script: they need nothing of it, and without a main guard it would run again."""
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    main.__spec__ = None
    if "__file__" in kept:
        del main.__file__
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits, here and for good in the processes started meanwhile: one that is still importing would print a traceback.

    The mask is what new processes inherit; other threads, such as those of linear algebra, are outside it, so the handler waits too.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # starting it later would undo the mask
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _start_worker(follow: connection.Connection) -> None:
    """Leave Ctrl-C to the parent, and end when the parent closes its end of the pipe or ends itself, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, args=(follow,), daemon=True).start()


def _follow_parent(follow: connection.Connection) -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel, follow])
        os._exit(1)
