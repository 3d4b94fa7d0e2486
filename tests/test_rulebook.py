"""The shipped instruments say what the law says, and a wrong rule file is refused with its line."""

import datetime

import pytest

from qthreshold.datafiles import load_toml, shipped
from qthreshold.errors import InputError
from qthreshold.rulebook import Instrument, load_instrument, load_instruments, rule_ids, short

# qubits from, qubits below, C-NOT error at most: identical in every instrument whose text was read
BANDS = [
    (34, 100, 1e-4), (100, 200, 1e-3), (200, 350, 2e-3), (350, 500, 3e-3), (500, 700, 4e-3), (700, 1100, 5e-3), (1100, 2000, 6e-3),
    (2000, None, None),
]  # fmt: skip
DAY = datetime.date.fromisoformat
SHIPPED = {
    "us-ear": {
        "entry": "ECCN 4A906.a", "bands": "4A906.a", "jurisdiction": "United States", "published": "2024-09-06", "in_force": "2024-09-06",
        "text_as_of": "2026-07-23", "cites": ("89 FR 72926", "2024-19633", "0694-AJ60", "15 CFR part 774"), "url": "ecfr.gov",
    },
    "eu-dual-use": {
        "entry": "4A506.a", "bands": "4A506.a", "jurisdiction": "European Union", "published": "2025-11-14", "in_force": "2025-11-15",
        "text_as_of": None, "cites": ("2025/2003", "2021/821", "14.11.2025"), "url": "data.europa.eu/eli/reg_del/2025/2003",
    },
}  # fmt: skip


def test_the_shipped_instruments_are_the_two_that_are_tested_here():
    assert rule_ids() == sorted(SHIPPED)


@pytest.mark.parametrize("rule", SHIPPED)
def test_bands_are_those_of_the_law(rule):
    found = [(b.entry, b.min_qubits, b.max_qubits, b.max_error) for b in load_instrument(rule).bands]
    assert found == [(f"{SHIPPED[rule]['bands']}.{i}", *band) for i, band in enumerate(BANDS, 1)]


@pytest.mark.parametrize("rule", SHIPPED)
def test_dates_citation_and_standing_are_those_of_the_law(rule):
    i, facts = load_instrument(rule), SHIPPED[rule]
    assert (i.id, i.entry, i.jurisdiction, i.standing, i.until) == (rule, facts["entry"], facts["jurisdiction"], "text", None)
    assert (i.published, i.in_force) == (DAY(facts["published"]), DAY(facts["in_force"]))
    assert i.text_as_of == (DAY(facts["text_as_of"]) if facts["text_as_of"] else None)
    assert all(words in i.citation for words in facts["cites"])
    assert facts["url"] in i.url
    assert "annealer" in i.exclusions


@pytest.mark.parametrize("rule", SHIPPED)
@pytest.mark.parametrize(
    ("qubits", "band"),
    [(0, None), (1, None), (33, None), (34, 1), (99, 1), (100, 2), (199, 2), (200, 3), (349, 3), (350, 4), (499, 4), (500, 5), (699, 5), (700, 6),
     (1099, 6), (1100, 7), (1999, 7), (2000, 8), (10**6, 8)],
)  # fmt: skip
def test_lower_edges_belong_to_a_band_and_upper_edges_do_not(rule, qubits, band):
    found = load_instrument(rule).band_at(qubits)
    assert (found.entry if found else None) == (f"{SHIPPED[rule]['bands']}.{band}" if band else None)


@pytest.mark.parametrize(
    ("rule", "day", "applies"),
    [("eu-dual-use", "2025-11-14", False), ("eu-dual-use", "2025-11-15", True), ("us-ear", "2024-09-05", False), ("us-ear", "2024-09-06", True),
     ("us-ear", "2099-01-01", True)],
)  # fmt: skip
def test_an_instrument_applies_from_its_day_on(rule, day, applies):
    assert load_instrument(rule).in_force_on(DAY(day)) is applies


def test_a_superseded_instrument_applies_up_to_its_last_day():
    old = load_instrument("eu-dual-use").model_copy(update={"until": DAY("2026-03-31")})
    assert old.in_force_on(DAY("2026-03-31"))
    assert not old.in_force_on(DAY("2026-04-01"))


def test_an_unknown_rule_lists_near_matches_and_all_known_ones():
    with pytest.raises(InputError, match=r"unknown rule 'eu-dualuse': did you mean eu-dual-use\? Known: eu-dual-use, us-ear"):
        load_instrument("eu-dualuse")


def test_an_unknown_rule_is_no_path():
    with pytest.raises(InputError, match="unknown rule"):
        load_instrument("../rules/us-ear")


def test_instruments_come_in_the_order_asked_for_and_once():
    assert [i.id for i in load_instruments(["eu-dual-use", "us-ear", "eu-dual-use"])] == ["eu-dual-use", "us-ear"]
    assert [i.id for i in load_instruments()] == ["us-ear", "eu-dual-use"]


WRONG = {
    "overlapping bands": ("min_qubits = 100", "min_qubits = 99", 1, "4A906.a.1 and 4A906.a.2 overlap"),
    "bands out of order": ("min_qubits = 2000", "min_qubits = 20", 1, "4A906.a.7 and 4A906.a.8 overlap or are not in order"),
    "empty band": ("max_qubits = 100", "max_qubits = 34", 1, "band 4A906.a.1 is empty"),
    "band turned round": ("max_qubits = 100", "max_qubits = 30", 1, "band 4A906.a.1 is empty"),
    "open band in the middle": ("max_qubits = 200\n", "", 1, "4A906.a.2 and 4A906.a.3 overlap"),
    "unknown field": ("standing =", 'colour = "red"\nstanding =', 10, "colour"),
    "unknown field of a band": ("max_error = 1e-4", "error = 1e-4", 24, "bands.0.error"),
    "qubits as text": ("min_qubits = 34", 'min_qubits = "many"', 22, "bands.0.min_qubits: Input should be a valid integer"),
    "fraction of a qubit": ("min_qubits = 34", "min_qubits = 34.5", 22, "bands.0.min_qubits"),
    "negative error": ("max_error = 1e-3", "max_error = -1e-3", 30, "bands.1.max_error: Input should be greater than 0"),
    "error above 1": ("max_error = 6e-3", "max_error = 6.0", 60, "bands.6.max_error: Input should be less than or equal to 1"),
    "infinite error": ("max_error = 1e-4", "max_error = inf", 24, "bands.0.max_error"),
    "day as text": ("in_force = 2024-09-06", 'in_force = "autumn"', 9, "in_force"),
    "end before start": ('standing = "text"', 'until = 2020-01-01\nstanding = "text"', 1, "until 2020-01-01 lies before in_force 2024-09-06"),
    "unknown standing": ('standing = "text"', 'standing = "hearsay"', 10, "'text', 'secondary' or 'none', got 'hearsay'"),
    "other schema": ('schema = "qthreshold/rule/1"', 'schema = "qthreshold/rule/2"', 1, "schema"),
    "missing citation": ("citation =", "# citation =", 1, "citation: Field required"),
    "odd id": ('id = "us-ear"', 'id = "US EAR"', 2, "id"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_file_is_refused_with_file_line_and_field(name, tmp_path):
    old, new, line, words = WRONG[name]
    text = (shipped("rules") / "us-ear.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_toml(path, Instrument, "rule")
    assert str(refused.value).startswith(f"{path}, line {line}: ")
    assert words in str(refused.value)


def test_limits_are_written_as_people_write_them():
    assert [short(e) for *_, e in BANDS[:3]] == ["1e-4", "1e-3", "2e-3"]
