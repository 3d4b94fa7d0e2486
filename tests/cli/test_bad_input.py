"""Every mistake at the command line: exactly one line on stderr that says what, where and what is accepted; nothing written, nothing lost."""

import json
import re
import resource
import subprocess
from dataclasses import dataclass, field

import pytest

from reference.commands import PROFILE, RECIPE, Answer, content_of, here, qthreshold


@dataclass(frozen=True)
class Mistake:
    name: str
    args: str  # a command, split at blanks
    words: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    code: int = 2


def profile(name, old, new, *words):
    text = PROFILE.replace(old, new)
    assert text != PROFILE
    return Mistake(f"profile: {name}", "run -b aer:mine.toml -r quick -o out", ("mine.toml", *words), {"mine.toml": text})


def recipe(name, old, new, *words):
    text = RECIPE.replace(old, new, 1)
    assert text != RECIPE
    return Mistake(f"recipe: {name}", "run -b aer:tiny-5 -r mine.toml -o out", ("mine.toml", *words), {"mine.toml": text})


TINY = "run -b aer:tiny-5 -r quick"

MISTAKES = [
    Mistake("unknown backend", "run -b aerr:tiny-5 -o out", ("aerr:tiny-5", "did you mean aer", "aer:PROFILE")),
    Mistake("unknown profile", "run -b aer:tiny5 -o out", ("tiny5", "did you mean tiny-5", "heron-133", ".toml")),
    Mistake("unknown recipe", "run -b aer:tiny-5 -r quik -o out", ("quik", "did you mean quick", "thorough", ".toml")),
    Mistake("missing profile file", "run -b aer:none.toml -o out", ("no profile file", "none.toml")),
    Mistake("missing recipe file", "run -b aer:tiny-5 -r none.toml -o out", ("no recipe file", "none.toml")),
    Mistake("backend to show is unknown", "backends show aer:heron", ("heron", "did you mean heron-133")),
    Mistake("rule to show is unknown", "rules show us-eer", ("us-eer", "did you mean us-ear", "eu-dual-use")),
    # device profiles
    profile("not TOML", "[topology]", "[topology", "line 5", "TOML"),
    profile("negative error rate", "error = 6e-3", "error = -6e-3", "line 14", "pairs.error", "greater than or equal to 0", "-0.006"),
    profile("error rate above 1", "error = 6e-3", "error = 1.5", "line 14", "pairs.error", "less than or equal to 0.75", "{ median", "1.5"),
    profile("negative readout error", "p1_given_0 = 0.01", "p1_given_0 = -0.01", "line 11", "qubits.p1_given_0", "greater than or equal to 0"),
    profile("spread about a median above 1", "error = 6e-3", "error = { median = 2.0, spread = 0.1 }", "line 14", "pairs.error"),
    profile("error rate not a number", "error = 6e-3", "error = nan", "line 14", "pairs.error", "finite"),
    profile("error rate as text", "error = 6e-3", 'error = "small"', "line 14", "pairs.error", "number", "small"),
    profile("no qubits", "qubits = 3", "qubits = 0", "line 7", "topology.qubits", "greater than or equal to 1"),
    profile("unknown topology", '"line"', '"lattice"', "line 6", "topology.kind", "'line'", "'heavy-hex'", "lattice"),
    profile("unknown gate", "error = 6e-3", 'gate = "iswap"', "line 14", "pairs.gate", "'cz'", "'ecr'", "iswap"),
    profile("unknown field", "seed = 1", "sead = 1", "line 3", "sead"),
    profile("other file format", "profile/1", "profile/9", "line 1", "schema", "qthreshold/profile/1"),
    profile("missing topology", '[topology]\nkind = "line"\nqubits = 3\n', "", "topology", "required"),
    profile("dead qubit beyond the device", "seed = 1", "dead_qubits = [7]", "qubit 7", "0 to 2"),
    Mistake(
        "more pairs joined by crosstalk than can be simulated", "run -b aer:mine.toml -r flat.toml -o out",
        ("joins 5 pairs", "10 qubits", "at most 8", "zz = 0", "spacing = 1"),
        {"mine.toml": PROFILE.replace("qubits = 3", "qubits = 10") + "[crosstalk]\nzz = 0.1\n", "flat.toml": RECIPE + "spacing = 0\n"},
    ),
    # recipes
    recipe("not TOML", "shots = 50", "shots = = 50", "line 6", "TOML"),
    recipe("zero shots", "shots = 50", "shots = 0", "line 6", "readout.shots", "greater than or equal to 1", "got 0"),
    recipe("empty lengths", "lengths = [1, 20]", "lengths = []", "line 9", "one_qubit.lengths", "at least 2"),
    recipe("falling lengths", "lengths = [1, 20]", "lengths = [20, 1]", "line 9", "one_qubit.lengths", "increase"),
    recipe("one sequence", "sequences = 4", "sequences = 1", "line 10", "one_qubit.sequences", "greater than or equal to 2"),
    recipe("fractional shots", "shots = 50", "shots = 50.5", "line 6", "readout.shots", "integer", "50.5"),
    recipe("unknown field", "sequences = 4", "sequence = 4", "line 10", "one_qubit.sequence"),
    # options
    Mistake("day that does not exist", f"{TINY} -o out --as-of 2026-02-30", ("--as-of", "2026-02-30", "YYYY-MM-DD")),
    Mistake("day in words", "judge --qubits 50 --cnot-error 1e-3 --as-of yesterday", ("--as-of", "yesterday", "YYYY-MM-DD")),
    Mistake("unknown rule", f"{TINY} -o out --rules us-ear,eu-dual", ("'eu-dual'", "did you mean eu-dual-use", "us-ear")),
    Mistake("no rule", "judge --qubits 50 --cnot-error 1e-3 --rules ,", ("--rules", "us-ear", "eu-dual-use")),
    Mistake("confidence above 1", f"{TINY} -o out --confidence 95", ("confidence", "0.5", "1", "95")),
    Mistake("confidence not a number", f"{TINY} -o out --confidence nan", ("confidence", "0.5", "nan")),
    Mistake("confidence of a data sheet", "judge --qubits 50 --cnot-error 1e-3 --confidence 95", ("confidence", "95")),
    Mistake("confidence of a data sheet is nan", "judge --qubits 50 --cnot-error 1e-3 --confidence nan", ("confidence", "nan")),
    Mistake("negative seed", f"{TINY} -o out --seed -1", ("seed", "-1", "negative")),
    Mistake("seed in words", f"{TINY} -o out --seed seven", ("--seed", "integer")),
    Mistake("no workers", f"{TINY} -o out --workers 0", ("--workers", "1")),
    Mistake("workers here and elsewhere", f"{TINY} -o out --workers 2 --dask tcp://127.0.0.1:8786", ("--workers 2", "--dask tcp://", "exclude")),
    Mistake("scheduler without a protocol", f"{TINY} -o out --dask 127.0.0.1:8786", ("--dask", "127.0.0.1:8786", "tcp://")),
    Mistake("scheduler of a web page", f"{TINY} -o out --dask http://127.0.0.1:8787/status", ("--dask", "http://", "tcp://")),
    Mistake("memory in words", f"{TINY} -o out --max-memory plenty", ("'plenty'", "800MB", "4GiB")),
    Mistake("too little memory", f"{TINY} -o out --max-memory 10MB", ("--max-memory 10MB", "64MiB")),
    Mistake("unknown option", f"{TINY} --sede 4", ("--sede",)),
    Mistake("unknown command", "runn", ("runn",)),
    Mistake("missing argument", "collect", ("DIR",)),
    # data sheets
    Mistake("negative qubits", "judge --qubits -5 --cnot-error 1e-3", ("qubits", "-5", "between 0 and")),
    Mistake("absurdly many qubits", "judge --qubits 99999999999999999999 --cnot-error 1e-3", ("qubits", "99999999999999999999")),
    Mistake("error above 1", "judge --qubits 50 --cnot-error 7.9", ("C-NOT error", "between 0 and 1", "7.9")),
    Mistake("error not a number", "judge --qubits 50 --cnot-error nan", ("C-NOT error", "between 0 and 1", "nan")),
    Mistake("interval beside the error", "judge --qubits 50 --cnot-error 1e-3 --low 2e-3 --high 3e-3", ("low 0.002", "0.001")),
    Mistake("error without qubits", "judge --cnot-error 1e-3", ("--qubits", "--cnot-error")),
    Mistake("bounds without a data sheet", "judge --device aer:tiny-5 --low 1e-3", ("--cnot-error", "one of")),
    Mistake("nothing to judge", "judge", ("--qubits", "--device", "directory")),
    Mistake("two things to judge", "judge --qubits 50 --cnot-error 1e-3 --device aer", ("one of",)),
    # where runs go
    Mistake("output is a file", f"{TINY} -o taken", ("taken", "is a file", "new directory"), {"taken": "mine"}),
    Mistake("output holds other files", f"{TINY} -o taken", ("taken", "not empty", "new directory"), {"taken/thesis.tex": "mine"}),
    Mistake("output holds a device.json of another program", f"{TINY} -o taken", ("taken", "not empty"), {"taken/device.json": "{}"}),
    Mistake("output holds a run", f"{TINY} -o taken", ("holds a run", "qthreshold resume taken", "another directory"), {"taken/run.json": "{}"}),
    Mistake("output below a file", f"{TINY} -o file/run", ("file/run", "cannot write"), {"file": "mine"}, 4),
    Mistake("output name too long", f"{TINY} -o {'x' * 300}", ("x" * 300, "name too long"), {}, 4),
    *(
        Mistake(f"{name} without a run", f"{name} nowhere", ("nowhere", "not a run directory", "qthreshold run"))
        for name in ("submit", "collect", "analyse", "judge", "report", "resume", "verify")
    ),
]  # fmt: skip


