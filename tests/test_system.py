"""A lab's equipment against neighbouring entries: exact edges, what is not stated, several items, days."""

import datetime
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from qthreshold.datafiles import names_in, shipped
from qthreshold.errors import InputError
from qthreshold.identity import Record, parts, rebuild
from qthreshold.report.system import system_table
from qthreshold.rulebook import ITEM_FIELDS, Instrument, load_instrument, load_instruments
from qthreshold.schema import Days
from qthreshold.system import NeighbourVerdict, SystemSheet, condition_words, evaluate_system, item_word, load_sheet

DAY = datetime.date(2026, 1, 1)
US = load_instrument("us-ear")
ALL = load_instruments(["us-ear", "eu-dual-use", "gb-4a506"])
ITEM_OF = {n.entry: n.item for n in US.neighbours}
# of every US entry, an item that just meets it; the numbers are typed from the table of neighbouring entries
JUST = {
    "3A901.a": {"ambient_temperature_k": 4.5},
    "3A901.b": {"operating_temperature_k": math.nextafter(1, 0), "frequency_low_hz": 2e9, "frequency_high_hz": 15e9,
                "noise_figure_db_at_1k": math.nextafter(0.015, 0)},
    "3A904.a": {"cooling": [{"temperature_k": 0.1, "power_w": 600e-6}], "continuous_hours": math.nextafter(48, 49)},
    "3A904.b": {"stages": 2, "lowest_temperature_k": math.nextafter(4, 0), "cooling": [{"temperature_k": 4.2, "power_w": 1.5}]},
    "3B904": {"temperature_k": 4.5, "wafer_mm": 100.0},
    "3C907": {"element": "Si", "form": "epitaxial", "isotopic_impurity_percent": math.nextafter(0.08, 0)},
    "3C908": {"element": "Ge", "form": "compound", "isotopic_impurity_percent": math.nextafter(0.08, 0)},
    "3C909": {"element": "Ge", "form": "bulk", "isotopic_impurity_percent": 0.0},
    "4A906.b": {"specially_designed_for_controlled_computer": True},
    "4A906.c": {"specially_designed_for_controlled_computer": True},
}  # fmt: skip


def sheet_of(item, *things, **others):
    """A sheet with things of one kind, named a, b, c."""
    named = [{"name": "abcdefgh"[k], **thing} for k, thing in enumerate(things)]
    return SystemSheet.model_validate({"schema": "qthreshold/system/1", "name": "lab", item: named, **others})


def judged(entry, *things, rules=(US,), day=DAY):
    """Verdicts of one US entry on things of its kind."""
    return [v for v in evaluate_system(sheet_of(ITEM_OF[entry], *things), rules, day) if v.entry == entry]


def outcome(entry, thing):
    (found,) = judged(entry, thing)
    return found.outcome


def test_every_entry_is_in_the_table_of_items():
    assert list(JUST) == [n.entry for n in US.neighbours]


@pytest.mark.parametrize("entry", JUST)
def test_an_item_exactly_at_every_limit_of_an_entry_meets_it(entry):
    (found,) = judged(entry, JUST[entry])
    assert (found.outcome, found.missing) == ("met", ())
    assert found.reason
    assert "not " not in found.reason


BEYOND = [  # entry, field, value just on the other side
    ("3A901.a", "ambient_temperature_k", math.nextafter(4.5, 5)), ("3A901.b", "operating_temperature_k", 1.0),
    ("3A901.b", "noise_figure_db_at_1k", 0.015), ("3A901.b", "frequency_high_hz", None),
    ("3A904.a", "cooling", [{"temperature_k": 0.1, "power_w": math.nextafter(600e-6, 0)}]),
    ("3A904.a", "continuous_hours", 48.0), ("3A904.b", "stages", 1), ("3A904.b", "stages", 3), ("3A904.b", "lowest_temperature_k", 4.0),
    ("3A904.b", "cooling", [{"temperature_k": 4.2, "power_w": math.nextafter(1.5, 0)}]), ("3B904", "temperature_k", math.nextafter(4.5, 5)),
    ("3B904", "wafer_mm", math.nextafter(100, 0)), ("3C907", "isotopic_impurity_percent", 0.08), ("3C907", "form", "bulk"),
    ("3C907", "form", "compound"), ("3C908", "form", "epitaxial"), ("3C908", "isotopic_impurity_percent", 0.08), ("3C909", "form", "compound"),
    ("3C909", "isotopic_impurity_percent", 0.08),
    ("4A906.b", "specially_designed_for_controlled_computer", False), ("4A906.c", "specially_designed_for_controlled_computer", False),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "field", "value"), BEYOND)
