"""The shipped instruments say what the law says, and a wrong rule file is refused with its line."""

import datetime
import hashlib
import json
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qthreshold.datafiles import load_toml, names_in, parse_toml, shipped
from qthreshold.errors import InputError
from qthreshold.rulebook import ITEM_FIELDS, Band, Instrument, load_instrument, load_instruments, load_rule_file, rule_ids, short
from qthreshold.rulediff import bands_in_words, compare_rules
from qthreshold.schema import Days

# qubits from, qubits below, C-NOT error at most: identical in every instrument whose text was read
BANDS = [
    (34, 100, 1e-4), (100, 200, 1e-3), (200, 350, 2e-3), (350, 500, 3e-3), (500, 700, 4e-3), (700, 1100, 5e-3), (1100, 2000, 6e-3),
    (2000, None, None),
]  # fmt: skip
DAY = datetime.date.fromisoformat
ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII"]
# where, entry, entries of the bands, in force, until, standing, day of the text, words of the citation, official place
FACTS = {
    "us-ear": ("United States", "ECCN 4A906.a", [f"4A906.a.{i}" for i in range(1, 9)], "2024-09-06", None, "text", "2026-07-23",
               ("89 FR 72926", "240813-0217", "0694-AJ60", "2024-19633", "15 CFR part 774"), "ecfr.gov"),
    "eu-dual-use": ("European Union", "4A506.a", [f"4A506.a.{i}" for i in range(1, 9)], "2025-11-15", None, "text", None,
                    ("2025/2003", "8 September 2025", "14.11.2025", "2021/821"), "data.europa.eu/eli/reg_del/2025/2003"),
    "gb-pl9014": ("United Kingdom", "PL9014.a.1.a", [f"PL9014.a.1.a.{i}" for i in range(1, 9)], "2024-04-01", "2025-12-15", "text", None,
                  ("SI 2024/346", "7 March 2024"), "legislation.gov.uk/uksi/2024/346"),
    "gb-4a506": ("United Kingdom", "4A506.a", [f"4A506.a.{i}" for i in range(1, 9)], "2025-12-16", None, "text", None,
                 ("SI 2025/1197", "13 November 2025"), "legislation.gov.uk/uksi/2025/1197"),
    "de-aw": ("Germany", "4A1906a", [f"4A1906a {i}." for i in range(1, 9)], "2024-07", None, "text", "2026-04-04",
              ("Außenwirtschaftsverordnung", "Ausfuhrliste", "Teil I Abschnitt B"), "gesetze-im-internet.de/awv_2013"),
    "es-rd679": ("Spain", "4A901.a", [f"4A901.a {i}" for i in range(1, 9)], "2023", None, "text", "2023-05-31",
                 ("ICT/534/2023", "BOE-A-2023-12785", "679/2014", "III.5"), "boe.es"),
    "ca-ecl": ("Canada", "5506(2)(c)(ii)(A)", [f"5506(2)(c)(ii)(A)({r})" for r in ROMAN], "2024-07-19/2024-07-20", None, "text", "2026-07-23",
               ("SOR/2024-112", "31 May 2024", "19 June 2024"), "laws-lois.justice.gc.ca"),
    "jp-fefta": ("Japan", "Art. 7(vi)", [f"Art. 7(vi) band {i}" for i in range(1, 9)], "2024-09", None, "text", "2026-02-14",
                 ("Appended Table 1, item 8", "No. 49 of 1991", "Art. 7(vi)"), "403M50000400049"),
    "fr-arrete": ("France", "national list", [], "2024-02-11/2024-03-01", None, "secondary", None,
                  ("2 février 2024", "ECOI2401482A", "10 February 2024"), "JORFTEXT000049120866"),
    "nl-regeling": ("Netherlands", "national list", [], "2024-12-01", None, "secondary", None,
                    ("11 October 2024", "BZ2405833", "18 October 2024"), ""),
    "it-decreto": ("Italy", "national list", [], "2024-07", None, "secondary", None, ("1325/BIS/371", "1 July 2024"), ""),
    "dk-bek": ("Denmark", "national list", [], "2024-07-01", None, "secondary", None, ("nr. 694", "29 May 2024"), "erhvervsstyrelsen.dk"),
    "ch-gkv": ("Switzerland", "not read", [], "2025-05-01", None, "secondary", None, ("946.202.1", "2 April 2025"), ""),
    "au-dsgl": ("Australia", "not read", [], "2024", None, "secondary", None, ("Defence and Strategic Goods List 2024",), "legislation.gov.au"),
    "kr-strategic": ("South Korea", "not read", [], "2025-02-28", None, "secondary", None, ("6 December 2024",), ""),
    "in-scomet": ("India", "Category 7 (7A-7E)", [], "2025-10-23", None, "secondary", None, ("DGFT", "23 September 2025"), ""),
    "cn-dual-use": ("China", "none", [], "2024-12-01", None, "text", None, ("51/2024", "2026"), ""),
}  # fmt: skip
PUBLISHED = {"us-ear": "2024-09-06", "eu-dual-use": "2025-11-14", "es-rd679": "2023-05-31", "ca-ecl": "2024-06-19", "fr-arrete": "2024-02-10",
             "nl-regeling": "2024-10-18"}  # fmt: skip
