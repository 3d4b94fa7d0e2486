import re
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, model_validator

from qthreshold.backends.profiles import Profile
from qthreshold.datafiles import load_named, load_toml, located, names_in, parse_toml, shipped
from qthreshold.errors import InputError
from qthreshold.recipe import Recipe
from qthreshold.schema import FieldError, Schema
from qthreshold.suggest import near_matches

HEAD = 'schema = "qthreshold/recipe/1"\nname = "mine"\n'


class Part(Schema):
    size: Annotated[int, Field(ge=0)] = 0
    kind: Literal["a", "b"] = "a"


class Whole(Schema):
    """A table whose fields must fit together; the fault names the one to change."""

    low: int = 0
    high: int = 1
    steps: list[Part] = Field(default=[])

    @model_validator(mode="after")
    def _fits(self):
        if self.low > self.high:
            raise FieldError(("high",), "high lies below low")
        for i, step in enumerate(self.steps):
            if step.size > self.high:
                raise FieldError(("steps", i, "size"), "a step leads beyond high")
        return self


class File(Schema):
    number: float
    part: Part = Part()
    parts: list[Part] = Field(default=[])
    whole: Whole = Whole()
    wholes: list[Whole] = Field(default=[])
    pairs: list[tuple[int, int]] = Field(default=[])


def message_of(folder, text, model=Recipe, kind="recipe"):
    path = folder / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_toml(path, model, kind)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", names_in("circuits"))
def test_shipped_recipes_load_under_their_own_name(name):
    recipe = load_named("circuits", name, Recipe, "recipe")
    assert recipe.name == name
    assert recipe.description


def test_default_and_quick_recipes_are_shipped():
    assert {"default", "quick", "precise"} <= set(names_in("circuits"))
    assert (shipped("circuits") / "default.toml").is_file()


def test_smallest_recipe_is_the_header_alone(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD)
    recipe = load_named("circuits", str(path), Recipe, "recipe")
    assert recipe.two_qubit.protocol == "padded"


def test_unknown_name_offers_the_near_ones_and_a_path():
    with pytest.raises(InputError, match=r"unknown recipe 'defualt': did you mean default\? Known: default, .*path of a \.toml file"):
        load_named("circuits", "defualt", Recipe, "recipe")


def test_near_matches_without_a_near_one_lists_all():
    assert near_matches("zzz", ["b", "a"]) == "Known: a, b"


@pytest.mark.parametrize("spec", ["missing.toml", "folder/missing", "folder\\missing"])
def test_missing_file_is_named(spec):
    with pytest.raises(InputError, match=r"no recipe file at .*missing"):
        load_named("circuits", spec, Recipe, "recipe")


def test_a_folder_is_not_a_file(tmp_path):
    (tmp_path / "x.toml").mkdir()
    with pytest.raises(InputError, match="cannot read recipe file"):
        load_named("circuits", str(tmp_path / "x.toml"), Recipe, "recipe")


def test_binary_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read recipe file"):
        load_toml(path, Recipe, "recipe")


def test_broken_toml_names_the_line(tmp_path):
    assert re.search("not valid TOML.*line 3", message_of(tmp_path, HEAD + "name = \n"))