def test_an_item_just_beyond_one_limit_does_not_meet_the_entry_and_the_reason_names_it(entry, field, value):
    if value is None:  # the range of frequencies ends just below that of the entry
        thing = JUST[entry] | {"frequency_low_hz": 1e9, "frequency_high_hz": math.nextafter(2e9, 0)}
        assert "none of it within 2 GHz to 15 GHz" in judged(entry, thing)[0].reason
    else:
        thing = JUST[entry] | {field: value}
    (found,) = judged(entry, thing)
    assert found.outcome == "not_met"
    assert found.missing == ()
    words = ITEM_FIELDS[ITEM_OF[entry]][field].words
    assert found.reason.startswith("frequency" if value is None else words)
    assert ";" not in found.reason  # only the condition that fails


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [(1e9, 2e9, True), (1e9, math.nextafter(2e9, 0), False), (15e9, 20e9, True), (math.nextafter(15e9, 16e9), 20e9, False), (1e9, 20e9, True),
     (5e9, 5e9, True), (4e9, None, True), (2e9, None, True), (15e9, None, True), (1e9, None, None), (16e9, None, False),
     (None, 4e9, True), (None, 2e9, True), (None, 1e9, False), (None, 20e9, None), (None, None, None)],
)  # fmt: skip
def test_any_frequency_of_the_band_counts_and_one_end_may_be_enough_to_tell(low, high, holds):
    ends = {k: v for k, v in {"frequency_low_hz": low, "frequency_high_hz": high}.items() if v is not None}
    rest = {k: v for k, v in JUST["3A901.b"].items() if not k.startswith("frequency")}
    (found,) = judged("3A901.b", rest | ends)
    assert found.outcome == {True: "met", False: "not_met", None: "not_stated"}[holds]
    assert set(found.missing) == ({"frequency_low_hz", "frequency_high_hz"} - set(ends) if holds is None else set())


@pytest.mark.parametrize(
    ("points", "holds"),
    [([(0.1, 600e-6)], True), ([(0.1, 599e-6)], False), ([(0.02, 30e-6)], None), ([(0.12, 700e-6)], None), ([(0.12, 500e-6)], False),
     ([(0.05, 600e-6)], True), ([(0.02, 30e-6), (0.1, 650e-6)], True), ([(0.12, 700e-6), (0.02, 10e-6)], None), ([], None),
     ([(0.02, 30e-6), (0.2, 590e-6)], False), ([(4.2, 1.0)], None), ([(math.nextafter(0.1, 1), 600e-6)], None),
     ([(math.nextafter(0.1, 0), 599e-6)], None), ([(0.1, 0.0)], False)],
)  # fmt: skip
def test_a_point_tells_of_the_power_at_another_temperature_only_as_far_as_power_rises_with_it(points, holds):
    thing = {"cooling": [{"temperature_k": t, "power_w": p} for t, p in points], "continuous_hours": 100}
    (found,) = judged("3A904.a", thing)
    assert found.outcome == {True: "met", False: "not_met", None: "not_stated"}[holds]
    assert found.missing == (("cooling",) if holds is None else ())
    assert "600 uW at or below 0.1 K" in found.reason if holds is not None else "power at or below 0.1 K" in found.reason


@pytest.mark.parametrize(
    ("point", "holds"), [((4.2, 1.5), True), ((4.2, 1.4), False), ((3.0, 1.5), True), ((4.5, 1.6), None), ((4.5, 1.4), False), ((4.0, 1.0), None)]
)
def test_the_power_of_a_pulse_tube_is_judged_at_4_2_kelvin(point, holds):
    thing = JUST["3A904.b"] | {"cooling": [{"temperature_k": point[0], "power_w": point[1]}]}
    assert outcome("3A904.b", thing) == {True: "met", False: "not_met", None: "not_stated"}[holds]


@pytest.mark.parametrize(("entry", "field"), [(e, field) for e, thing in JUST.items() for field in thing if not field.startswith("frequency")])
def test_a_field_that_is_left_out_is_not_stated_and_is_named(entry, field):
    (found,) = judged(entry, {k: v for k, v in JUST[entry].items() if k != field})
    assert (found.outcome, found.missing) == ("not_stated", (field,))
    assert found.reason.startswith(f"not stated: {field}")