IN_A_PROCESS_OF_ITS_OWN = {"unknown profile", "recipe: zero shots", "seed in words", "output holds a run", "resume without a run"}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name.replace(" ", "-"))
def test_one_clear_line_and_nothing_touched(mistake, tmp_path, monkeypatch, capsys):
    for name, text in mistake.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    before = content_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    args = mistake.args.split()
    answer = qthreshold(*args) if mistake.name in IN_A_PROCESS_OF_ITS_OWN else here(args, monkeypatch, capsys)
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("qthreshold: ")
    for word in mistake.words:
        assert word.lower() in answer.err.lower()
    assert answer.out == ""
    assert answer.code == mistake.code
    assert content_of(tmp_path) == before


def without_times(content):
    return {name: data for name, data in content.items() if not name.endswith(("timing.json", "manifest.json"))}


STAGES_TOO_EARLY = {
    "collect": ("not all circuits were submitted", "qthreshold submit"),
    "analyse": ("not all circuits were submitted", "qthreshold submit"),
    "judge": ("decays.npz", "earlier stages", "qthreshold resume"),
    "report": ("decays.npz", "earlier stages", "qthreshold resume"),
}


@pytest.mark.parametrize("stage", STAGES_TOO_EARLY)
def test_a_stage_before_its_turn_names_what_is_missing(stage, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    here(["plan", "run", "-b", "aer:tiny-5", "-r", "quick", "-q"], monkeypatch, capsys)
    before = content_of(tmp_path)
    answer = here([stage, "run"], monkeypatch, capsys)
    assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1)
    for word in STAGES_TOO_EARLY[stage]:
        assert word in answer.err
    after = without_times(content_of(tmp_path))
    page = after.pop("run/report.html", None)
    assert (page is not None) == (stage == "report")  # whoever has a link to it reads that there is nothing yet
    assert after == without_times(before)