CASES = {
    "unknown field": (HEAD + "[two_qubit]\nshotz = 3\n", 4, "two_qubit.shotz", "not permitted"),
    "unknown table": (HEAD + "[three_qubit]\nshots = 3\n", 3, "three_qubit", "not permitted"),
    "wrong type": (HEAD + '[two_qubit]\nlengths = [1, 2]\nshots = "many"\n', 5, "two_qubit.shots", "integer.*'many'"),
    "too small": (HEAD + "[readout]\nshots = 0\n", 4, "readout.shots", "greater than or equal to 1.*got 0"),
    "odd patterns": (HEAD + "[readout]\npatterns = 3\n", 4, "readout.patterns", "multiple of 2"),
    "bad choice": (HEAD + '[two_qubit]\nprotocol = "fast"\n', 4, "two_qubit.protocol", "'padded' or 'plain'.*'fast'"),
    "neither form": (HEAD + '[two_qubit]\nspacing = "far"\n', 4, "two_qubit.spacing", "integer.* or .*'isolated'.*'far'"),
    "negative spacing": (HEAD + "[one_qubit]\nspacing = -1\n", 4, "one_qubit.spacing", "-1"),
    "lengths fall": (HEAD + "[two_qubit]\nlengths = [5, 2]\n", 4, "two_qubit.lengths", "must increase"),
    "lengths repeat": (HEAD + "[two_qubit]\nlengths = [2, 2]\n", 4, "two_qubit.lengths", "must increase"),
    "unknown lengths": (HEAD + '[two_qubit]\nlengths = "best"\n', 4, "two_qubit.lengths", "list or .*'optimal'.*'best'"),
    "no room for lengths": (HEAD + '[two_qubit]\nlengths = "optimal"\nlongest = 3\n', 3, "two_qubit", "longest = 3 leaves no room for 4 lengths"),
    "one length": (HEAD + "[two_qubit]\nlengths = [2]\n", 4, "two_qubit.lengths", "at least 2"),
    "all factors zero": (HEAD + "[two_qubit]\nlength_factors = [0.0, 0.0]\n", 4, "two_qubit.length_factors", "above 0"),
    "negative length": (HEAD + "[two_qubit]\nlengths = [-1, 2]\n", 4, "two_qubit.lengths.0", "-1"),
    "other schema": ('schema = "qthreshold/recipe/2"\nname = "mine"\n', 1, "schema", "recipe/1"),
    "no name": ('schema = "qthreshold/recipe/1"\n', 1, "name", "required"),
    "zero criterion": (HEAD + "[criteria]\nreadout_error = 0\n", 4, "criteria.readout_error", "greater than 0"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_recipe_names_file_line_field_and_what_is_accepted(case, tmp_path):
    text, line, field, complaint = CASES[case]
    message = message_of(tmp_path, text)
    assert re.search(rf"mine\.toml, line {line}: {re.escape(field)}: .*{complaint}", message), message


def test_further_faults_are_counted(tmp_path):
    assert "(and 2 more)" in message_of(tmp_path, HEAD + "[readout]\nshots = 0\npatterns = 1\n[criteria]\ncnot_error = 2\n")


def test_line_is_found_behind_comments_dotted_keys_and_quotes(tmp_path):
    assert ", line 3: part.size:" in message_of(tmp_path, "number = 1\n# part\npart.size = -1\n", File, "file")
    assert ", line 4: part.size:" in message_of(tmp_path, 'number = 1\n[ part ]  # [other]\nkind = "b"\n"size" = -1\n', File, "file")


def test_line_is_found_in_the_right_one_of_several_tables(tmp_path):
    text = 'number = 1\n[[parts]]\nsize = 1\n[[parts]]\nsize = 2\nkind = "c"\n'
    assert ", line 6: parts.1.kind:" in message_of(tmp_path, text, File, "file")


def test_line_is_found_after_a_list_over_several_lines(tmp_path):
    text = "number = 1\npairs = [\n  [0, 1],\n  [1, 2]\n]\n[part]\nsize = -1\n"
    assert ", line 7: part.size:" in message_of(tmp_path, text, File, "file")
    text = "[topology]\nkind = 'pairs'\npairs = [\n  [0, 1],\n  [1, 2]\n]\nqubits = 0\n"
    profile = 'schema = "qthreshold/profile/1"\nname = "mine"\n' + text
    assert ", line 9: topology.qubits:" in message_of(tmp_path, profile, Profile, "profile")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_numbers_must_be_finite(value, tmp_path):
    assert "finite" in message_of(tmp_path, f"number = {value}\n", File, "file")


FIT = {  # TOML after "number = 1"; line and place of the fault
    "in a table": ("[whole]\nlow = 3\nhigh = 2\n", 4, "whole.high: high lies below low"),
    "in an inline table": ("whole = { low = 3, high = 2 }\n", 2, "whole.high: high lies below low"),
    "field left to its default": ("[whole]\nlow = 3\n", 2, "whole.high: high lies below low"),
    "in the second of several tables": ("[[wholes]]\nlow = 0\n[[wholes]]\nhigh = 2\nlow = 3\n", 5, "wholes.1.high: "),
    "in a table of a table": ("[[wholes]]\n[[wholes.steps]]\nsize = 1\n[[wholes]]\n[[wholes.steps]]\nsize = 1\n[[wholes.steps]]\nsize = 9\n", 9,
                              "wholes.1.steps.1.size: "),
    "in a list over several lines": ("[whole]\nsteps = [\n  { size = 0 }, # [[whole]]\n\n  { kind = 'a',size = 9 },\n]\n", 6, "whole.steps.1.size: "),
    "in a list of inline tables": ("wholes = [ { low = 0 }, { high = 2, low = 3 } ]\n", 2, "wholes.1.high: "),
    "behind a dotted key": ("whole.low = 3\nwhole.high = 2\n", 3, "whole.high: "),
}  # fmt: skip


@pytest.mark.parametrize("case", FIT)
def test_a_fault_of_a_whole_table_is_reported_at_the_field_to_change(case, tmp_path):
    text, line, words = FIT[case]
    assert f"mine.toml, line {line}: {words}" in message_of(tmp_path, "number = 1\n" + text, File, "file")


TRICKY = {  # TOML that could be taken for tables and fields
    "long text": 'text = """\n[part]\nsize = -1\n\\""""\n',
    "long literal text": "text = '''\n[part]\nsize = -1\n\"\"\"'''\n",
    "text with brackets": 'text = "[part] # { size = -1"\n',
    "literal text with a quote": "text = '\\'\n",
    "comment": "# [part]\n# size = -1\n",
    "time with a blank": "text = 2024-09-06 07:32:00Z\n",
    "list of lists": "text = [[1, 2], [\n  3,\n  [4, [5]]\n], 2024-09-06]\n",
    "empty list and table": "text = [ ]\nother = { }\n",
    "windows line ends": "text = 1\r\nother = [\r\n1]\r\n",
    "quoted keys": '"a.b" = 1\n\'c\'."d" = 2\n',
    "tight": "a=1\nb=[1,2]\nc={d=1,e=[2]}\n",
}


class Loose(Schema):
    """Whatever stands before does not matter."""

    model_config = ConfigDict(extra="allow")
    part: Part = Part()


@pytest.mark.parametrize("case", TRICKY)
def test_nothing_that_only_looks_like_a_table_or_field_is_taken_for_one(case, tmp_path):
    text = TRICKY[case] + "[part]\nkind = 'b'\nsize = -1\n"
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode())
    with pytest.raises(InputError, match=f", line {text.count(chr(10))}: part.size: "):
        load_toml(path, Loose, "file")


class LooseParts(Schema):
    model_config = ConfigDict(extra="allow")
    parts: list[Part]


@given(before=st.lists(st.sampled_from(sorted(TRICKY.values())), max_size=4), parts=st.integers(1, 5), blank=st.integers(0, 3))
def test_the_line_of_a_fault_is_found_behind_anything(before, parts, blank):
    text = "".join(f"[x{k}]\n{t}" for k, t in enumerate(before))
    text += "".join("\n" * blank + f"[[parts]]\nsize = {-1 if k == parts - 1 else k}\n" for k in range(parts))
    with pytest.raises(InputError, match=rf", line {text.count(chr(10))}: parts\.{parts - 1}\.size: "):
        parse_toml(text.encode(), shipped("rules") / "mine.toml", LooseParts, "file")


def test_a_message_about_a_place_can_be_made_by_others(tmp_path):
    assert located(tmp_path / "x.toml", "a = 1\n[b]\nc = 2\n", ("b", "c"), "too large") == f"{tmp_path / 'x.toml'}, line 3: b.c: too large"
    assert located(tmp_path / "x.toml", "a = 1\n", (), "too large") == f"{tmp_path / 'x.toml'}, line 1: file: too large"