@pytest.mark.parametrize("entry", JUST)
def test_an_item_of_which_nothing_is_stated_is_not_stated(entry):
    (found,) = judged(entry, {})
    assert (found.outcome, set(found.missing)) == ("not_stated", set(ITEM_FIELDS[ITEM_OF[entry]]))


def test_one_condition_that_fails_decides_whatever_else_is_missing():
    assert outcome("3A901.b", {"noise_figure_db_at_1k": 0.5}) == "not_met"
    assert outcome("3A904.a", {"continuous_hours": 24}) == "not_met"
    assert outcome("3C907", {"element": "Si", "form": "bulk"}) == "not_met"


def test_a_kind_that_the_sheet_does_not_list_gives_one_row_an_entry():
    empty = SystemSheet.model_validate({"schema": "qthreshold/system/1", "name": "lab"})
    found = evaluate_system(empty, [US], DAY)
    assert [(v.entry, v.name, v.outcome) for v in found] == [(entry, "", "not_stated") for entry in JUST]
    assert {v.entry: v.reason for v in found}["3A904.a"] == "not stated: the sheet lists no cryostat"
    assert evaluate_system(sheet_of("cryostats"), [US], DAY)[2].reason == "not stated: the sheet lists no cryostat"


def test_several_items_are_judged_each_for_itself():
    cold = JUST["3A904.a"]
    found = judged("3A904.a", cold, {**cold, "continuous_hours": 24}, {})
    assert [(v.name, v.outcome) for v in found] == [("a", "met"), ("b", "not_met"), ("c", "not_stated")]


def test_a_material_is_held_against_each_of_the_three_entries():
    found = evaluate_system(sheet_of("materials", JUST["3C907"]), [US], DAY)
    assert [(v.entry, v.outcome) for v in found if v.item == "materials"] == [("3C907", "met"), ("3C908", "not_met"), ("3C909", "not_met")]


@pytest.mark.parametrize("entry", JUST)
def test_the_eu_and_gb_entries_ask_the_same(entry):
    found = evaluate_system(sheet_of(ITEM_OF[entry], JUST[entry]), ALL, DAY)
    titles = {n.title for n in US.neighbours if n.entry == entry}
    rows = [v for v in found if v.title in titles]
    assert [(v.instrument, v.outcome) for v in rows] == [("us-ear", "met"), ("eu-dual-use", "met"), ("gb-4a506", "met")]
    assert len({v.reason for v in rows}) == 1
    assert [v.entry_standing for v in rows] == ["text", *(["secondary"] * 2 if entry.startswith("4A") else ["text"] * 2)]


# --- days and laws


@pytest.mark.parametrize(
    ("day", "applies"),
    [("2024-09-05", set()), ("2024-09-06", {"us-ear"}), ("2025-11-14", {"us-ear"}), ("2025-11-15", {"us-ear", "eu-dual-use"}),
     ("2025-12-15", {"us-ear", "eu-dual-use"}), ("2025-12-16", {"us-ear", "eu-dual-use", "gb-4a506"})],
)  # fmt: skip
def test_a_law_that_is_not_in_force_gives_no_verdict(day, applies):
    found = evaluate_system(sheet_of("cryo_cmos", JUST["3A901.a"]), ALL, datetime.date.fromisoformat(day))
    assert {v.instrument for v in found if v.outcome == "met"} == applies
    rest = [v for v in found if v.instrument not in applies]
    assert {v.outcome for v in rest} <= {"not_in_force"}
    assert all(v.reason.startswith(f"not in force on {day}: in force from") and v.name == "" for v in rest)
    assert len(rest) == 10 * (3 - len(applies))


def test_a_law_of_which_the_day_or_the_text_is_not_known_gives_no_verdict():
    sheet = sheet_of("cryo_cmos", JUST["3A901.a"])
    for change, reason in (
        ({"in_force": Days.parse("2026")}, "only 2026 is known"), ({"amended": Days.parse("2025")}, "an amendment of 2025 was not read"),
        ({"until": Days.parse("2025")}, "superseded after 2025"),
    ):  # fmt: skip
        found = evaluate_system(sheet, [US.model_copy(update=change)], datetime.date(2026, 6, 1))
        assert {v.outcome for v in found} == ({"not_in_force"} if "until" in change else {"not_verified"})
        assert all(reason in v.reason for v in found)


def test_laws_without_neighbouring_entries_say_nothing():
    rest = [i for i in load_instruments() if not i.neighbours]
    assert len(rest) == 14
    assert evaluate_system(load_sheet("example-lab"), rest, DAY) == ()