def test_analysis_without_all_counts_says_how_many_are_missing(finished, monkeypatch, capsys):
    (finished / "counts/0003.npz").unlink()
    answer = here(["analyse", str(finished)], monkeypatch, capsys)
    assert answer.code == 4
    assert answer.err.count("\n") == 1
    assert "counts of 1 of 6 tickets are missing" in answer.err
    assert f"qthreshold collect {finished}" in answer.err


# every file is needed by at least one of these commands
READERS = {
    "run.json": "report", "device.json": "report", "truth.json": "report", "plan.npz": "report", "tickets/0002.json": "analyse",
    "counts/0002.npz": "analyse", "decays.npz": "report", "fits.npz": "report", "metrics.json": "judge", "verdict.json": "report",
    "timing.json": "report", "manifest.json": "verify",
}  # fmt: skip
REBUILT = ("decays.npz", "fits.npz", "metrics.json", "verdict.json", "timing.json", "manifest.json", "counts/0002.npz", "tickets/0002.json")


def broken(data, kind):
    middle = len(data) // 2
    return {
        "empty": b"", "truncated": data[:middle], "flipped byte": data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :],
        "other text": b"hello\x00\xff\n", "other JSON": b"[1]",
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind", ["empty", "truncated", "other text", "other JSON"])
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_named_in_one_line_and_nothing_else_is_touched(name, kind, finished, monkeypatch, capsys):
    path = finished / name
    path.write_bytes(broken(path.read_bytes(), kind))
    before = content_of(finished)
    answer = here([READERS[name], str(finished)], monkeypatch, capsys)
    assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1), answer.err
    assert str(path) in answer.err
    assert without_times(content_of(finished)) == without_times(before)


