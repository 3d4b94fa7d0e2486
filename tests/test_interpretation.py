"""The choices that the law leaves open: accepted values, combinations, and what is said of each."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.interpretation import CHOICES, Interpretation, changes, interpretation_dict, readings

ALLOWED = st.fixed_dictionaries({}, optional={c.name: st.lists(st.sampled_from(c.values), min_size=1, unique=True) for c in CHOICES})


def test_every_field_is_a_choice_that_is_explained_and_its_default_comes_first():
    fields = {f.name: f.default for f in dataclasses.fields(Interpretation)}
    assert {c.name: c.values[0] for c in CHOICES} == fields
    for choice in CHOICES:
        assert choice.question.endswith("?") or "." in choice.question
        assert all(r.meaning and r.consequence for r in choice.readings)
        assert choice.decided_by in ("judge", "data")


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: c.name)
def test_a_value_that_does_not_exist_is_refused_with_those_that_do(choice):
    with pytest.raises(ValueError, match=rf"{choice.name} 'nosuch' is not accepted; {choice.values[0]}, "):
        Interpretation(**{choice.name: "nosuch"})
    for value in choice.values:
        assert interpretation_dict(Interpretation(**{choice.name: value}))[choice.name] == value


@given(ALLOWED)
def test_readings_are_all_combinations_once_each_with_the_fewest_changes_first(allowed):
    default = Interpretation()
    found = readings(default, allowed)
    products = [dict(zip(allowed, v, strict=True)) for v in itertools.product(*allowed.values())]
    wanted = {tuple(sorted((interpretation_dict(default) | p).items())) for p in products}
    wanted.add(tuple(sorted(interpretation_dict(default).items())))
    assert found[0] == default
    assert len(found) == len(wanted)
    assert {tuple(sorted(interpretation_dict(i).items())) for i in found} == wanted
    numbers = [len(changes(i, default)) for i in found]
    assert numbers == sorted(numbers)
