"""IBM devices as they describe themselves: snapshots that come with qiskit-ibm-runtime, and the live service.

Nothing is run here. ``qiskit-ibm-runtime`` is optional and imported only when such a device is named. Exceptions of the client may hold
what was sent, so none of their text is passed on, nor are they chained: a token must not reach a message or a traceback.
"""

import importlib
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from qthreshold.backends.target import device_from_target
from qthreshold.datafiles import near_matches
from qthreshold.device import Device
from qthreshold.errors import BackendError, InputError

__all__ = ["fake_device", "live_device"]

T = TypeVar("T")

_PATIENCE = 60.0  # seconds; the client's own reads have no limit

_NETWORK = {"ConnectionError", "Timeout", "ConnectTimeout", "ReadTimeout", "MaxRetryError", "ProxyError", "SSLError"}

_ACCOUNT = (
    'no IBM account was found; save one once with python -c "from qiskit_ibm_runtime import QiskitRuntimeService as S; import getpass;'
    ' S.save_account(token=getpass.getpass())", or set QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE'
)


def fake_device(name: str) -> Device:
    """A snapshot of a real device, such as ``FakeTorino`` (or ``torino``, ``fake_torino``).

    Raises:
        InputError: ``qiskit-ibm-runtime`` is not installed, or has no such snapshot.

    References:
        qiskit-ibm-runtime documentation, ``qiskit_ibm_runtime.fake_provider``.
    """
    module = _runtime("qiskit_ibm_runtime.fake_provider")
    known = {_plain(n): n for n in dir(module) if n.startswith("Fake") and hasattr(getattr(module, n), "props_filename")}
    if _plain(name) not in known:
        raise InputError(f"unknown snapshot {name!r}: {near_matches(name, known.values())}")
    chosen = known[_plain(name)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some snapshots say that they are not typical, which their errors show
        return _describe(getattr(module, chosen)(), chosen, f"fake:{chosen}")


def _plain(name: str) -> str:
    """A name without what people leave out: case, underscores, the first ``fake`` and the last ``v2``."""
    return name.lower().replace("_", "").removeprefix("fake").removesuffix("v2")


def live_device(name: str) -> Device:
    """A device of the IBM service, with the saved account or the one in ``QISKIT_IBM_*`` environment variables.

    Raises:
        InputError: ``qiskit-ibm-runtime`` is not installed, there is no account, it is not accepted, or the device is not offered to it.
        BackendError: The service does not answer, or fails.
    """
    runtime = _runtime("qiskit_ibm_runtime")
    if not name:
        raise InputError("ibm: needs the name of a device, for example ibm:ibm_torino")

    def ask() -> Device:
        channel = os.environ.get("QISKIT_IBM_CHANNEL")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the client says which instances it looks at
            service = runtime.QiskitRuntimeService(**({"channel": channel} if channel else {}))
            try:
                backend = service.backend(name)
            except Exception as error:
                if type(error).__name__ != "QiskitBackendNotFoundError":
                    raise
                offered = [b.name for b in service.backends()]
                raise InputError(f"the account is offered no device {name!r}: {near_matches(name, offered)}") from None
            return _describe(backend, name, f"ibm:{name}")

    return _within(_PATIENCE, ask, name)


def _within(seconds: float, ask: Callable[[], T], name: str) -> T:
    """The answer to a question to the service, or one line that says why there is none."""
    answer: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(ask())
        except BaseException as error:  # whatever it is, it is explained below
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)  # a read that hangs must not keep the program from ending
    thread.start()
    thread.join(seconds)
    if answer:
        return answer[0]
    if not failure:
        raise BackendError(f"the IBM service did not answer within {seconds:g} s about {name!r}; check the network, or try again later")
    raise _explained(failure[0], name) from None


def _explained(error: BaseException, name: str) -> BaseException:
    """What an exception of the client means to its user, without its text."""
    if isinstance(error, (InputError, KeyboardInterrupt)):
        return error
    if _chain(error) & _NETWORK:  # the client reports an unreachable service as a bad account
        return BackendError("the IBM service could not be reached; check the network and proxies, or try again later")
    kinds = {cls.__name__ for cls in type(error).__mro__}
    if kinds & {"AccountNotFoundError"}:
        return InputError(_ACCOUNT)
    if kinds & {"IBMNotAuthorizedError", "InvalidAccountError"}:
        return InputError("IBM did not accept the account; check token and instance (QISKIT_IBM_TOKEN, QISKIT_IBM_INSTANCE, or the saved ones)")
    if kinds & {"IBMInputValueError"}:
        return InputError(f"the IBM client cannot use the account or the name {name!r}; check channel, instance and name")
    return BackendError(f"the IBM service could not be asked about {name!r} ({type(error).__name__}); check the network, or try again later")


def _chain(error: BaseException | None) -> set[str]:
    """Names of the classes of an exception and of all that led to it."""
    names: set[str] = set()
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        names |= {cls.__name__ for cls in type(error).__mro__}
        error = error.__cause__ or error.__context__
    return names


def _runtime(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise InputError("fake: and ibm: need qiskit-ibm-runtime: pip install 'qthreshold[ibm]'") from None


def _describe(backend: Any, name: str, source: str) -> Device:
    """The device of a backend, with the time of its calibration in the source."""
    properties = backend.properties()
    day = getattr(properties, "last_update_date", None)
    calibrated = f", calibrated {day:%Y-%m-%d}" if day is not None else ""
    coupling = backend.configuration().coupling_map or []
    return device_from_target(backend.target, name, source + calibrated, [(int(a), int(b)) for a, b in coupling])
