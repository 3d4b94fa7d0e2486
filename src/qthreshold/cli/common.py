"""What all commands share: options, output, progress, and turning errors into one line and an exit code."""

import contextlib
import datetime
import json
import os
import re
import shlex
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "AsOf",
    "Cap",
    "Criteria",
    "Dask",
    "Directory",
    "Json",
    "MaxMemory",
    "NoProgress",
    "Poll",
    "Progress",
    "Quiet",
    "Resubmit",
    "Retry",
    "Rules",
    "RulesDir",
    "Wait",
    "Workers",
    "Yes",
    "consent",
    "counted",
    "guarded",
    "parse_criteria",
    "parse_day",
    "parse_rules",
    "reader_may_leave",
    "show",
    "show_json",
    "shown",
    "without_passwords",
]  # fmt: skip

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Run directory.")]
Json = Annotated[bool, typer.Option("--json", help="Machine output on stdout, nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bar.")]
Rules = Annotated[str | None, typer.Option("--rules", metavar="ID,ID", help="Instruments to judge by; all by default.")]
RulesDir = Annotated[
    Path | None,
    typer.Option("--rules-dir", metavar="DIR", envvar="QTHRESHOLD_RULES_DIR", show_envvar=True, help="Rule files of your own beside the shipped."),
]
Criteria = Annotated[
    str | None,
    typer.Option("--criteria", metavar="NAME=P,...", help="Specification of a working qubit: one_qubit_error, readout_error, cnot_error at most P."),
]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="YYYY-MM-DD", help="The law as of this day; today by default.")]
Cap = Annotated[
    float | None,
    typer.Option(
        "--max-qpu-seconds",
        metavar="N",
        min=0.0,
        help="Hard cap on device time, used and estimated, for the whole run. Needed where nobody can be asked.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Submit without asking at the terminal; scripts need --max-qpu-seconds.")]
Retry = Annotated[bool, typer.Option("--retry", help="Send jobs again that ended without a result.")]
Resubmit = Annotated[bool, typer.Option("--resubmit", help="Send jobs again of which the provider cannot say whether they arrived.")]
Poll = Annotated[float | None, typer.Option("--poll", metavar="SECONDS", min=0.05, help="Longest pause between two looks at a job; 30 by default.")]
Wait = Annotated[float | None, typer.Option("--wait", metavar="SECONDS", min=0.0, help="Stop waiting for results after this long; the jobs go on.")]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, help="Worker processes on this machine; by default one per core, at most 8.")
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask", metavar="ADDRESS", envvar="QTHRESHOLD_DASK", show_envvar=True, help="Work on a Dask cluster: its scheduler, tcp://HOST:PORT."
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option("--max-memory", metavar="SIZE", help="What all workers together may use, such as 4GiB; by default half of what is available."),
]

_state: dict[str, Any] = {"debug": False}


def set_debug(on: bool) -> None:
    """Show tracebacks of explained errors."""
    _state["debug"] = on


@contextlib.contextmanager
def guarded(directory: Path | None = None) -> Iterator[None]:
    """Turn expected errors into one line on stderr and the right exit code.

    Args:
        directory: The run directory, for the hint how to resume.
    """
    from qthreshold.errors import AuthenticationError, BackendError, QThresholdError

    try:
        yield
    except QThresholdError as error:
        _debug()
        resumable = isinstance(error, (BackendError, AuthenticationError)) and "'qthreshold " not in str(error)
        _fail(str(error) + (_how_to_go_on(directory) if resumable else ""), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail(f"interrupted{_how_to_go_on(directory) or '; nothing was started'}", 130)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None
    except MemoryError:
        _debug()
        _fail("not enough memory; take fewer shots, sequences or qubits, or fewer --workers or less --max-memory", 4)
    except OSError as error:
        _debug()
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 4)


def _debug() -> None:
    """Print where an error comes from, if that was asked for; the exit code stays what it is."""
    if _state["debug"]:
        traceback.print_exc()


def _how_to_go_on(directory: Path | None) -> str:
    where = directory if directory is not None else _state.get("directory")
    if where is None or not (where / "run.json").exists():
        return ""
    named = shown(where)
    if _under_way(where):
        return f"; its jobs go on at the provider: 'qthreshold collect {named}' fetches their results, 'qthreshold cancel {named}' cancels them"
    return "" if (where / "summary.json").exists() else f"; finish it with 'qthreshold resume {named}'"


def shown(directory: Path) -> str:
    """A path as it can be pasted into a command."""
    text = str(directory)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _under_way(directory: Path) -> bool:
    """Whether a run has jobs at a provider that go on without this process."""
    from qthreshold.errors import StoreError
    from qthreshold.jobs import read_journal
    from qthreshold.store import RunDirectory

    run = RunDirectory(directory)
    try:
        return bool(run.read_json("run.json").get("paid")) and any(a.open for a in read_journal(run).attempts.values())
    except StoreError:
        return False


