"""A lab's other equipment against the entries beside that for quantum computers.

A system sheet says what a lab has and what it is made for: cryostats, amplifiers, circuits, materials. Each item is held against each
condition of each entry. A field that the sheet leaves out is *not stated*, never assumed: an entry is ``not_met`` if any condition
is known not to hold, else ``not_stated`` if any is unknown, else ``met``. Nothing measured enters. Evidence, not legal advice.
"""

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from qthreshold.datafiles import load_named
from qthreshold.identity import Record, content_id
from qthreshold.rulebook import ITEM_FIELDS, Condition, Instrument, Item, ItemField, Neighbour
from qthreshold.schema import FieldError, Schema

__all__ = [
    "Amplifier", "ControlElectronics", "CoolingPoint", "CryoCmos", "Cryostat", "Material", "NeighbourVerdict", "PulseTube", "QubitDevice",
    "SystemSheet", "WaferProber", "condition_words", "evaluate_system", "item_word", "load_sheet",
]  # fmt: skip

Kelvin = Annotated[float, Field(gt=0, le=1000)]
Hertz = Annotated[float, Field(gt=0, le=1e15)]

_ITEM_WORDS: dict[Item, str] = {
    "cryo_cmos": "cryo-CMOS circuit", "amplifiers": "amplifier", "cryostats": "cryostat", "pulse_tubes": "pulse tube",
    "wafer_probers": "wafer prober", "materials": "material", "qubit_devices": "qubit device", "control_electronics": "control electronics",
}  # fmt: skip


def item_word(item: Item) -> str:
    """What one piece of equipment of a kind is called.

    Example:
        >>> item_word("pulse_tubes")
        'pulse tube'
    """
    return _ITEM_WORDS[item]


class CoolingPoint(Schema):
    """What a cooler carries away at one temperature."""

    temperature_k: Kelvin
    power_w: Annotated[float, Field(ge=0, le=1e6)]


class _Thing(Schema):
    name: Annotated[str, Field(min_length=1, max_length=80)]


class _Cooler(_Thing):
    cooling: tuple[CoolingPoint, ...] = Field(default=(), description="points that are known, in any order")

    @pydantic.model_validator(mode="after")
    def _rises(self) -> "_Cooler":
        ranked = sorted(enumerate(self.cooling), key=lambda pair: (pair[1].temperature_k, pair[1].power_w))
        for (_, cold), (i, warm) in itertools.pairwise(ranked):
            if cold.temperature_k == warm.temperature_k:
                raise FieldError(("cooling", i), f"two powers at {_quantity(warm.temperature_k, 'K')}")
            if cold.power_w > warm.power_w:
                raise FieldError(("cooling", i), f"less power at {_quantity(warm.temperature_k, 'K')} than at {_quantity(cold.temperature_k, 'K')}")
        return self


class CryoCmos(_Thing):
    """A CMOS circuit made for low temperatures."""

    ambient_temperature_k: Kelvin | None = Field(default=None, description="the lowest that it is designed for")


class Amplifier(_Thing):
    """A parametric amplifier; other amplifiers do not belong here."""

    operating_temperature_k: Kelvin | None = Field(default=None, description="the lowest that it is designed for")
    frequency_low_hz: Hertz | None = Field(default=None, description="lower end of its band")
    frequency_high_hz: Hertz | None = Field(default=None, description="upper end of its band")
    noise_figure_db_at_1k: Annotated[float, Field(ge=0, le=100)] | None = None

    @pydantic.model_validator(mode="after")
    def _band(self) -> "Amplifier":
        if self.frequency_low_hz is not None and self.frequency_high_hz is not None and self.frequency_low_hz > self.frequency_high_hz:
            raise FieldError(("frequency_high_hz",), "the upper end of the band lies below the lower one")
        return self


class Cryostat(_Cooler):
    """A cryogenic cooling system."""

    continuous_hours: Annotated[float, Field(ge=0, le=1e6)] | None = Field(default=None, description="how long it cools without a break")


class PulseTube(_Cooler):
    """A pulse tube cryocooler."""

    stages: Annotated[int, Field(ge=1, le=10)] | None = None
    lowest_temperature_k: Kelvin | None = Field(default=None, description="that it holds")


