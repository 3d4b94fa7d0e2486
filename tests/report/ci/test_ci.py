import dataclasses
import io
import json
import os
import re
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as classic_families
from rich.console import Console

from qthreshold.errors import InputError
from qthreshold.measurements import LOWER_IS_WORSE
from qthreshold.report.ci import github
from qthreshold.report.ci.benchmark import benchmark
from qthreshold.report.ci.forms import FORMS, form_file, parse_forms
from qthreshold.report.ci.junit import junit
from qthreshold.report.ci.markdown import markdown
from qthreshold.report.ci.openmetrics import openmetrics, prometheus
from qthreshold.report.ci.text import check_text
from reference.checks import RESULTS, TEXTS, result_of

GOLDEN = Path(__file__).parents[2] / "golden"
# What both published schemas allow, and the files of the published ones that QTHRESHOLD_JUNIT_XSD names.
SCHEMAS = [xmlschema.XMLSchema(path) for path in (str(GOLDEN / "junit.xsd"), *os.environ.get("QTHRESHOLD_JUNIT_XSD", "").split(os.pathsep)) if path]


@given(RESULTS)
def test_any_result_is_a_valid_junit_file_that_fails_where_the_gate_does(result):
    document = junit(result)
    for schema in SCHEMAS:
        schema.validate(document.decode())
    suite = ElementTree.fromstring(document)[0]
    assert int(suite.get("tests")) == len(result.cases)
    assert int(suite.get("failures")) == len(result.having("failed"))
    assert int(suite.get("errors")) == len(result.having("error"))


def test_junit_says_what_a_person_needs():
    suite = ElementTree.fromstring(junit(result_of("passed", "failed", "error", "cannot_tell")))[0]
    assert (suite.get("name"), suite.get("timestamp")) == ("chip", "2026-11-25T12:00:00")
    assert [[child.tag for child in test] for test in suite.iter("testcase")] == [[], ["failure"], ["error"], ["skipped"]]
    assert suite.find("testcase[2]").get("name") == "limit cnot_error 1-2"
    assert suite.find("testcase/failure").get("message") == "C-NOT error of pair 1-2: 0.004, failed"
    assert suite.find("testcase/failure").text == "C-NOT error of pair 1-2: 0.004, failed"
    assert suite[0].tag == "properties"


def test_ten_thousand_cases_make_a_junit_file_in_time_that_grows_as_they_do():
    few, many = (result_of(*["failed"] * n) for n in (500, 10_000))
    spent = []
    for result in (few, many):
        start = time.process_time()
        suite = ElementTree.fromstring(junit(result))[0]
        spent.append(time.process_time() - start)
        assert suite.get("failures") == suite.get("tests") == str(len(result.cases))
    assert spent[1] < 100 * spent[0]  # 20 times the cases: 400 times the time if each were counted anew


@given(st.lists(TEXTS, min_size=2, max_size=4))
def test_no_text_in_the_log_is_a_command_of_the_runner(texts):
    result = result_of("failed", answer="\n".join(texts), baseline=tuple(texts))
    result = dataclasses.replace(result, cases=tuple(dataclasses.replace(c, reason="\n".join(texts)) for c in result.cases))
    console = Console(width=30, file=io.StringIO())
    console.print(check_text(result))
    for line in console.file.getvalue().splitlines():
        assert not line.strip().startswith("::")
        assert "##[" not in line


def canonical_junit(result):
    """As XML parsers see it: serializers differ in quotes and empty elements."""
    return ElementTree.canonicalize(junit(result).decode()).encode() + b"\n"


