"""The run directory: whole files or none, records that come back as they were, damage that is named."""

import json
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from qthreshold import workflow
from qthreshold.backends.noise import Truth
from qthreshold.counts import Counts
from qthreshold.decays import DecayTable
from qthreshold.device import Device
from qthreshold.errors import InputError, RunExistsError, StoreError
from qthreshold.fits import FittedErrors
from qthreshold.identity import Interval, Record
from qthreshold.metrics import DeviceMetrics
from qthreshold.plan import Plan
from qthreshold.store import RunDirectory
from qthreshold.ticket import Ticket
from qthreshold.verdict import Verdicts

RECORDS = {
    "device.json": Device, "truth.json": Truth, "plan.npz": Plan, "tickets/0001.json": Ticket, "counts/0001.npz": Counts, "decays.npz": DecayTable,
    "fits.npz": FittedErrors, "metrics.json": DeviceMetrics, "verdict.json": Verdicts,
}  # fmt: skip


@pytest.fixture(scope="module")
def _finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("store") / "run"
    workflow.run("aer:tiny-5", "quick", out=out, seed=3, workers=1)
    return out


@pytest.fixture
def run(_finished, tmp_path):
    """A copy of a finished run."""
    return RunDirectory(shutil.copytree(_finished, tmp_path / "run"))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Odd(Record):
    """Values that file formats like to change."""

    schema: ClassVar[str] = "test/odd/1"
    reals: npt.NDArray[np.float64]
    small: npt.NDArray[np.float32]
    flags: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.int64]
    big: npt.NDArray[np.uint64]
    interval: Interval
    words: tuple[str, ...]
    nothing: float
    maybe: float | None


def odd():
    return Odd(
        reals=np.array([[0.1, np.nan, -np.inf], [1e-320, np.inf, -0.0]]), small=np.array([0.1, 1 / 3], dtype=np.float32),
        flags=np.array([True, False]), empty=np.zeros((0, 3), dtype=np.int64), big=np.array([2**64 - 1], dtype=np.uint64),
        interval=Interval(low=0.1, best=0.2, high=1 / 3, level=0.95), words=("", "größer", 'a "b"\n'), nothing=float("nan"), maybe=None,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["odd.json", "odd.npz", "deep/er/odd.npz"])
def test_odd_values_come_back_as_they_were(name, tmp_path):
    directory, record = RunDirectory.create(tmp_path / "run"), odd()
    directory.write_record(name, record, software={})
    back = directory.read_record(name, Odd)
    assert back == record
    for field in ("reals", "small", "flags", "empty", "big"):
        value, original = getattr(back, field), getattr(record, field)
        np.testing.assert_array_equal(value, original)
        assert (value.dtype, value.shape) == (original.dtype, original.shape)
        assert not value.flags.writeable
    assert np.signbit(back.reals[1, 2])
    assert back.words == record.words
    assert back.maybe is None


def test_nan_computed_at_run_time_keeps_the_id(tmp_path):
    """0/0 gives a NaN with its sign bit set, which no text file keeps."""
    with np.errstate(invalid="ignore"):
        record = odd().replace(reals=np.zeros((1, 3)) / np.zeros((1, 3)))
    directory = RunDirectory.create(tmp_path / "run")
    for name in ("odd.json", "odd.npz"):
        directory.write_record(name, record, software={})
        assert directory.read_record(name, Odd) == record


@pytest.mark.parametrize("value", [
    {}, {"none": [], "nothing": {}, "deep": {"numbers": [1, 2.5, None, True], "word": 'größer "a"\n'}},
    {"numbers": list(range(1000)), "words": ["ok"] * 201, "rows": [{"a": i, "b": [i, {"c": None}]} for i in range(300)]},
    {"mixed": [*range(300), {"a": 1}, [2]], "pairs": [[i, i + 1] for i in range(1000)], "tuple": (1, 2)},
])  # fmt: skip
def test_documents_come_back_as_they_were_however_long(value, tmp_path):
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_json("a.json", value)
    assert directory.read_json("a.json") == json.loads(json.dumps(value))
    text = (directory.path / "a.json").read_text()
    if not any(len(v) > 200 for v in value.values()):
        assert text == json.dumps(value, indent=1) + "\n"


