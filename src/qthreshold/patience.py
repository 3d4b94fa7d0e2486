"""How long to wait for a provider."""

import math
import os
from dataclasses import dataclass, replace

from qthreshold.errors import InputError

__all__ = ["Patience"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds. ``QTHRESHOLD_PATIENCE="longest=60,tries=6"`` changes the defaults.

    Attributes:
        first, longest: Pause between two looks at a job: grows from the first to the longest.
        tries: How often a request is tried that fails for a moment.
        pause: Before the second try; doubles from try to try.
        settle: How long a job may take to show in the provider's list after it was accepted.
        read: For an answer of the provider.
        post: For an answer to a job that is handed over.
        give_up: Stop waiting for results after this long; None: never.
    """

    first: float = 1.0
    longest: float = 30.0
    tries: int = 4
    pause: float = 2.0
    settle: float = 10.0
    read: float = 60.0
    post: float = 900.0
    give_up: float | None = None

    @classmethod
    def usual(cls, **changes: float | None) -> "Patience":
        """The defaults, with the environment's changes and these.

        Raises:
            InputError: The environment variable cannot be used.
        """
        text = os.environ.get("QTHRESHOLD_PATIENCE", "")
        stated: dict[str, float] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, value = part.partition("=")
            try:
                number = float(value)
            except ValueError:
                number = -1.0
            if name not in cls.__dataclass_fields__ or not 0 <= number < math.inf:
                raise InputError(f"QTHRESHOLD_PATIENCE: {part!r} is not NAME=SECONDS. Known: {', '.join(cls.__dataclass_fields__)}")
            stated[name] = max(1, int(number)) if name == "tries" else number
        found = replace(cls(), **stated)  # type: ignore[arg-type]
        found = replace(found, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]
        return replace(found, first=min(found.first, found.longest))
