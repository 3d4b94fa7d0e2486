"""Survival counts from elsewhere, through the real command line: judged, labelled, kept, and repeatable offline."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from qthreshold.datafiles import shipped
from qthreshold.store import RunDirectory
from reference.commands import Answer, content_of, here, qthreshold
from test_survival import HEAD, PAIR

EXAMPLE = shipped("circuits") / "example-decays.csv"
WRITTEN = (
    "decays.csv decays.npz device.json fits.npz frontier.npz manifest.json metrics.json plan.npz report.html run.json summary.json timing.json"
    " verdict.json"
)


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a command in this process, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: here(args, monkeypatch, capsys)


@pytest.fixture(scope="session")
def ingesting(tmp_path_factory):
    """The directory of the shipped example's run, and what the command printed."""
    folder = tmp_path_factory.mktemp("ingested")
    answer = qthreshold("ingest", "run", "--decays", EXAMPLE, "--as-of", "2026-11-24", cwd=folder, figures=True)
    assert (answer.code, answer.err) == (0, "")
    return folder / "run", answer.out


@pytest.fixture
def ingested(ingesting, tmp_path):
    """A copy of the run that was made from the shipped example."""
    return shutil.copytree(ingesting[0], tmp_path / "run")


def summary_of(run):
    return json.loads((run / "summary.json").read_text())


def zones(error_per_clifford, *, pairs=4, shots=4000, seed=1):
    """A table of separate pairs with a decay of 1 - p = 4/3 of the error."""
    rng = np.random.default_rng(seed)
    p = 1 - 4 / 3 * error_per_clifford
    rows = [
        f"{2 * z}-{2 * z + 1},{m},{k},{rng.binomial(shots, 0.72 * p**m + 0.25)},{shots}"
        for z in range(pairs)
        for m in (1, round(0.3 / (1 - p)), round(1 / (1 - p)))
        for k in range(10)
    ]
    return HEAD + "\n".join(rows)


def test_the_terminal_report_answers_first_and_labels_the_estimate(ingesting):
    out = ingesting[1]
    text = " ".join(out.split())
    assert text.startswith("example-decays: 6 connected working qubits, upper estimate of the mean C-NOT error 6.")
    assert "the C-NOT error is an upper estimate" in " ".join(text.replace("United States", "").split())
    assert "all error of a two-qubit Clifford charged to its 1.5 C-NOTs" in text
    assert "not measured readout error; not held against any qubit" in text
    assert "native gate unstated" in text
    assert "worst case" not in text
    assert "circuits" not in text
    assert max(map(len, out.splitlines())) <= 80


def test_the_documented_output_is_what_is_printed(ingesting):
    text = (shipped("circuits") / "README.md").read_text(encoding="utf-8")
    documented = text.partition("$ qthreshold ingest example --decays circuits/example-decays.csv\n")[2].partition("    ...")[0].splitlines()
    printed = [line.rstrip() for line in ingesting[1].splitlines()]
    assert [line[4:].rstrip() for line in documented] == printed[: len(documented)]
    assert len(documented) > 5


def given_by(summary):
    """Outcomes of the instruments that give a verdict, of which there are six on any day since December 2025."""
    given = [v["outcome"] for v in summary["verdicts"] if v["distance"] is not None]
    assert len(given) == 6
    return set(given)


def test_the_run_directory_holds_the_table_and_everything_that_follows(ingested):
    assert {p.name for p in ingested.iterdir()} - {".lock"} == set(WRITTEN.split())
    assert (ingested / "decays.csv").read_bytes() == EXAMPLE.read_bytes()
    header = json.loads((ingested / "run.json").read_text())
    assert (header["backend"], header["connected"]) == ("decays:example-decays.csv", None)
    assert len(header["backend_state"]) == 64


def test_the_summary_labels_the_estimate_everywhere(ingested):
    summary = summary_of(ingested)
    assert (summary["cnot_error"]["estimate"], summary["connected"]) == ("upper", "measured")
    assert summary["cnot_error"]["systematic"] == [None, None]
    assert summary["not_measured"] == {"readout_error": list(range(6)), "one_qubit_error": []}
    assert given_by(summary) == {"not_met"}
    for verdict in summary["verdicts"]:
        assert (verdict["interpretation"]["estimate"], verdict["interpretation"]["context"]) == ("upper", "unstated")
        assert "upper estimate" in verdict["reason"] or verdict["distance"] is None
    for edge in summary["edges"]:
        assert edge["cnot_error"] == edge["upper_cnot_error"]
        assert edge["epc"]["best"] == pytest.approx(1.5 * edge["cnot_error"]["best"], rel=0.01)
        assert edge["p_int"]["best"] is None
    assert summary["cost"]["executions"] == 0


