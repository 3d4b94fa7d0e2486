"""Runs on a control stack of one's own: circuits leave as files, a program that knows nothing of qthreshold runs them, counts come back."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold import workflow
from qthreshold.backends import open_backend
from qthreshold.backends.base import is_provider, is_simulator
from qthreshold.counts import Counts, add_counts
from qthreshold.datafiles import shipped
from qthreshold.errors import InputError
from qthreshold.plan import circuit_name
from qthreshold.store import RunDirectory
from reference.commands import PROFILE, Answer, content_of, here, plain_environment
from reference.countsfiles import ORDERS, as_csv, as_json, readings

LAB = Path(__file__).parents[1] / "reference" / "lab_program.py"
RECIPE = """\
schema = "qthreshold/recipe/1"
name = "short"

[readout]
patterns = 2
shots = 100

[one_qubit]
lengths = [1, 6]
sequences = 3
shots = 100

[two_qubit]
lengths = [1, {longest}]
sequences = 6
shots = 500
"""
CHIP = {"seed": 1, "pair_error": 0.02, "readout_error": 0.01}


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a command in this process, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: here(args, monkeypatch, capsys)


def good(answer):
    assert (answer.code, answer.err) == (0, "")
    return " ".join(answer.out.split())


def lab(folder, out, *order):
    done = subprocess.run(
        [sys.executable, str(LAB), str(folder), str(out), json.dumps(CHIP), *order], env=plain_environment() | {"PYTHONPATH": ""}, check=False,
        capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize(("form", "name", "longest", "order"), [("qasm3", "counts.json", 8, []), ("qpy", "counts.csv", 12, ["qubit0-first"])])
def test_a_chip_is_measured_by_a_program_that_knows_nothing_of_us(form, name, longest, order, call, tmp_path):
    (tmp_path / "chip.toml").write_text(PROFILE.replace("6e-3", "3e-2"))  # what the lab thinks of its chip, not what the chip does
    (tmp_path / "short.toml").write_text(RECIPE.format(longest=longest))
    assert "Next: qthreshold circuits export lab" in good(call("plan", "lab", "-b", "offline:chip.toml", "-r", "short.toml", "--seed", 5))
    assert "qthreshold ingest lab FILE" in good(call("circuits", "export", "lab", "--format", form, "--no-progress"))
    good(call("verify", "lab"))
    lab(tmp_path / "lab/circuits", tmp_path / name, *order)
    assert "Next: qthreshold resume lab" in good(call("ingest", "lab", name, *(["--bit-order", *order] if order else [])))
    summary = json.loads(good(call("resume", "lab", "--json", "--no-progress")))
    mean = summary["cnot_error"]["mean"]
    sigma = (mean["high"] - mean["low"]) / 2 / 1.96
    assert abs(mean["best"] - CHIP["pair_error"]) < 4 * sigma
    assert sigma < 0.15 * CHIP["pair_error"]  # so that the line above means something
    assert all(abs(q["readout_error"]["best"] - CHIP["readout_error"]) < 0.03 for q in summary["qubits"])
    assert summary["cnot_error"]["true_mean"] is None
    assert not (tmp_path / "lab/truth.json").exists()
    good(call("verify", "lab"))
    for stage in ("submit", "collect", "resume"):
        good(call(stage, "lab", "--no-progress"))


@pytest.fixture(scope="session")
def _twins(tmp_path_factory):
    """A planned offline run, and a run of the same plan whose counts stand in for a lab's."""
    folder = tmp_path_factory.mktemp("twins")
    workflow.run("aer:tiny-5", "quick", out=folder / "twin", seed=7, workers=1)
    with open_backend("offline:tiny-5") as backend:
        workflow.make_run(folder / "lab", backend=backend, recipe=workflow.load_recipe("quick"), seed=7)
    return folder


@pytest.fixture
def twins(_twins, tmp_path):
    """Copies: the offline run, its twin, and the twin's counts."""
    for name in ("lab", "twin"):
        shutil.copytree(_twins / name, tmp_path / name)
    return RunDirectory(tmp_path / "lab"), RunDirectory(tmp_path / "twin"), counts_of(tmp_path / "twin")


