"""``qthreshold doctor``: is everything there that a run needs?"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from qthreshold.cli.common import Cap, Dask, Json, Yes, consent, guarded, show, show_json

if TYPE_CHECKING:
    from qthreshold.backends.base import Backend
    from qthreshold.errors import QThresholdError

__all__ = ["doctor"]


def doctor(
    backend: Annotated[str | None, typer.Option("--backend", "-b", metavar="SPEC", help="Also check the way to this backend.")] = None,
    preflight: Annotated[bool, typer.Option("--preflight", help="Run one small circuit with a known outcome there.")] = False,
    cap: Cap = None,
    yes: Yes = False,
    dask: Dask = None,
    json: Json = False,
) -> None:
    """Check versions and, with --backend, account, instance, time left, and whether the device can be reached; with --dask, a cluster.

    Exit code 0: all well; 2: no account, or a wrong name; 4: not reachable, offline, or the preflight failed.

    \b
    Examples:
      qthreshold doctor
      qthreshold doctor --backend ibm:ibm_torino
      qthreshold doctor -b ibm:ibm_torino --preflight --max-qpu-seconds 5
      qthreshold doctor --dask tcp://10.0.0.5:8786    workers, memory, versions
    """  # noqa: D301
    with guarded():
        from qthreshold import workflow
        from qthreshold.errors import InputError, QThresholdError

        if preflight and backend is None:
            raise InputError("--preflight needs --backend SPEC")
        found: dict[str, Any] = {**workflow.software_versions(), **workflow.optional_versions()}
        trouble: QThresholdError | None = None
        if backend is not None:
            from qthreshold.backends import open_backend

            try:
                with open_backend(backend) as opened:
                    _examine(opened, found)
                    if preflight:
                        found["preflight"] = workflow.run_preflight(opened, consent(cap, yes), lambda text: typer.echo(text, err=True))
            except QThresholdError as error:
                trouble = error
        if dask is not None and trouble is None:
            from qthreshold.pool import Pool

            try:
                with Pool(dask=dask) as pool:
                    found.update(pool.connect())
            except QThresholdError as error:
                trouble = error
        _report(found, backend, dask, trouble, json)
        if trouble is not None:
            raise trouble


def _examine(backend: "Backend", found: dict[str, Any]) -> None:
    """Whatever a backend can tell about the way to it, from the outside in."""
    from qthreshold.errors import BackendError

    for question in ("account", "queue"):
        if hasattr(type(backend), question):
            found.update(getattr(backend, question)())
    device = backend.device
    found["device"] = (
        f"{device.name}: {len(device.usable_qubits)} of {device.n_qubits} qubits, {len(device.usable_edges)} of {len(device.edges)} pairs"
    )
    if found.get("operational") is False:
        raise BackendError(f"{device.name} is offline ({found.get('status') or 'no reason given'}); choose another device, or try later")
    if found.get("usage_limit_reached"):
        raise BackendError("the instance has no device time left: jobs would wait in the queue; choose another instance, or wait for new time")


def _report(found: dict[str, Any], backend: str | None, dask: str | None, trouble: "QThresholdError | None", json: bool) -> None:
    place = " and ".join(p for p in (backend, dask) if p is not None)
    if json:
        show_json({"backend": backend, "ok": trouble is None, "problem": str(trouble) if trouble is not None else None, **found})
        return
    from rich import box
    from rich.table import Table

    table = Table("", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(place or "this machine", overflow="fold")
    for key, value in found.items():
        table.add_row(key.replace("_", " "), "-" if value is None else f"{value:,.0f}" if isinstance(value, float) else str(value))
    show(table)
    if trouble is None:
        show("All well." if place else "All well. 'qthreshold doctor --backend SPEC' checks the way to a backend.")