def test_long_lists_are_laid_out_in_rows(tmp_path):
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_json("a.json", {"numbers": list(range(1000)), "rows": [{"a": i} for i in range(300)]})
    lines = (directory.path / "a.json").read_text().splitlines()
    assert "  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19," in lines
    assert '  {"a": 299}' in lines
    assert len(lines) == 2 + 2 + 50 + 2 + 300


@pytest.mark.parametrize(("name", "cls"), RECORDS.items(), ids=RECORDS)
def test_every_record_is_written_and_read_without_change(name, cls, run, tmp_path):
    record = run.read_record(name, cls)
    other = RunDirectory.create(tmp_path / "other")
    for again in (name, f"again.{'npz' if name.endswith('json') else 'json'}"):  # in either format
        other.write_record(again, record, software={})
        assert other.read_record(again, cls).id == record.id


@pytest.mark.parametrize(("name", "cls"), RECORDS.items(), ids=RECORDS)
def test_headers_carry_schema_id_parents_software_and_units(name, cls, run):
    if name.endswith(".json"):
        header = run.read_json(name)
    else:
        with np.load(run.path / name, allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes())
    assert header["schema"] == cls.schema
    assert re.fullmatch(r"[0-9a-f]{64}", header["id"])
    assert header["software"]["qthreshold"]
    assert header["units"]["error"] == "average gate infidelity"
    parents = {"plan.npz": "device_id", "decays.npz": "plan_id", "fits.npz": "decays_id", "metrics.json": "fits_id", "verdict.json": "metrics_id"}
    if name in parents:
        assert parents[name] in header["parents"]


def test_each_record_names_its_parent(run):
    records = {name: run.read_record(name, cls) for name, cls in RECORDS.items()}
    assert records["plan.npz"].device_id == records["device.json"].id
    assert records["counts/0001.npz"].plan_id == records["decays.npz"].plan_id == records["tickets/0001.json"].plan_id == records["plan.npz"].id
    assert records["fits.npz"].decays_id == records["decays.npz"].id
    assert records["metrics.json"].fits_id == records["fits.npz"].id
    assert records["verdict.json"].metrics_id == records["metrics.json"].id