WITH_BANDS = [rule for rule, facts in FACTS.items() if facts[2]]
SECONDARY = [rule for rule, facts in FACTS.items() if facts[5] == "secondary"]


def test_every_shipped_instrument_is_in_the_table_of_facts():
    assert rule_ids() == sorted(FACTS)


@pytest.mark.parametrize("rule", FACTS)
def test_bands_are_those_of_the_law_under_its_own_numbers(rule):
    found = [(b.entry, b.min_qubits, b.max_qubits, b.max_error) for b in load_instrument(rule).bands]
    assert found == [(entry, *band) for entry, band in zip(FACTS[rule][2], BANDS, strict=False)]


@pytest.mark.parametrize("rule", FACTS)
def test_dates_citation_and_standing_are_those_of_the_law(rule):
    i = load_instrument(rule)
    where, entry, _, in_force, until, standing, read, cites, url = FACTS[rule]
    assert (i.id, i.jurisdiction, i.entry, i.standing) == (rule, where, entry, standing)
    assert (str(i.in_force), None if i.until is None else str(i.until)) == (in_force, until)
    assert i.text_as_of == (DAY(read) if read else None)
    assert i.published == (DAY(PUBLISHED[rule]) if rule in PUBLISHED else None)
    assert [words for words in cites if words not in i.citation] == []
    assert url in i.url
    assert bool(url) == bool(i.url)
    assert i.url == "" or i.url.startswith("https://")
    assert ("Official page not confirmed." in i.notes) == (not url)


def test_where_the_day_in_force_comes_from_is_said():
    from_text = {"us-ear", "eu-dual-use", "gb-pl9014", "gb-4a506", "es-rd679", "cn-dual-use"}
    assert {i.id for i in load_instruments() if i.in_force_standing == "text"} == from_text


@pytest.mark.parametrize("rule", SECONDARY)
def test_from_secondary_sources_nothing_is_taken_but_what_they_report(rule):
    i = load_instrument(rule)
    assert (i.bands, i.neighbours, i.counted_qubits, i.error_term, i.capability, i.technology) == ((), (), "", "", "", "")
    assert i.band_at(100) is None
    assert any("secondary" in note.lower() for note in i.notes)
    reported = {"fr-arrete": "same eight bands", "it-decreto": "34 to 2000 and more", "au-dsgl": "34 or more qubits and an error below a threshold"}
    assert reported.get(rule, "") in i.reported
    assert bool(i.reported) == (rule in reported)


@pytest.mark.parametrize(
    ("rule", "words"),
    [("us-ear", "2024-11-05 (secondary)"), ("gb-4a506", "4A506.a.5"), ("gb-pl9014", "Superseded"), ("de-aw", "strictly above 2 GHz"),
     ("de-aw", "at or below 4 K"), ("de-aw", "2026-04-04"), ("es-rd679", "BOE-A-2025-10778"), ("es-rd679", "annealers"),
     ("ca-ecl", "2024-07-20 (secondary)"), ("ca-ecl", "30th day"), ("jp-fefta", "no numbers"), ("fr-arrete", "2025-05-01 (secondary)"),
     ("dk-bek", "2025-07-01 (secondary)"),
     ("au-dsgl", "1 September 2024 (secondary)"), ("cn-dual-use", "5A002.f"), ("eu-dual-use", "as enacted")],
)  # fmt: skip
def test_notes_keep_what_the_fields_cannot_say(rule, words):
    assert words in " ".join(load_instrument(rule).notes)


@pytest.mark.parametrize(
    ("rule", "field", "words"),
    [("us-ear", "destinations", "worldwide"), ("ca-ecl", "destinations", "United States"), ("de-aw", "destinations", "EU001"),
     ("eu-dual-use", "technology", "4E001.a"), ("gb-4a506", "technology", "4A506 is not in it"), ("us-ear", "technology", "4E906"),
     ("de-aw", "technology", "not the whole computer"),
     ("ca-ecl", "technology", "not the whole computer"), ("es-rd679", "technology", "4E901 covers whole computers"),
     ("de-aw", "capability", "designed for operating"), ("jp-fefta", "capability", "has N qubits"), ("us-ear", "capability", "N is 34"),
     ("de-aw", "error_term", "neighbouring pairs")],
)  # fmt: skip
def test_the_wording_of_each_text_is_told_apart(rule, field, words):
    assert words in getattr(load_instrument(rule), field)


@pytest.mark.parametrize("rule", WITH_BANDS)
def test_annealers_are_out_but_for_the_spanish_text(rule):
    assert ("annealer" in load_instrument(rule).exclusions) == (rule != "es-rd679")


def test_licence_exceptions_are_stated_for_the_us():
    assert load_instrument("us-ear").exceptions == ("LVS: no", "GBS: no", "STA: no", "IEC (15 CFR 740.24): yes")