KEPT = {
    "check.junit.xml": canonical_junit, "check.md": lambda r: markdown(r).encode(), "check.prom": prometheus, "check.benchmark.json": benchmark,
    "check.github-output": lambda r: github.outputs(r).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_what_is_said_of_a_small_result_is_kept(name):
    result = result_of("passed", "failed", "error", "cannot_tell", baseline=("fedcba9876543210",))
    assert KEPT[name](result).decode() == (GOLDEN / name).read_text()


@given(RESULTS)
def test_a_summary_stays_within_what_github_shows(result):
    for used in (0, github.MOST_BYTES - 300, github.MOST_BYTES - 3):
        assert used + len(github.step_summary(result, used).encode()) < github.MOST_BYTES


def test_ten_thousand_failures_are_cut_with_a_count():
    result = result_of(*["failed"] * 10_000, *["cannot_tell"] * 10_000)
    text = github.step_summary(result, 500_000)
    assert len(text.encode()) < github.MOST_BYTES - 500_000
    shown = len(re.findall(r"^\| limit ", text, re.MULTILINE))
    assert 1000 < shown < 20_000
    assert f"{20_000 - shown:,} more cases did not fit here" in text
    assert len(github.annotations(result)) == 10
    assert "19,991 more" in github.annotations(result)[-1]


def test_a_summary_has_no_mention_no_markup_and_no_broken_table():
    hostile = "x | y <script> @everyone #12 https://evil.example\n## head `code`"
    text = markdown(result_of("failed", device=hostile, answer=hostile, run_id=hostile))
    assert "<script>" not in text
    assert "@everyone" not in text
    assert "https://" not in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## qthreshold: failed"]


@given(RESULTS)
def test_an_annotation_is_one_command(result):
    lines = github.annotations(result)
    assert len(lines) <= 10
    for line in lines:
        assert re.fullmatch(r"::(error|warning) title=[^:,\r\n]*::[^\r\n]*", line)
    assert len(lines) == min(10, len(result.having("failed", "error", "cannot_tell")))


@given(RESULTS)
def test_outputs_are_one_value_a_line(result):
    lines = github.outputs(result).split("\n")
    assert lines.pop() == ""
    names = [line.partition("=")[0] for line in lines]
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)
    assert len(names) == len(set(names)) == 9 + len(result.metrics)


def test_outputs_name_what_later_steps_ask_for():
    values = dict(line.split("=", 1) for line in github.outputs(result_of("failed", "passed")).splitlines())
    assert values["outcome"] == "failed"
    assert values["passed"] == "false"
    assert values["exit-code"] == "1"
    assert float(values["cnot-error-mean"]) == 4.1e-3


@given(RESULTS)
def test_gauges_can_be_read_and_their_labels_are_bounded(result):
    families = list(text_string_to_metric_families(openmetrics(result).decode()))
    samples = [s for f in families for s in f.samples]
    assert {frozenset(s.labels) for s in samples} <= {frozenset({"device"}), frozenset({"device", "metric"}), frozenset({"device", "outcome"})}
    known = [end for v in result.metrics.values() if v is not None for end in (v["best"], v["low"], v["high"])]
    assert len(samples) == sum(end is not None for end in known) + 4 + 1 + result.taken_at.startswith("2026")
    assert [s.name for f in classic_families(prometheus(result).decode()) for s in f.samples] == [s.name for s in samples]


def test_gauges_are_rounded_so_that_noise_is_no_change():
    interval = {"low": 0.00123456, "best": 0.00134567, "high": 0.00145678, "level": 0.95}
    text = openmetrics(result_of("passed", metrics={"cnot_error.mean": interval})).decode()
    assert 'qthreshold_estimate{device="chip",metric="cnot_error.mean"} 0.001346' in text


@given(RESULTS)
def test_a_chart_has_only_what_is_better_when_smaller(result):
    rows = json.loads(benchmark(result))
    assert len(rows) == sum(v is not None and v["best"] is not None and name not in LOWER_IS_WORSE for name, v in result.metrics.items())
    assert all(row.keys() == {"name", "unit", "value", "range", "extra"} for row in rows)


@given(RESULTS)
def test_every_form_can_be_made_of_any_result(result):
    for form in FORMS.keys() - {"github"}:
        assert form_file(result, form)
    assert check_text(result)


@pytest.mark.parametrize(
    ("words", "says"),
    [(["junitt"], "did you mean junit"), ([""], "no form ''"), (["junit="], "the path is missing"), (["github=x"], "goes where GitHub says")],
)
def test_forms_that_do_not_exist_are_refused(words, says):
    with pytest.raises(InputError, match=says):
        parse_forms(words)


def test_a_form_whose_package_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"junit needs junitparser: pip install 'qthreshold\[ci\]'"):
        parse_forms(["junit"])
