"""Places for histories: a file, and a schema of a PostgreSQL server that a session starts where its programs are installed."""

import contextlib
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

PASSWORD = "pl4nted:p@ss/w0rd?#%"  # every character that a URL has a meaning for
ENCODED = "pl4nted%3Ap%40ss%2Fw0rd%3F%23%25"
_schemas = itertools.count()


class Server:
    """A running PostgreSQL server, on loopback, with one user who has a password."""

    def __init__(self, port):
        self.port = port

    def url(self, *, user="lab", password=ENCODED, database="postgres", options=""):
        """Where it is."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}{options}"

    def place(self):
        """A new, empty place for one history."""
        import psycopg

        schema = f"t{next(_schemas)}"
        with psycopg.connect(host="127.0.0.1", port=self.port, user="lab", password=PASSWORD, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
        return self.url(options=f"?options=-csearch_path%3D{schema}")


def _programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))  # Debian's are not in the path
    elsewhere = shutil.which("initdb")
    return found[-1].parent if found else Path(elsewhere).parent if elsewhere else None


def _as_user():
    """How to run the server, which refuses to be root."""
    if os.geteuid() != 0:
        return [], None
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam("postgres")
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"], user
    return None, None


@pytest.fixture(scope="session")
def postgresql():
    """A server; one for each process of the tests."""
    programs, (prefix, user) = _programs(), _as_user()
    if programs is None or prefix is None:
        missing = "PostgreSQL is not installed (apt-get install postgresql), or there is no user to run it as"
        pytest.fail(missing) if os.environ.get("QTHRESHOLD_POSTGRESQL_TESTS") == "required" else pytest.skip(missing)
    folder = Path(tempfile.mkdtemp(prefix="qthreshold-postgresql-"))  # not pytest's, which other users may not enter
    try:
        (folder / "password").write_text(PASSWORD)
        if user is not None:
            for path in (folder, folder / "password"):
                os.chown(path, user.pw_uid, user.pw_gid)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]

        def call(*words):
            subprocess.run([*prefix, *words], cwd=folder, check=True, capture_output=True, timeout=60)

        call(programs / "initdb", "-D", "data", "-U", "lab", "-A", "scram-sha-256", "--pwfile=password", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off -c max_connections=60"
        call(programs / "pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")
        try:
            yield Server(port)
        finally:
            call(programs / "pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["file", "postgresql"])
def where(request, tmp_path):
    """Where a new history can be."""
    if request.param == "file":
        return str(tmp_path / "history.db")
    return request.getfixturevalue("postgresql").place()
