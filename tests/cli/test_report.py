"""``qthreshold report`` from end to end: forms, files, several runs, and what cannot be made."""

import csv
import io
import json
import re
import shutil

import pytest

from qthreshold.history import open_history
from reference.commands import PROFILE, content_of, here, qthreshold

pytestmark = pytest.mark.usefixtures("figures")


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: here(list(words), monkeypatch, capsys)


def test_every_run_ends_with_a_page_that_the_manifest_knows(finished, call):
    text = (finished / "report.html").read_text()
    assert "tiny-5: 5 connected working qubits" in text
    assert call("verify", str(finished)).code == 0


def test_a_page_names_no_place_of_the_machine_that_it_was_made_on(tmp_path, call):
    (tmp_path / "chip.toml").write_text(PROFILE)
    assert call("run", "-b", f"aer:{tmp_path / 'chip.toml'}", "-r", "quick", "-o", "run", "-q", "--workers", "1").code == 0
    assert call("report", "run", "-q", "--format", "html,md,csv,svg").code == 0
    made = [p for p in (tmp_path / "run").rglob("*") if p.suffix in (".html", ".md", ".csv", ".svg")]
    assert len(made) >= 9
    for path in made:
        text = path.read_text()
        assert str(tmp_path) not in text
        assert tmp_path.name not in text
    assert "aer:chip.toml" in (tmp_path / "run" / "report.html").read_text()


def test_all_forms_are_written_and_known_to_the_manifest(finished, call):
    answer = call("report", str(finished), "--format", "html,md,json,csv,svg,png,pdf")
    assert answer.code == 0
    assert "html, md, json, csv, svg, png, pdf." in " ".join(answer.out.split())
    names = {p.name for p in finished.iterdir()}
    assert {"report.html", "report.md", "summary.json", "pairs.csv", "qubits.csv", "report.pdf", "figures"} <= names
    figures = {p.stem for p in (finished / "figures").iterdir()}
    assert {"map", "staircase", "histogram", "truth"} <= figures
    assert {p.suffix for p in (finished / "figures").iterdir()} == {".svg", ".png"}
    assert len([f for f in figures if f.startswith("decay-")]) == 3
    rows = list(csv.DictReader(io.StringIO((finished / "pairs.csv").read_text())))
    edges = json.loads((finished / "summary.json").read_text())["edges"]
    assert [float(r["cnot_error"]) for r in rows] == pytest.approx([e["cnot_error"]["best"] for e in edges], rel=1e-5)
    assert call("verify", str(finished)).code == 0


def test_files_can_go_elsewhere(finished, tmp_path, call):
    before = {p.name for p in finished.iterdir()}
    assert call("report", str(finished), "--format", "md,csv", "--out", "elsewhere", "-q").code == 0
    assert {p.name for p in (tmp_path / "elsewhere").iterdir()} == {"report.md", "pairs.csv", "qubits.csv"}
    assert {p.name for p in finished.iterdir()} == before


def test_decays_of_named_pairs_and_points_of_other_devices(finished, tmp_path, call):
    shutil.copytree(finished, tmp_path / "other")
    line = ["report", str(finished), "-q", "--pairs", "1-0,2-3", "--also", "other", "--also", "Data sheet=105,3.8e-3"]
    assert call(*line).code == 0
    text = (finished / "report.html").read_text()
    assert re.findall(r'id="figure-(decay-[^"]+)"', text) == ["decay-0-1", "decay-2-3"]
    assert "Data sheet" in text
    assert len(set(re.findall(r">(tiny-5[^<:]*)</text>", text))) == 2  # the run and the other night of the same device


def test_several_runs_stand_side_by_side(finished, tmp_path, call):
    shutil.copytree(finished, tmp_path / "other")
    answer = call("report", str(finished), "other", "--out", "both", "--format", "html,md,json,csv,svg", "--json")
    assert answer.code == 0
    document = json.loads(answer.out)
    assert document["schema"] == "qthreshold/runs/1"
    assert [r["label"] for r in document["runs"]] == ["tiny-5 (1)", "tiny-5 (2)"]
    assert document == json.loads((tmp_path / "both" / "runs.json").read_text())
    text = (tmp_path / "both" / "report.html").read_text()
    assert "2 runs side by side" in text
    rows = list(csv.DictReader(io.StringIO((tmp_path / "both" / "runs.csv").read_text())))
    assert [(r["label"], r["us-ear"], float(r["connected_working_qubits"])) for r in rows] == [(f"tiny-5 ({k})", "not_met", 5) for k in (1, 2)]


def test_a_folder_that_is_another_run_is_left_alone(finished, tmp_path, call):
    other = shutil.copytree(finished, tmp_path / "other")
    before = content_of(other)
    for line in (["report", str(finished), "--out", "other"], ["report", str(finished), str(finished), "--out", "other"]):
        answer = call(*line)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "other is a run directory; name another folder" in answer.err
    assert content_of(other) == before