@pytest.mark.parametrize("rule", WITH_BANDS)
@pytest.mark.parametrize(
    ("qubits", "band"),
    [(0, None), (1, None), (33, None), (34, 1), (99, 1), (100, 2), (199, 2), (200, 3), (349, 3), (350, 4), (499, 4), (500, 5), (699, 5), (700, 6),
     (1099, 6), (1100, 7), (1999, 7), (2000, 8), (10**6, 8)],
)  # fmt: skip
def test_lower_edges_belong_to_a_band_and_upper_edges_do_not(rule, qubits, band):
    found = load_instrument(rule).band_at(qubits)
    assert (found.entry if found else None) == (FACTS[rule][2][band - 1] if band else None)


@pytest.mark.parametrize(
    ("rule", "day", "applies"),
    [("eu-dual-use", "2025-11-14", False), ("eu-dual-use", "2025-11-15", True), ("us-ear", "2024-09-05", False), ("us-ear", "2024-09-06", True),
     ("us-ear", "2099-01-01", True), ("gb-pl9014", "2024-03-31", False), ("gb-pl9014", "2024-04-01", True), ("gb-pl9014", "2025-12-15", True),
     ("gb-pl9014", "2025-12-16", False), ("gb-4a506", "2025-12-15", False), ("gb-4a506", "2025-12-16", True), ("de-aw", "2024-06-30", False),
     ("de-aw", "2024-07-01", None), ("de-aw", "2024-07-30", None), ("de-aw", "2024-07-31", True), ("ca-ecl", "2024-07-18", False),
     ("ca-ecl", "2024-07-19", None), ("ca-ecl", "2024-07-20", True), ("es-rd679", "2022-12-31", False), ("es-rd679", "2023-01-01", None),
     ("es-rd679", "2023-12-30", None), ("es-rd679", "2023-12-31", True), ("jp-fefta", "2024-09-29", None), ("jp-fefta", "2024-09-30", True),
     ("fr-arrete", "2024-02-10", False), ("fr-arrete", "2024-02-11", None), ("fr-arrete", "2024-02-29", None), ("fr-arrete", "2024-03-01", True)],
)  # fmt: skip
def test_an_instrument_applies_from_its_day_on_and_within_a_range_that_is_not_known(rule, day, applies):
    assert load_instrument(rule).in_force_on(DAY(day)) is applies


def test_a_superseded_instrument_applies_up_to_its_last_day():
    old = load_instrument("eu-dual-use").model_copy(update={"until": Days.parse("2026-03-31")})
    assert old.in_force_on(DAY("2026-03-31")) is True
    assert old.in_force_on(DAY("2026-04-01")) is False
    month = old.model_copy(update={"until": Days.parse("2026-03")})
    assert [month.in_force_on(DAY(d)) for d in ("2026-03-01", "2026-03-02", "2026-03-31", "2026-04-01")] == [True, None, None, False]


def test_the_two_british_instruments_never_apply_together_nor_leave_a_day_between():
    days = [DAY("2025-12-01") + datetime.timedelta(days=d) for d in range(40)]
    applies = [[load_instrument(r).in_force_on(d) for r in ("gb-pl9014", "gb-4a506")] for d in days]
    assert all(sorted(pair) == [False, True] for pair in applies)


def test_bands_hold_until_an_amendment_that_was_not_read():
    spain = load_instrument("es-rd679")
    assert str(spain.amended) == "2025"
    assert [spain.bands_hold_on(DAY(d)) for d in ("2024-12-31", "2025-01-01", "2026-01-01")] == [True, False, False]
    assert {i.id for i in load_instruments() if i.amended} == {"es-rd679"}
    assert load_instrument("us-ear").bands_hold_on(DAY("2099-01-01"))


# --- neighbouring entries

NEIGHBOURS = [  # US; EU and GB; kind; conditions
    ("3A901.a", "3A501.a.15", "cryo_cmos", {"ambient_temperature_k": ("at_most", 4.5)}),
    ("3A901.b", "3A501.b.13", "amplifiers",
     {"operating_temperature_k": ("below", 1.0), "frequency_low_hz": ("overlaps", (2e9, 15e9)), "noise_figure_db_at_1k": ("below", 0.015)}),
    ("3A904.a", "3A504", "cryostats", {"cooling": ("at_least", 600e-6), "continuous_hours": ("above", 48.0)}),
    ("3A904.b", "3A504", "pulse_tubes", {"stages": ("one_of", (2,)), "lowest_temperature_k": ("below", 4.0), "cooling": ("at_least", 1.5)}),
    ("3B904", "3B504", "wafer_probers", {"temperature_k": ("at_most", 4.5), "wafer_mm": ("at_least", 100.0)}),
    *(
        (f"3C90{7 + k}", f"3C50{7 + k}", "materials",
         {"element": ("one_of", ("Si", "Ge")), "form": ("one_of", (form,)), "isotopic_impurity_percent": ("below", 0.08)})
        for k, form in enumerate(("epitaxial", "compound", "bulk"))
    ),
    ("4A906.b", "4A506.b", "qubit_devices", {"specially_designed_for_controlled_computer": ("one_of", (True,))}),
    ("4A906.c", "4A506.c", "control_electronics", {"specially_designed_for_controlled_computer": ("one_of", (True,))}),
]  # fmt: skip