def consent(cap: float | None, yes: bool, progress: "Progress | None" = None) -> Any:
    """What the user agrees to on the command line; a question on the terminal, where there is one.

    Args:
        cap: As stated.
        yes: Do not ask.
        progress: What is shown meanwhile; it makes room for the question.
    """
    from qthreshold.jobs import Consent

    def ask(question: str) -> bool:
        with progress.paused() if progress is not None else contextlib.nullcontext():
            return typer.confirm(question, err=True)

    return Consent(cap=cap, yes=yes, ask=ask if sys.stdin.isatty() and sys.stderr.isatty() else None)


def note_directory(directory: Path) -> None:
    """Remember where the run is, for the hint after an interrupt."""
    _state["directory"] = directory


def _fail(message: str, code: int) -> None:
    print(f"qthreshold: {without_passwords(' '.join(message.split()))}", file=sys.stderr)
    raise typer.Exit(code)


def without_passwords(text: str) -> str:
    """A message without the passwords of URLs that were written where something else belongs.

    Example:
        >>> without_passwords("no run postgresql://lab:secret@db/results")
        'no run postgresql://lab:***@db/results'
    """
    text = re.sub(r"(:/{1,2}[^\s/@:]*):\S*@", r"\1:***@", text)
    return re.sub(r"(password\s*=)[^&\s'\"]+", r"\1***", text, flags=re.IGNORECASE)


def parse_day(text: str | None) -> datetime.date | None:
    """A day from the command line.

    Raises:
        InputError: It is not a date.
    """
    from qthreshold.errors import InputError

    try:
        return datetime.date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise InputError(f"--as-of {text!r} is not a day; write it as YYYY-MM-DD, for example 2026-01-31") from None


def parse_criteria(text: str | None) -> dict[str, float] | None:
    """Criteria for a working qubit from a comma-separated list such as ``cnot_error=0.02,readout_error=0.05``.

    Raises:
        InputError: A part is not a name and a number.
    """
    from qthreshold.errors import InputError

    if text is None:
        return None
    out = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        try:
            number = float(value)
        except ValueError:
            number = None
        if not name or not equals or number is None:
            raise InputError(f"--criteria {text!r}: {part.strip()!r} is not NAME=NUMBER, for example cnot_error=0.02")
        if name in out:
            raise InputError(f"--criteria {text!r} states {name} twice")
        out[name] = number
    return out


def parse_rules(text: str | None, directory: Path | None = None) -> list[str] | None:
    """Rule ids from a comma-separated list.

    Args:
        text: The list.
        directory: Rule files of the user's own, for the message.

    Raises:
        InputError: It names no rule.
    """
    from qthreshold.errors import InputError
    from qthreshold.rulebook import rule_ids

    if text is None:
        return None
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise InputError(f"--rules {text!r} names no rule. Known: {', '.join(rule_ids(directory))}")
    return found


def counted(number: int, noun: str) -> str:
    """A number and its noun: ``1 circuit``, ``1,200 circuits``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """For what goes to stdout: whoever reads it may have seen enough (``| head``). What the command does, and its exit code, stay."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # on which rich would exit with 1, which means that a gate failed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(content: "RenderableType | str") -> None:
    """Print to stdout."""
    from rich.console import Console

    with reader_may_leave():
        Console(highlight=False, markup=False, emoji=False).print(content)


def show_json(value: Any) -> None:
    """Print JSON to stdout."""
    with reader_may_leave():
        print(json.dumps(value, indent=1, allow_nan=False))


class Progress:
    """Progress on stderr: a bar with the time left on a terminal, a line now and then in a log."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None
        self._task: Any = None
        self._total = self._done = self._before = 0
        self._started = self._said = time.monotonic()
        self._name = self._noted = ""

    def __enter__(self) -> "Progress":
        if self._shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("done, time left"), TimeRemainingColumn())
            # the speed is that of the last hour: a chunk of a large simulation may take minutes
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=3600)
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Without the bar, for a question."""
        if self._bar is not None:
            self._bar.stop()
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.start()

    def say(self, text: str) -> None:
        """One line."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        elif self._shown:
            print(text, file=sys.stderr, flush=True)

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """A stage begins, or goes on where it was left."""
        self._total, self._done, self._before, self._name = total, done, done, name
        self._started = self._said = time.monotonic()
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(name, total=total or None, completed=done)

    def note(self, text: str) -> None:
        """What is going on: beside the bar on a terminal; in a log when it is something else, or now and then."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"{self._name}  {text}")
        elif self._shown and (text != self._noted or time.monotonic() - self._said > 60):
            self._said, self._noted = time.monotonic(), text
            print(text, file=sys.stderr, flush=True)

    def advance(self, done: int) -> None:
        """Units finished."""
        self._done += done
        if self._bar is not None:
            self._bar.advance(self._task, done)
        elif self._shown and self._done > self._before and time.monotonic() - self._said > 5:
            self._said = time.monotonic()
            left = (self._said - self._started) * (self._total - self._done) / (self._done - self._before)
            print(f"{self._name}: {self._done:,} of {self._total:,}, about {_duration(left)} left", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    """A time as a person says it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
