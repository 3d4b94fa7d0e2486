"""``qthreshold backends``: what can be run on."""

from typing import TYPE_CHECKING

import typer

from qthreshold.cli.common import Json, guarded, show, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qthreshold.backends.base import Backend
    from qthreshold.backends.twirl import Limit
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
        show("Or aer:FILE.toml with your own profile (backends/README.md describes the format).")
        show("The same devices, computed instead of simulated, up to 10,000 qubits: exact:PROFILE. Ideal decays: synthetic:PROFILE.")
        show("Snapshots of real devices, simulated: fake:FakeTorino and others (pip install 'qthreshold[ibm]').")
        show("Real devices: ibm:NAME or ibm:least-busy with an IBM account; 'qthreshold doctor --backend SPEC' checks the way there.")
        show("Any other Qiskit BackendV2: provider:MODULE:CALLABLE?key=value, or provider:NAME, the entry point of an installed package.")
        show("On a control stack of your own: offline:PROFILE; its circuits leave and its counts come back as files (circuits/README.md).")


@app.command("show")
def show_(
    spec: str = typer.Argument(metavar="SPEC", help="For example aer:heron-133."),
    bias: bool = typer.Option(False, "--bias", help="Also what padded and plain interleaved RB would converge to; exact, for simulated devices."),
    json: Json = False,
) -> None:
    """One backend: size, gates, reported errors and, for simulators, true errors.

    \b
    Examples:
      qthreshold backends show aer:heron-133
      qthreshold backends show exact:coherent-16 --bias   what protocols find
    """  # noqa: D301
    with guarded():
        from rich import box
        from rich.table import Table

        from qthreshold.backends import open_backend
        from qthreshold.report.words import number

        with open_backend(spec) as backend:
            device, truth = backend.device, backend.truth("cnot")
            limits = _limits(backend) if bias else {}
        usable = device.usable_edges
        facts: dict[str, object] = {
            "name": device.name, "source": device.source, "n_qubits": device.n_qubits, "usable_qubits": len(device.usable_qubits),
            "n_edges": len(device.edges), "usable_edges": len(usable), "two_qubit_gate": device.two_qubit_gate,
            "reported_gate_error_median": _median(device.edge_error[usable]), "reported_readout_error_median": _median(device.readout_error),
            "true_cnot_error_mean": float(truth.cnot_error[usable].mean()) if truth is not None and len(usable) else None,
            "true_cnot_error_best": float(truth.cnot_error[usable].min()) if truth is not None and len(usable) else None,
            "true_cnot_error_worst": float(truth.cnot_error[usable].max()) if truth is not None and len(usable) else None,
            "true_one_qubit_error_median": _median(truth.one_qubit_error) if truth is not None else None,
            **_crosstalk(backend), **limits, "excluded": _excluded(device),
        }  # fmt: skip
        if json:
            show_json(facts)
            return
        table = Table("", spec, box=box.SIMPLE_HEAD, pad_edge=False)
        for key, value in facts.items():
            if key == "protocol_limits":
                continue
            if key == "excluded":
                value = _first_few(_excluded(device))
            cell = number(value) if isinstance(value, float | None) else f"{value:,}" if isinstance(value, int) else str(value)
            table.add_row(key.replace("_", " "), cell)
        show(table)


def _crosstalk(backend: "Backend") -> dict[str, object]:
    """Least and largest angle of the couplings that have crosstalk, radians; nothing where there is none or circuits are not simulated."""
    zz = getattr(backend, "crosstalk", None)
    angles = [] if zz is None else [z for z in zz[backend.device.usable_edges].tolist() if z]
    return {"crosstalk_zz_least": min(angles), "crosstalk_zz_largest": max(angles)} if angles else {}


_MOST_LIMITS = 200  # pairs: each takes a tenth of a second


def _limits(backend: "Backend") -> dict[str, object]:
    """What both protocols converge to, for up to 200 pairs evenly picked, and their bias in words.

    Raises:
        InputError: The backend is not a simulated device with channels.
    """
    import numpy as np

    from qthreshold.backends.twirl import protocol_limits
    from qthreshold.errors import InputError

    noise = getattr(backend, "noise", None)
    if noise is None:
        raise InputError(f"--bias needs a device whose channels are known, such as exact:heron-133; those of {backend.spec} are not")
    usable = backend.device.usable_edges
    edges = usable[np.linspace(0, len(usable) - 1, min(len(usable), _MOST_LIMITS)).round().astype(int)] if len(usable) else usable
    found = {name: protocol_limits(backend.device, noise, edges, padded=name == "padded") for name in ("padded", "plain")}
    named = [
        {"edge": backend.device.edges[e].tolist(), "true_cnot_error": a.true_error, **{n: _limit(x) for n, x in (("padded", a), ("plain", b))}}
        for e, a, b in zip(edges.tolist(), found["padded"], found["plain"], strict=True)
    ]
    return {"protocol_limits": named, **{f"{name}_bias": _in_words([x.bias for x in limits]) for name, limits in found.items()}}


def _limit(limit: "Limit") -> dict[str, float | None]:
    return {"p_ref": limit.p_ref, "p_int": limit.p_int, "estimate": limit.estimate, "bias": limit.bias if limit.bias == limit.bias else None}


def _in_words(bias: "Sequence[float]") -> str:
    import numpy as np

    known = np.array([b for b in bias if np.isfinite(b)]).round(4) + 0.0  # no minus before a zero
    if not known.size:
        return "no pair has an error"
    return f"median {np.median(known):+.2%}, from {known.min():+.2%} to {known.max():+.2%} of the true error, {known.size} pairs"


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