@pytest.mark.parametrize("rule", ["us-ear", "eu-dual-use", "gb-4a506"])
def test_neighbouring_entries_are_those_of_the_law(rule):
    found = [
        (n.entry, n.item, {c.field: (c.form, getattr(c, c.form)) for c in n.conditions}) for n in load_instrument(rule).neighbours
    ]  # fmt: skip
    assert found == [(us if rule == "us-ear" else other, item, conditions) for us, other, item, conditions in NEIGHBOURS]
    cold = {n.item: c.at_temperature_k for n in load_instrument(rule).neighbours for c in n.conditions if c.at_temperature_k}
    assert cold == {"cryostats": 0.1, "pulse_tubes": 4.2}
    ends = [c.up_to_field for n in load_instrument(rule).neighbours for c in n.conditions if c.overlaps]
    assert ends == ["frequency_high_hz"]


def test_numbers_of_neighbouring_entries_that_were_not_verified_are_marked():
    marked = {(i.id, n.entry) for i in load_instruments() for n in i.neighbours if n.standing == "secondary"}
    assert marked == {(rule, f"4A506.{part}") for rule in ("eu-dual-use", "gb-4a506") for part in "bc"}


def test_only_three_instruments_have_neighbouring_entries():
    assert {i.id for i in load_instruments() if i.neighbours} == {"us-ear", "eu-dual-use", "gb-4a506"}


# --- loading


def test_an_unknown_rule_lists_near_matches_and_all_known_ones():
    with pytest.raises(InputError, match=r"unknown rule 'eu-dualuse': did you mean eu-dual-use\b.*\? Known: au-dsgl, .*, us-ear"):
        load_instrument("eu-dualuse")


def test_an_unknown_rule_is_no_path():
    with pytest.raises(InputError, match="unknown rule"):
        load_instrument("../rules/us-ear")


def test_instruments_come_in_the_order_asked_for_and_once():
    assert [i.id for i in load_instruments(["eu-dual-use", "us-ear", "eu-dual-use"])] == ["eu-dual-use", "us-ear"]


def test_by_default_the_us_comes_first_then_what_gives_verdicts_today_then_the_rest():
    ids = [i.id for i in load_instruments()]
    assert ids[0] == "us-ear"
    assert ids.index("eu-dual-use") < ids.index("gb-4a506") < ids.index("ca-ecl")
    current, fading = {"eu-dual-use", "gb-4a506", "ca-ecl", "de-aw", "jp-fefta"}, ["es-rd679", "gb-pl9014"]
    assert (set(ids[1:6]), ids[6:8], ids[8:-1], ids[-1]) == (current, fading, sorted(SECONDARY), "cn-dual-use")


@pytest.mark.parametrize("rule", FACTS)
def test_the_hash_of_a_rule_is_that_of_its_file(rule):
    assert load_instrument(rule).sha256 == hashlib.sha256((shipped("rules") / f"{rule}.toml").read_bytes()).hexdigest()


def test_a_rule_made_in_code_has_no_hash():
    assert Instrument.model_validate(load_instrument("us-ear").model_dump(by_alias=True)).sha256 == ""


@pytest.mark.parametrize("rule", FACTS)
def test_the_json_form_is_a_rule_again(rule):
    document = json.loads(json.dumps(load_instrument(rule).model_dump(mode="json", by_alias=True)))
    assert document["in_force"] == FACTS[rule][3]
    again = Instrument.model_validate(document)
    assert again.model_dump() == load_instrument(rule).model_dump()


def test_rule_files_written_before_there_were_ranges_and_scopes_are_still_read(tmp_path):
    text = text_of("us-ear")
    for field in ("capability", "destinations", "technology"):
        text = re.sub(rf"^{field} = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^exceptions = \[.*?^\]\n", "", text, flags=re.MULTILINE | re.DOTALL).split("[[neighbours]]")[0]
    assert load_toml(written(tmp_path, text), Instrument, "rule").band_at(100).max_error == 1e-3


# --- a user's own rules


def text_of(rule):
    return (shipped("rules") / f"{rule}.toml").read_text(encoding="utf-8")


def written(folder, text, name="wrong"):
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def own(rule="us-ear", name="our-draft"):
    return text_of(rule).replace(f'id = "{rule}"', f'id = "{name}"')


def test_rules_of_ones_own_stand_beside_the_shipped_ones(tmp_path):
    path = written(tmp_path, own(), "our-draft")
    (tmp_path / "notes.txt").write_text("not a rule")
    assert rule_ids(tmp_path) == sorted([*FACTS, "our-draft"])
    found = load_instrument("our-draft", tmp_path)
    assert (found.id, found.sha256) == ("our-draft", hashlib.sha256(path.read_bytes()).hexdigest())
    assert [i.id for i in load_instruments(["our-draft", "eu-dual-use"], tmp_path)] == ["our-draft", "eu-dual-use"]
    assert {i.id for i in load_instruments(directory=tmp_path)} == {*FACTS, "our-draft"}
    assert "our-draft" not in rule_ids()


def test_rules_of_ones_own_have_the_name_of_their_file(tmp_path):
    path = written(tmp_path, own(), "another")
    with pytest.raises(InputError, match=re.escape(f"{path}, line 2: id: ") + ".*named our-draft.toml, or the id be 'another'"):
        load_instrument("another", tmp_path)


