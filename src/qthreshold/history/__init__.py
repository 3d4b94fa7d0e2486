"""Results over time, in a database: a file of SQLite on one machine, or PostgreSQL for several.

``location.py`` says where, ``database.py`` opens it, ``tables.py`` and ``migrations/`` say what is in it, ``book.py`` reads and writes runs.
SQLAlchemy is imported only when a history is opened.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qthreshold.errors import InputError
from qthreshold.history.location import locate

if TYPE_CHECKING:
    from qthreshold.history.book import History, RunEntry

__all__ = ["DEFAULT_FILE", "OUTCOMES", "History", "RunEntry", "open_history"]

DEFAULT_FILE = "qthreshold-history.db"
"""Where the history is if nobody says otherwise."""

OUTCOMES = ("", "passed", "failed", "undetermined", "error")
"""What the gate said of a run; empty where it was not asked."""


def open_history(where: str | Path, *, create: bool) -> "History":
    """Open a history; use it in a ``with`` statement. One of an older version is brought to today's.

    Args:
        where: A file, or ``postgresql://USER@HOST:PORT/DATABASE``.
        create: Make it where there is none.

    Raises:
        InputError: There is none, it is another program's, it cannot be logged in to, or a package is missing.
        StoreError: It is damaged, newer than this software, locked, or cannot be reached, read or written.
    """
    location = locate(where)
    try:
        from qthreshold.history.book import History
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "sqlalchemy":
            raise
        raise InputError("a history needs SQLAlchemy and Alembic: pip install 'qthreshold[ci]'") from None
    return History(location, create=create)


def __getattr__(name: str) -> Any:
    if name in ("History", "RunEntry"):
        from qthreshold.history import book

        return getattr(book, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
