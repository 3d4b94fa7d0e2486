"""The rulebook: instruments of export control as data.

One TOML file per instrument in ``rules/``; a user's own may lie in a directory beside. Where only secondary sources were read, an
instrument has no bands, and nothing may be judged by it. Nothing here is legal advice.
"""

import datetime
import hashlib
import itertools
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import pydantic
from pydantic import Field

from qthreshold.datafiles import located, names_in, parse_toml, read_bytes, shipped
from qthreshold.errors import InputError
from qthreshold.schema import Days, FieldError, Schema
from qthreshold.suggest import near_matches

__all__ = [
    "ITEM_FIELDS", "Band", "Condition", "Instrument", "Item", "ItemField", "Neighbour", "load_instrument", "load_instruments",
    "load_rule_file", "rule_ids", "short",
]  # fmt: skip

Item = Literal["cryo_cmos", "amplifiers", "cryostats", "pulse_tubes", "wafer_probers", "materials", "qubit_devices", "control_electronics"]


class ItemField(NamedTuple):
    """A property of a piece of equipment that an entry may ask for.

    Attributes:
        kind: ``number``, ``choice`` (one of several values) or ``cooling`` (points of temperature and power).
        words: Its name in sentences.
        unit: Unit of a number, as in the field's name.
        choices: Values of a choice.
    """

    kind: str
    words: str
    unit: str = ""
    choices: tuple[bool | int | str, ...] = ()


_DESIGNED = ItemField("choice", "specially designed for a controlled computer", choices=(True, False))

ITEM_FIELDS: dict[Item, dict[str, ItemField]] = {
    "cryo_cmos": {"ambient_temperature_k": ItemField("number", "lowest ambient temperature", "K")},
    "amplifiers": {
        "operating_temperature_k": ItemField("number", "operating temperature", "K"),
        "frequency_low_hz": ItemField("number", "lowest frequency", "Hz"),
        "frequency_high_hz": ItemField("number", "highest frequency", "Hz"),
        "noise_figure_db_at_1k": ItemField("number", "noise figure at 1 K", "dB"),
    },
    "cryostats": {"cooling": ItemField("cooling", "cooling power"), "continuous_hours": ItemField("number", "time of continuous cooling", "h")},
    "pulse_tubes": {
        "stages": ItemField("choice", "number of stages", choices=tuple(range(1, 11))),
        "lowest_temperature_k": ItemField("number", "lowest temperature", "K"),
        "cooling": ItemField("cooling", "cooling power"),
    },
    "wafer_probers": {"temperature_k": ItemField("number", "temperature", "K"), "wafer_mm": ItemField("number", "wafer diameter", "mm")},
    "materials": {
        "element": ItemField("choice", "element", choices=("Si", "Ge")),
        "form": ItemField("choice", "form", choices=("epitaxial", "compound", "bulk")),
        "isotopic_impurity_percent": ItemField("number", "isotopic impurity", "%"),
    },
    "qubit_devices": {"specially_designed_for_controlled_computer": _DESIGNED},
    "control_electronics": {"specially_designed_for_controlled_computer": _DESIGNED},
}
"""What a system sheet can state of each kind of equipment, and entries can ask for."""


class Band(Schema):
    """Qubits from ``min_qubits`` (inclusive) up to ``max_qubits`` (exclusive); C-NOT error at most ``max_error`` (inclusive)."""

    entry: Annotated[str, Field(min_length=1)]
    min_qubits: Annotated[int, Field(ge=1)]
    max_qubits: Annotated[int, Field(ge=2)] | None = Field(default=None, description="left out: no upper end")
    max_error: Annotated[float, Field(gt=0, le=1)] | None = Field(default=None, description="left out: no error criterion")

    @pydantic.model_validator(mode="after")
    def _holds_something(self) -> "Band":
        if self.max_qubits is not None and self.max_qubits <= self.min_qubits:
            raise FieldError(("max_qubits",), f"band {self.entry} is empty: min_qubits {self.min_qubits}, max_qubits {self.max_qubits}")
        return self

    def holds(self, qubits: int) -> bool:
        """Whether a number of qubits falls into the band."""
        return self.min_qubits <= qubits and (self.max_qubits is None or qubits < self.max_qubits)


class Condition(Schema):
    """One thing that an entry asks of a piece of equipment; exactly one of the limits.

    ``at_temperature_k`` goes with ``at_least`` for cooling: that power at or below that temperature. ``overlaps`` takes a range whose
    lower end is ``field`` and whose upper end is ``up_to_field``, and asks for any value of it within the two numbers.
    """

    field: str
    at_most: float | None = None
    below: float | None = None
    at_least: float | None = None
    above: float | None = None
    one_of: tuple[bool | int | str, ...] | None = None
    overlaps: tuple[float, float] | None = None
    at_temperature_k: Annotated[float, Field(gt=0)] | None = None
    up_to_field: str | None = None

    @property
    def form(self) -> str:
        """The limit that is set."""
        return next(name for name in _FORMS if getattr(self, name) is not None)

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> "Condition":
        given = [name for name in _FORMS if getattr(self, name) is not None]
        if len(given) != 1:
            raise FieldError((), f"a condition has one of {', '.join(_FORMS)}, not {' and '.join(given) or 'none of them'}")
        if self.at_temperature_k is not None and given != ["at_least"]:
            raise FieldError(("at_temperature_k",), "at_temperature_k needs at_least, the cooling power in watts")
        if (self.up_to_field is not None) != (given == ["overlaps"]):
            raise FieldError((), "overlaps and up_to_field, the upper end of the range, go together")
        if self.overlaps is not None and not self.overlaps[0] < self.overlaps[1]:
            raise FieldError(("overlaps",), "the range must end after it begins")
        return self


