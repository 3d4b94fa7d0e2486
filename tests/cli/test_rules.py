"""``qthreshold rules``: what people and programs read of the rulebook."""

import json
import re
import tomllib

import pytest

from qthreshold.datafiles import names_in, shipped
from qthreshold.rulebook import Instrument, load_instruments, rule_ids
from qthreshold.system import SystemSheet
from reference.commands import here, qthreshold


@pytest.fixture
def call(monkeypatch, capsys):
    """A command of ``qthreshold rules`` in this process, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("QTHRESHOLD_RULES_DIR", raising=False)
    return lambda line: here(["rules", *(line.split() if isinstance(line, str) else line)], monkeypatch, capsys)


def text_of(rule):
    return (shipped("rules") / f"{rule}.toml").read_text(encoding="utf-8")


def one_line(text):
    return " ".join(text.split())


@pytest.fixture
def drafts(tmp_path):
    """A directory with a rule of one's own: the US one with a tighter third band."""
    text = text_of("us-ear").replace('id = "us-ear"', 'id = "draft"').replace("max_error = 2e-3", "max_error = 1.5e-3")
    (tmp_path / "draft.toml").write_text(text.split("[[neighbours]]")[0], encoding="utf-8")
    return tmp_path


def good(answer):
    """The output of a command that did well, no line of it too long."""
    assert (answer.code, answer.err) == (0, "")
    assert max(len(line) for line in answer.out.splitlines() if not line.startswith("https://")) <= 80
    assert "{" not in answer.out or answer.out.lstrip()[0] in "[{"
    return answer.out


# --- list and show


def test_all_instruments_are_listed_with_day_and_standing(call):
    lines = [re.split(r"  +", line.strip()) for line in good(call("list")).splitlines()]
    rows = {cells[0]: cells[1:] for cells in lines if cells[0] in rule_ids()}
    assert list(rows) == [i.id for i in load_instruments()]
    assert rows["us-ear"] == ["United States", "ECCN 4A906.a", "2024-09-06", "text"]
    assert rows["nl-regeling"] == ["Netherlands", "national list", "2024-12-01", "secondary"]
    assert rows["ca-ecl"][:3] == ["Canada", "5506(2)(c)(ii)(A)", "2024-07-19/"]
    assert "until 2025-12-15" in one_line(call("list").out).replace("text, until", "until")


def test_the_list_as_json_is_what_the_files_say(call):
    documents = json.loads(call("list --json").out)
    assert [d["id"] for d in documents] == [i.id for i in load_instruments()]
    for document, instrument in zip(documents, load_instruments(), strict=True):
        assert document.pop("sha256") == instrument.sha256
        assert Instrument.model_validate(document).model_dump() == instrument.model_dump()


@pytest.mark.parametrize("rule", names_in("rules"))
def test_everything_in_a_file_is_shown(call, rule):
    shown = one_line(good(call(f"show {rule}")))
    document = tomllib.loads(text_of(rule))
    for field in ("id", "title", "jurisdiction", "entry", "citation", "url", "standing", "reported", "error_term", "capability", "exclusions",
                  "destinations", "technology", "published", "text_as_of"):  # fmt: skip
        assert one_line(str(document.get(field, ""))) in shown, field
    for words in (*document["notes"], *document.get("exceptions", [])):
        assert one_line(words) in shown
    for entry in (*document.get("bands", []), *document.get("neighbours", [])):
        assert entry["entry"] in shown
    assert shown.count("(number not verified)") == sum(n.get("standing") == "secondary" for n in document.get("neighbours", []))


@pytest.mark.parametrize(
    ("rule", "words"),
    [("us-ear", "In force from 2024-09-06; standing: text, text read as of 2026-07-23"), ("de-aw", "In force from a day in 2024-07 (secondary)"),
     ("ca-ecl", "from a day between 2024-07-19 and 2024-07-20 (secondary)"), ("gb-pl9014", "In force from 2024-04-01 to 2025-12-15"),
     ("es-rd679", "An amendment of 2025 was not read: from 2025-01-01 on, the bands are not verified."), ("es-rd679", "Excluded: nothing stated"),
     ("fr-arrete", "Bands not verified: only secondary sources were read."), ("fr-arrete", "Counted: not read"),
     ("cn-dual-use", "No bands: no entry for quantum computers."), ("us-ear", "1100 to 1999 6e-3"), ("us-ear", "2000 or more no criterion")],
)  # fmt: skip
def test_dates_bands_and_what_is_not_known_are_said_in_words(call, rule, words):
    assert words in one_line(call(f"show {rule}").out)


@pytest.mark.parametrize("rule", ["us-ear", "fr-arrete"])
def test_a_rule_as_json_can_be_read_again(call, rule):
    document = json.loads(call(f"show {rule} --json").out)
    assert re.fullmatch("[0-9a-f]{64}", document.pop("sha256"))
    assert Instrument.model_validate(document).id == rule


