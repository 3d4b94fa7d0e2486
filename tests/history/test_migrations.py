"""Every version of the database that was ever written is brought to today's with all of its runs; newer ones are refused."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from qthreshold.errors import StoreError
from qthreshold.history import migrate, open_history
from qthreshold.history.database import Database
from qthreshold.history.location import locate
from qthreshold.history.tables import VERSION, metadata
from reference.measured import golden_runs, measured

GOLDEN = Path(__file__).parents[1] / "golden"
FOLDER = migrate._FOLDER
NEXT = '''
from alembic import op
from sqlalchemy import Column, Text

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("runs", Column("remark", Text, nullable=False, server_default="none"))
'''


def written(version, path):
    """A file as that version wrote it."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript((GOLDEN / f"history-{version}.sql").read_text())
    connection.close()
    return path


def versions():
    return sorted(script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions())


def test_the_tables_are_of_the_last_migration():
    assert versions()[-1] == VERSION
    assert versions() == [f"{k + 1:04}" for k in range(len(versions()))]


@pytest.mark.parametrize("version", versions())
def test_a_database_of_any_version_keeps_its_runs(version, tmp_path):
    path = written(version, tmp_path / "h.db")
    with open_history(path, create=False) as history:
        assert history.verify() == []
        assert [(history.measurements(e.run_id), e.outcome) for e in history.runs()] == golden_runs()
        assert history.add(measured("new", day=3))
        assert history.series("chip", "cnot_error", "3-4").run_ids == ("golden-1", "new")
    assert version_of(path) == VERSION


def version_of(path):
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT version_num FROM qthreshold_version").fetchall()
    connection.close()
    return found[0][0] if len(found) == 1 else found


def test_migrations_make_the_tables_that_are_stated(tmp_path):
    with open_history(tmp_path / "migrated.db", create=True):
        pass
    engine = create_engine(f"sqlite:///{tmp_path / 'stated.db'}")
    metadata.create_all(engine)
    engine.dispose()
    found = []
    for name in ("migrated", "stated"):
        with sqlite3.connect(tmp_path / f"{name}.db") as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%version%'").fetchall()
        connection.close()
        found.append({name: " ".join(sql.split()).replace(" )", ")") for name, sql in rows if sql})
    assert found[0] == found[1]


def test_migrations_make_them_on_a_server_too(postgresql):
    from alembic.autogenerate import compare_metadata

    database = Database(locate(postgresql.place()), create=True)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "qthreshold_version", "compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert inspect(connection).get_pk_constraint("points")["constrained_columns"] == ["series", "run"]
    database.close()


@pytest.fixture
def later(tmp_path):
    """The migrations of a later version."""
    shutil.copytree(FOLDER, tmp_path / "later")
    (tmp_path / "later/versions/r0002_later.py").write_text(NEXT)
    return tmp_path / "later"


def test_a_later_version_changes_the_tables_and_loses_nothing(where, later, monkeypatch):
    with open_history(where, create=True) as history:
        for m, outcome in golden_runs():
            history.add(m, outcome)
    with monkeypatch.context() as patched:
        patched.setattr(migrate.knows, "__defaults__", (later,))
        patched.setattr(migrate.upgrade, "__defaults__", ("0002", later))
        patched.setattr("qthreshold.history.database.VERSION", "0002")
        for _ in range(2):
            with open_history(where, create=False) as history:
                assert [(history.measurements(e.run_id), e.outcome) for e in history.runs()] == golden_runs()
                with history._database.reading() as connection:
                    assert "remark" in {c["name"] for c in inspect(connection).get_columns("runs")}
    with pytest.raises(StoreError, match=r"was written by a newer qthreshold \(version 0002, this one knows 0001\)"):
        open_history(where, create=True)


def test_a_migration_that_fails_changes_nothing(where, later, monkeypatch):
    with open_history(where, create=True) as history:
        history.add(measured())
    (later / "versions/r0002_later.py").write_text(NEXT + "    op.execute('INSERT INTO nowhere VALUES (1)')\n")
    with monkeypatch.context() as patched:
        patched.setattr(migrate.knows, "__defaults__", (later,))
        patched.setattr(migrate.upgrade, "__defaults__", ("0002", later))
        patched.setattr("qthreshold.history.database.VERSION", "0002")
        with pytest.raises(StoreError, match="nowhere"):
            open_history(where, create=False)
    with open_history(where, create=False) as history:
        assert history.measurements("r1") == measured()
        with history._database.reading() as connection:
            assert "remark" not in {c["name"] for c in inspect(connection).get_columns("runs")}