class WaferProber(_Thing):
    """A prober for wafers at low temperatures."""

    temperature_k: Kelvin | None = Field(default=None, description="the lowest at which it tests")
    wafer_mm: Annotated[float, Field(gt=0, le=1000)] | None = Field(default=None, description="the largest diameter")


class Material(_Thing):
    """Silicon or germanium, epitaxial, as a compound or in bulk."""

    element: Literal["Si", "Ge"] | None = None
    form: Literal["epitaxial", "compound", "bulk"] | None = None
    isotopic_impurity_percent: Annotated[float, Field(ge=0, le=100)] | None = None


class QubitDevice(_Thing):
    """A qubit device or circuit."""

    specially_designed_for_controlled_computer: pydantic.StrictBool | None = None


class ControlElectronics(_Thing):
    """A component that controls or measures qubits."""

    specially_designed_for_controlled_computer: pydantic.StrictBool | None = None


class SystemSheet(Schema):
    """What a lab has beside its quantum computer."""

    file_schema: Literal["qthreshold/system/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1, max_length=80)]
    cryo_cmos: tuple[CryoCmos, ...] = ()
    amplifiers: tuple[Amplifier, ...] = ()
    cryostats: tuple[Cryostat, ...] = ()
    pulse_tubes: tuple[PulseTube, ...] = ()
    wafer_probers: tuple[WaferProber, ...] = ()
    materials: tuple[Material, ...] = ()
    qubit_devices: tuple[QubitDevice, ...] = ()
    control_electronics: tuple[ControlElectronics, ...] = ()

    @pydantic.model_validator(mode="after")
    def _names(self) -> "SystemSheet":
        for item in ITEM_FIELDS:
            names = [thing.name for thing in getattr(self, item)]
            for i, name in enumerate(names):
                if name in names[:i]:
                    raise FieldError((item, i, "name"), f"two {item} are called {name!r}")
        return self

    @property
    def content_hash(self) -> str:
        """SHA-256 of what the sheet says, hex; comments and layout of the file do not matter."""
        return content_id("qthreshold/system/1", self.model_dump(mode="json", by_alias=True), {})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NeighbourVerdict(Record):
    """One piece of equipment against one entry.

    Attributes:
        instrument: Id of the instrument.
        jurisdiction: Whose law.
        entry: The entry.
        entry_standing: ``text``, or ``secondary`` where the number of the entry was not verified.
        title: What the entry is about.
        item: Kind of equipment, as in the sheet.
        name: Its name in the sheet; empty where the sheet lists none of the kind, or no item was looked at.
        outcome: ``met``, ``not_met``, ``not_stated``, ``not_verified`` or ``not_in_force``.
        reason: Values and limits, or what is missing.
        missing: Fields of the sheet that would have to be stated.
        as_of: The day that the question was asked for, ISO.
        rule_sha256: Hash of the rule file; empty for a rule made in code.
        sheet: Name of the sheet.
        sheet_id: Hash of its content.
    """

    schema: ClassVar[str] = "qthreshold/neighbour-verdict/1"
    instrument: str
    jurisdiction: str
    entry: str
    entry_standing: str
    title: str
    item: str
    name: str
    outcome: str
    reason: str
    missing: tuple[str, ...]
    as_of: str
    rule_sha256: str
    sheet: str
    sheet_id: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "instrument": self.instrument, "jurisdiction": self.jurisdiction, "entry": self.entry, "entry_standing": self.entry_standing,
            "title": self.title, "item": self.item, "name": self.name, "outcome": self.outcome, "reason": self.reason, "missing": list(self.missing),
            "as_of": self.as_of, "rule_sha256": self.rule_sha256, "sheet": self.sheet, "sheet_id": self.sheet_id,
            "notice": "Evidence, not legal advice.",
        }  # fmt: skip


def load_sheet(spec: str) -> SystemSheet:
    """Load a system sheet by the name of a shipped one, or by path.

    Raises:
        InputError: Nothing of that name or at that path, or the content is not valid.
    """
    return load_named("backends/systems", spec, SystemSheet, "system sheet")