def test_an_interleaved_run_has_both_numbers_for_every_pair(finished):
    summary = summary_of(finished)
    assert (summary["cnot_error"]["estimate"], summary["connected"]) == ("interleaved", "measured")
    assert summary["verdicts"][0]["interpretation"]["estimate"] == "interleaved"
    assert summary["not_measured"] == {"readout_error": [], "one_qubit_error": []}
    for edge in summary["edges"]:  # the step holds the paddings too
        assert edge["upper_cnot_error"]["high"] > edge["true_cnot_error"]
        assert edge["epc"]["best"] == pytest.approx(0.75 * (1 - edge["p_ref"]["best"]))


@pytest.mark.usefixtures("figures")
def test_stages_repeated_leave_every_byte_as_it_was(ingested, call):
    before = content_of(ingested)
    for name in ("submit", "collect", "analyse", "judge", "report", "resume", "verify"):
        assert call(name, ingested, "-q") == Answer(0, "", "")
    assert content_of(ingested) == before
    for name in ("submit", "collect"):
        answer = call(name, ingested)
        assert (answer.code, answer.err) == (0, "")
        assert "Nothing to run" in answer.out
        assert "qthreshold analyse" in " ".join(answer.out.split())
    assert content_of(ingested) == before


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize("name", ["decays.npz", "fits.npz", "metrics.json", "verdict.json", "summary.json"])
def test_resume_derives_again_what_was_lost(name, ingested, call):
    before = content_of(ingested)
    (ingested / name).unlink()
    assert call("resume", ingested, "-q") == Answer(0, "", "")
    assert content_of(ingested) == before


def test_a_changed_or_lost_table_is_noticed_and_not_advised_to_be_resumed(ingested, call):
    table = ingested / "decays.csv"
    table.write_bytes(table.read_bytes().replace(b",100\n", b",101\n", 1))
    assert "decays.csv: changed" in call("verify", ingested).err
    answer = call("analyse", ingested)
    assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1)
    assert f"{table} was changed" in answer.err
    call("resume", ingested)
    assert "decays.csv: changed" in call("verify", ingested).err  # resuming does not hide it
    table.unlink()
    answer = call("analyse", ingested)
    assert (answer.code, answer.err.count("\n")) == (4, 1)
    assert "qthreshold resume" not in answer.err


