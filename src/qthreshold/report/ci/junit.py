"""JUnit XML, the common denominator of CI systems: one suite a device, one test case a question."""

import datetime
import io
from collections import Counter

from junitparser import Error, Failure, JUnitXml, Skipped, SystemErr, SystemOut, TestCase, TestSuite

from qthreshold.check import Case, CheckResult
from qthreshold.report.words import one_line, printable

__all__ = ["junit"]

_RESULT = {"failed": Failure, "error": Error, "cannot_tell": Skipped}


def junit(result: CheckResult) -> bytes:
    """A file that Jenkins, GitLab, GitHub actions and Azure read.

    It is valid by both schemas that are in use, but where the time of the run is not known: the stricter one does not let it be left out.

    A failed case is a failure, missing data is an error, and what cannot be told is skipped. What was only reported is skipped too, whatever
    came out, so that the file fails where the gate does.

    Args:
        result: What the gate said.
    """
    device = _name(result.device)
    suite = TestSuite(device)
    # the stricter of the two schemas wants all of these attributes; the host says nothing of a device, and may be nobody's business
    for name, value in (("package", device), ("id", "0"), ("hostname", "localhost"), ("timestamp", _local(result.taken_at))):
        if value:
            suite._elem.set(name, value)
    for name, value in _properties(result).items():  # before the cases, as the strict order wants it
        suite.add_property(_name(name), printable(value))
    suite.add_testcases(_tests(result, device))  # all at once: statistics are counted anew at every call
    suite.append(SystemOut())
    suite.append(SystemErr())
    document = JUnitXml()  # without statistics of its own, which the stricter schema does not know
    document.add_testsuite(suite)
    out = io.BytesIO()
    document.write(out)
    return out.getvalue() + b"\n"


def _properties(result: CheckResult) -> dict[str, str]:
    of_run = {"run_id": result.run_id, "baseline_runs": ", ".join(result.baseline), "answer": result.answer, "exit_code": str(result.exit_code)}
    return {k: v for k, v in (of_run | dict(result.properties)).items() if v}


def _tests(result: CheckResult, device: str) -> list[TestCase]:
    """One test a case. CI systems follow a test by its name, so no two have the same, and none changes with the limit."""
    tests, seen = [], Counter[str]()
    for case in result.cases:
        name = _name(f"{case.kind} {case.title}{' min' if case.end == 'min' else ''}")
        seen[name] += 1
        tests.append(_test(case, name if seen[name] == 1 else f"{name} ({seen[name]})", device))
    return tests


def _test(case: Case, name: str, device: str) -> TestCase:
    test = TestCase(name, classname=device, time=0)
    if case.outcome != "passed":
        kind = _RESULT[case.outcome] if case.gates else Skipped
        found = kind(one_line(case.reason), case.outcome if case.gates else "reported")
        found.text = one_line(case.reason)  # GitLab shows the text, Jenkins the message
        test.result = [found]
    return test


def _name(text: str) -> str:
    return one_line(text) or "unnamed"


def _local(text: str) -> str:
    """A time as JUnit writes it: to the second, in UTC, without an offset."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return ""