@pytest.mark.parametrize("name", REBUILT)
def test_the_advice_to_delete_a_damaged_file_and_resume_is_right(name, finished, monkeypatch, capsys):
    before = content_of(finished)
    (finished / name).unlink()
    if name.startswith(("counts", "tickets")):
        (finished / "metrics.json").unlink()
    assert here(["resume", str(finished), "-q", "--no-progress", "--workers", "1"], monkeypatch, capsys) == Answer(0, "", "")
    after = content_of(finished)
    assert set(after) == set(before)
    for record in ("decays.npz", "fits.npz", "metrics.json", "verdict.json", "counts/0002.npz", "tickets/0002.json"):
        assert after[record] == before[record]
    assert here(["verify", str(finished), "-q"], monkeypatch, capsys) == Answer(0, "", "")


@pytest.mark.parametrize("name", ["run.json", "device.json", "plan.npz"])
def test_a_lost_file_that_nothing_can_restore_is_not_advised_to_be_resumed(name, finished, monkeypatch, capsys):
    (finished / name).unlink()
    answer = here(["resume", str(finished)], monkeypatch, capsys)
    assert answer.code in (2, 4)
    assert answer.err.count("\n") == 1
    assert name in answer.err
    assert "qthreshold resume" not in answer.err


def test_resuming_a_run_with_damaged_counts_does_not_hide_the_damage_from_verify(finished, monkeypatch, capsys):
    path = finished / "counts/0002.npz"
    path.write_bytes(broken(path.read_bytes(), "flipped byte"))
    here(["resume", str(finished), "-q"], monkeypatch, capsys)
    answer = here(["verify", str(finished)], monkeypatch, capsys)
    assert answer.code == 4
    assert "counts/0002.npz: changed" in answer.err


def test_an_edited_number_in_the_metrics_is_noticed(finished, monkeypatch, capsys):
    path = finished / "metrics.json"
    value = re.search(r'"best": (0\.00\d+)', path.read_text())
    path.write_text(path.read_text().replace(value[1], "0.00001", 1))
    answer = here(["judge", str(finished)], monkeypatch, capsys)
    assert answer.code == 4
    assert f"{path} was changed" in answer.err


