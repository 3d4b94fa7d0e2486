"""``provider:MODULE:CALLABLE?key=value#option=value`` -> a Qiskit ``BackendV2``.

Credentials belong to the provider's own store or environment variables, never into a spec, which is written to files. Exceptions of
foreign code may hold them, so only the names of their classes are passed on.
"""

import functools
import importlib
import importlib.metadata
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any
from urllib.parse import quote, unquote

from qiskit.providers import BackendV2

from qthreshold.backends.failures import class_of, looks_secret, quietly
from qthreshold.errors import InputError
from qthreshold.suggest import near_matches

__all__ = ["ENTRY_POINTS", "ProviderSpec", "load_backend", "parse_spec"]

ENTRY_POINTS = "qthreshold.providers"
"""Group of the entry points that ``provider:NAME`` looks in."""

_OPTIONS = ("qubits", "paid", "limits")
_FORM = "provider:MODULE:CALLABLE?key=value#qubits=N&paid=no&limits=FILE, or provider:NAME of an entry point"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """A spec in parts.

    Attributes:
        where: ``MODULE:CALLABLE``, or the name of an entry point.
        query: Arguments as written.
        arguments: The same, as values.
        qubits: How many qubits to use; None: all.
        paid: Whether jobs may cost money; None: it depends on the backend.
        limits: The user's file of limits.
    """

    where: str
    query: str
    arguments: Mapping[str, Any]
    qubits: int | None = None
    paid: bool | None = None
    limits: Path | None = None

    @property
    def name(self) -> str:
        """For messages: without the arguments."""
        return f"provider:{self.where}"

    @property
    def source(self) -> str:
        """What makes the backend, without our own options."""
        return self.name + (f"?{self.query}" if self.query else "")

    @property
    def text(self) -> str:
        """The whole spec, which means the same from any directory."""
        options = {
            "qubits": self.qubits, "paid": {None: None, True: "yes", False: "no"}[self.paid],
            "limits": None if self.limits is None else quote(str(self.limits), safe="/\\:"),
        }  # fmt: skip
        stated = "&".join(f"{k}={v}" for k, v in options.items() if v is not None)
        return self.source + (f"#{stated}" if stated else "")


def parse_spec(text: str) -> ProviderSpec:
    """The parts of a spec, from what follows ``provider:``.

    Raises:
        InputError: It has another form, or holds what looks like a secret.

    Example:
        >>> parse_spec("lab:backend?chip=[3,4]&seed=1#paid=no").arguments
        {'chip': [3, 4], 'seed': 1}
    """
    rest, _, options = text.partition("#")
    where, _, query = rest.partition("?")
    if not re.fullmatch(r"[\w.-]+(:[A-Za-z_][\w.]*)?", where):
        raise InputError(f"provider:{where} is not {_FORM}")
    name = f"provider:{where}"
    arguments = {k: _value(v) for k, v in _pairs(query, name, "?").items()}
    stated = _pairs(options, name, "#")
    unknown = next((k for k in stated if k not in _OPTIONS), None)
    if unknown is not None:
        raise InputError(f"{name}: unknown option {unknown!r} after '#': {near_matches(unknown, _OPTIONS)}; arguments of the callable follow '?'")
    return ProviderSpec(
        where=where, query=query, arguments=arguments, qubits=_count(stated.get("qubits"), name), paid=_yes(stated.get("paid"), name),
        limits=Path(stated["limits"]).expanduser().resolve() if stated.get("limits") else None,
    )  # fmt: skip


def _pairs(text: str, name: str, after: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        key, equals, value = (unquote(p) for p in part.partition("="))
        if not equals or not key.isidentifier():  # not repeated: whoever forgets the name of a value may have written a secret
            raise InputError(f"{name}: what follows {after!r} must be key=value, several joined by '&'")
        if looks_secret(key, value):
            raise InputError(
                f"{name}: {key!r} looks like a secret, and specs are written to files; keep it in the provider's own store or environment variables"
            )
        if key in out:
            raise InputError(f"{name}: {key} is given twice")
        out[key] = value
    return out


def _value(text: str) -> Any:
    """A number, a truth value, a JSON list or string; else the text itself.

    Example:
        >>> [_value(t) for t in ("5", "0.1", "true", "[1,2]", '"5"', "007", "NaN")]
        [5, 0.1, True, [1, 2], '5', '007', 'NaN']
    """
    if text in ("True", "False"):
        return text == "True"
    try:
        found = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, bool | int | float | list | str) else text


