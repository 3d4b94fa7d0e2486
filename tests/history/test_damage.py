"""Whatever happens to the file is noticed and said with what to do; nothing wrong is taken for a number."""

import contextlib
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import pytest

from qthreshold.errors import InputError, StoreError
from qthreshold.history import open_history
from qthreshold.history.book import History
from qthreshold.history.location import locate
from reference.measured import measured

ROWS = tuple(("cnot_error", f"{k}-{k + 1}") for k in range(60))
REMEDY = r"is damaged \(.+\); move it away and add the run directories again: qthreshold history add RUN_DIR \.\.\.$"


@pytest.fixture(scope="module")
def _sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "h.db"
    with open_history(path, create=True) as history:
        for k in range(1, 13):
            history.add(measured(f"run {k}", day=k, rows=ROWS, scale=1 + k / 100), "passed")
    return path


@pytest.fixture
def path(_sound, tmp_path):
    return shutil.copy(_sound, tmp_path / "h.db")


def everything(path):
    """All that can be asked of a history: runs, their numbers, their series, and whether it is sound."""
    with open_history(path, create=False) as history:
        faults = history.verify()
        entries = [e.as_dict() | {"added_at": None} for e in history.runs()]
        return faults, entries, [history.measurements(e["run_id"]) for e in entries], history.all_series("chip", "cnot_error", last=None)


@pytest.fixture(scope="module")
def sound(_sound):
    return everything(_sound)


def asked(path):
    """All of it and no error, or nothing and an error."""
    try:
        return everything(path), ""
    except StoreError as error:
        return None, str(error)


def test_a_sound_file_is_sound(path):
    faults, entries, runs, series = everything(path)
    assert (faults, len(entries), len(runs), len(series)) == ([], 12, 12, 60)


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:1],
        lambda data: data[:100],
        lambda data: data[:4096],
        lambda data: b"\0" * len(data),
        lambda data: b"x" * 4096 + data[4096:],
        lambda data: b"SQLite format 3\0" + b"\xff" * 84 + data[100:],
        lambda data: b"# a text of something else\n" * 40,
    ],
    ids=["empty", "one byte", "header", "first page", "zeros", "first page overwritten", "header overwritten", "another file"],
)  # fmt: skip
def test_a_file_that_is_no_database_is_refused_with_what_to_do(path, change, create):
    path.write_bytes(change(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"^{re.escape(str(path))} {REMEDY}"), open_history(path, create=create) as history:
        history.verify()
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_noticed(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    found, error = asked(path)
    assert found[0] if found else re.search(REMEDY, error)


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bits_are_noticed_or_change_nothing(path, sound, seed):
    rng, data = random.Random(seed), bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 1, 40])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    found, error = asked(path)
    if found:
        assert found[0] or found == sound
    else:
        assert re.search(REMEDY, error) or "newer qthreshold" in error


def test_a_changed_number_is_never_given_as_a_run(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE points SET best = best * 1.0001 WHERE run = 3 AND place = 7")
    connection.close()
    with open_history(path, create=False) as history:
        with pytest.raises(StoreError, match=r"\(run run 3 is not as it was written\)"):
            history.measurements("run 3")
        with pytest.raises(StoreError, match="run 3 is not as it was written"):
            history.baseline("chip", "last:1", "run 4")
        assert history.measurements("run 4") == measured("run 4", day=4, rows=ROWS, scale=1.04)
        assert [re.search(r"\((.*)\)", fault)[1] for fault in history.verify()] == ["run run 3 is not as it was written"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE points SET best = 'abc' WHERE run = 3", "UPDATE points SET status = x'00' WHERE run = 3", "UPDATE runs SET taken = NULL WHERE id = 3",
        "UPDATE runs SET taken = 5 WHERE id = 3", "UPDATE runs SET context = '{' WHERE id = 3", "UPDATE runs SET outcome = 'splendid' WHERE id = 3",
        "UPDATE runs SET device = x'ff' WHERE id = 3", "UPDATE runs SET level = 7 WHERE id = 3", "DELETE FROM points WHERE run = 3 AND place = 4",
        "DELETE FROM runs WHERE id = 3", "UPDATE series SET target = '0-9' WHERE id = 3", "UPDATE runs SET calibrated = 1 WHERE id = 3",
        "UPDATE points SET place = 1000 WHERE run = 3 AND place = 4", "UPDATE runs SET missing = 'x' WHERE id = 3",
    ],
)  # fmt: skip
def test_content_that_nobody_wrote_is_found(path, statement):
    with sqlite3.connect(path) as connection:
        try:
            connection.execute(statement)
        except sqlite3.IntegrityError:  # not even possible
            return
    connection.close()
    with open_history(path, create=False) as history:
        assert history.verify()
        for call in (history.runs, lambda: history.all_series("chip", "cnot_error"), lambda: history.measurements("run 3")):
            with contextlib.suppress(StoreError, InputError):  # and no other error
                call()