def test_a_law_of_ones_own_may_have_entries_of_its_own():
    document = US.model_dump(by_alias=True) | {
        "id": "draft", "neighbours": [
            {"entry": "X1", "item": "amplifiers", "title": "amplifier", "conditions": [{"field": "operating_temperature_k", "above": 0.5}]},
            {"entry": "X2", "item": "pulse_tubes", "title": "tube", "conditions": [{"field": "stages", "one_of": [1, 3]}]},
        ],
    }  # fmt: skip
    draft = Instrument.model_validate(document)
    sheet = sheet_of("amplifiers", {"operating_temperature_k": 0.5}, pulse_tubes=[{"name": "t", "stages": 3}])
    found = evaluate_system(sheet, [draft], DAY)
    assert [(v.entry, v.outcome, v.reason) for v in found] == [
        ("X1", "not_met", "operating temperature 0.5 K, not above 0.5 K"), ("X2", "met", "number of stages: 3"),
    ]  # fmt: skip
    assert {v.rule_sha256 for v in found} == {""}


# --- where a verdict comes from


def test_a_verdict_names_its_rule_its_sheet_and_its_day():
    sheet = load_sheet("example-lab")
    for v in evaluate_system(sheet, ALL, DAY):
        assert v.rule_sha256 == load_instrument(v.instrument).sha256
        assert (v.sheet, v.sheet_id, v.as_of) == ("example lab", sheet.content_hash, "2026-01-01")


def test_the_hash_of_a_sheet_is_that_of_what_it_says(tmp_path):
    text = (shipped("backends/systems") / "example-lab.toml").read_text(encoding="utf-8")
    for name, content, same in (("plain", re.sub(r"\s*#.*", "", text), True), ("other", text.replace("3.5", "3.6"), False)):
        (tmp_path / f"{name}.toml").write_text(content, encoding="utf-8")
        assert (load_sheet(str(tmp_path / f"{name}.toml")).content_hash == load_sheet("example-lab").content_hash) == same


def test_a_verdict_is_a_record_that_can_be_written_and_read_back():
    for v in evaluate_system(load_sheet("example-lab"), ALL, DAY):
        assert isinstance(v, Record)
        assert rebuild(NeighbourVerdict, json.loads(json.dumps(parts(v)[0])), {}) == v
        document = json.loads(json.dumps(v.as_dict()))
        assert {k: document[k] for k in ("instrument", "entry", "item", "name", "outcome", "as_of", "sheet_id")} == {
            k: getattr(v, k) for k in ("instrument", "entry", "item", "name", "outcome", "as_of", "sheet_id")
        }  # fmt: skip
        assert document["missing"] == list(v.missing)
        assert document["notice"] == "Evidence, not legal advice."


# --- property: leaving something out never decides anything

VALUES = {
    "ambient_temperature_k": [3.5, 4.5, 4.6], "operating_temperature_k": [0.02, 1.0, 4.0], "frequency_low_hz": [1e9, 2e9, 4e9, 16e9],
    "frequency_high_hz": [17e9, 20e9], "noise_figure_db_at_1k": [0.01, 0.015], "continuous_hours": [48, 49], "stages": [1, 2],
    "lowest_temperature_k": [3.9, 4.0], "temperature_k": [4.0, 5.0], "wafer_mm": [99, 100], "element": ["Si", "Ge"],
    "form": ["epitaxial", "compound", "bulk"], "isotopic_impurity_percent": [0.01, 0.08], "specially_designed_for_controlled_computer": [True, False],
}  # fmt: skip
TEMPERATURES, POWERS = [0.02, 0.1, 0.12, 4.0, 4.2, 4.5], [30e-6, 600e-6, 1e-3, 1.0, 1.5, 2.0]


@st.composite
def cases(draw):
    """An entry and an item of its kind with any of its fields stated."""
    entry = draw(st.sampled_from(list(JUST)))
    thing = {}
    for field in ITEM_FIELDS[ITEM_OF[entry]]:
        if field == "cooling":
            count = draw(st.integers(0, 3))
            at = sorted(draw(st.lists(st.sampled_from(TEMPERATURES), min_size=count, max_size=count, unique=True)))
            power = sorted(draw(st.lists(st.sampled_from(POWERS), min_size=count, max_size=count)))
            thing[field] = [{"temperature_k": t, "power_w": p} for t, p in zip(at, power, strict=True)]
        elif draw(st.integers(0, 3)):
            thing[field] = draw(st.sampled_from(VALUES[field]))
    return entry, thing