def test_a_shipped_rule_cannot_be_replaced(tmp_path):
    path = written(tmp_path, text_of("us-ear"), "us-ear")
    for load in (rule_ids, lambda d: load_instrument("eu-dual-use", d), lambda d: load_instruments(directory=d)):
        with pytest.raises(InputError, match=re.escape(str(path)) + ": 'us-ear' is the id of a shipped rule"):
            load(tmp_path)


def test_a_directory_of_rules_must_be_one(tmp_path):
    with pytest.raises(InputError, match=r"no directory of rules at .*missing"):
        rule_ids(tmp_path / "missing")
    with pytest.raises(InputError, match="is not a directory"):
        load_instruments(directory=written(tmp_path, own(), "our-draft"))
    (tmp_path / "empty").mkdir()
    assert rule_ids(tmp_path / "empty") == sorted(FACTS)


def test_a_fault_in_another_rule_of_ones_own_does_not_matter_to_the_one_asked_for(tmp_path):
    written(tmp_path, "not toml", "broken")
    assert load_instrument("us-ear", tmp_path).id == "us-ear"
    with pytest.raises(InputError, match="not valid TOML"):
        load_instruments(directory=tmp_path)


def test_an_unknown_rule_offers_ones_own_too(tmp_path):
    written(tmp_path, own(), "our-draft")
    with pytest.raises(InputError, match="did you mean our-draft"):
        load_instrument("our-drft", tmp_path)


# --- wrong files


def line_of(text, words, nth=1):
    """Number of the nth line that holds the words."""
    return [n for n, line in enumerate(text.splitlines(), 1) if words in line][nth - 1]


US = text_of("us-ear")
START, STANDING, FIRST = line_of(US, "in_force ="), line_of(US, "standing ="), line_of(US, "[[bands]]")


def band(number, field):
    """Line of a field of a band of us-ear, numbered from 1; bands take five lines each."""
    return FIRST + 5 * (number - 1) + ["[[bands]]", "entry", "min_qubits", "max_qubits", "max_error"].index(field) + number - 1


