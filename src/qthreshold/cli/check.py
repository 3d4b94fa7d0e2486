"""``qthreshold check``: the gate of a pipeline."""

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qthreshold.cli.common import Json, Quiet, guarded, reader_may_leave, show, show_json, shown, without_passwords

if TYPE_CHECKING:
    from qthreshold.check import CheckResult
    from qthreshold.errors import QThresholdError
    from qthreshold.gate import Gate

__all__ = ["check"]


def check(
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", help="A finished run.")] = None,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="met,undetermined", help="What fails the gate, both by default; or never.")
    ] = None,
    instruments: Annotated[
        str | None, typer.Option("--instruments", "--rules", metavar="ID,...", help="Rules that count; by default all that the run was judged by.")
    ] = None,
    gate_file: Annotated[Path | None, typer.Option("--gate", metavar="FILE.toml", help="Limits, rules and tolerances; see --gate-schema.")] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="DIR|last-good|last:N", help="What the run must not be worse than; none by default.")
    ] = None,
    max_regression: Annotated[
        str | None, typer.Option("--max-regression", metavar="P%", help="Change for the worse that is tolerated; 5% by default.")
    ] = None,
    fdr: Annotated[
        str | None, typer.Option("--fdr", metavar="Q", help="Share of false ones among the changes called worse; 0.05 by default.")
    ] = None,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="FILE|URL", envvar="QTHRESHOLD_HISTORY", show_envvar=True, help="Where earlier runs are; see 'history'."),
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Add the run, with the outcome, to the history.")] = False,
    forms: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORM[=PATH]",
            help="junit, github, openmetrics, prometheus, benchmark, markdown, json; repeatable, or with commas.",
        ),
    ] = None,
    gate_schema: Annotated[bool, typer.Option("--gate-schema", help="Print the JSON schema of gate files.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Hold a run against rules, limits and a baseline. Intervals decide; "cannot tell" is an outcome of its own.

    Exit code: 0 passed; 1 a rule is met or a limit exceeded; 3 cannot tell; 4 data are missing or the run is not finished, which
    says nothing of the device; 5 worse than the baseline.

    \b
    Examples:
      qthreshold check runs/tonight                            no rule may be met
      qthreshold check runs/tonight --baseline runs/monday     nor may it be worse
      qthreshold check runs/tonight --gate gate.toml -f junit  limits; junit.xml
      qthreshold check runs/tonight --history lab.db --baseline last:7 --record
    """  # noqa: D301
    if gate_schema:
        from qthreshold.gate import Gate

        show_json(Gate.model_json_schema(by_alias=True))
        return
    with guarded(directory):
        stated = {"fail_on": fail_on, "instruments": instruments, "baseline": baseline, "max_regression": max_regression, "fdr": fdr}
        _check(directory, gate_file, stated, history, forms or [], record=record, json=json, quiet=quiet)


def _check(
    directory: Path | None, gate_file: Path | None, stated: dict[str, str | None], where: str | None, forms: list[str],
    *, record: bool, json: bool, quiet: bool,
) -> None:  # fmt: skip
    from qthreshold.errors import InputError, QThresholdError
    from qthreshold.report.ci.forms import parse_forms
    from qthreshold.report.ci.text import check_text

    if directory is None:
        raise InputError("name a run directory: qthreshold check DIR")
    gate, wanted = _gate(gate_file, stated), parse_forms(forms)
    _require_places(directory, wanted, where)
    if record and where is None:
        raise InputError("--record needs --history FILE or URL")
    try:
        result = _held(directory, gate, where, {"gate": gate_file.name} if gate_file is not None else {}, record=record)
    except QThresholdError as error:
        _keep_fault(directory, gate, error, wanted)
        raise
    whole = _keep(directory, result, {"json": ""} | wanted)
    if "github" in wanted:
        _tell_github(result)
    if json:
        show_json(result.as_dict())
    elif not quiet:
        show(check_text(result))
    if "github" in wanted and not (json or quiet):
        _annotate(result)
    kept = _record(where, directory, result, quiet=json or quiet) if record and where is not None else True
    raise typer.Exit(result.exit_code or (0 if kept and whole else 4))


def _held(directory: Path, gate: "Gate", where: str | None, about: dict[str, str], *, record: bool) -> "CheckResult":
    """What the gate says. A history that cannot be read takes only the baseline away."""
    from qthreshold import ci
    from qthreshold.errors import StoreError
    from qthreshold.history import open_history

    with contextlib.ExitStack() as stack:
        history, lost = None, ""
        if where is not None and ci.from_history(gate):
            try:
                history = stack.enter_context(open_history(where, create=record))
            except StoreError as error:
                lost = without_passwords(str(error))
        return ci.check(directory, gate, history=history, about=about, first=record, lost=lost)


def _keep_fault(directory: Path, gate: "Gate", error: "QThresholdError", wanted: dict[str, str]) -> None:
    """Write the files of a run that could not be held against the gate: who reads them would take those of the night before for today's."""
    from qthreshold import ci
    from qthreshold.gate import unreadable
    from qthreshold.store import RunDirectory

    if wanted and (directory / "run.json").exists():
        device = ci.device_of(RunDirectory(directory))
        reason = without_passwords(str(error))
        _keep(directory, unreadable(directory.resolve().name, reason, gate, device=device, code=error.exit_code), wanted)


def _require_places(directory: Path, wanted: dict[str, str], history: str | None) -> None:
    """Refuse to write over anything of a run, the history, or another form.

    Raises:
        InputError: A path cannot be used.
    """
    from qthreshold.errors import InputError
    from qthreshold.report.ci.forms import FORMS

    taken = {} if history is None else {Path(history).resolve(): "the history"}
    for form, name in wanted.items():
        if not name:
            continue
        path = Path(name)
        if name.endswith("/") or path.is_dir() or name == "-":
            raise InputError(f"--format {form}={name}: name a file, such as {form}=out/{FORMS[form]}")
        place = path.resolve()
        runs = [p for p in place.parents if (p / "run.json").exists()]
        if runs and place != (directory / FORMS[form]).resolve():
            raise InputError(f"--format {form}={name} lies in a run directory; leave the path out, or name one elsewhere")
        if place in taken:
            raise InputError(f"--format {form}={name}: {taken[place]} is written there")
        taken[place] = form


def _record(where: str, directory: Path, result: "CheckResult", *, quiet: bool) -> bool:
    """Add the run to the history, and say what it holds now; whether that worked. The outcome is known by now, and no fault here changes it."""
    from qthreshold import ci
    from qthreshold.errors import QThresholdError
    from qthreshold.history import open_history

    if not result.run_id:
        print("qthreshold: not recorded, since there is no result that can be trusted", file=sys.stderr)
        return True
    try:
        with open_history(where, create=True) as history:
            added = history.add(history.at_known_time(ci.measured(directory)), outcome=result.outcome)
            kept = history.entry(result.run_id).outcome
            if kept != result.outcome:
                remedy = f"'qthreshold history add {shown(directory)} --replace' takes {result.outcome}"
                print(f"qthreshold: {history.name} keeps {kept} for this run; {remedy}", file=sys.stderr)
            elif not quiet:
                show(f"{'Recorded' if added else 'Was there already'} in {history.name} as {kept}.")
    except QThresholdError as error:
        print(f"qthreshold: not recorded: {without_passwords(str(error))}", file=sys.stderr)
        return False
    return True


def _keep(directory: Path, result: "CheckResult", wanted: dict[str, str]) -> bool:
    """Write the files; whether all that were named elsewhere could be. What came out is worth more than a file: the rest is only warned of."""
    from qthreshold.errors import QThresholdError, StoreError
    from qthreshold.report.ci.forms import FORMS, form_file
    from qthreshold.store import RunDirectory, write_folder

    here: list[tuple[str, bytes]] = []
    whole = True
    for form, path in wanted.items():
        if form == "github":
            continue
        data = form_file(result, form)
        if not path or Path(path).resolve() == (directory / FORMS[form]).resolve():
            here.append((FORMS[form], data))
            continue
        try:
            if Path(path).exists() and not Path(path).is_file():
                Path(path).write_bytes(data)  # such as /dev/stdout
            else:
                write_folder(Path(path).parent, [(Path(path).name, data)])
        except (OSError, QThresholdError) as error:
            whole = False
            print(f"qthreshold: {form} is not written: {error}", file=sys.stderr)
    try:
        run = RunDirectory.open(directory)
        with run.locked():
            run.write_files(here)
    except StoreError as error:
        print(f"qthreshold: {', '.join(name for name, _ in here)} not kept: {error}", file=sys.stderr)
    return whole


def _annotate(result: "CheckResult") -> None:
    """Print annotations where GitHub reads them."""
    from qthreshold.report.ci.github import annotations

    if os.environ.get("GITHUB_ACTIONS") == "true":
        with reader_may_leave():
            for line in annotations(result):
                print(line)


def _tell_github(result: "CheckResult") -> None:
    """Append to the files that GitHub names."""
    from qthreshold.report.ci.github import outputs, step_summary

    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        name = os.environ.get(variable)
        if not name:
            continue
        path = Path(name)
        try:
            text = outputs(result) if variable == "GITHUB_OUTPUT" else step_summary(result, path.stat().st_size if path.exists() else 0)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n" if text and variable == "GITHUB_STEP_SUMMARY" else text)
        except OSError as error:  # what came out is worth more than a file
            print(f"qthreshold: {variable} {name} cannot be written: {error.strerror or error}", file=sys.stderr)


def _gate(path: Path | None, stated: dict[str, str | None]) -> "Gate":
    """The gate file, and what the command line says instead.

    Raises:
        InputError: The file or an option cannot be used.
    """
    from pydantic import ValidationError

    from qthreshold.datafiles import load_toml
    from qthreshold.errors import InputError
    from qthreshold.gate import Gate

    gate = load_toml(path, Gate, "gate") if path is not None else Gate()
    for name, text in stated.items():
        if text is None:
            continue
        if not text.strip():
            raise InputError(f"--{name.replace('_', '-')} is empty; leave it out, or name a value")
        value: Any = [part.strip() for part in text.split(",") if part.strip()] if name in ("fail_on", "instruments") else text
        try:
            gate = Gate.model_validate(gate.model_dump(by_alias=True, exclude_unset=True) | {name: value})
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise InputError(f"--{name.replace('_', '-')} {text!r}: {fault[0].lower()}{fault[1:]}") from None
    return gate