def counts_of(path):
    twin = RunDirectory(path)
    return add_counts(twin.read_record(name, Counts) for name in twin.names("counts"))


def rows_of(run, counts, **options):
    device, plan = workflow.load_plan(run)
    return readings(plan, device, counts, **options)


def halves(rows):
    names = sorted(rows)
    return ({n: rows[n] for n in names[::2]}, {n: rows[n] for n in names[1::2]})


def test_counts_of_a_simulator_that_travel_as_files_give_the_same_results(twins, call, tmp_path):
    run, twin, counts = twins
    (tmp_path / "all.json").write_text(as_json(rows_of(run, counts)))
    document = json.loads(good(call("ingest", "lab", "all.json", "--json")))
    assert document == {"ticket": 0, "circuits": 138, "shots": 22_800, "planned": 138, "missing": []}
    assert run.read_record("counts/0000.npz", Counts) == counts
    assert call("resume", "lab", "-q") == Answer(0, "", "")
    for name in ("plan.npz", "decays.npz", "fits.npz", "metrics.json", "verdict.json"):
        assert (run.path / name).read_bytes() == (twin.path / name).read_bytes()
    before = content_of(run.path)
    for name in ("submit", "collect", "analyse", "judge", "report", "resume", "verify"):
        assert call(name, "lab", "-q") == Answer(0, "", "")
    assert content_of(run.path) == before


def test_files_follow_each_other_and_what_is_missing_is_said(twins, call, tmp_path):
    run, twin, counts = twins
    for number, (rows, order) in enumerate(zip(halves(rows_of(run, counts, full=False)), ORDERS, strict=True)):
        turned = {n: [(b if order == "qubit0-last" else b[::-1], k) for b, k in found] for n, found in rows.items()}
        (tmp_path / f"{number}.csv").write_text(as_csv(turned))
    missing = "counts of 138 of 138 circuits are missing, and offline:tiny-5 runs nothing by itself: write the circuits with 'qthreshold circuits"
    for stage in (["submit"], ["collect"], ["analyse"], ["analyse", "--partial"], ["resume"]):
        answer = call(stage[0], "lab", *stage[1:])
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert missing in answer.err
    said = good(call("ingest", "lab", "0.csv", "--bit-order", ORDERS[0]))
    assert "69 circuits" in said
    assert "69 of 138 circuits are missing, first c000001-" in said
    assert "qthreshold analyse lab --partial" in said
    for stage in ("analyse", "resume"):
        answer = call(stage, "lab")
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert "counts of 69 of 138 circuits are missing" in answer.err
        assert "qthreshold analyse lab --partial" in answer.err
    good(call("analyse", "lab", "--partial"))
    good(call("judge", "lab"))
    good(call("report", "lab"))
    assert "Next: qthreshold resume lab" in good(call("ingest", "lab", "1.csv", "--bit-order", ORDERS[1]))
    assert not run.has("decays.npz")
    good(call("resume", "lab", "--no-progress"))
    assert (run.path / "decays.npz").read_bytes() == (twin.path / "decays.npz").read_bytes()
    good(call("verify", "lab"))
    answer = call("ingest", "lab", "1.csv", "--bit-order", ORDERS[1])
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "were ingested before" in answer.err
    files = [e["file"] for e in run.read_events() if e["event"] == "ingest"]
    assert files == ["0.csv", "1.csv"]


