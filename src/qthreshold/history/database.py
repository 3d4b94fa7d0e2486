"""Opening a database: made where there is none, migrated, one writer at a time, and every failure said in one line without a password."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound, SQLAlchemyError
from sqlalchemy.pool import NullPool

from qthreshold.errors import AuthenticationError, InputError, QThresholdError, StoreError
from qthreshold.history.location import Location, Server
from qthreshold.history.tables import VERSION, VERSION_TABLE

__all__ = ["LOCK_SECONDS", "Database", "damaged"]

LOCK_SECONDS = 60
"""How long a writer waits for another one."""

_CONNECT_SECONDS = 10
_ADVISORY_LOCK = 0x7174_6872_6573_6864  # "qthreshd"; PostgreSQL knows locks by number
_ADD_AGAIN = "qthreshold history add RUN_DIR ..."


class Database:
    """One connection. Not for several threads.

    Attributes:
        location: Where it is.
    """

    def __init__(self, location: Location, *, create: bool) -> None:
        self.location = location
        if location.path is not None:
            _find_file(location, location.path, create=create)
        with explained(location):
            engine = _file_engine(location.path) if location.path is not None else _server_engine(location)
            self._connection = engine.connect()
            try:
                self._migrate(create=create)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(SQLAlchemyError):  # whatever was promised is on the disk
            self._connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection, on one state of the database, however much is written meanwhile."""
        with self._transaction("read") as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """The connection, while nobody else writes. What was done is kept if no exception comes, and none of it otherwise."""
        with self._transaction("write") as connection:
            yield connection

    @contextlib.contextmanager
    def _transaction(self, kind: str) -> Iterator[Connection]:
        with explained(self.location):
            self._connection.info["kind"] = kind
            with self._connection.begin():
                yield self._connection

    def _migrate(self, *, create: bool) -> None:
        with self.reading() as connection:
            found = _version(connection)
        if found == VERSION:
            return
        if found is None and self.location.path is not None:  # files come into being with their tables
            raise damaged(self.location, "it has no version of a history")
        if found is None and not create:
            raise InputError(f"{self.location.name} holds no history; start one with '{_ADD_AGAIN}', or name another with --history")
        from qthreshold.history import migrate  # half a second

        if found is not None and not migrate.knows(found):
            raise StoreError(f"{self.location.name} was written by a newer qthreshold (version {found}, this one knows {VERSION}); install that one")
        with self.writing() as connection:
            if _version(connection) != VERSION:  # others may have been faster
                migrate.upgrade(connection)


def _version(connection: Connection) -> str | None:
    """Of the tables; None where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()


def _find_file(location: Location, path: Path, *, create: bool) -> None:
    """Make the file if it may be made; refuse what cannot be one."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file for the history")
        if path.exists():
            with path.open("rb") as file:
                if not file.read(1):
                    raise damaged(location, "it is empty")
        elif not create:
            raise InputError(f"there is no history at {path}; start one with '{_ADD_AGAIN}', or name another with --history")
        elif not path.absolute().parent.is_dir():
            raise InputError(f"there is no folder {path.absolute().parent} for the history; make it first, or name another with --history")
        else:
            _refuse_remains(path)
            _make_file(location, path)
    except OSError as error:
        raise StoreError(f"cannot open the history {path}: {error.strerror or error}; check the permission of the file and its folder") from None


def _refuse_remains(path: Path) -> None:
    """SQLite would take what a file of the same name has left in its log for changes to the new one."""
    for remains in (Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal")):
        if remains.exists() and not path.exists():  # else another process has just made it
            raise InputError(f"{remains} is left of a history that is no longer there; put that back, or move this away too")


def _make_file(location: Location, path: Path) -> None:
    """Make the database under another name first, so that it is there whole or not at all, whoever else does the same."""
    from qthreshold.history import migrate

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.absolute().parent)
    os.close(handle)
    made = Path(name)
    try:
        umask = os.umask(0)
        os.umask(umask)
        made.chmod(0o666 & ~umask)  # as any other new file, so that colleagues can read it
        with explained(location):
            with contextlib.closing(sqlite3.connect(made)) as plain:
                plain.execute("PRAGMA journal_mode = WAL")  # kept in the file: readers and a writer are not in each other's way
            with _file_engine(made).connect() as connection:
                connection.info["kind"] = "write"
                with connection.begin():
                    migrate.upgrade(connection)
        _rename_new(made, path)
    finally:
        for leftover in (made, Path(f"{name}-wal"), Path(f"{name}-shm")):
            leftover.unlink(missing_ok=True)


def _rename_new(made: Path, path: Path) -> None:
    """Give a file its name, unless another has it by now."""
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        if not path.exists():
            made.rename(path)


