"""Which forms of a gate's result there are, and what each holds."""

import importlib.util
import json
from collections.abc import Sequence

from qthreshold.check import CheckResult
from qthreshold.errors import InputError
from qthreshold.suggest import near_matches

__all__ = ["FORMS", "form_file", "parse_forms"]

FORMS = {
    "junit": "junit.xml", "github": "", "openmetrics": "metrics.txt", "prometheus": "qthreshold.prom", "benchmark": "benchmark.json",
    "markdown": "check.md", "json": "check.json",
}  # fmt: skip
"""Names of forms, and of the files they make in the run directory; ``github`` goes where GitHub says."""

_NEEDS = {"junit": "junitparser", "openmetrics": "prometheus_client", "prometheus": "prometheus_client"}


def parse_forms(words: Sequence[str]) -> dict[str, str]:
    """Forms from the command line, such as ``junit``, ``junit=out/junit.xml`` or ``junit,github``, and the paths that were named for them.

    Args:
        words: As stated; a form that is named twice goes to the last path.

    Raises:
        InputError: There is no such form, it is no file, or the package that makes it is not installed.

    Example:
        >>> parse_forms(["junit=out.xml", "github,markdown"])
        {'junit': 'out.xml', 'github': '', 'markdown': ''}
    """
    out = {}
    for word in (part.strip() for text in words for part in text.split(",")):
        name, equals, path = word.partition("=")
        if name not in FORMS:
            raise InputError(f"--format: no form {name!r}: {near_matches(name, FORMS)}")
        if equals and (not path or name == "github"):
            raise InputError(f"--format {word}: {'it goes where GitHub says' if name == 'github' else 'the path is missing'}")
        if name in _NEEDS and importlib.util.find_spec(_NEEDS[name]) is None:
            raise InputError(f"--format {name} needs {_NEEDS[name].replace('_', '-')}: pip install 'qthreshold[ci]'")
        out[name] = path
    return out


def form_file(result: CheckResult, form: str) -> bytes:
    """The file of a form.

    Args:
        result: What the gate said.
        form: Of :data:`FORMS`, but ``github``, which makes no file.
    """
    if form == "junit":
        from qthreshold.report.ci.junit import junit

        return junit(result)
    if form in ("openmetrics", "prometheus"):
        from qthreshold.report.ci import openmetrics

        return openmetrics.openmetrics(result) if form == "openmetrics" else openmetrics.prometheus(result)
    if form == "benchmark":
        from qthreshold.report.ci.benchmark import benchmark

        return benchmark(result)
    if form == "markdown":
        from qthreshold.report.ci.markdown import markdown

        return markdown(result).encode()
    return (json.dumps(result.as_dict(), indent=1, allow_nan=False) + "\n").encode()
