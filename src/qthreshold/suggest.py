"""What somebody may have meant who named what does not exist."""

import difflib
from collections.abc import Iterable

__all__ = ["near_matches"]


def near_matches(name: str, known: Iterable[str], most: int | None = None) -> str:
    """A clause for error messages: the closest known names, then all of them, or the first ``most``.

    Example:
        >>> near_matches("heron", ["heron-133", "tiny-5"])
        'did you mean heron-133? Known: heron-133, tiny-5'
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or [k for k in known if name and name in k][:3]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    more = f" and {len(known) - most:,} more" if most is not None and len(known) > most else ""
    return f"{hint}Known: {', '.join(known[:most])}{more}"