_FORMS = ("at_most", "below", "at_least", "above", "one_of", "overlaps")


class Neighbour(Schema):
    """An entry for equipment beside quantum computers; it applies where all conditions hold, whatever the computer can do."""

    entry: Annotated[str, Field(min_length=1)]
    item: Item
    title: str
    standing: Literal["text", "secondary"] = Field(default="text", description="secondary: the number of the entry was not verified")
    conditions: Annotated[tuple[Condition, ...], Field(min_length=1)]

    @pydantic.model_validator(mode="after")
    def _known_fields(self) -> "Neighbour":
        fields = ITEM_FIELDS[self.item]
        for number, condition in enumerate(self.conditions):
            for name in ("field", "up_to_field"):
                given = getattr(condition, name)
                if given is not None and given not in fields:
                    raise FieldError(("conditions", number, name), f"{self.item} have no {given!r}: {near_matches(given, fields)}")
            field = fields[condition.field]
            if (field.kind == "choice") != (condition.form == "one_of") or (field.kind == "cooling") != (condition.at_temperature_k is not None):
                asks = {"choice": "one_of", "cooling": "at_least and at_temperature_k"}.get(field.kind, "a limit of a number")
                raise FieldError(("conditions", number), f"{condition.field} needs {asks}")
            if condition.up_to_field is not None and (fields[condition.up_to_field].kind, fields[condition.up_to_field].unit) != (
                field.kind,
                field.unit,
            ):
                raise FieldError(("conditions", number, "up_to_field"), f"{condition.up_to_field} and {condition.field} are no two ends of a range")
            for value in condition.one_of or ():
                if (type(value), value) not in [(type(c), c) for c in field.choices]:
                    accepted = ", ".join(str(c).lower() if isinstance(c, bool) else str(c) for c in field.choices)
                    raise FieldError(("conditions", number, "one_of"), f"{condition.field} is one of {accepted}, got {value!r}")
        return self