# --- diff


def test_bands_that_agree_are_said_in_words(call):
    shown = one_line(good(call("diff us-ear eu-dual-use")))
    assert "Bands: the same eight (34-99: 1e-4, 100-199: 1e-3, " in shown
    assert "2024-09-06 2025-11-15" in shown
    assert "Neighbouring entries: 10 with the same conditions." in shown
    assert "Alike: counted qubits, capability, error term, exclusions, source of in force, standing." in shown


def test_bands_that_differ_are_a_table_of_what_differs(call, drafts):
    shown = one_line(good(call(["diff", "us-ear", "draft", "--rules-dir", str(drafts)])))
    assert "Bands differ:" in shown
    assert "200 to 349 2e-3 1.5e-3" in shown
    assert "100 to 199" not in shown
    assert "Neighbouring entries: 10 stated for us-ear, none stated for draft." in shown


def test_bands_that_were_not_read_are_never_compared(call):
    shown = one_line(good(call("diff fr-arrete us-ear")))
    assert "Bands of fr-arrete: not verified, only secondary sources were read; reported: the same eight bands" in shown
    assert "Bands of us-ear: 34-99: 1e-4" in shown
    assert "differ" not in shown
    assert json.loads(call("diff fr-arrete us-ear --json").out)["bands"] == {
        "same": None, "not_verified": ["fr-arrete"], "words": None, "rows": []
    }  # fmt: skip


@pytest.mark.parametrize("first", names_in("rules"))
def test_every_pair_of_rules_can_be_compared(call, first):
    good(call(f"diff {first} cn-dual-use"))
    assert call(f"diff {first} {first}").out.count("Bands") in (1, 2)


def test_a_comparison_as_json_holds_all_that_differs(call):
    document = json.loads(call("diff us-ear de-aw --json").out)
    assert document["bands"]["same"] is True
    assert {"group": "dates", "field": "in_force", "first": "2024-09-06", "second": "2024-07"} in document["differences"]
    assert document["agree"] == ["counted_qubits", "exclusions", "standing"]


# --- validate


def test_all_shipped_rules_are_valid(call):
    shown = one_line(good(call("validate")))
    assert re.findall(r"([\w-]+): valid", shown) == [i.id for i in load_instruments()]
    assert "us-ear: valid, 8 bands, 10 neighbouring entries, standing text, in force 2024-09-06." in shown
    assert "fr-arrete: valid, no bands, standing secondary, in force 2024-02-11/2024-03-01." in shown


def test_a_valid_file_is_told_by_name_and_content(call, drafts):
    shown = good(call(["validate", str(drafts / "draft.toml")]))
    told = "draft.toml is valid: draft, 8 bands, standing text, in force 2024-09-06.".replace(" ", "")
    assert told in one_line(shown).replace(" ", "")  # a long path breaks anywhere
    assert json.loads(call(["validate", str(drafts / "draft.toml"), "--json"]).out)[0]["bands"] == 8


def test_rules_of_ones_own_are_validated_with_the_shipped_ones(call, drafts):
    assert "draft: valid, 8 bands" in call(["validate", "--rules-dir", str(drafts)]).out


def test_a_file_with_the_id_of_a_shipped_rule_is_valid_but_of_no_use(call, tmp_path):
    (tmp_path / "us-ear.toml").write_text(text_of("us-ear"), encoding="utf-8")
    assert "A shipped rule has the id us-ear too" in one_line(good(call(["validate", str(tmp_path / "us-ear.toml")])))
    assert "A shipped rule" not in call(["validate", str(shipped("rules") / "us-ear.toml")]).out


# --- rules of one's own


@pytest.mark.parametrize("line", ["list", "show draft", "diff draft us-ear", "validate"])
def test_the_directory_of_rules_can_be_given_by_option_or_environment(call, drafts, line, monkeypatch):
    by_option = call([*line.split(), "--rules-dir", str(drafts)])
    assert by_option.code == 0
    assert "draft" in by_option.out
    monkeypatch.setenv("QTHRESHOLD_RULES_DIR", str(drafts))
    assert call(line).out == by_option.out


# --- mistakes