@pytest.mark.parametrize("written", ["decays.npz", "counts/0001.npz", "tickets/0001.json"])
def test_an_ingest_that_was_killed_can_be_repeated(written, twins, tmp_path, monkeypatch):
    run, twin, counts = twins
    for number, rows in enumerate(halves(rows_of(run, counts))):
        (tmp_path / f"{number}.json").write_text(as_json(rows))
    workflow.ingest_counts(run, tmp_path / "0.json")
    workflow.analyse(run, partial=True)
    write, discard = RunDirectory._replace, RunDirectory.discard_derived

    def killed(directory, name, data):
        if name == written:
            raise KeyboardInterrupt
        write(directory, name, data)

    def discarded(directory):
        discard(directory)
        if written == "decays.npz":
            raise KeyboardInterrupt

    monkeypatch.setattr(RunDirectory, "_replace", killed)
    monkeypatch.setattr(RunDirectory, "discard_derived", discarded)
    with pytest.raises(KeyboardInterrupt):
        workflow.ingest_counts(run, tmp_path / "1.json")
    monkeypatch.undo()
    workflow.analyse(run, partial=True)  # the first half, as before
    assert len(workflow.load_plan(run)[1].circuit_shots) == 138
    assert workflow.ingest_counts(run, tmp_path / "1.json").missing == ()
    workflow.resume(run)
    assert run.verify() == []
    assert (run.path / "decays.npz").read_bytes() == (twin.path / "decays.npz").read_bytes()


def test_counts_that_were_lost_can_be_brought_again_also_in_parts(twins, tmp_path):
    run, twin, counts = twins
    rows = rows_of(run, counts)
    (tmp_path / "all.json").write_text(as_json(rows))
    for number, some in enumerate(halves(rows)):
        (tmp_path / f"{number}.json").write_text(as_json(some))
    workflow.ingest_counts(run, tmp_path / "all.json")
    (run.path / "counts/0000.npz").unlink()
    with pytest.raises(InputError, match="counts of 138 of 138"):
        workflow.resume(run)
    assert len(workflow.ingest_counts(run, tmp_path / "1.json").missing) == 69
    workflow.ingest_counts(run, tmp_path / "0.json")
    workflow.resume(run)
    for name in ("counts/0000.npz", "counts/0001.npz"):
        (run.path / name).unlink()
    workflow.ingest_counts(run, tmp_path / "all.json")
    workflow.resume(run)
    assert run.verify() == []
    assert (run.path / "decays.npz").read_bytes() == (twin.path / "decays.npz").read_bytes()


def test_the_documented_counts_files_are_taken(twins, call, tmp_path):
    text = (shipped("circuits") / "README.md").read_text(encoding="utf-8")
    (tmp_path / "doc.json").write_text(text.partition("A counts file:\n")[2].partition("or, with")[0])
    assert "2 circuits, 1,000 shots" in good(call("ingest", "lab", "doc.json"))
    table = text.partition("as CSV:\n")[2].partition("- **")[0]
    (tmp_path / "doc.csv").write_text(table + "c000000-readout-layer0-m0-k0,10101,9\n")  # the line that the example leaves out
    answer = call("ingest", "lab", "doc.csv", "--bit-order", "qubit0-last")
    assert "were ingested before" in answer.err  # all of it could be read


def _changed(rows, kind, at):
    """Rows with one mistake in one of them."""
    name = sorted(rows)[at % len(rows)]
    found = rows[name]
    (bits, count), rest = found[at % len(found)], [r for i, r in enumerate(found) if i != at % len(found)]
    wrong = {
        "more": [(bits, count + 1)], "less": [(bits, count - 1)] if count > 1 else [],
        "zero": [(bits, count), ("".join("10"[int(b)] for b in bits), 0)],
        "letter": [("x" + bits[1:], count)], "short": [(bits[:-1], count)], "long": [(bits + "0", count)], "negative": [(bits, -count)],
    }  # fmt: skip
    if kind == "unknown":
        return {f"{n}x" if n == name else n: r for n, r in rows.items()}
    return rows | {name: rest + wrong[kind]}


