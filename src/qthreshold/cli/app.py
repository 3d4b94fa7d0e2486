"""All commands and their options."""

import sys
from typing import Any

import typer

from qthreshold.cli import backends, check, circuits, doctor, history, ingest, interpretations, judge, report, rules, run, stages
from qthreshold.cli.common import set_debug, without_passwords

__all__ = ["app", "run_command"]

app = typer.Typer(
    name="qthreshold",
    help="Measures a quantum computer and says, with intervals, on which side of the export-control thresholds it falls.",
    epilog="Start with: qthreshold run   (a simulated 133-qubit device, no account needed)",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from qthreshold import __version__

        print(f"qthreshold {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    set_debug(debug)


app.command("run")(run.run)
app.command("ingest")(ingest.ingest)
app.command("plan")(stages.plan)
app.command("submit")(stages.submit)
app.command("collect")(stages.collect)
app.command("cancel")(stages.cancel)
app.command("analyse")(stages.analyse)
app.command("judge")(judge.judge)
app.command("report")(report.report)
app.command("check")(check.check)
app.command("resume")(stages.resume)
app.command("verify")(stages.verify)
app.command("doctor")(doctor.doctor)
app.add_typer(backends.app, name="backends")
app.add_typer(circuits.app, name="circuits")
app.add_typer(history.app, name="history")
app.add_typer(rules.app, name="rules")
app.add_typer(interpretations.app, name="interpretations")


def run_command() -> int:
    """Run the command line. Mistakes in the usage are one line on stderr, like all others."""
    try:
        code = app(standalone_mode=False)
    except Exception as caught:
        error: Any = caught
        if type(error).__name__ == "Abort":  # Ctrl-C where nobody further in was ready for it
            print("qthreshold: interrupted", file=sys.stderr)
            return 130
        if not hasattr(error, "format_message"):  # a usage error; known by its form because typer carries its own copy of click
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            command = getattr(getattr(error, "ctx", None), "command_path", "qthreshold")
            said = without_passwords(" ".join(error.format_message().split())).rstrip(".")
            print(f"qthreshold: {said}; see '{command} --help'.", file=sys.stderr)
        code = 2
    return code if isinstance(code, int) else 0