CONDITION = '  { field = "ambient_temperature_k", at_most = 4.5 },'
AMPLIFIER = '  { field = "frequency_low_hz", up_to_field = "frequency_high_hz", overlaps = [2e9, 15e9] },'
COOLING = '  { field = "cooling", at_least = 600e-6, at_temperature_k = 0.1 },'
WRONG = {
    "overlapping bands": ("min_qubits = 100\n", "min_qubits = 99\n", band(2, "min_qubits"), "bands 4A906.a.1 and 4A906.a.2 overlap"),
    "gap between bands": ("min_qubits = 100\n", "min_qubits = 101\n", band(2, "min_qubits"), "bands 4A906.a.1 and 4A906.a.2 leave a gap"),
    "bands out of order": ("min_qubits = 2000", "min_qubits = 20", band(8, "min_qubits"), "4A906.a.7 and 4A906.a.8 overlap or are not in order"),
    "empty band": ("max_qubits = 100\n", "max_qubits = 34\n", band(1, "max_qubits"), "bands.0.max_qubits: band 4A906.a.1 is empty"),
    "band turned round": ("max_qubits = 100\n", "max_qubits = 30\n", band(1, "max_qubits"), "band 4A906.a.1 is empty"),
    "open band in the middle": ("max_qubits = 200\n", "", band(2, "[[bands]]"), "4A906.a.2 and 4A906.a.3 overlap"),
    "two bands of one entry": ('"4A906.a.2"', '"4A906.a.1"', band(2, "entry"), "two bands have the entry 4A906.a.1"),
    "band without an entry": ('entry = "4A906.a.2"', 'entry = ""', band(2, "entry"), "bands.1.entry"),
    "unknown field": ("standing =", 'colour = "red"\nstanding =', STANDING, "colour"),
    "unknown field of a band": ("max_error = 1e-4", "error = 1e-4", band(1, "max_error"), "bands.0.error"),
    "qubits as text": ("min_qubits = 34", 'min_qubits = "many"', band(1, "min_qubits"), "bands.0.min_qubits: Input should be a valid integer"),
    "fraction of a qubit": ("min_qubits = 34", "min_qubits = 34.5", band(1, "min_qubits"), "bands.0.min_qubits"),
    "no qubit at all": ("min_qubits = 34", "min_qubits = 0", band(1, "min_qubits"), "greater than or equal to 1, got 0"),
    "negative error": ("max_error = 1e-3", "max_error = -1e-3", band(2, "max_error"), "bands.1.max_error: Input should be greater than 0"),
    "error above 1": ("max_error = 6e-3", "max_error = 6.0", band(7, "max_error"), "bands.6.max_error: Input should be less than or equal to 1"),
    "infinite error": ("max_error = 1e-4", "max_error = inf", band(1, "max_error"), "bands.0.max_error"),
    "error that is no number": ("max_error = 1e-4", "max_error = nan", band(1, "max_error"), "bands.0.max_error"),
    "day as text": ("in_force = 2024-09-06", 'in_force = "autumn"', START,
                    'in_force: is no day; write a date (2024-09-06), or in quotes a month ("2024-07")'),
    "day as a number": ("in_force = 2024-09-06", "in_force = 2024", START, "in_force: is no day"),
    "day with a time": ("in_force = 2024-09-06", "in_force = 2024-09-06T00:00:00", START, "in_force: is no day"),
    "thirteenth month": ("in_force = 2024-09-06", 'in_force = "2024-13"', START, "in_force: is no day"),
    "range turned round": ("in_force = 2024-09-06", 'in_force = "2024-09-07/2024-09-06"', START, "must end after it begins"),
    "range of one day": ("in_force = 2024-09-06", 'in_force = "2024-09-06/2024-09-06"', START, "must end after it begins"),
    "range of months": ("in_force = 2024-09-06", 'in_force = "2024-07/2024-08"', START, "in_force: is no day"),
    "published in a year": ("published = 2024-09-06", 'published = "2024"', START - 1, "published: "),
    "end before start": ('standing = "text"', 'until = 2020-01-01\nstanding = "text"', STANDING, "until 2020-01-01 lies before in_force 2024-09-06"),
    "amendment before start": ('standing = "text"', 'amended = "2023"\nstanding = "text"', STANDING, "amended 2023 lies before in_force 2024-09-06"),
    "unknown standing": ('standing = "text"', 'standing = "hearsay"', STANDING, "'text', 'secondary' or 'none', got 'hearsay'"),
    "bands from hearsay": ('standing = "text"', 'standing = "secondary"', STANDING, "standing: bands need standing 'text'"),
    "bands from nothing": ('standing = "text"', 'standing = "none"', STANDING, "standing: bands need standing 'text'"),
    "unknown source of the day": ('standing = "text"', 'in_force_standing = "none"\nstanding = "text"', STANDING, "in_force_standing: "),
    "other schema": ('schema = "qthreshold/rule/1"', 'schema = "qthreshold/rule/2"', 1, "schema"),
    "missing citation": ("citation =", "# citation =", 1, "citation: Field required"),
    "missing day": ("in_force =", "# in_force =", 1, "in_force: Field required"),
    "nothing said of what counts": ("counted_qubits =", "# counted_qubits =", 1, "counted_qubits must be stated where there are bands"),
    "error term left empty": ('error_term = "average physical gate error of nearest-neighbour two-qubit C-NOT gates"', 'error_term = ""',
                              line_of(US, "error_term"), "error_term must be stated"),
    "odd id": ('id = "us-ear"', 'id = "US EAR"', 2, "id"),
    "notes as one text": ("notes = [", 'notes = "x"\nexceptionz = [', line_of(US, "notes = ["), "notes"),
    "note as a number": ("notes = [\n", "notes = [\n  1,\n", line_of(US, "notes = [") + 1, "notes.0: "),
    "second note as a number": ('  "Unchanged', '  2,\n  "Unchanged', line_of(US, "Unchanged"), "notes.1: "),
    "unknown kind of item": ('item = "cryo_cmos"', 'item = "toasters"', line_of(US, "cryo_cmos"), "neighbours.0.item: Input should be 'cryo_cmos'"),
    "unknown field of an item": (CONDITION, '  { field = "temperature_k", at_most = 4.5 },', line_of(US, CONDITION),
                                 "cryo_cmos have no 'temperature_k': did you mean ambient_temperature_k?"),
    "no limit": (CONDITION, '  { field = "ambient_temperature_k" },', line_of(US, CONDITION), "has one of at_most, below"),
    "two limits": (CONDITION, '  { field = "ambient_temperature_k", at_most = 4.5, below = 5 },', line_of(US, CONDITION), "not at_most and below"),
    "limit of a choice": ('  { field = "stages", one_of = [2] },', '  { field = "stages", above = 1 },', line_of(US, '"stages"'),
                          "stages needs one_of"),
    "choice of a number": (CONDITION, '  { field = "ambient_temperature_k", one_of = [4] },', line_of(US, CONDITION), "needs a limit of a number"),
    "choice that cannot be": ('["Si", "Ge"]', '["Si", "C"]', line_of(US, '["Si", "Ge"]'), "element is one of Si, Ge, got 'C'"),
    "number for yes": ("one_of = [true]", "one_of = [1]", line_of(US, "one_of = [true]"), "is one of true, false, got 1"),
    "cooling without a temperature": (COOLING, '  { field = "cooling", at_least = 600e-6 },', line_of(US, COOLING),
                                      "needs at_least and at_temperature_k"),
    "cooling at most": (COOLING, '  { field = "cooling", at_most = 600e-6, at_temperature_k = 0.1 },', line_of(US, COOLING), "needs at_least"),
    "range without its end": (AMPLIFIER, '  { field = "frequency_low_hz", overlaps = [2e9, 15e9] },', line_of(US, AMPLIFIER), "go together"),
    "range that ends first": (AMPLIFIER, AMPLIFIER.replace("2e9, 15e9", "15e9, 2e9"), line_of(US, AMPLIFIER), "must end after it begins"),
    "range of two things": (AMPLIFIER, AMPLIFIER.replace("frequency_high_hz", "noise_figure_db_at_1k"), line_of(US, AMPLIFIER),
                            "no two ends of a range"),
    "no condition": ("conditions = [\n" + CONDITION + "\n]", "conditions = []", line_of(US, "conditions = ["), "neighbours.0.conditions"),
    "infinite limit": (CONDITION, CONDITION.replace("4.5", "inf"), line_of(US, CONDITION), "finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_file_is_refused_with_file_line_and_field(name, tmp_path):
    old, new, line, words = WRONG[name]
    assert old in US
    path = written(tmp_path, US.replace(old, new, 1))
    with pytest.raises(InputError) as refused:
        load_toml(path, Instrument, "rule")
    assert str(refused.value).startswith(f"{path}, line {line}: ")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_neighbouring_entries_need_a_text_too(tmp_path):
    text = re.sub(r"^\[\[bands\]\].*?(?=^\[\[n)", "", US, flags=re.MULTILINE | re.DOTALL).replace('standing = "text"', 'standing = "secondary"', 1)
    with pytest.raises(InputError, match=f"line {STANDING}: standing: neighbours need standing 'text'"):
        load_toml(written(tmp_path, text), Instrument, "rule")


def test_every_field_that_an_entry_can_ask_for_has_its_unit_in_its_name():
    endings = {"K": "_k", "Hz": "_hz", "h": "_hours", "mm": "_mm", "%": "_percent", "dB": "_db_at_1k"}
    for fields in ITEM_FIELDS.values():
        for name, field in fields.items():
            assert name.endswith(endings[field.unit]) if field.unit else field.kind != "number"


# --- days

DAYS = st.dates(datetime.date(1, 1, 1), datetime.date(9999, 12, 31))


@given(day=DAYS, other=DAYS)
def test_days_are_read_as_they_are_written(day, other):
    first, last = sorted((day, other))
    assume(first != last)
    exact = Days.parse(day)
    assert (exact.earliest, exact.latest, str(exact), exact.exact) == (day, day, day.isoformat(), True)
    assert Days.parse(day.isoformat()) == exact
    month = Days.parse(day.isoformat()[:7])
    assert month.earliest == day.replace(day=1)
    assert month.latest == day.replace(month=12, day=31) or (month.latest + datetime.timedelta(days=1)).day == 1
    assert month.earliest <= day <= month.latest
    assert (month.earliest.month, month.latest.month) == (day.month, day.month)
    year = Days.parse(day.isoformat()[:4])
    assert (year.earliest, year.latest) == (day.replace(month=1, day=1), day.replace(month=12, day=31))
    between = Days.parse(f"{first}/{last}")
    assert (between.earliest, between.latest, str(between), between.exact) == (first, last, f"{first}/{last}", False)


@given(text=st.one_of(st.text(max_size=25), st.from_regex(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?(/[0-9-]{0,10})?", fullmatch=True)))
def test_whatever_is_written_for_a_day_is_read_or_refused(text):
    try:
        days = Days.parse(text)
    except ValueError as error:
        assert "is no day" in str(error) or "must end after it begins" in str(error)  # noqa: PT017
    else:
        assert days.earliest <= days.latest
        assert str(days) == text
        assert text.isascii()


def test_equal_days_are_equal_however_they_are_written():
    assert Days.parse("2024-07") == Days.parse("2024-07-01/2024-07-31")
    assert hash(Days.parse("2024-09-06")) == hash(Days.parse(DAY("2024-09-06")))
    assert Days.parse("2024") != Days.parse("2024-07")
    days = Days.parse("2024")
    assert Days.parse(days) is days


@pytest.mark.parametrize(
    "value", ["", "24", "2024-7", "20240906", "2024-W36", "2024-02-30", "0000", "2024/2025", "٢٠٢٤", "2024-09-06/", None, 2024, True, 1.5]
)
def test_what_is_no_day_is_refused(value):
    with pytest.raises(ValueError, match="is no day"):
        Days.parse(value)


# --- rule files made at random

LABELS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
SPANS = st.one_of(DAYS.map(str), DAYS.map(lambda d: d.isoformat()[:7]), DAYS.map(lambda d: d.isoformat()[:4]))


@st.composite
def rules(draw):
    """Documents of valid rules with any number of bands that join."""
    edges = sorted(draw(st.sets(st.integers(1, 5000), min_size=1, max_size=7)))
    ends = [*edges[1:], draw(st.sampled_from([None, 6000]))]
    limits = draw(st.lists(st.one_of(st.none(), st.floats(1e-9, 1)), min_size=len(edges), max_size=len(edges)))
    return {
        "schema": "qthreshold/rule/1", "id": draw(st.from_regex(r"[a-z0-9-]+", fullmatch=True)), "title": draw(LABELS), "jurisdiction": draw(LABELS),
        "entry": draw(LABELS), "citation": draw(LABELS), "in_force": draw(SPANS), "standing": "text", "counted_qubits": "c", "error_term": "e",
        "notes": draw(st.lists(LABELS, max_size=3)),
        "bands": [
            {"entry": f"{i}", "min_qubits": a, "max_qubits": b, "max_error": e} for i, (a, b, e) in enumerate(zip(edges, ends, limits, strict=True))
        ],
    }  # fmt: skip


@given(document=rules(), qubits=st.integers(0, 7000))
def test_any_valid_rule_survives_a_trip_through_json(document, qubits):
    rule = Instrument.model_validate(document)
    again = Instrument.model_validate(json.loads(json.dumps(rule.model_dump(mode="json", by_alias=True))))
    assert again.model_dump() == rule.model_dump()
    assert str(again.in_force) == document["in_force"]
    inside = [b for b in rule.bands if b.min_qubits <= qubits and (b.max_qubits is None or qubits < b.max_qubits)]
    assert ([rule.band_at(qubits)] if rule.band_at(qubits) else []) == inside
    assert len(inside) == (qubits >= rule.bands[0].min_qubits and (rule.bands[-1].max_qubits is None or qubits < 6000))


@given(document=rules(), shift=st.integers(-3, 3), data=st.data())
def test_bands_that_do_not_join_are_refused_whatever_they_are(document, shift, data):
    assume(len(document["bands"]) > 1)
    assume(shift != 0)
    k = data.draw(st.integers(1, len(document["bands"]) - 1))
    document["bands"][k]["min_qubits"] += shift
    with pytest.raises(ValueError, match=r"overlap|gap|empty|greater than"):
        Instrument.model_validate(document)


@given(first=rules(), second=rules(), qubits=st.integers(0, 7000))
def test_a_comparison_of_bands_says_where_the_limits_differ(first, second, qubits):
    a, b = Instrument.model_validate(first), Instrument.model_validate(second)
    found = compare_rules(a, b)

    def limit(rule):
        band = rule.band_at(qubits)
        return "no band" if band is None else "no criterion" if band.max_error is None else band.max_error

    rows = [r for r in found.band_rows if r.min_qubits <= qubits and (r.max_qubits is None or qubits < r.max_qubits)]
    assert [(r.first, r.second) for r in rows] == ([(limit(a), limit(b))] if limit(a) != limit(b) else [])
    assert (found.bands is None) == bool(found.band_rows)
    assert compare_rules(a, a).differences == compare_rules(a, a).band_rows == ()


# --- comparing


@pytest.mark.parametrize("rule", [r for r in WITH_BANDS if r != "us-ear"])
def test_all_texts_that_were_read_draw_the_same_bands(rule):
    assert compare_rules(load_instrument("us-ear"), load_instrument(rule)).bands == bands_in_words(load_instrument("us-ear").bands)


def test_a_comparison_names_the_fields_that_differ_and_those_that_agree():
    found = compare_rules(load_instrument("us-ear"), load_instrument("eu-dual-use"))
    differ = {d.field: (d.first, d.second) for d in found.differences}
    assert differ["in_force"] == ("2024-09-06", "2025-11-15")
    assert differ["text_as_of"] == ("2026-07-23", None)
    assert set(differ) == {"jurisdiction", "entry", "technology", "destinations", "exceptions", "published", "in_force", "text_as_of"}
    assert set(found.agree) == {"counted_qubits", "capability", "error_term", "exclusions", "in_force_standing", "standing"}
    assert (found.neighbours_same, found.neighbours_first, found.neighbours_second) == (10, (), ())


def test_a_comparison_finds_bands_and_neighbours_that_were_changed():
    us = load_instrument("us-ear")
    bands = [*us.bands[:2], us.bands[2].model_copy(update={"max_error": 1e-3}), *us.bands[3:]]
    found = compare_rules(us, us.model_copy(update={"bands": tuple(bands), "neighbours": us.neighbours[1:]}))
    assert [(r.min_qubits, r.max_qubits, r.first, r.second) for r in found.band_rows] == [(200, 350, 2e-3, 1e-3)]
    assert (found.bands, found.neighbours_same, found.neighbours_first) == (None, 9, ("3A901.a cryo-CMOS circuit",))
    assert found.as_dict()["bands"]["same"] is False


@pytest.mark.parametrize("rule", SECONDARY)
def test_bands_that_were_not_read_are_not_compared(rule):
    found = compare_rules(load_instrument("us-ear"), load_instrument(rule))
    assert (found.bands, found.band_rows, found.unread) == (None, (), (rule,))
    assert found.as_dict()["bands"]["same"] is None


def test_a_comparison_can_be_written_as_json():
    for rule in FACTS:
        document = json.loads(json.dumps(compare_rules(load_instrument("de-aw"), load_instrument(rule)).as_dict(), allow_nan=False))
        assert (document["first"], document["second"]) == ("de-aw", rule)


# --- small things


def test_limits_are_written_as_people_write_them():
    assert [short(e) for *_, e in BANDS[:3]] == ["1e-4", "1e-3", "2e-3"]


def test_bands_are_written_in_one_line():
    assert bands_in_words(load_instrument("us-ear").bands).startswith("34-99: 1e-4, 100-199: 1e-3, ")
    assert bands_in_words((Band(entry="x", min_qubits=5),)) == "5 and more: no criterion"


def test_a_file_is_loaded_by_its_path_under_its_own_name(tmp_path):
    assert [load_rule_file(shipped("rules") / f"{name}.toml").id for name in names_in("rules")] == names_in("rules")
    content = US.encode()
    assert parse_toml(content, tmp_path / "nowhere.toml", Instrument, "rule").id == "us-ear"
    with pytest.raises(InputError, match="no rule file at"):
        load_rule_file(tmp_path / "missing.toml")