def _file_engine(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        # mode=rw: never make an empty file where there is none. No isolation level: transactions begin below, not where sqlite3 sees fit.
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS, isolation_level=None)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def settings(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut too
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA trusted_schema = OFF")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("kind") == "write" else "BEGIN")

    return engine


def _server_engine(location: Location) -> Engine:
    server: Server = location.server  # type: ignore[assignment]
    url = URL.create(
        "postgresql+psycopg", server.user, server.password, server.host, server.port, server.database,
        {"connect_timeout": str(_CONNECT_SECONDS), "application_name": "qthreshold"} | dict(server.options),
    )  # fmt: skip
    try:
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    except ImportError:
        raise InputError("a history on a PostgreSQL server needs psycopg: pip install 'qthreshold[postgresql]'") from None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.info.get("kind") == "write":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    return engine


def damaged(location: Location, why: str) -> StoreError:
    """The error for a database whose content is not what was written.

    Args:
        location: Of the database.
        why: What was found.
    """
    if location.path is None:
        return StoreError(
            f"{location.name} is damaged ({why}); restore a backup, or add the run directories again to an empty database: {_ADD_AGAIN}"
        )
    return StoreError(f"{location.name} is damaged ({why}); move it away and add the run directories again: {_ADD_AGAIN}")


@contextlib.contextmanager
def explained(location: Location) -> Iterator[None]:
    """Turn failures of a database into one line.

    The exceptions that they replace are not chained: a traceback would print what drivers say, which nobody can promise to be without a password.
    """
    try:
        yield
    except QThresholdError:
        raise
    except DBAPIError as error:
        raise _in_words(location, error.orig) from None
    except sqlite3.Error as error:
        raise _in_words(location, error) from None
    except (NoResultFound, MultipleResultsFound):
        raise damaged(location, "a table and its index do not agree") from None
    except UnicodeDecodeError:
        raise damaged(location, "a text in it is no text") from None
    except SQLAlchemyError as error:
        raise StoreError(f"cannot use {location.name}: {location.scrubbed(str(error))}") from None


def _in_words(location: Location, error: BaseException | None) -> QThresholdError:
    if isinstance(error, sqlite3.Error):
        return _of_file(location, error)
    return _of_server(location, error)


def _of_file(location: Location, error: sqlite3.Error) -> QThresholdError:
    code, said = getattr(error, "sqlite_errorname", ""), " ".join(str(error).split())
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(f"another process has been writing to {location.name} for over {LOCK_SECONDS:g} s; wait for it or stop it, then try again")
    if code == "SQLITE_FULL":
        return StoreError(f"cannot write {location.name}: the disk is full; what was added before is kept, free some space and try again")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreError(
            f"cannot write {location.name} ({said}); check the permission of the file and of its folder, which also holds -wal and -shm"
        )
    if code.startswith("SQLITE_IOERR") and code != "SQLITE_IOERR_SHORT_READ":
        return StoreError(f"cannot read or write {location.name} ({said}); check the disk; what was added before is kept")
    return damaged(location, said)


_DISK_FULL, _LOCK_TIMEOUT = "53100", "55P03"
_NO_RIGHT = ("42501", "25006", "3F000")  # no privilege, only reading allowed, no schema that this user may see
_TAKEN = ("42P07", "42701", "42703", "42P01")  # a table or column that should not be there, or should


def _of_server(location: Location, error: BaseException | None) -> QThresholdError:
    state = getattr(error, "sqlstate", None) or ""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)  # without the statement
    said = location.scrubbed(primary or str(error)) or type(error).__name__
    if state == _LOCK_TIMEOUT:
        return StoreError(f"another process has been writing to {location.name} for over {LOCK_SECONDS:g} s; wait for it or stop it, then try again")
    if state == _DISK_FULL:
        return StoreError(f"cannot write {location.name}: the server's disk is full; what was added before is kept")
    if state in _NO_RIGHT:
        return StoreError(f"this user may not write {location.name} ({said}); ask its administrator for the right to")
    if state in _TAKEN:
        return StoreError(f"{location.name} does not hold the tables of a history ({said}); give the history a database of its own")
    if state.startswith("XX"):
        return damaged(location, said)
    lowered = said.lower()
    if "password" in lowered or "authentication" in lowered or "pg_hba.conf" in lowered or ("role" in lowered and "does not exist" in lowered):
        return AuthenticationError(f"{location.name} does not let this user in; check the user, and the password in PGPASSWORD or ~/.pgpass")
    if "database" in lowered and "does not exist" in lowered:
        return InputError(f"the server has no database for {location.name}; make it first: createdb NAME")
    if not state or state.startswith(("08", "57")):
        return StoreError(f"cannot reach {location.name} ({said}); check that the server runs and that the network lets you through")
    return StoreError(f"cannot use {location.name} ({said})")