class Instrument(Schema):
    """One legal instrument that controls quantum computers, or is known not to."""

    file_schema: Literal["qthreshold/rule/1"] = Field(alias="schema")
    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] = Field(description="also the name of the file")
    title: str
    jurisdiction: str
    entry: str = Field(description="for whole computers")
    citation: str
    url: str = Field(default="", description="official place; left out where none was looked up")
    published: datetime.date | None = None
    in_force: Days
    in_force_standing: Literal["text", "secondary"] = Field(default="text", description="where in_force comes from")
    until: Days | None = Field(default=None, description="the last day in force")
    amended: Days | None = Field(default=None, description="a later amendment that was not read; from its earliest day on the bands are not verified")
    standing: Literal["text", "secondary", "none"] = Field(description="text: the entry itself was read")
    text_as_of: datetime.date | None = Field(default=None, description="the text read is that of this day; left out: as enacted")
    bands: tuple[Band, ...] = ()
    counted_qubits: str = ""
    capability: str = Field(default="", description="what a computer must be able to do with how many qubits")
    error_term: str = ""
    exclusions: str = ""
    destinations: str = ""
    technology: str = Field(default="", description="scope of software and technology")
    exceptions: tuple[str, ...] = Field(default=(), description="licence exceptions, and whether they apply")
    reported: str = Field(default="", description="what secondary sources say of the bands")
    notes: tuple[str, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    _sha256: str = pydantic.PrivateAttr(default="")

    @pydantic.model_validator(mode="after")
    def _bands_join(self) -> "Instrument":
        for i, (lower, upper) in enumerate(itertools.pairwise(self.bands)):
            both = f"bands {lower.entry} and {upper.entry}"
            if lower.max_qubits is None:
                raise FieldError(("bands", i, "max_qubits"), f"{both} overlap: {lower.entry} has no max_qubits, and another band follows")
            if lower.max_qubits > upper.min_qubits:
                ends = f"the first ends below {lower.max_qubits}, the second begins with {upper.min_qubits}"
                raise FieldError(("bands", i + 1, "min_qubits"), f"{both} overlap or are not in order: {ends}")
            if lower.max_qubits < upper.min_qubits:
                ends = f"the first ends below {lower.max_qubits}, the second begins with {upper.min_qubits}"
                raise FieldError(("bands", i + 1, "min_qubits"), f"{both} leave a gap: {ends}")
        entries = [b.entry for b in self.bands]
        for i, entry in enumerate(entries):
            if entry in entries[:i]:
                raise FieldError(("bands", i, "entry"), f"two bands have the entry {entry}")
        return self

    @pydantic.model_validator(mode="after")
    def _read(self) -> "Instrument":
        if self.standing != "text":
            for what, given in (("bands", self.bands), ("neighbours", self.neighbours)):
                if given:
                    raise FieldError(("standing",), f"{what} need standing 'text' (the entry itself was read), not {self.standing!r}")
        if self.bands:
            for name in ("counted_qubits", "error_term"):
                if not getattr(self, name):
                    raise FieldError((name,), f"{name} must be stated where there are bands")
        return self

    @pydantic.model_validator(mode="after")
    def _days(self) -> "Instrument":
        for name in ("until", "amended"):
            day = getattr(self, name)
            if day is not None and day.latest < self.in_force.earliest:
                raise FieldError((name,), f"{name} {day} lies before in_force {self.in_force}")
        return self

    @property
    def sha256(self) -> str:
        """SHA-256 of the rule file, hex; empty for a rule made in code."""
        return self._sha256

    def band_at(self, qubits: int) -> Band | None:
        """The band that a number of qubits falls into, if any."""
        return next((b for b in self.bands if b.holds(qubits)), None)

    def in_force_on(self, day: datetime.date) -> bool | None:
        """Whether the instrument applied on a day (both ends inclusive); None within a range of days in which it came or went."""
        if day < self.in_force.earliest or (self.until is not None and day > self.until.latest):
            return False
        if day < self.in_force.latest or (self.until is not None and day > self.until.earliest):
            return None
        return True

    def bands_hold_on(self, day: datetime.date) -> bool:
        """Whether the text that was read is the text of that day, as far as is known: no unread amendment may have come before."""
        return self.amended is None or day < self.amended.earliest


def short(value: float) -> str:
    """A limit in the way people write it.

    Example:
        >>> short(0.001)
        '1e-3'
    """
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def rule_ids(directory: Path | None = None) -> list[str]:
    """Ids of all shipped instruments and of those in a user's directory, sorted.

    Args:
        directory: Rule files of the user's own, ``ID.toml`` each.

    Raises:
        InputError: The directory cannot be read, or one of its files has the id of a shipped rule.
    """
    return sorted(_files(directory))


def load_instrument(rule: str, directory: Path | None = None) -> Instrument:
    """One instrument, shipped or of the user's own.

    Args:
        rule: Its id.
        directory: Rule files of the user's own.

    Raises:
        InputError: No instrument has that id, or its file is not valid.
    """
    return _load(rule, _files(directory))


def load_instruments(rules: list[str] | None = None, directory: Path | None = None) -> list[Instrument]:
    """Several instruments, in the order given.

    Args:
        rules: Their ids. By default all, the US first, then those that give verdicts today, those that no longer do, those of which
            only secondary sources were read, and those without an entry.
        directory: Rule files of the user's own.

    Raises:
        InputError: No instrument has such an id, or a file is not valid.
    """
    files = _files(directory)
    if rules is not None:
        return [_load(rule, files) for rule in dict.fromkeys(rules)]
    return sorted((_load(rule, files) for rule in files), key=_rank)


def load_rule_file(path: Path) -> Instrument:
    """The instrument in one file, which must bear its id as its name.

    Raises:
        InputError: The file cannot be read or is not valid; the first fault is named with its line.
    """
    content = read_bytes(path, "rule file")
    instrument = parse_toml(content, path, Instrument, "rule")
    if instrument.id != path.stem:
        raise InputError(located(path, content.decode(), ("id",), f"the file must be named {instrument.id}.toml, or the id be {path.stem!r}"))
    instrument._sha256 = hashlib.sha256(content).hexdigest()
    return instrument


def _files(directory: Path | None) -> dict[str, Path]:
    """Where the rule of each id lies."""
    files = {rule: shipped("rules") / f"{rule}.toml" for rule in names_in("rules")}
    if directory is None:
        return files
    if not directory.exists():
        raise InputError(f"no directory of rules at {directory}")
    if not directory.is_dir():
        raise InputError(f"{directory} is not a directory; give one that holds rule files, ID.toml each")
    try:
        own = sorted(p for p in directory.iterdir() if p.suffix == ".toml" and not p.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot read the directory of rules {directory}: {error.strerror}") from None
    for path in own:
        if path.stem in files:
            raise InputError(f"{path}: {path.stem!r} is the id of a shipped rule; give the file and the rule in it another one")
    return files | {path.stem: path for path in own}


def _load(rule: str, files: dict[str, Path]) -> Instrument:
    if rule not in files:
        raise InputError(f"unknown rule {rule!r}: {near_matches(rule, files)}")
    return load_rule_file(files[rule])


def _rank(instrument: Instrument) -> tuple[bool, int, int, str]:
    """Place in the default order; among equals those with more neighbouring entries come first."""
    if instrument.bands:
        place = 2 if instrument.until is not None else 1 if instrument.amended is not None else 0
    else:
        place = 4 if instrument.standing == "text" else 3
    return instrument.jurisdiction != "United States", place, -len(instrument.neighbours), instrument.id