@pytest.mark.parametrize(
    ("line", "words"),
    [("show us-eer", ("unknown rule 'us-eer'", "did you mean us-ear")),
     ("diff us-ear eu-dual", ("unknown rule 'eu-dual'", "did you mean eu-dual-use")),
     ("validate missing.toml", ("no rule file at missing.toml",)), ("list --rules-dir missing", ("no directory of rules at missing",)),
     ("diff us-ear", ("B",)), ("validate --rules-dir {tmp}/x.toml", ("is not a directory",)), ("validate {tmp}/x.toml", ("x.toml, line 3: ", "id: ")),
     ("validate {tmp}/wrong.toml", ("wrong.toml, line {wrong}: bands.0.max_error: Input should be greater than 0",)),
     ("show us-ear --rules-dir {tmp}/twins", ("'us-ear' is the id of a shipped rule",)), ("validate {tmp}", ("cannot read rule file",))],
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_what_where_and_what_is_accepted(call, tmp_path, line, words):
    (tmp_path / "x.toml").write_text('# mine\nschema = "qthreshold/rule/1"\nid = "X"\n')
    text = text_of("us-ear").replace("max_error = 1e-4", "max_error = -1")
    wrong = text[: text.index("max_error = -1")].count("\n") + 1
    (tmp_path / "wrong.toml").write_text(text, encoding="utf-8")
    (tmp_path / "twins").mkdir()
    (tmp_path / "twins" / "us-ear.toml").write_text(text_of("us-ear"), encoding="utf-8")
    answer = call(line.format(tmp=tmp_path))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("qthreshold: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word.format(wrong=wrong) in answer.err


def test_the_command_line_itself_validates_and_fails(tmp_path):
    (tmp_path / "broken.toml").write_text("in_force = \n")
    answer = qthreshold("rules", "validate", tmp_path / "broken.toml")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "broken.toml: not valid TOML" in answer.err


# --- the JSON Schema


def faults_of(value, schema, root, place="$"):
    """What a small part of JSON Schema, all that is used here, finds wrong."""
    if "$ref" in schema:
        return faults_of(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, place)
    if "anyOf" in schema:
        tries = [faults_of(value, s, root, place) for s in schema["anyOf"]]
        return [] if [] in tries else tries[0]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    kind = schema.get("type")
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{place} is no {kind}"]
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{place} is not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{place} is none of {schema['enum']}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{place} does not match")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"{place}.{name} is missing" for name in schema.get("required", []) if name not in value]
        found += [f"{place}.{name} is unknown" for name in value if name not in known and schema.get("additionalProperties") is False]
        found += [f for name in value if name in known for f in faults_of(value[name], known[name], root, f"{place}.{name}")]
    if isinstance(value, list):
        each = schema.get("prefixItems") or [schema["items"]] * len(value)
        found += [f for i, (item, s) in enumerate(zip(value, each, strict=True)) for f in faults_of(item, s, root, f"{place}.{i}")]
    if isinstance(value, (int, float)):
        bounds = (("minimum", value.__ge__), ("maximum", value.__le__), ("exclusiveMinimum", value.__gt__), ("exclusiveMaximum", value.__lt__))
        found += [f"{place} breaks {name}" for name, holds in bounds if name in schema and holds(schema[name]) is False]
    return found


@pytest.fixture(scope="module")
def schemas():
    """What ``rules schema`` prints, from one process each."""
    return {option: json.loads(qthreshold("rules", "schema", *option).out) for option in ((), ("--system",))}


def test_schemas_name_their_draft_and_refer_to_nothing_that_is_missing(schemas):
    for schema in schemas.values():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema))) == set(schema["$defs"])
        assert schema["additionalProperties"] is False


@pytest.mark.parametrize("rule", names_in("rules"))
def test_the_schema_of_rules_accepts_the_shipped_files(schemas, rule):
    document = json.loads(json.dumps(tomllib.loads(text_of(rule)), default=str))
    assert faults_of(document, schemas[()], schemas[()]) == []


@pytest.mark.parametrize("name", names_in("backends/systems"))
def test_the_schema_of_system_sheets_accepts_the_shipped_files(schemas, name):
    document = tomllib.loads((shipped("backends/systems") / f"{name}.toml").read_text(encoding="utf-8"))
    assert faults_of(document, schemas["--system",], schemas["--system",]) == []


@pytest.mark.parametrize(
    ("option", "model", "base", "change"),
    [*((((), Instrument, "us-ear", change)) for change in (
        {"schema": "qthreshold/rule/2"}, {"standing": "hearsay"}, {"in_force": "autumn"}, {"colour": "red"}, {"bands": [{"entry": "x"}]},
        {"bands": [{"entry": "x", "min_qubits": 34, "max_error": 2}]}, {"id": "US EAR"}, {"neighbours": [{"entry": "x", "item": "toasters"}]})),
     *(((("--system",), SystemSheet, None, change)) for change in (
        {"schema": "qthreshold/system/2"}, {"cryostats": [{}]}, {"cryostats": [{"name": "x", "colour": "red"}]}, {"toasters": []},
        {"cryo_cmos": [{"name": "x", "ambient_temperature_k": -1}]}, {"materials": [{"name": "x", "element": "C"}]}))],
)  # fmt: skip
def test_the_schemas_refuse_what_the_loader_refuses(schemas, option, model, base, change):
    document = json.loads(json.dumps(tomllib.loads(text_of(base)), default=str)) if base else {"schema": "qthreshold/system/1", "name": "lab"}
    assert faults_of(document, schemas[option], schemas[option]) == []
    assert faults_of(document | change, schemas[option], schemas[option])
    with pytest.raises(ValueError, match="validation error"):
        model.model_validate(document | change)