def test_json_is_the_summary_and_quiet_prints_nothing(call, tmp_path):
    answer = call("ingest", "run", "--decays", EXAMPLE, "--name", "mine", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert json.loads(answer.out) == summary_of(tmp_path / "run")
    assert json.loads(answer.out)["device"]["name"] == "mine"
    assert call("ingest", "other", "--decays", EXAMPLE, "-q") == Answer(0, "", "")


def test_the_same_table_gives_the_same_records(ingested, call, tmp_path):
    call("ingest", "again", "--decays", EXAMPLE, "-q")
    for name in ("device.json", "plan.npz", "decays.npz", "fits.npz", "metrics.json"):
        assert (tmp_path / "again" / name).read_bytes() == (ingested / name).read_bytes()


def test_a_stated_number_of_qubits_is_labelled_and_judged(call, tmp_path):
    (tmp_path / "zones.csv").write_text(zones(7e-4))
    out = " ".join(call("ingest", "run", "--decays", "zones.csv", "--connected", 150).out.split())
    assert out.startswith("zones: 150 connected working qubits (stated, not measured), upper estimate of the mean C-NOT error 4.")
    summary = summary_of(tmp_path / "run")
    assert given_by(summary) == {"met"}  # below the limit of 1e-3 even as an upper estimate
    assert summary["connected"] == "stated"
    assert summary["cnot_error"]["measured_edges"] == 4
    for verdict in summary["verdicts"]:
        assert verdict["interpretation"]["connected"] == "stated"
        assert "stated, not measured" in verdict["reason"] or verdict["distance"] is None
    assert summary["disagreements"] == []
    before = content_of(tmp_path / "run")
    call("analyse", "run")
    assert content_of(tmp_path / "run") == before


def test_an_upper_estimate_above_the_limit_is_said_not_to_prove_it(call, tmp_path):
    (tmp_path / "zones.csv").write_text(zones(3e-3))
    out = " ".join(call("ingest", "run", "--decays", "zones.csv", "--connected", 150).out.split())
    assert "No entry is met by this estimate; " in out
    everywhere = "United States, European Union, United Kingdom, Canada, Germany and Japan"
    assert f"Read with systematics included: undetermined ({everywhere}): an upper estimate; the C-NOT error itself may be" in out
    summary = summary_of(tmp_path / "run")
    assert given_by(summary) == {"not_met"}
    assert all("the C-NOT error itself may be lower" in v["reason"] for v in summary["verdicts"] if v["distance"] is not None)
    assert {v["interpretation"]["systematics"] for v in summary["disagreements"]} == {"included"}


def test_pairs_that_do_not_hang_together_bring_a_hint(call, tmp_path):
    (tmp_path / "zones.csv").write_text(zones(3e-3))
    answer = call("ingest", "run", "--decays", "zones.csv")
    assert answer.err.count("\n") == 1
    assert "join 2 of 8 working qubits" in answer.err
    assert "--connected" in answer.err
    assert summary_of(tmp_path / "run")["connected_working_qubits"]["best"] == 2


def test_tables_without_one_qubit_rb_or_without_pairs_are_judged_as_far_as_they_go(call, tmp_path):
    (tmp_path / "pair.csv").write_text(HEAD + PAIR + "0-1,1,1,93,100\n0-1,30,1,66,100\n")
    assert call("ingest", "pair", "--decays", "pair.csv", "-q") == Answer(0, "", "")
    assert summary_of(tmp_path / "pair")["not_measured"] == {"readout_error": [0, 1], "one_qubit_error": [0, 1]}
    assert summary_of(tmp_path / "pair")["connected_working_qubits"]["best"] == 2
    (tmp_path / "qubit.csv").write_text(HEAD + "0,1,0,98,100\n0,1,1,99,100\n0,500,0,80,100\n0,500,1,75,100\n")
    answer = call("ingest", "qubit", "--decays", "qubit.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "names no pair" in answer.err
    assert not (tmp_path / "qubit").exists()
    assert call("ingest", "qubit", "--decays", "qubit.csv", "--connected", 40, "-q") == Answer(0, "", "")
    assert given_by(summary_of(tmp_path / "qubit")) == {"undetermined"}  # nothing says what the error is


def test_one_sequence_a_length_gives_an_interval_with_a_width(call, tmp_path):
    rng = np.random.default_rng(4)
    lines = [f"{2 * z}-{2 * z + 1},{m},0,{rng.binomial(200, 0.72 * 0.998**m + 0.25)},200" for z in range(4) for m in (1, 80, 300)]
    (tmp_path / "thin.csv").write_text(HEAD + "\n".join(lines))
    assert call("ingest", "run", "--decays", "thin.csv", "--connected", 150, "-q").code == 0
    summary = summary_of(tmp_path / "run")
    for interval in (summary["cnot_error"]["mean"], *(e["cnot_error"] for e in summary["edges"])):
        assert interval["low"] < 0.97 * interval["best"] < interval["best"] < 0.97 * interval["high"]


def test_a_failed_pair_in_the_middle_of_a_line_keeps_the_verdict_open(call, tmp_path):
    rng = np.random.default_rng(5)
    p, lines = 1 - 4 / 3 * 1.5 * 5e-5, []
    for a in range(39):
        for m in (1, 2000, 9000):
            odd = [0.9, 0.3, 0.9][(1, 2000, 9000).index(m)]  # comes back: no decay fits
            lines += [f"{a}-{a + 1},{m},{k},{rng.binomial(400, odd if a == 20 else 0.72 * p**m + 0.25)},400" for k in range(10)]
    (tmp_path / "line.csv").write_text(HEAD + "\n".join(lines))
    answer = call("ingest", "run", "--decays", "line.csv")
    verdict = summary_of(tmp_path / "run")["verdicts"][0]
    assert (answer.code, verdict["outcome"], verdict["entry"]) == (0, "undetermined", "4A906.a.1")
    assert "Cannot tell yet" in answer.out
    assert "40 qubits if those behind fits that failed work" in " ".join(answer.out.split())


def test_pairs_that_leak_or_drift_keep_their_numbers_and_are_named(call, tmp_path):
    rng, lines = np.random.default_rng(3), []
    for pair, end, drift in (("0-1", 0.25, 0.0), ("1-2", 0.18, 0.0), ("2-3", 0.25, 0.1)):
        for m in (1, 20, 60, 150, 400):
            survival = 0.72 * 0.99**m + end + drift * (m > 1) * np.linspace(-1, 1, 20)
            lines += [f"{pair},{m},{k},{x},1000" for k, x in enumerate(rng.binomial(1000, np.clip(survival, 0, 1)))]
    (tmp_path / "leak.csv").write_text(HEAD + "\n".join(lines))
    answer = call("ingest", "run", "--decays", "leak.csv")
    assert answer.code == 0
    text = " ".join(answer.out.split())
    assert "Asymptote shifted (1-2): the decay does not end at 1/d" in text
    assert "Drift (2-3): results change in the course of the run" in text
    edges = summary_of(tmp_path / "run")["edges"]
    assert [e["status"] for e in edges] == ["ok", "asymptote_shifted", "drift"]
    assert all(e["cnot_error"]["low"] < 0.75 * (1 - 0.99 ** (2 / 3)) < e["cnot_error"]["high"] for e in edges)


def test_a_qubit_number_far_off_does_not_take_the_memory_of_all_in_between(call, tmp_path):
    (tmp_path / "far.csv").write_text((HEAD + PAIR).replace("0-1", "0-20000"))
    out = call("ingest", "run", "--decays", "far.csv").out
    assert "and 19,996 more" in out
    assert len(out.splitlines()) < 60


def test_what_an_older_version_derived_is_derived_again_by_resume(finished, call):
    before = content_of(finished)
    golden = Path(__file__).parents[1] / "golden"
    for old, name in (("fits-1.npz", "fits.npz"), ("metrics-1.json", "metrics.json"), ("verdicts-1.json", "verdict.json")):
        shutil.copy(golden / old, finished / name)
    for stage in ("report", "judge"):
        answer = call(stage, finished)
        assert (answer.code, answer.err.count("\n")) == (4, 1)
        assert f"qthreshold analyse {finished}' again" in answer.err
    assert call("resume", finished, "-q") == Answer(0, "", "")
    assert content_of(finished) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--decays", "none.csv"], "no decay table at none.csv"), (["--decays", "."], "cannot read decay table"), ([], "ingest takes one of two"),
        (["--decays", "good.csv", "--bit-order", "qubit0-first"], "--bit-order goes with FILE only"),
        (["good.csv", "--decays", "good.csv"], "got both"),
        (["--decays", "bad.csv"], "bad.csv, line 2, survived: '101'"), (["--decays", "utf16.csv"], "utf16.csv is not UTF-8 text"),
        (["--decays", "good.csv", "--connected", 1], "--connected 1 is not accepted; a number from 2 (joined by the pairs in good.csv) to 100000"),
        (["--decays", "good.csv", "--connected", 10**6], "--connected 1000000"), (["--decays", "good.csv", "--confidence", 2], "confidence"),
        (["--decays", "good.csv", "--rules", "x"], "unknown rule 'x'"), (["--decays", "good.csv", "--as-of", "x"], "--as-of 'x'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(options, words, call, tmp_path):
    (tmp_path / "good.csv").write_text(HEAD + PAIR)
    (tmp_path / "bad.csv").write_text(HEAD + "0-1,1,0,101,100\n")
    (tmp_path / "utf16.csv").write_text(HEAD + PAIR, encoding="utf-16")
    before = content_of(tmp_path)
    answer = call("ingest", "run", *options)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert words in answer.err
    assert content_of(tmp_path) == before


def test_a_directory_that_holds_something_is_left_alone(ingested, call):
    before = content_of(ingested)
    answer = call("ingest", ingested, "--decays", EXAMPLE)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "already holds a run" in answer.err
    assert content_of(ingested) == before


def test_an_ingest_that_was_killed_before_the_header_can_be_repeated(ingested, call):
    for path in ingested.iterdir():
        if path.name not in ("device.json", "plan.npz", "decays.csv", "manifest.json"):
            path.unlink()
    assert call("ingest", ingested, "--decays", EXAMPLE, "-q") == Answer(0, "", "")
    assert RunDirectory.open(ingested).verify() == []