def evaluate_system(sheet: SystemSheet, instruments: Sequence[Instrument], day: datetime.date) -> tuple[NeighbourVerdict, ...]:
    """Hold every item of a sheet against every neighbouring entry, as the law stood on a day.

    Args:
        sheet: What the lab has.
        instruments: Those without neighbouring entries give nothing.
        day: The day that the law is asked for.

    References:
        US ECCN 3A901.a, 3A901.b, 3A904.a, 3A904.b, 3B904, 3C907, 3C908, 3C909, 4A906.b, 4A906.c and the entries that EU and GB have in
        their place; see the rule files.

    Example:
        >>> from qthreshold.rulebook import load_instrument
        >>> sheet = SystemSheet.model_validate({"schema": "qthreshold/system/1", "name": "lab", "cryo_cmos": [{"name": "mux"}]})
        >>> evaluate_system(sheet, [load_instrument("us-ear")], datetime.date(2026, 1, 1))[0].reason
        'not stated: ambient_temperature_k'
    """
    sheet_id = sheet.content_hash
    out: list[NeighbourVerdict] = []
    for instrument in instruments:
        silence = _no_verdict(instrument, day)
        for entry in instrument.neighbours:
            for name, outcome, reason, missing in [("", *silence, ())] if silence else _judge(sheet, entry):
                out.append(
                    NeighbourVerdict(
                        instrument=instrument.id, jurisdiction=instrument.jurisdiction, entry=entry.entry, entry_standing=entry.standing,
                        title=entry.title, item=entry.item, name=name, outcome=outcome, reason=reason, missing=missing, as_of=day.isoformat(),
                        rule_sha256=instrument.sha256, sheet=sheet.name, sheet_id=sheet_id,
                    )
                )  # fmt: skip
    return tuple(out)


def _no_verdict(instrument: Instrument, day: datetime.date) -> tuple[str, str] | None:
    """Outcome and reason where no sheet matters; None where it does."""
    applies = instrument.in_force_on(day)
    if applies is False:
        early = day < instrument.in_force.earliest
        return "not_in_force", f"not in force on {day}: {f'in force from {instrument.in_force}' if early else f'superseded after {instrument.until}'}"
    if applies is None:
        return "not_verified", f"not verified whether it was in force on {day}: only {instrument.in_force} is known"
    if not instrument.bands_hold_on(day):
        return "not_verified", f"not verified: an amendment of {instrument.amended} was not read"
    return None


Finding = tuple[str, str, str, tuple[str, ...]]  # name, outcome, reason, missing fields


def _judge(sheet: SystemSheet, entry: Neighbour) -> list[Finding]:
    things = getattr(sheet, entry.item)
    if not things:
        return [("", "not_stated", f"not stated: the sheet lists no {item_word(entry.item)}", ())]
    return [_judge_thing(thing, entry) for thing in things]


def _judge_thing(thing: _Thing, entry: Neighbour) -> Finding:
    found = [_check(entry.item, c, thing) for c in entry.conditions]
    if failed := [words for holds, words, _ in found if holds is False]:
        return thing.name, "not_met", "; ".join(failed), ()
    if unknown := [(words, missing) for holds, words, missing in found if holds is None]:
        names = tuple(dict.fromkeys(field for _, missing in unknown for field in missing))
        return thing.name, "not_stated", f"not stated: {', '.join(words for words, _ in unknown)}", names
    return thing.name, "met", "; ".join(words for _, words, _ in found), ()


def _check(item: Item, condition: Condition, thing: _Thing) -> tuple[bool | None, str, tuple[str, ...]]:
    """Whether a condition holds (None: not stated), in words, and the fields that are missing."""
    if condition.at_temperature_k is not None:
        return _check_cooling(condition, getattr(thing, condition.field))
    if condition.overlaps is not None:
        return _check_overlap(condition, thing, ITEM_FIELDS[item][condition.field])
    value = getattr(thing, condition.field)
    if value is None:
        return None, condition.field, (condition.field,)
    field = ITEM_FIELDS[item][condition.field]
    if condition.one_of is not None:
        known = value in condition.one_of
        wanted = "" if known or isinstance(value, bool) else f", not {_limit(condition, field.unit)}"
        return known, f"{field.words}: {_value(value, field.unit)}{wanted}", ()
    holds = _compare(condition, value)
    return holds, f"{field.words} {_value(value, field.unit)}, {'' if holds else 'not '}{_limit(condition, field.unit)}", ()


def _compare(condition: Condition, value: float) -> bool:
    if condition.at_most is not None:
        return value <= condition.at_most
    if condition.below is not None:
        return value < condition.below
    if condition.at_least is not None:
        return value >= condition.at_least
    assert condition.above is not None
    return value > condition.above