def test_a_run_that_cannot_be_written_is_reported_elsewhere(finished, call):
    from qthreshold.store import RunDirectory

    before = content_of(finished)
    with RunDirectory.open(finished).locked():  # another process works on it
        assert qthreshold("report", str(finished), "--out", str(finished.parent / "elsewhere"), "-q").code == 0
        assert qthreshold("report", str(finished), "-q").code == 4
    assert content_of(finished) == before


def test_a_run_without_estimates_has_a_page_that_says_so(tmp_path, call):
    assert call("plan", "run", "-b", "aer:tiny-5", "-r", "quick", "-q").code == 0
    assert call("report", "run", "--format", "docx").code == 2
    assert not (tmp_path / "run" / "report.html").exists()
    answer = call("report", "run")
    assert (answer.code, answer.err.count("\n")) == (4, 1)
    assert "the page says that there is nothing to report yet" in answer.err
    assert "nothing can be said yet" in (tmp_path / "run" / "report.html").read_text()
    assert call("report", "run", "--out", "there").code == 4
    assert "nothing can be said yet" in (tmp_path / "there" / "report.html").read_text()
    assert call("verify", "run").code == 0


def test_figures_of_other_pairs_do_not_stay(finished, call):
    assert call("report", str(finished), "-q", "-f", "svg").code == 0
    assert call("report", str(finished), "-q", "-f", "svg", "--pairs", "1-2").code == 0
    assert [p.name for p in (finished / "figures").glob("decay*")] == ["decay-1-2.svg"]
    assert call("verify", str(finished)).code == 0


def test_times_of_stages_are_no_evidence_and_stop_nothing(finished, call):
    (finished / "timing.json").write_text('{"plan": "long", "analyse": 1.5}')
    answer = call("report", str(finished), "--json")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{run}", "--format", "docx"], "no form 'docx'; accepted: html, md, json, csv, svg, png, pdf"),
        (["{run}", "--format", ","], "--format names no form"),
        (["{run}", "--pairs", "0-4"], "no pair '0-4' in this run; measured were 0-1"),
        (["{run}", "--also", "x=1"], "'x=1' is neither a run directory nor LABEL=QUBITS,ERROR"),
        (["{run}", "--also", "nowhere"], "nowhere is not a run directory"),
        (["{run}", "--format", "md,csv", "--also", "x=1,1e-3"], "md, csv shows none; add html, svg, png or pdf"),
        (["{run}", "{run}"], "several runs need --out DIR"),
        (["{run}", "{run}", "--out", "o", "--pairs", "0-1"], "go with one run only"),
        (["{run}", "{run}", "--out", "o", "--format", "pdf"], "no form 'pdf'; accepted: html, md, json, csv, svg, png"),
        (["{run}", "nowhere", "--out", "o"], "nowhere is not a run directory"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_changes_nothing(words, says, finished, tmp_path, call):
    before = {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()}
    answer = call("report", *(w.format(run=finished) for w in words))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert says in answer.err
    assert not (tmp_path / "o").exists()
    assert {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()} == before


def test_without_matplotlib_a_run_still_ends_with_a_page(tmp_path):
    line = ["run", "-b", "aer:tiny-5", "-r", "quick", "-o", "run", "--no-progress", "--workers", "1"]
    answer = qthreshold(*line, cwd=tmp_path, figures=False)
    assert answer.code == 0, answer.err
    text = (tmp_path / "run" / "report.html").read_text()
    assert "pip install &#39;qthreshold[plots]&#39;" in text
    assert 'data-row="pair-0-1"' in text


def test_a_notebook_shows_the_first_screen(finished):
    from qthreshold.store import RunDirectory
    from qthreshold.workflow import load_result

    text = load_result(RunDirectory.open(finished))._repr_html_()
    assert "tiny-5: 5 connected working qubits" in text
    assert "<script" not in text
    assert text.count("<svg") == 2
    assert len(text) < 200_000


def test_a_report_of_older_counts_goes_when_there_are_more(finished, call):
    from qthreshold.store import RunDirectory

    assert call("report", str(finished), "-q", "--format", "html,md,csv,svg").code == 0
    RunDirectory.open(finished).discard_derived()
    left = {p.name for p in finished.rglob("*") if p.is_file()}
    assert not {"report.html", "report.md", "pairs.csv", "staircase.svg"} & left
    answer = qthreshold("resume", str(finished), "-q")
    assert answer.code == 0
    assert (finished / "report.html").exists()


def test_a_device_that_the_history_does_not_know_yet_has_a_page_all_the_same(finished, tmp_path, monkeypatch, capsys):
    with open_history(str(tmp_path / "lab.db"), create=True):
        pass
    answer = here(["report", str(finished), "--history", str(tmp_path / "lab.db")], monkeypatch, capsys)
    assert (answer.code, answer.err.count("\n")) == (0, 1)
    assert "the page says nothing of drift" in answer.err