@given(case=cases())
def test_leaving_out_a_field_never_decides_anything(case):
    entry, thing = case
    before = outcome(entry, thing)
    fewer = [{k: v for k, v in thing.items() if k != field} for field in thing]
    for k in range(len(thing.get("cooling", []))):
        fewer.append(thing | {"cooling": [p for i, p in enumerate(thing["cooling"]) if i != k]})
    for less in fewer:
        after = outcome(entry, less)
        assert after in (before, "not_stated")


@given(case=cases())
def test_what_is_not_stated_can_still_go_both_ways(case):
    entry, thing = case
    (found,) = judged(entry, thing)
    if found.outcome == "not_stated":
        assert found.missing
        filled = {k: v for k, v in (JUST[entry] | {k: v for k, v in thing.items() if k != "cooling"}).items() if k in found.missing or k in thing}
        assert outcome(entry, {**filled, **{k: v for k, v in JUST[entry].items() if k in found.missing}}) == "met"


# --- sheets


def test_the_example_sheet_is_shipped_and_shows_every_outcome():
    assert names_in("backends/systems") == ["example-lab"]
    assert {v.outcome for v in evaluate_system(load_sheet("example-lab"), ALL, DAY)} == {"met", "not_met", "not_stated"}
    assert load_sheet(str(shipped("backends/systems") / "example-lab.toml")) == load_sheet("example-lab")


def test_sheets_are_no_device_profiles():
    assert "example-lab" not in names_in("backends")


def test_what_a_sheet_can_state_is_what_entries_can_ask_for():
    for item, fields in ITEM_FIELDS.items():
        thing = SystemSheet.model_fields[item].annotation.__args__[0]
        assert set(thing.model_fields) == {"name", *fields}
        assert not any(f.is_required() for name, f in thing.model_fields.items() if name != "name")
        for name, field in fields.items():
            for value in field.choices:
                assert getattr(thing.model_validate({"name": "x", name: value}), name) is value
            if field.choices:
                with pytest.raises(ValueError, match="validation error"):
                    thing.model_validate({"name": "x", name: 11 if name == "stages" else "none of them"})


