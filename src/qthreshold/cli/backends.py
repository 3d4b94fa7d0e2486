"""``qthreshold backends``: what can be run on."""

from typing import TYPE_CHECKING

import typer

from qthreshold.cli.common import Json, guarded, show, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qthreshold.device import Device

__all__ = ["app"]

app = typer.Typer(help="What circuits can be run on, with the truth where it is known.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(json: Json = False) -> None:
    """Simulated devices by name, and how to name others."""
    with guarded():
        from rich import box
        from rich.table import Table

        from qthreshold.backends.profiles import load_profile
        from qthreshold.datafiles import names_in

        rows = [(f"aer:{name}", load_profile(name).description) for name in names_in("backends")]
        if json:
            show_json([{"spec": spec, "description": text} for spec, text in rows])
            return
        table = Table("backend", "what it is", box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        show(table)
        show("Or aer:FILE.toml with your own profile (backends/README.md describes the format); synthetic:PROFILE draws ideal decays instead.")
        show("Snapshots of real devices, simulated: fake:FakeTorino and others (pip install 'qthreshold[ibm]').")
        show("Real devices: ibm:NAME or ibm:least-busy with an IBM account; 'qthreshold doctor --backend SPEC' checks the way there.")
        show("Any other Qiskit BackendV2: provider:MODULE:CALLABLE?key=value, or provider:NAME, the entry point of an installed package.")
        show("On a control stack of your own: offline:PROFILE; its circuits leave and its counts come back as files (circuits/README.md).")


@app.command("show")
def show_(spec: str = typer.Argument(metavar="SPEC", help="For example aer:heron-133."), json: Json = False) -> None:
    """One backend: size, gates, reported errors and, for simulators, true errors."""
    with guarded():
        from rich import box
        from rich.table import Table

        from qthreshold.backends import open_backend
        from qthreshold.report.text import number

        with open_backend(spec) as backend:
            device, truth = backend.device, backend.truth("cnot")
        usable = device.usable_edges
        facts: dict[str, object] = {
            "name": device.name, "source": device.source, "n_qubits": device.n_qubits, "usable_qubits": len(device.usable_qubits),
            "n_edges": len(device.edges), "usable_edges": len(usable), "two_qubit_gate": device.two_qubit_gate,
            "reported_gate_error_median": _median(device.edge_error[usable]), "reported_readout_error_median": _median(device.readout_error),
            "true_cnot_error_mean": float(truth.cnot_error[usable].mean()) if truth is not None and len(usable) else None,
            "true_cnot_error_best": float(truth.cnot_error[usable].min()) if truth is not None and len(usable) else None,
            "true_cnot_error_worst": float(truth.cnot_error[usable].max()) if truth is not None and len(usable) else None,
            "true_one_qubit_error_median": _median(truth.one_qubit_error) if truth is not None else None,
            "excluded": _excluded(device),
        }  # fmt: skip
        if json:
            show_json(facts)
            return
        table = Table("", spec, box=box.SIMPLE_HEAD, pad_edge=False)
        for key, value in facts.items():
            if key == "excluded":
                value = _first_few(_excluded(device))
            cell = number(value) if isinstance(value, float | None) else f"{value:,}" if isinstance(value, int) else str(value)
            table.add_row(key.replace("_", " "), cell)
        show(table)


def _excluded(device: "Device") -> dict[str, str]:
    """Why qubits and pairs are left out."""
    out = ("absent", "faulty")
    qubits = {f"qubit {q}": r for q, (s, r) in enumerate(zip(device.qubit_status, device.qubit_reason, strict=True)) if s in out}
    pairs = zip(device.edges.tolist(), device.edge_status, device.edge_reason, strict=True)
    return qubits | {f"pair {a}-{b}": r for (a, b), s, r in pairs if s in out}


def _first_few(excluded: "Mapping[str, str]", shown: int = 4) -> str:
    """A cell of text, however many there are."""
    more = len(excluded) - shown
    return "; ".join(f"{k}: {v}" for k, v in list(excluded.items())[:shown]) + (f"; and {more:,} more, see --json" if more > 0 else "") or "nothing"


def _median(values: object) -> float | None:
    import numpy as np

    array = np.asarray(values, dtype=float)
    return float(np.nanmedian(array)) if np.isfinite(array).any() else None