@pytest.mark.parametrize(
    ("topology", "n"), [('kind = "line"\nqubits = 1', 1), ('kind = "pairs"\nqubits = 3\npairs = []', 3)], ids=["one qubit", "no pairs"]
)
def test_a_device_without_pairs_is_still_counted_and_judged(topology, n, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(PROFILE.replace('kind = "line"\nqubits = 3', topology))
    answer = here(["run", "-b", "aer:mine.toml", "-r", "quick", "-o", "run", "--no-progress"], monkeypatch, capsys)
    assert (answer.code, answer.err) == (0, "")
    assert "no C-NOT error measured" in answer.out
    assert "No entry is met" in answer.out
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert len(summary["qubits"]) == n
    assert all(q["one_qubit_error"]["best"] is not None for q in summary["qubits"])
    assert summary["cnot_error"]["mean"]["best"] is None
    assert [v["outcome"] for v in summary["verdicts"] if v["distance"] is not None] == ["not_met"] * 6
    assert summary["connected_working_qubits"]["best"] <= summary["working_qubits"]["best"]
    assert here(["backends", "show", "aer:mine.toml"], monkeypatch, capsys).code == 0


def test_a_device_without_pairs_cannot_be_judged_by_reported_errors(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.toml").write_text(PROFILE.replace("qubits = 3", "qubits = 1"))
    answer = here(["judge", "--device", f"aer:{tmp_path / 'mine.toml'}"], monkeypatch, capsys)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "reports no two-qubit error" in answer.err


@pytest.mark.parametrize("dead", ["dead_qubits = [0, 1, 2]", "dead_pairs = [[0, 1], [1, 2]]"])
def test_a_device_with_nothing_usable_is_still_judged(dead, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(PROFILE.replace("seed = 1", dead))
    answer = here(["run", "-b", "aer:mine.toml", "-r", "quick", "-o", "run", "--no-progress"], monkeypatch, capsys)
    assert (answer.code, answer.err) == (0, "")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["working_qubits"]["best"] == summary["connected_working_qubits"]["best"] == 0
    assert [v["outcome"] for v in summary["verdicts"] if v["distance"] is not None] == ["not_met"] * 6
    assert "dead in the profile" in answer.out


def test_the_thinnest_recipe_that_is_accepted_gives_a_report_without_noise_on_stderr(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = RECIPE.replace("shots = 50", "shots = 1").replace("sequences = 4", "sequences = 2")
    (tmp_path / "mine.toml").write_text(text)
    answer = here(["run", "-b", "aer:tiny-5", "-r", "mine.toml", "-o", "run", "--no-progress"], monkeypatch, capsys)
    assert (answer.code, answer.err) == (0, "")


def test_names_with_brackets_and_colons_are_printed_as_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    odd = "[red] :cat:"
    (tmp_path / f"{odd}.toml").write_text(PROFILE)
    for args in (["plan", odd, "-b", "aer:tiny-5", "-r", "quick"], ["resume", odd, "--no-progress"], ["backends", "show", f"aer:{odd}.toml"]):
        answer = here(args, monkeypatch, capsys)
        assert (answer.code, answer.err) == (0, "")
        assert odd in " ".join(answer.out.split())


@pytest.mark.parametrize("limit", [100, 60_000])
def test_a_full_disk_is_one_line_and_the_run_finishes_after_space_is_freed(limit, finished, tmp_path, monkeypatch, capsys):
    full = tmp_path / "full"
    answer = qthreshold(
        "run", "-b", "aer:tiny-5", "-r", "quick", "--seed", 7, "-o", full, "--no-progress", "--workers", 1,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
    )  # fmt: skip
    assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1), answer.err
    assert "cannot write" in answer.err
    assert not list(full.rglob(".*.tmp"))
    command = ["resume", full] if (full / "run.json").exists() else ["run", "-b", "aer:tiny-5", "-r", "quick", "--seed", 7, "-o", full]
    assert here([*command, "-q", "--workers", 1], monkeypatch, capsys) == Answer(0, "", "")
    for name in ("plan.npz", "decays.npz", "fits.npz", "metrics.json", "verdict.json", *(f"counts/{i:04d}.npz" for i in range(6))):
        assert (full / name).read_bytes() == (finished / name).read_bytes()


def test_a_really_full_disk(finished, tmp_path, monkeypatch, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "none", disk], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        answer = qthreshold("run", "-b", "aer:tiny-5", "-r", "quick", "--seed", 7, "-o", disk / "run", "--no-progress", "--workers", 1)
        assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1), answer.err
        assert "No space left on device" in answer.err
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        assert here(["resume", disk / "run", "-q", "--workers", 1], monkeypatch, capsys) == Answer(0, "", "")
        for name in ("fits.npz", "metrics.json", "verdict.json"):
            assert (disk / "run" / name).read_bytes() == (finished / name).read_bytes()
    finally:
        subprocess.run(["umount", disk], check=True)
