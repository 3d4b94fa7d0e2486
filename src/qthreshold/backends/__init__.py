"""What circuits can be run on. :func:`open_backend` turns a spec such as ``aer:heron-133`` into a backend."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from qthreshold.errors import InputError
from qthreshold.suggest import near_matches

if TYPE_CHECKING:
    from qthreshold.backends.base import Backend
    from qthreshold.device import Device
    from qthreshold.pool import Pool

__all__ = ["KINDS", "describe_device", "open_backend", "split_spec"]

KINDS = {
    "aer": ("a device profile simulated by qiskit-aer", "qthreshold.backends.aer", "AerBackend", "heron-133"),
    "exact": ("a device profile, computed: exact probabilities, drawn outcomes", "qthreshold.backends.exact", "ExactBackend", "heron-133"),
    "ibm": ("a device of the IBM service", "qthreshold.backends.ibm", "IBMBackend", ""),
    "fake": ("a snapshot of a real device, simulated by qiskit-aer", "qthreshold.backends.fake", "FakeBackend", "FakeTorino"),
    "synthetic": ("counts of a profile drawn from ideal decays", "qthreshold.backends.synthetic", "SyntheticBackend", "heron-133"),
    "provider": ("a backend of any other package, provider:MODULE:CALLABLE", "qthreshold.backends.provider", "ProviderBackend", ""),
    "offline": ("a device of a profile whose circuits are run elsewhere", "qthreshold.backends.offline", "OfflineBackend", "heron-133"),
}
"""Backend kinds that can be planned for: what they are, module, class, and the default after the colon."""

_NEEDED = {"ibm": "NAME", "provider": "MODULE:CALLABLE"}  # after the colon, where there is no default


def split_spec(spec: str) -> tuple[str, str]:
    """Kind and name of a backend spec.

    Raises:
        InputError: The kind is unknown.

    Example:
        >>> split_spec("aer"), split_spec("aer:tiny-5")
        (('aer', 'heron-133'), ('aer', 'tiny-5'))
    """
    kind, _, name = spec.partition(":")
    if kind not in KINDS:
        forms = ", ".join(f"{k} or {k}:PROFILE" if k not in _NEEDED else f"{k}:{_NEEDED[k]}" for k in KINDS)
        raise InputError(f"unknown backend {spec!r}: {near_matches(kind, KINDS)}. Accepted: {forms}")
    return kind, name or KINDS[kind][3]


def open_backend(spec: str, pool: "Pool | None" = None) -> "Backend":
    """The backend of a spec.

    Args:
        spec: ``aer``, ``aer:PROFILE`` (a shipped name or the path of a TOML file), ``fake:FakeTorino``, ``ibm:NAME``,
            ``provider:MODULE:CALLABLE?key=value``.
        pool: Who simulates, where the backend is simulated; by default this process. It stays open.

    Raises:
        InputError: The kind or the profile is unknown or not valid.
    """
    kind, name = split_spec(spec)
    _, module, cls, _ = KINDS[kind]
    make: Callable[..., Backend] = getattr(importlib.import_module(module), cls)
    return make(name, pool=pool)


def describe_device(spec: str) -> "Device":
    """The device of a spec, as it describes itself; nothing is run on it.

    Args:
        spec: ``fake:FakeTorino``, ``ibm:NAME``, or what :func:`open_backend` takes.

    Raises:
        InputError: The kind or the device is unknown or not valid, or a package or an account for it is missing.
        BackendError: The provider could not be asked.
    """
    with open_backend(spec) as backend:
        return backend.device
