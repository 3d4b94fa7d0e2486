"""Records and their identity: SHA-256 of canonical content.

A record is a frozen dataclass whose fields are scalars, strings, tuples, mappings, other records and numpy arrays. Its
content splits into a JSON header and named arrays (:func:`parts`), from which it can be rebuilt (:func:`rebuild`) and
hashed (:func:`content_id`). Two records are equal when their ids are.
"""

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Arrays", "Interval", "Record", "canonical_json", "content_id", "parts", "rebuild"]

Arrays = dict[str, npt.NDArray[Any]]
R = typing.TypeVar("R", bound="Record")


def canonical_json(value: Any) -> str:
    """JSON text with sorted keys and no spaces; NaN becomes null, infinities become strings.

    Example:
        >>> canonical_json({"b": 1, "a": [float("nan"), 2.5]})
        '{"a":[null,2.5],"b":1}'
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def _plain(value: Any) -> Any:
    if type(value) in (str, int, bool):  # most of what there is: a device has tens of thousands of words
        return value
    if isinstance(value, Record):
        header, arrays = parts(value)
        if arrays:
            raise ValueError(f"a {type(value).__name__} with arrays cannot stand inside a tuple or mapping")
        return header
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else repr(value)
    return value


def content_id(schema: str, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 (hex) of a schema name, a JSON header and named arrays (little-endian bytes with dtype and shape)."""
    digest = hashlib.sha256(f"{schema}\n{canonical_json(header)}\n".encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype.kind == "f":
            array = np.where(np.isnan(array), array.dtype.type(np.nan), array)  # NaNs differ in sign and payload; text files keep neither
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


class _Remembers:
    """Room for an id that was computed; no field, so it is neither content nor copied by ``replace``."""

    __slots__ = ("_id",)
    _id: str


@dataclasses.dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Record(_Remembers):
    """Base of all records: immutable, read-only arrays, equality by content id."""

    schema: ClassVar[str] = ""
    upgrades: ClassVar[Mapping[str, Callable[[Mapping[str, Any], Arrays], tuple[dict[str, Any], Arrays]]]] = {}
    """For inputs, which stay readable in every version: older schema -> what turns its header and arrays into today's."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray) and (value.flags.writeable or value.base is not None):
                value = value.copy()  # nobody else can write to it
                value.setflags(write=False)
                object.__setattr__(self, field.name, value)
            elif type(value) is int and field.type in (float, float | None):
                object.__setattr__(self, field.name, float(value))  # as it comes back from a file
        self._check()

    def _check(self) -> None:
        """Subclasses check shapes and ranges here and raise ``ValueError``."""

    @property
    def id(self) -> str:
        """SHA-256 of the content, hex; computed once, since stages ask for it many times and nothing can change."""
        try:
            return self._id
        except AttributeError:
            object.__setattr__(self, "_id", self._content_id())
            return self._id

    def _content_id(self) -> str:
        header, arrays = parts(self)
        return content_id(self.schema, header, arrays)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(self) is type(other) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@dataclasses.dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Interval(Record):
    """An estimate: ``low <= best <= high`` at confidence ``level``; all NaN where there is no estimate.

    Example:
        >>> Interval(low=0.9, best=1.0, high=1.2, level=0.95)
        Interval(1 [0.9, 1.2] 95%)
    """

    schema: ClassVar[str] = "qthreshold/interval/1"
    low: float
    best: float
    high: float
    level: float

    def _check(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"confidence level must lie between 0 and 1, got {self.level}")
        if not math.isnan(self.best) and not self.low <= self.best <= self.high:
            raise ValueError(f"interval is not ordered: low {self.low}, best {self.best}, high {self.high}")

    def __repr__(self) -> str:
        return f"Interval({self.best:.4g} [{self.low:.4g}, {self.high:.4g}] {100 * self.level:g}%)"

    def as_dict(self) -> dict[str, float | None]:
        """The JSON form used everywhere: low, best, high, level; NaN as null."""
        values = {"low": self.low, "best": self.best, "high": self.high, "level": self.level}
        return {k: (float(v) if math.isfinite(v) else None) for k, v in values.items()}


def parts(record: Record) -> tuple[dict[str, Any], Arrays]:
    """Split a record into a JSON-ready header and its arrays (nested records' arrays get dotted names)."""
    header: dict[str, Any] = {}
    arrays: Arrays = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        elif isinstance(value, Record):
            header[field.name], nested = parts(value)
            arrays.update({f"{field.name}.{k}": v for k, v in nested.items()})
        else:
            header[field.name] = _plain(value)
    return header, arrays


def rebuild(cls: type[R], header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> R:
    """Inverse of :func:`parts`.

    Raises:
        ValueError: A field is missing or unknown, or the record's own checks fail.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name for f in dataclasses.fields(cls)}
    seen = set(header) | {name.split(".")[0] for name in arrays}
    if seen != fields:
        raise ValueError(f"{cls.__name__}: missing fields {sorted(fields - seen)}, unknown fields {sorted(seen - fields)}")
    values: dict[str, Any] = {}
    for name in fields:
        if name in arrays:
            values[name] = np.array(arrays[name])
            continue
        nested = {k.partition(".")[2]: v for k, v in arrays.items() if k.startswith(f"{name}.")}
        values[name] = _restore(hints[name], header[name], nested)
    return cls(**values)


def _restore(hint: Any, value: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        if value is None and types.NoneType in args:
            return None
        return _restore(next(a for a in args if a is not types.NoneType), value, arrays)
    if isinstance(hint, type) and issubclass(hint, Record):
        return rebuild(hint, value, arrays)
    if origin is tuple:
        item = args[0] if args else Any
        if item is str or item is int:
            return tuple(value)
        return tuple(_restore(item, v, {}) for v in value)
    if hint is float:
        return math.nan if value is None else float(value)
    return value