def test_another_programs_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE music (title TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="no version of a history"):
        open_history(tmp_path / "other.db", create=True)
    assert sqlite3.connect(tmp_path / "other.db").execute("SELECT name FROM sqlite_master").fetchall() == [("music",)]


# what is not damage


def refused(call):
    """The one line of an error."""
    with pytest.raises((StoreError, InputError)) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "damaged" not in str(caught.value)
    return str(caught.value)


def test_places_where_no_history_can_be(tmp_path, path):
    assert "there is no history at" in refused(lambda: open_history(tmp_path / "none.db", create=False))
    assert not (tmp_path / "none.db").exists()
    assert f"there is no folder {tmp_path / 'no'} for the history; make it first" in refused(lambda: open_history(tmp_path / "no/h.db", create=True))
    assert "is a folder; name a file" in refused(lambda: open_history(tmp_path, create=True))
    for below_a_file in (path / "h.db", path / "a" / "h.db"):
        refused(lambda p=below_a_file: open_history(p, create=True))
    refused(lambda: open_history("/proc/self/h.db", create=True))
    assert "File name too long" in refused(lambda: open_history(tmp_path / ("x" * 300), create=True))


@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_the_log_of_a_file_that_was_moved_away_is_not_taken_for_the_new_ones(path, end):
    with open_history(path, create=False) as history:
        history.add(measured("new", day=20))
        shutil.copy(f"{path}{end}", f"{path}.kept")
    path.rename(f"{path}.away")
    shutil.move(f"{path}.kept", f"{path}{end}")
    assert f"{path}{end} is left of a history that is no longer there" in refused(lambda: open_history(path, create=True))
    assert not path.exists()


@contextlib.contextmanager
def no_rights():
    """Whoever runs the tests, somebody who may write to no folder of others for a while; root may write everywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_folders_and_files_without_permission(path):
    with tempfile.TemporaryDirectory() as name:  # not pytest's, which others may not enter
        folder = Path(name)
        shutil.copy(path, folder / "h.db")
        (folder / "h.db").chmod(0o444)
        folder.chmod(0o555)
        with no_rights():
            assert "Permission denied; check the permission of the file and its folder" in refused(lambda: open_history(folder / "n.db", create=True))
            assert "check the permission of the file and of its folder" in refused(lambda: open_history(folder / "h.db", create=False))
        folder.chmod(0o755)
        (folder / "h.db").chmod(0o000)
        folder.chmod(0o000)
        with no_rights():
            assert "Permission denied" in refused(lambda: open_history(folder / "h.db", create=False))
        folder.chmod(0o755)


def full(history, pages):
    """A history whose file can grow no more."""
    history._database._connection.connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_keeps_what_was_there(path):
    with open_history(path, create=False) as history:
        full(history, 1)
        big = measured("big", rows=tuple(("cnot_error", f"{k}-{k + 7}") for k in range(2000)))
        assert "the disk is full; what was added before is kept" in refused(lambda: history.add(big))
    assert everything(path)[0] == []
    assert len(everything(path)[1]) == 12


def test_a_file_that_may_only_be_read_is_not_written(path):
    with open_history(path, create=False) as history:
        history._database._connection.connection.execute("PRAGMA query_only = 1")
        assert "check the permission" in refused(lambda: history.add(measured("new")))
        assert len(history.runs()) == 12


def test_a_lock_that_nobody_lets_go(where, monkeypatch):
    monkeypatch.setattr("qthreshold.history.database.LOCK_SECONDS", 0.3)
    with open_history(where, create=True) as first, open_history(where, create=True) as second:
        first.add(measured("r1"))
        with first._database.writing():
            assert "another process has been writing to" in refused(lambda: second.add(measured("r2")))
            assert [e.run_id for e in second.runs()] == ["r1"]  # readers are not in the way
        assert second.add(measured("r2"))


def test_a_reader_sees_one_state(where):
    with open_history(where, create=True) as writer, open_history(where, create=True) as reader:
        writer.add(measured("r1"))
        with reader._database.reading() as connection:
            assert reader._find(connection, "r1") == "r1"
            writer.remove("r1")
            assert reader._read(connection, "r1") == measured("r1")
        assert reader.runs() == []


def test_a_history_needs_its_packages(tmp_path, monkeypatch):
    for name in [m for m in sys.modules if m.partition(".")[0] == "sqlalchemy" or m.startswith("qthreshold.history.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    assert "pip install 'qthreshold[ci]'" in refused(lambda: open_history(tmp_path / "h.db", create=True))


def test_a_server_needs_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'qthreshold[postgresql]'" in refused(lambda: History(locate("postgresql://u:secret@127.0.0.1:9/x"), create=True))
