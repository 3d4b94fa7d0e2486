import re
from typing import Annotated, Literal

import pytest
from pydantic import Field

from qthreshold.backends.profiles import Profile
from qthreshold.datafiles import load_named, load_toml, names_in, near_matches, shipped
from qthreshold.errors import InputError
from qthreshold.recipe import Recipe
from qthreshold.schema import Schema

HEAD = 'schema = "qthreshold/recipe/1"\nname = "mine"\n'


class Part(Schema):
    size: Annotated[int, Field(ge=0)] = 0
    kind: Literal["a", "b"] = "a"


class File(Schema):
    number: float
    part: Part = Part()
    parts: list[Part] = Field(default=[])
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
    assert {"default", "quick"} <= set(names_in("circuits"))
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
