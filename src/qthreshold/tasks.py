"""Tasks: how a stage hands independent pieces of work to whoever runs them, here or elsewhere, without knowing who."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

__all__ = ["Run", "inline"]

T = TypeVar("T")
R = TypeVar("R")


class Run(Protocol):
    """Runs a function on every task and gives ``(index of the task, result)`` as they finish, in any order.

    The function must be importable by name and tasks must be picklable. A task holds all that its result depends on, seeds
    included, so that results are the same wherever and in whatever order tasks run.
    """

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T], /) -> Iterator[tuple[int, R]]:
        """Results as they come."""
        ...


def inline(function: Callable[[T], R], tasks: Sequence[T], /) -> Iterator[tuple[int, R]]:
    """Run tasks here, one after the other."""
    for i, task in enumerate(tasks):
        yield i, function(task)