def test_a_truncated_record_is_named(run):
    for name, cls in RECORDS.items():
        data = (run.path / name).read_bytes()
        for keep in (0, 1, len(data) // 3, len(data) - 20):
            (run.path / name).write_bytes(data[:keep])
            with pytest.raises(StoreError, match=re.escape(str(run.path / name))):
                run.read_record(name, cls)


def test_a_flipped_bit_is_named_or_harmless(run):
    """Some bits do not matter (dates in the zip archive, software versions); every other one is noticed."""
    rng = np.random.default_rng(1)
    for name, cls in RECORDS.items():
        data = (run.path / name).read_bytes()
        known, noticed = run.read_record(name, cls).id, 0
        for position in rng.integers(len(data), size=40):
            flipped = bytearray(data)
            flipped[position] ^= 1 << rng.integers(8)
            (run.path / name).write_bytes(flipped)
            try:
                found = run.read_record(name, cls).id
            except StoreError as error:
                found = known if str(run.path / name) in str(error) else str(error)
                noticed += 1
            assert found == known
        assert noticed >= 10


def test_an_edited_number_is_noticed(run):
    document = run.read_json("metrics.json")
    document["fields"]["mean"]["best"] = 1e-6
    (run.path / "metrics.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match=r"metrics\.json was changed: its content does not match its id"):
        run.read_record("metrics.json", DeviceMetrics)


def test_a_record_of_another_schema_is_refused(run):
    with pytest.raises(StoreError, match=r"fits\.npz: schema qthreshold/fits/3, this version reads qthreshold/decays/2"):
        run.read_record("fits.npz", DecayTable)
    document = run.read_json("device.json")
    document["schema"] = "qthreshold/device/99"
    (run.path / "device.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match="schema qthreshold/device/99, this version reads"):
        run.read_record("device.json", Device)


def test_pickled_arrays_are_not_loaded(run):
    with np.load(run.path / "fits.npz", allow_pickle=False) as archive:
        content = {k: archive[k] for k in archive.files}
    content["array.cnot"] = np.array([print], dtype=object)
    np.savez(run.path / "fits.npz", **content)
    with pytest.raises(StoreError, match=r"fits\.npz is damaged"):
        run.read_record("fits.npz", FittedErrors)


def test_json_with_nan_is_never_written(run):
    with pytest.raises(ValueError, match="JSON"):
        run.write_json("summary.json", {"error": float("nan")})
    assert run.verify() == []


def test_verify_finds_missing_changed_and_unlisted_files(run):
    assert run.verify() == []
    (run.path / "fits.npz").unlink()
    (run.path / "counts/0001.npz").write_bytes(b"x")
    (run.path / "notes.txt").write_text("mine")
    assert run.verify() == ["fits.npz: missing", "notes.txt: not in the manifest", "counts/0001.npz: changed since it was written"]


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"files": 3}', "null", '{"files"'])
def test_a_damaged_manifest_is_named_and_sealing_rebuilds_it(damage, run):
    (run.path / "manifest.json").write_text(damage)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        run.verify()
    with pytest.raises(StoreError, match=r"manifest\.json"):
        run.write_json("more.json", {})
    run.seal()
    assert run.verify() == []


def test_sealing_lists_what_a_kill_left_unlisted_and_removes_half_written_files(run):
    manifest = json.loads((run.path / "manifest.json").read_text())
    for name in ("counts/0005.npz", "fits.npz"):
        del manifest["files"][name]
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    for leftover in (".plan.npz.123.tmp", "counts/.0001.npz.99.tmp"):
        (run.path / leftover).write_bytes(b"half")
    assert run.verify() == ["counts/0005.npz: not in the manifest", "fits.npz: not in the manifest"]
    run.seal()
    assert run.verify() == []
    assert not list(run.path.rglob(".*.tmp"))


def test_sealing_does_not_hide_damage_to_measured_data(run):
    data = bytearray((run.path / "counts/0001.npz").read_bytes())
    data[100] ^= 1
    (run.path / "counts/0001.npz").write_bytes(data)
    run.seal()
    assert run.verify() == ["counts/0001.npz: changed since it was written"]


def test_sealing_does_not_hide_damage_to_what_can_be_made_again(run):
    (run.path / "fits.npz").write_bytes((run.path / "fits.npz").read_bytes() + b"x")
    run.seal()
    assert run.verify() == ["fits.npz: changed since it was written"]
    run.write_file("fits.npz", b"anew")
    assert run.verify() == []


def test_a_kill_between_a_file_and_its_entry_is_no_damage(run, monkeypatch):
    write, written = RunDirectory._write_manifest, []

    def killed(self, files):
        written.append(files)
        if len(written) > 1:
            raise KeyboardInterrupt
        write(self, files)

    monkeypatch.setattr(RunDirectory, "_write_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        run.write_file("fits.npz", b"anew")
    monkeypatch.undo()
    assert (run.path / "fits.npz").read_bytes() == b"anew"
    assert run.verify() == ["fits.npz: not in the manifest"]
    run.seal()
    assert run.verify() == []


def test_half_written_files_are_not_counted_as_finished(run):
    before = run.names("counts")
    (run.path / "counts/.0009.npz.1.tmp").write_bytes(b"half")
    assert run.names("counts") == before == [f"counts/{i:04d}.npz" for i in range(6)]
    assert run.names("nowhere") == []


def test_create_makes_missing_parents_and_accepts_an_empty_directory(tmp_path):
    assert RunDirectory.create(tmp_path / "a/b/c").path.is_dir()
    assert RunDirectory.create(tmp_path / "a/b/c").path.is_dir()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("run/notes.txt", "mine", "not empty"), ("run/.hidden", "mine", "not empty"), ("run/folder/file", "mine", "not empty"),
     ("run/run.json", "{}", "already holds a run"), ("run", "mine", "is a file"), ("run/device.json", "{}", "not empty"),
     ("run/plan.npz", "mine", "not empty"), ("run/manifest.json", "{}", "not empty")],
)  # fmt: skip
def test_create_refuses_what_it_would_overwrite(name, content, words, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(RunExistsError, match=words):
        RunDirectory.create(tmp_path / "run")
    assert path.read_text() == content


def test_create_refuses_a_finished_run_and_one_that_lost_its_header(run):
    with pytest.raises(RunExistsError, match="already holds a run"):
        RunDirectory.create(run.path)
    (run.path / "run.json").unlink()
    with pytest.raises(RunExistsError, match="not empty"):
        RunDirectory.create(run.path)
    assert len(run.names("counts")) == 6


def test_create_below_a_file_says_why_it_cannot(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"cannot write .*file/run"):
        RunDirectory.create(tmp_path / "file/run")


def test_open_needs_a_run(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="is not a run directory"):
            RunDirectory.open(path)


def test_a_missing_record_says_what_to_do(run):
    (run.path / "fits.npz").unlink()
    with pytest.raises(StoreError, match=r"fits\.npz does not exist; run the earlier stages first, or 'qthreshold resume"):
        run.read_record("fits.npz", FittedErrors)


def write_big(path):
    """Overwrite a record with one that is too big for the disk, in a process of its own."""
    code = (
        "import sys, pathlib, numpy as np\n"
        "from qthreshold.store import RunDirectory\n"
        "from qthreshold.errors import StoreError\n"
        "from qthreshold.backends.noise import Truth\n"
        "noise = np.random.default_rng(1).random(50_000)\n"
        "try:\n"
        "    RunDirectory(pathlib.Path(sys.argv[1])).write_record(sys.argv[2], Truth(cnot_error=noise, one_qubit_error=noise, readout_error=noise),"
        " software={})\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    return lambda name, **options: subprocess.run(
        [sys.executable, "-c", code, path, name], capture_output=True, encoding="utf-8", check=True, **options
    ).stdout  # fmt: skip


@pytest.mark.parametrize("name", ["truth.json", "fits.npz", "new.npz"])
def test_a_write_that_fails_leaves_the_old_file_whole(name, run):
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    said = write_big(run.path)(name, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)))
    assert said.startswith(f"cannot write {run.path / name}: File too large")
    assert said.count("\n") == 1
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before
    assert run.verify() == []


def test_a_full_disk_leaves_the_old_file_whole(run, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "none", disk], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        copy = RunDirectory(shutil.copytree(run.path, disk / "run"))
        said = write_big(copy.path)("truth.json")
        assert "No space left on device" in said
        assert copy.read_record("truth.json", Truth) == run.read_record("truth.json", Truth)
        assert copy.verify() == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_no_file_holds_a_path_of_this_machine(run):
    for path in run.path.rglob("*"):
        if path.suffix == ".json":
            assert str(run.path.parent) not in path.read_text()


def test_an_input_that_is_gone_stays_missed_whatever_is_done_next(tmp_path):
    run = RunDirectory.create(tmp_path / "run")
    run.write_json("run.json", {"schema": "qthreshold/run/1"})
    run.write_file("decays.csv", b"x")
    (run.path / "decays.csv").unlink()
    run.seal()
    assert run.verify() == ["decays.csv: missing"]
