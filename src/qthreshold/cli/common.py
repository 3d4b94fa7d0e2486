"""What all commands share: options, output, progress, and turning errors into one line and an exit code."""

import contextlib
import datetime
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "AsOf",
    "Criteria",
    "Directory",
    "Json",
    "NoProgress",
    "Progress",
    "Quiet",
    "Rules",
    "RulesDir",
    "Workers",
    "guarded",
    "parse_criteria",
    "parse_day",
    "parse_rules",
    "show",
    "show_json",
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
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes for simulation; one per core by default.")]

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
    from qthreshold.errors import BackendError, QThresholdError

    try:
        yield
    except QThresholdError as error:
        if _state["debug"]:
            raise
        _fail(str(error) + (_how_to_go_on(directory) if isinstance(error, BackendError) else ""), error.exit_code)
    except KeyboardInterrupt:
        _fail(f"interrupted{_how_to_go_on(directory) or '; nothing was started'}", 130)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None
    except MemoryError:
        if _state["debug"]:
            raise
        _fail("not enough memory; take fewer shots, sequences or qubits, or fewer --workers", 4)
    except OSError as error:
        if _state["debug"]:
            raise
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 4)


def _how_to_go_on(directory: Path | None) -> str:
    where = directory if directory is not None else _state.get("directory")
    return f"; finish it with 'qthreshold resume {where}'" if where is not None and (where / "run.json").exists() else ""


def note_directory(directory: Path) -> None:
    """Remember where the run is, for the hint after an interrupt."""
    _state["directory"] = directory


def _fail(message: str, code: int) -> None:
    print(f"qthreshold: {' '.join(message.split())}", file=sys.stderr)
    raise typer.Exit(code)


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


def show(content: "RenderableType | str") -> None:
    """Print to stdout."""
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(content)


def show_json(value: Any) -> None:
    """Print JSON to stdout."""
    print(json.dumps(value, indent=1, allow_nan=False))


class Progress:
    """Progress on stderr: a bar with the time left on a terminal, a line now and then in a log."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None
        self._task: Any = None
        self._total = self._done = 0
        self._started = self._said = time.monotonic()

    def __enter__(self) -> "Progress":
        if self._shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("sequences, time left"), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """One line."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        elif self._shown:
            print(text, file=sys.stderr, flush=True)

    def stage(self, name: str, total: int) -> None:
        """A stage begins."""
        self._total, self._done = total, 0
        self._started = self._said = time.monotonic()
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(name, total=total or None)

    def advance(self, done: int) -> None:
        """Units finished."""
        self._done += done
        if self._bar is not None:
            self._bar.advance(self._task, done)
        elif self._shown and self._done and time.monotonic() - self._said > 5:
            self._said = time.monotonic()
            left = (self._said - self._started) * (self._total - self._done) / self._done
            print(f"{self._done:,} of {self._total:,} sequences, about {left:.0f} s left", file=sys.stderr, flush=True)
