"""A password is planted in the URL, and looked for in everything that is said, whatever fails."""

import socket

import pytest

from history.conftest import ENCODED, PASSWORD
from qthreshold.errors import AuthenticationError, StoreError
from qthreshold.history import open_history
from reference.commands import here, qthreshold
from reference.measured import measured


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


COMMANDS = [("list",), ("show", "r1"), ("trend",), ("list", "--json"), ("trend", "--json"), ("export",), ("verify",), ("prune", "--keep", "1", "-y")]


def search(answer):
    """The password is nowhere, in no spelling."""
    for secret in (PASSWORD, ENCODED, repr(PASSWORD)[1:-1], "pl4nted", "w0rd"):
        assert secret not in answer.out
        assert secret not in answer.err
    return answer


@pytest.fixture
def faults(postgresql):
    """URLs of which each fails in its own way, and what is said."""
    import psycopg

    settings = {"host": "127.0.0.1", "port": postgresql.port, "user": "lab", "password": PASSWORD, "dbname": "postgres", "autocommit": True}
    with psycopg.connect(**settings) as connection:
        connection.execute("DROP SCHEMA IF EXISTS foreign_tables CASCADE")
        connection.execute("CREATE SCHEMA foreign_tables")
        connection.execute("CREATE TABLE foreign_tables.runs (id integer)")
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'pl4nted'")
    place = postgresql.place()
    return {
        "wrong password": (postgresql.url(password=f"{ENCODED}x"), "does not let this user in; check the user, and the password in PGPASSWORD", 2),
        "wrong user": (postgresql.url(user="nobody"), "does not let this user in", 2),
        "no database": (postgresql.url(database="nothing"), "the server has no database", 2),
        "nobody there": (f"postgresql://lab:{ENCODED}@127.0.0.1:{free_port()}/postgres", "cannot reach", 4),
        "no such host": (f"postgresql://lab:{ENCODED}@no-such-host.invalid/postgres", "cannot reach", 4),
        "option unknown": (postgresql.url(options=f"?colour={ENCODED}&password={ENCODED}"), "cannot", 4),
        "option wrong": (postgresql.url(options="?sslmode=pl4nted&password=pl4nted"), "cannot", 4),
        "not encoded": (f"postgresql://lab:{PASSWORD}@127.0.0.1:{postgresql.port}/postgres", "cannot be read", 2),
        "port": (f"postgresql://lab:{ENCODED}@127.0.0.1:{ENCODED}/postgres", "cannot be read", 2),
        "no history": (place, "holds no history; start one with", 2),
        "foreign tables": (postgresql.url(options="?options=-csearch_path%3Dforeign_tables"), "", None),
        "no privilege": (postgresql.url(user="reader", password="pl4nted", options="?options=-csearch_path%3Dforeign_tables"), "", None),
    }  # fmt: skip


@pytest.mark.parametrize("debug", [False, True])
def test_no_failure_says_the_password(faults, debug, monkeypatch, capsys):
    for name, (url, message, code) in faults.items():
        for command in COMMANDS[:1] if name == "no such host" else COMMANDS[:3]:
            monkeypatch.setenv("QTHRESHOLD_HISTORY", url)
            answer = search(here([*(["--debug"] if debug else []), "history", *command], monkeypatch, capsys))
            assert message in answer.err, name
            assert ("Traceback" in answer.err) == debug
            assert "direct cause" not in answer.err, name
            assert debug or answer.err.count("\n") == 1, name
            assert answer.code in ((code,) if code else (2, 4)), name


def test_foreign_tables_and_missing_rights_are_named(faults):
    with pytest.raises(StoreError, match=r"does not hold the tables of a history .*already exists.*; give the history a database of its own"):
        open_history(faults["foreign tables"][0], create=True)
    with pytest.raises(StoreError, match=r"this user may not write .*no schema has been selected") as caught:
        open_history(faults["no privilege"][0], create=True)
    assert "pl4nted" not in str(caught.value)
    with pytest.raises(AuthenticationError):
        open_history(faults["wrong password"][0], create=True)


def test_no_command_that_works_says_the_password(postgresql, monkeypatch, capsys):
    url = postgresql.place()
    with open_history(url, create=True) as history:
        history.add(measured("r1"), "passed")
        history.add(measured("r2", day=2))
        said = repr(history) + repr(history.name) + repr(history._location) + repr(history._database._connection.engine)
        assert all(secret not in said for secret in (PASSWORD, ENCODED, "pl4nted"))
    monkeypatch.setenv("QTHRESHOLD_HISTORY", url)
    for command in (("--help",), ("list", "--help"), *COMMANDS, ("show", "r9"), ("trend", "-d", "chop"), ("prune", "--keep", "0")):
        answer = search(here(["history", *command], monkeypatch, capsys))
        assert answer.err.count("\n") <= 1
    assert "postgresql://lab@127.0.0.1" in here(["history", "list"], monkeypatch, capsys).out


@pytest.mark.parametrize(
    "words", [("list", "URL"), ("add", "URL"), ("show", "URL"), ("trend", "-d", "URL"), ("prune", "--run", "URL", "-y"), ("list", "--last", "URL")]
)
def test_a_url_in_the_wrong_place_keeps_its_password(words, postgresql, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with open_history("qthreshold-history.db", create=True) as history:
        history.add(measured("r1"))
    url = postgresql.url()
    answer = search(here(["history", *(url if w == "URL" else w for w in words)], monkeypatch, capsys))
    assert (answer.code, answer.err.count("\n")) == (2, 1)


def test_a_lost_connection_is_said_in_one_line(postgresql):
    import psycopg

    with open_history(postgresql.place(), create=True) as history:
        history.add(measured())
        with psycopg.connect(host="127.0.0.1", port=postgresql.port, user="lab", password=PASSWORD, dbname="postgres", autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'qthreshold'")
        with pytest.raises(StoreError, match=r"^cannot reach postgresql://lab@127\.0\.0\.1") as caught:
            history.runs()
        assert "\n" not in str(caught.value)


def test_a_fresh_process_says_no_password_in_a_traceback(postgresql):
    answer = search(qthreshold("--debug", "history", "list", env={"QTHRESHOLD_HISTORY": postgresql.url(password=f"{ENCODED}x")}))
    assert "Traceback" in answer.err
    assert answer.code == 2
