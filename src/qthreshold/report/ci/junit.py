"""JUnit XML, the common denominator of CI systems: one suite a device, one test case a question."""

import datetime
from xml.etree import ElementTree

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from qthreshold.check import Case, CheckResult
from qthreshold.report.words import printable

__all__ = ["junit"]

_RESULT = {"failed": Failure, "error": Error, "cannot_tell": Skipped}


def junit(result: CheckResult) -> bytes:
    """A file that Jenkins, GitLab, GitHub actions and Azure read.

    A failed case is a failure, missing data is an error, and what cannot be told is skipped. What was only reported is skipped too, whatever
    came out, so that the file fails where the gate does.

    Args:
        result: What the gate said.
    """
    suite = TestSuite(printable(result.device) or "unnamed")
    for name, value in _properties(result).items():  # before the cases, as schemas with a strict order want it
        suite.add_property(printable(name), printable(value))
    for case in result.cases:
        suite.add_testcase(_test(result, case))
    if moment := _local(result.taken_at):
        suite.timestamp = moment
    document = JUnitXml("qthreshold")
    document.add_testsuite(suite)
    document.update_statistics()
    document._elem.attrib.pop("skipped", None)  # the schema of Jenkins knows it for a suite only
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(document._elem, encoding="utf-8")


def _properties(result: CheckResult) -> dict[str, str]:
    of_run = {"run_id": result.run_id, "baseline_runs": ", ".join(result.baseline), "answer": result.answer, "exit_code": str(result.exit_code)}
    return {k: v for k, v in (of_run | dict(result.properties)).items() if v}


def _test(result: CheckResult, case: Case) -> TestCase:
    test = TestCase(printable(f"{case.kind} {case.title}"), classname=printable(result.device) or "unnamed", time=0)
    if case.outcome != "passed":
        kind = _RESULT[case.outcome] if case.gates else Skipped
        found = kind(printable(" ".join(case.reason.split())), case.outcome)
        test.result = [found]
    return test


def _local(text: str) -> str:
    """A time as JUnit writes it: to the second, in UTC, without an offset."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return ""