def _check_cooling(condition: Condition, points: Sequence[CoolingPoint]) -> tuple[bool | None, str, tuple[str, ...]]:
    """Whether a power is reached at or below a temperature.

    The power that a cooler carries away does not fall as the temperature rises; that is assumed. A point at or below the temperature with
    enough power shows that it is reached, a point at or above it with too little that it is not. Other points say nothing: 30 uW at
    20 mK may or may not become 600 uW at 100 mK, and 700 uW at 120 mK may have been less at 100 mK.
    """
    power, temperature = condition.at_least, condition.at_temperature_k
    assert power is not None
    assert temperature is not None
    limit = f"{_quantity(power, 'W')} at or below {_quantity(temperature, 'K')}"
    for p in points:
        if p.temperature_k <= temperature and p.power_w >= power:
            return True, f"{_point(p)}, at least {limit}", ()
    for p in points:
        if p.temperature_k >= temperature and p.power_w < power:
            return False, f"{_point(p)}, so not {limit}", ()
    return None, f"{condition.field} (power at or below {_quantity(temperature, 'K')})", (condition.field,)


def _point(p: CoolingPoint) -> str:
    return f"cooling power {_quantity(p.power_w, 'W')} at {_quantity(p.temperature_k, 'K')}"


def _check_overlap(condition: Condition, thing: _Thing, field: ItemField) -> tuple[bool | None, str, tuple[str, ...]]:
    """Whether a range of the thing has a value in common with the range of the entry; one end may be enough to tell."""
    assert condition.overlaps is not None
    assert condition.up_to_field is not None
    first, last = condition.overlaps
    low, high = getattr(thing, condition.field), getattr(thing, condition.up_to_field)
    span = f"{_quantity(first, field.unit)} to {_quantity(last, field.unit)}"
    stated = f"{_noun(field)} {' to '.join(_quantity(f, field.unit) for f in (low, high) if f is not None)}"
    if (low is not None and low > last) or (high is not None and high < first):
        return False, f"{stated}, none of it within {span}", ()
    if any(f is not None and first <= f <= last for f in (low, high)) or (low is not None and high is not None):
        return True, f"{stated}, some of it within {span}", ()
    missing = tuple(name for name, f in ((condition.field, low), (condition.up_to_field, high)) if f is None)
    return None, ", ".join(missing), missing


def _noun(field: ItemField) -> str:
    return field.words.removeprefix("lowest ")


def condition_words(item: Item, condition: Condition) -> str:
    """What an entry asks for, in words.

    Example:
        >>> condition_words("cryo_cmos", Condition(field="ambient_temperature_k", at_most=4.5))
        'lowest ambient temperature at most 4.5 K'
    """
    field = ITEM_FIELDS[item][condition.field]
    if condition.overlaps is not None:
        return f"any {_noun(field)} within {' to '.join(_quantity(end, field.unit) for end in condition.overlaps)}"
    if condition.at_temperature_k is not None and condition.at_least is not None:
        return f"{field.words} at least {_quantity(condition.at_least, 'W')} at or below {_quantity(condition.at_temperature_k, 'K')}"
    return f"{field.words}{':' if condition.one_of is not None else ''} {_limit(condition, field.unit)}"


def _limit(condition: Condition, unit: str) -> str:
    limit = getattr(condition, condition.form)
    if condition.form == "one_of":
        return " or ".join(_value(choice, unit) for choice in limit)
    return f"{condition.form.replace('_', ' ')} {_quantity(limit, unit)}"


def _value(value: bool | float | str, unit: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else _quantity(value, unit)


def _quantity(value: float, unit: str) -> str:
    """A number in the unit that people use.

    Example:
        >>> _quantity(600e-6, "W"), _quantity(2e9, "Hz"), _quantity(0.02, "K"), _quantity(4.2, "K")
        ('600 uW', '2 GHz', '20 mK', '4.2 K')
    """
    for factor, prefix in _PREFIXES.get(unit, ()):
        if value >= factor:
            return f"{value / (factor if prefix else 1):.10g} {prefix}{unit}"
    return f"{value:.10g} {unit}".strip()


_PREFIXES = {"W": ((1.0, ""), (1e-3, "m"), (1e-6, "u")), "K": ((0.1, ""), (1e-3, "m")), "Hz": ((1e9, "G"), (1e6, "M"), (1e3, "k"))}
