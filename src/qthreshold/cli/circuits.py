"""``qthreshold circuits``: a run's circuits as files, for any control stack."""

from pathlib import Path
from typing import Annotated

import typer

from qthreshold.cli.common import Directory, Json, NoProgress, Progress, Quiet, counted, guarded, show, show_json

__all__ = ["app"]

app = typer.Typer(help="Circuits of a planned run as files, to be run on any control stack.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    pass


@app.command("export")
def export(
    directory: Directory,
    form: Annotated[str, typer.Option("--format", metavar="qasm3|qpy", help="OpenQASM 3, a text file a circuit; or Qiskit's QPY.")] = "qasm3",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Where to; DIR/circuits by default.")] = None,
    circuits: Annotated[str | None, typer.Option("--circuits", metavar="0-9,12", help="Numbers of circuits; all by default.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Write the circuits in native gates, and a job sheet for the person at the bench: files, shots, qubits, bit order, hashes.

    Plan the run first, with '-b offline:PROFILE' if the counts shall come back; PROFILE describes the device (backends/README.md).

    \b
    Examples:
      qthreshold plan lab -b offline:chip.toml
      qthreshold circuits export lab
      qthreshold circuits export lab --format qpy --out /media/usb/lab
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import jobsheet, workflow
        from qthreshold.store import RunDirectory

        run = RunDirectory.open(directory)
        chosen = jobsheet.parse_selection(circuits, workflow.load_plan(run)[1].n_circuits) if circuits is not None else None
        with Progress(not (quiet or no_progress)) as progress:
            done = jobsheet.export_circuits(run, form=form, out=out, circuits=chosen, watch=progress)
        if json:
            show_json({"folder": str(done.folder), "circuits": done.circuits, "files": done.files, "bytes": done.size})
        elif not quiet:
            show(f"{counted(done.circuits, 'circuit')} in {counted(done.files, 'file')}, {_bytes(done.size)}, {done.seconds:.1f} s: {done.folder}")
            show(f"How to run them: {done.folder / 'jobsheet.json'}, as a table {done.folder / 'jobs.csv'}")
            if workflow.is_offline(run):
                show(f"Then: qthreshold ingest {directory} FILE")


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