@pytest.fixture(scope="session")
def refusing(_twins, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refusing")
    run = RunDirectory(shutil.copytree(_twins / "lab", folder / "lab"))
    with run.locked():
        pass
    return run, rows_of(run, counts_of(_twins / "twin")), content_of(run.path)


@given(st.sampled_from(["more", "less", "zero", "letter", "short", "long", "negative", "unknown"]), st.integers(0, 10**6), st.booleans())
def test_a_file_with_one_mistake_leaves_every_byte_of_the_run_as_it_was(refusing, kind, at, csv_form):
    run, rows, before = refusing
    path = run.path.parent / "wrong"
    path.write_text(as_csv(_changed(rows, kind, at)) if csv_form else as_json(_changed(rows, kind, at)))
    with pytest.raises(InputError):
        workflow.ingest_counts(run, path, "qubit0-last")
    assert content_of(run.path) == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["lab", "none.json"], "no counts file at none.json"), (["lab", "."], "cannot read counts file"),
        (["none", "good.json"], "not a run directory"),
        (["twin", "good.json"], "is a run of aer:tiny-5; counts from elsewhere belong to a run that was planned for it"),
        (["lab", "good.json", "--decays", "good.json"], "got both"), (["lab", "good.json", "--name", "x"], "--name goes with --decays only"),
        (["lab", "good.json", "--confidence", "0.9"], "--confidence goes with --decays only"),
        (["lab", "utf16.json"], "utf16.json is not UTF-8 text"),
        (["lab", "good.json", "--bit-order", "lsb"], "--bit-order 'lsb' is not accepted; qubit0-last"),
        (["lab", "empty.csv"], "empty.csv holds no counts"),
        (["lab", "good.json", "--bit-order", "qubit0-first"], "good.json says bit_order qubit0-last"), (["lab", "good.csv"], "add --bit-order"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_changes_nothing(args, words, twins, call, tmp_path):
    run, _, counts = twins
    rows = rows_of(run, counts)
    (tmp_path / "good.json").write_text(as_json(rows))
    (tmp_path / "good.csv").write_text(as_csv(rows))
    (tmp_path / "utf16.json").write_text(as_json(rows), encoding="utf-16")
    (tmp_path / "empty.csv").write_text("")
    before = content_of(tmp_path)
    answer = call("ingest", *args)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert words in answer.err
    assert content_of(tmp_path) == before


def test_the_job_sheet_says_everything_twice(twins, call, tmp_path):
    run, _, _ = twins
    document = json.loads(good(call("circuits", "export", "lab", "--no-progress", "--json")))
    folder = run.path / "circuits"
    sheet = json.loads((folder / "jobsheet.json").read_text())
    _, plan = workflow.load_plan(run)
    assert (sheet["schema"], sheet["plan_id"], sheet["n_qubits"]) == ("qthreshold/jobsheet/1", plan.id, 5)
    assert [j["name"] for j in sheet["circuits"]] == [circuit_name(plan, c) for c in range(plan.n_circuits)]
    assert [j["shots"] for j in sheet["circuits"]] == plan.circuit_shots.tolist()
    assert all(hashlib.sha256((folder / j["file"]).read_bytes()).hexdigest() == j["sha256"] for j in sheet["circuits"])
    assert all(j["classical_bits"] == 5 for j in sheet["circuits"])
    with (folder / "jobs.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for row, job in zip(table, sheet["circuits"], strict=True):
        assert row == {
            "circuit": job["name"], "file": job["file"], "shots": str(job["shots"]), "qubits": " ".join(map(str, job["qubits"])),
            "classical_bits": "5",
            "sha256": job["sha256"],
        }  # fmt: skip
    written = sum(p.stat().st_size for p in folder.glob("*.qasm"))
    assert document == {"folder": "lab/circuits", "circuits": 138, "files": 138, "bytes": written}
    assert run.verify() == []
    before = content_of(run.path)
    good(call("circuits", "export", "lab", "--no-progress"))  # again
    assert content_of(run.path) == before
    example = json.loads((folder / "jobsheet.json").read_text())["counts_file"]
    (tmp_path / "example.json").write_text(json.dumps(example))
    assert "1 circuit, 500 shots" in good(call("ingest", "lab", "example.json"))


def test_circuits_of_any_run_go_to_any_folder_and_a_part_of_them(twins, call, tmp_path):
    before = content_of(tmp_path / "twin")
    said = good(call("circuits", "export", "twin", "--out", "stick/night", "--circuits", "6,4-5", "--format", "qpy", "--no-progress"))
    assert "3 circuits in 1 file, " in said
    assert "ingest" not in said  # a simulator's run takes no counts
    sheet = json.loads((tmp_path / "stick/night/jobsheet.json").read_text())
    assert [j["name"][:7] for j in sheet["circuits"]] == ["c000004", "c000005", "c000006"]
    assert content_of(tmp_path / "twin") == before


def test_an_export_that_was_killed_can_be_repeated(twins, call, tmp_path, monkeypatch):
    run, _, _ = twins
    write = RunDirectory._replace

    def killed(directory, name, data):
        if name.startswith("circuits/c000070"):
            raise KeyboardInterrupt
        write(directory, name, data)

    monkeypatch.setattr(RunDirectory, "_replace", killed)
    assert call("circuits", "export", "lab", "--no-progress").code == 130
    monkeypatch.setattr(RunDirectory, "_replace", write)
    assert len(list((run.path / "circuits").iterdir())) == 70
    assert not (run.path / "circuits/jobsheet.json").exists()
    good(call("circuits", "export", "lab", "--no-progress"))
    assert run.verify() == []
    assert len(list((run.path / "circuits").iterdir())) == 140


def test_a_decay_table_has_no_circuits(call):
    good(call("ingest", "table", "--decays", shipped("circuits") / "example-decays.csv", "-q"))
    answer = call("circuits", "export", "table")
    assert (answer.code, answer.err) == (2, "qthreshold: no circuits to write; table has 0\n")


@pytest.mark.parametrize("kind", ["readout", "rb1", "rb2"])
def test_one_experiment_alone_is_analysed_as_far_as_it_goes(kind, twins, call, tmp_path):
    run, _, counts = twins
    rows = {n: r for n, r in rows_of(run, counts).items() if f"-{kind}-" in n}
    (tmp_path / "part.json").write_text(as_json(rows))
    good(call("ingest", "lab", "part.json"))
    for stage in (["analyse", "lab", "--partial"], ["judge", "lab"], ["report", "lab"]):
        good(call(*stage))
    assert len(json.loads((run.path / "summary.json").read_text())["missing_circuits"]) == 138 - len(rows)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["lab", "--format", "qasm2"], "unknown format 'qasm2'; accepted: qasm3, qpy"),
        (["lab", "--circuits", "5-200"], "'5-200' is not accepted; numbers"),
        (["lab", "--circuits", "4-2"], "'4-2' is not accepted"), (["lab", "--circuits", "x"], "'x' is not accepted; numbers from 0 to 137"),
        (["lab", "--out", "lab"], "lies in the run directory"), (["lab", "--out", "lab/counts"], "lies in the run directory"),
        (["lab", "--out", "notes.txt"], "notes.txt is a file"),
        (["lab", "--out", "."], "holds other files already (lab and others); name a new folder"),
        (["none"], "not a run directory"),
    ],
)  # fmt: skip
def test_exports_that_cannot_be_done_are_one_line_and_write_nothing(args, words, twins, call, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    before = content_of(tmp_path)
    answer = call("circuits", "export", *args)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert words in answer.err
    assert content_of(tmp_path) == before


def test_the_offline_backend_has_a_device_and_nothing_else(call):
    with open_backend("offline:tiny-5") as backend, open_backend("aer:tiny-5") as simulated:
        assert backend.device == simulated.device
        assert not is_simulator(backend)
        assert not is_provider(backend)
        assert (backend.spec, backend.state, backend.truth("cnot")) == ("offline:tiny-5", backend.device.id, None)
    assert "offline:PROFILE" in good(call("backends", "list"))
    facts = json.loads(good(call("backends", "show", "offline:tiny-5", "--json")))
    assert (facts["n_qubits"], facts["true_cnot_error_mean"]) == (5, None)


def test_a_whole_job_on_an_offline_device_stops_at_the_circuits(call, tmp_path):
    answer = call("run", "-b", "offline:tiny-5", "-r", "quick", "-o", "lab", "--no-progress")
    assert answer.code == 2
    assert "'qthreshold circuits export lab'" in answer.err
    assert RunDirectory(tmp_path / "lab").verify() == []