HEAD = 'schema = "qthreshold/system/1"\nname = "lab"\n'
POINT = "  {{ temperature_k = {}, power_w = {} }},\n"
WRONG = {
    "no name": ('schema = "qthreshold/system/1"\n', 1, "name: Field required"),
    "other schema": ('schema = "qthreshold/system/2"\nname = "lab"\n', 1, "schema: "),
    "unknown kind": (HEAD + '[[toasters]]\nname = "x"\n', 3, "toasters: Extra inputs are not permitted"),
    "item without a name": (HEAD + "[[cryostats]]\ncontinuous_hours = 1\n", 3, "cryostats.0.name: Field required"),
    "unknown field": (HEAD + '[[cryostats]]\nname = "x"\ncolour = "red"\n', 5, "cryostats.0.colour"),
    "two of one name": (HEAD + '[[cryostats]]\nname = "x"\n[[cryostats]]\nname = "x"\n', 6, "cryostats.1.name: two cryostats are called 'x'"),
    "a table for a list": (HEAD + '[cryostats]\nname = "x"\n', 3, "cryostats: "),
    "temperature of nothing": (HEAD + '[[cryo_cmos]]\nname = "x"\nambient_temperature_k = 0\n', 5, "greater than 0"),
    "temperature in millikelvin": (HEAD + '[[cryo_cmos]]\nname = "x"\nambient_temperature_k = 4500\n', 5, "less than or equal to 1000"),
    "temperature as text": (HEAD + '[[cryo_cmos]]\nname = "x"\nambient_temperature_k = "cold"\n', 5, "valid number"),
    "no number": (HEAD + '[[cryo_cmos]]\nname = "x"\nambient_temperature_k = nan\n', 5, "finite"),
    "band turned round": (HEAD + '[[amplifiers]]\nname = "x"\nfrequency_low_hz = 8e9\nfrequency_high_hz = 4e9\n', 6,
                         "amplifiers.0.frequency_high_hz: the upper end"),
    "negative noise": (HEAD + '[[amplifiers]]\nname = "x"\nnoise_figure_db_at_1k = -1\n', 5, "greater than or equal to 0"),
    "power that falls": (HEAD + '[[cryostats]]\nname = "x"\ncooling = [\n' + POINT.format(0.1, 1e-3) + POINT.format(0.2, 1e-4) + "]\n", 7,
                         "cryostats.0.cooling.1: less power at 0.2 K than at 0.1 K"),
    "two powers at once": (HEAD + '[[pulse_tubes]]\nname = "x"\ncooling = [\n' + POINT.format(4.2, 2) + POINT.format(4.2, 1) + "]\n", 6,
                           "pulse_tubes.0.cooling.0: two powers at 4.2 K"),
    "point without a power": (HEAD + '[[cryostats]]\nname = "x"\ncooling = [{ temperature_k = 0.1 }]\n', 5,
                              "cryostats.0.cooling.0.power_w: Field required"),
    "negative power": (HEAD + '[[cryostats]]\nname = "x"\ncooling = [{ temperature_k = 0.1, power_w = -1 }]\n', 5, "power_w: "),
    "half a stage": (HEAD + '[[pulse_tubes]]\nname = "x"\nstages = 1.5\n', 5, "pulse_tubes.0.stages"),
    "carbon": (HEAD + '[[materials]]\nname = "x"\nelement = "C"\n', 5, "'Si' or 'Ge', got 'C'"),
    "impurity above all": (HEAD + '[[materials]]\nname = "x"\nisotopic_impurity_percent = 101\n', 5, "less than or equal to 100"),
    "yes in words": (HEAD + '[[qubit_devices]]\nname = "x"\nspecially_designed_for_controlled_computer = "yes"\n', 5, "valid boolean"),
    "a number for yes": (HEAD + '[[control_electronics]]\nname = "x"\nspecially_designed_for_controlled_computer = 1\n', 5, "valid boolean"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_sheet_is_refused_with_file_line_and_field(name, tmp_path):
    text, line, words = WRONG[name]
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        load_sheet(str(path))
    assert str(refused.value).startswith(f"{path}, line {line}: ")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_sheet_offers_the_shipped_one():
    with pytest.raises(InputError, match="unknown system sheet 'example': did you mean example-lab"):
        load_sheet("example")


# --- words


def test_conditions_are_said_in_words_with_units():
    words = {n.entry: "; ".join(condition_words(n.item, c) for c in n.conditions) for n in US.neighbours}
    assert words["3A901.b"] == "operating temperature below 1 K; any frequency within 2 GHz to 15 GHz; noise figure at 1 K below 0.015 dB"
    assert words["3A904.a"] == "cooling power at least 600 uW at or below 0.1 K; time of continuous cooling above 48 h"
    assert words["3A904.b"] == "number of stages: 2; lowest temperature below 4 K; cooling power at least 1.5 W at or below 4.2 K"
    assert words["3C908"] == "element: Si or Ge; form: compound; isotopic impurity below 0.08 %"
    assert words["4A906.b"] == "specially designed for a controlled computer: yes"


def test_every_kind_has_a_word():
    assert all(item_word(item) for item in ITEM_FIELDS)


def drawn(rows):
    console = Console(width=80, highlight=False, markup=False, color_system=None)
    with console.capture() as captured:
        console.print(system_table(rows))
    return captured.get()


def test_laws_with_the_same_result_share_a_row_at_80_columns():
    text = drawn(evaluate_system(load_sheet("example-lab"), ALL, DAY))
    assert max(map(len, text.splitlines())) <= 80
    rows = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    assert ["large refrigerator", "met", "3A904.a", "3A504"] in rows
    assert ["dilution refrigerator", "not met", "3A904.a", "3A504"] in rows
    flat = " ".join(text.split())
    assert "European Union, United" in flat
    assert "travelling-wave amplifier (parametric amplifier): not stated: noise_figure_db_at_1k." in flat
    assert "Not stated: the sheet lists no wafer prober: 3B904 (United States), 3B504 (European Union, United Kingdom)." in flat
    assert flat.count("(number not") == 2


def test_laws_that_give_no_verdict_are_named_below():
    flat = " ".join(drawn(evaluate_system(load_sheet("example-lab"), ALL, datetime.date(2025, 1, 1))).split())
    assert "European Union: not in force on 2025-01-01: in force from 2025-11-15." in flat
    assert "3A504" not in flat


def test_laws_of_one_place_with_different_results_stay_apart():
    draft = US.model_copy(update={"id": "draft", "neighbours": (US.neighbours[0].model_copy(update={"entry": "X1"}),)})
    text = drawn(evaluate_system(sheet_of("cryo_cmos", {"ambient_temperature_k": 4.0}), [US, draft], DAY))
    assert re.search(r"a\s+met\s+3A901\.a\s+X1", text)


def test_nothing_is_drawn_of_nothing():
    assert drawn(()).strip() == ""