def _count(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise InputError(f"{name}: #qubits={text} is not a number of qubits, 1 or more")
    return int(text)


def _yes(text: str | None, name: str) -> bool | None:
    if text is None:
        return None
    if text not in ("yes", "no"):
        raise InputError(f"{name}: #paid={text} is neither yes nor no")
    return text == "yes"


def load_backend(spec: ProviderSpec) -> BackendV2:
    """The backend that a spec makes.

    Raises:
        InputError: There is no such module, name or entry point, it fails, or it makes something else.
    """
    made = _call(_found(spec), spec)
    if not isinstance(made, BackendV2):
        raise InputError(f"{spec.name} is of type {type(made).__name__}, not a qiskit BackendV2 or a callable that makes one")
    return made


def _found(spec: ProviderSpec) -> Any:
    """The object that the spec names."""
    module, colon, path = spec.where.partition(":")
    if not colon:
        return _entry_point(spec)
    try:
        found: Any = quietly(lambda: importlib.import_module(module))
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing and f"{module}.".startswith(f"{missing}."):
            raise InputError(f"{spec.name}: no module {missing!r}; install its package, or put its directory on PYTHONPATH") from None
        raise InputError(f"{spec.name}: module {module!r} needs another one that is not installed (ModuleNotFoundError)") from None
    except (Exception, SystemExit) as error:  # a module can raise anything
        raise InputError(f"{spec.name}: importing {module!r} failed ({class_of(error)})") from None
    try:
        return quietly(lambda: functools.reduce(_attribute, path.split("."), found))
    except _MissingError as error:
        raise InputError(f"{spec.name}: {error}") from None
    except Exception as error:  # properties and constructors can raise anything
        raise InputError(f"{spec.name} failed ({class_of(error)})") from None


class _MissingError(Exception):
    pass


def _attribute(holder: Any, name: str) -> Any:
    """A member; of an instance, made without arguments, where a class is named whose instances alone have it, as providers do."""
    mine = inspect.getattr_static(holder, name, None)
    if inspect.isclass(holder) and (mine is None or isinstance(mine, FunctionType | property | functools.cached_property)):
        holder = holder()
    try:
        return getattr(holder, name)
    except AttributeError:
        kind = getattr(holder, "__name__", None) or f"an instance of {type(holder).__name__}"
        offered = [n for n in dir(holder) if not n.startswith("_") and (not inspect.ismodule(holder) or callable(getattr(holder, n)))]
        near = near_matches(name, offered) if len(offered) <= 40 else near_matches(name, offered).partition(" Known:")[0]
        raise _MissingError(f"{kind} has no {name!r}{f': {near}' if near.startswith(('did', 'Known: ')) and offered else ''}") from None


def _entry_point(spec: ProviderSpec) -> Any:
    known = importlib.metadata.entry_points(group=ENTRY_POINTS)
    mine = {e.value: e for e in known if e.name == spec.where}
    if not mine:
        names = near_matches(spec.where, known.names) if known else "no installed package has one"
        raise InputError(f"no entry point {spec.where!r} in the group {ENTRY_POINTS}: {names}. Other forms: {_FORM}")
    if len(mine) > 1:
        raise InputError(f"{spec.name} is ambiguous: {' and '.join(sorted(mine))} both have that name; give MODULE:CALLABLE instead")
    try:
        return quietly(next(iter(mine.values())).load)
    except (Exception, SystemExit) as error:
        raise InputError(f"{spec.name}: loading {next(iter(mine))} failed ({class_of(error)})") from None


def _call(found: Any, spec: ProviderSpec) -> Any:
    if isinstance(found, BackendV2):
        if spec.arguments:
            raise InputError(f"{spec.name} is a backend already and takes no arguments after '?'")
        return found
    if not callable(found):
        return found
    _check_arguments(found, spec)
    try:
        return quietly(lambda: found(**spec.arguments))
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{spec.name} failed ({class_of(error)}); check its arguments, and the account in the provider's own store or environment variables"
        ) from None


def _check_arguments(found: Callable[..., Any], spec: ProviderSpec) -> None:
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # some have none; then the call will tell
        return
    taken = {n: p for n, p in signature.parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    free = any(p.kind == p.VAR_KEYWORD for p in signature.parameters.values())
    unknown = next((k for k in spec.arguments if k not in taken and not free), None)
    if unknown is not None:
        raise InputError(f"{spec.name} takes no argument {unknown!r}: {near_matches(unknown, taken) if taken else 'it takes none'}")
    needed = [n for n, p in taken.items() if p.default is p.empty and n not in spec.arguments]
    if needed:
        raise InputError(f"{spec.name} needs {' and '.join(needed)}: add ?{'&'.join(f'{n}=...' for n in needed)}")
