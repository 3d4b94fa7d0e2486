import dataclasses
import json
import math
import pickle
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qthreshold.identity import Interval, Record, canonical_json, content_id, parts, rebuild
from qthreshold.ticket import Ticket
from reference.devices import line_device, small_plan


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Inner(Record):
    schema: ClassVar[str] = "test/inner/1"
    name: str
    values: np.ndarray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outer(Record):
    schema: ClassVar[str] = "test/outer/1"
    text: str
    number: float
    whole: int
    flag: bool
    maybe: str | None
    names: tuple[str, ...]
    table: dict[str, Any]
    array: np.ndarray
    inner: Inner
    other: Inner | None


finite = st.floats(allow_nan=False, allow_infinity=False)
arrays = hnp.arrays(
    st.sampled_from([np.int64, np.uint8, np.uint16, np.float64, np.bool_]), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
)
inner = st.builds(Inner, name=st.text(max_size=5), values=arrays)
outer = st.builds(
    Outer, text=st.text(max_size=8), number=st.floats(allow_infinity=False), whole=st.integers(), flag=st.booleans(),
    maybe=st.none() | st.text(max_size=4), names=st.lists(st.text(max_size=4), max_size=3).map(tuple),
    table=st.dictionaries(st.text(max_size=3), st.integers() | st.lists(finite, max_size=2)), array=arrays, inner=inner, other=st.none() | inner,
)  # fmt: skip


def through_json(record):
    header, named = parts(record)
    return rebuild(type(record), json.loads(canonical_json(header)), {k: v.copy() for k, v in named.items()})


@given(outer)
def test_records_survive_being_written_and_read(record):
    again = through_json(record)
    assert again.id == record.id
    assert again == record
    assert again.names == record.names
    assert again.array.dtype == record.array.dtype
    np.testing.assert_array_equal(again.inner.values, record.inner.values)


@given(outer)
def test_every_field_enters_the_id(record):
    changes = {
        "text": record.text + "x", "number": 1.5 if record.number != 1.5 else 2.5, "whole": record.whole + 1, "flag": not record.flag,
        "maybe": "new!", "names": (*record.names, "x"), "table": {**record.table, "another": 1}, "array": np.append(record.array, 1),
        "inner": record.inner.replace(name="new!"), "other": record.inner.replace(name="another"),
    }  # fmt: skip
    assert set(changes) == {f.name for f in dataclasses.fields(record)}
    for name, value in changes.items():
        assert record.replace(**{name: value}).id != record.id, name


@given(arrays)
def test_shape_and_type_enter_the_id_not_only_the_bytes(values):
    ids = {content_id("s", {}, {"a": v}) for v in (values, values.ravel()[:, None], np.concatenate([values.ravel(), values.ravel()]))}
    flat = values.ravel()
    assert content_id("s", {}, {"a": flat}) != content_id("s", {}, {"a": flat.view(np.uint8) if flat.dtype != np.uint8 else flat.view(np.int8)})
    assert content_id("s", {}, {"a": values}) != content_id("s", {}, {"b": values})
    assert content_id("s", {}, {"a": values}) != content_id("t", {}, {"a": values})
    assert len(ids) >= 2


def test_byte_order_and_memory_layout_do_not_enter_the_id():
    a = np.arange(6, dtype="<i8").reshape(2, 3)
    assert content_id("s", {}, {"a": a}) == content_id("s", {}, {"a": a.astype(">i8")}) == content_id("s", {}, {"a": np.asfortranarray(a)})


def test_id_of_known_content_stays_what_it_was():
    # a changed hash breaks every stored run: change it only together with the schema version
    record = Interval(low=0.25, best=0.5, high=0.75, level=0.95)
    assert record.id == "9ecc00729104ddfae1202ac43562dfe37f42873f1865455e4cb7423ae1f4192a"


def test_order_of_mapping_keys_does_not_enter_the_id():
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1}) == '{"a":2,"b":1}'


def test_numpy_scalars_hash_like_python_numbers():
    assert canonical_json({"a": np.float64(0.1), "b": np.int64(3), "c": np.bool_(True)}) == canonical_json({"a": 0.1, "b": 3, "c": True})


def test_records_cannot_be_changed():
    record = Inner(name="a", values=np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        record.values[0] = 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.name = "b"


def test_a_view_given_to_a_record_is_not_shared():
    whole = np.arange(6)
    record = Inner(name="a", values=whole[:3])
    before = record.id
    whole[0] = 99
    assert record.values[0] == 0
    assert record.id == before


def test_the_array_given_to_a_record_stays_the_callers_own():
    mine = np.arange(6)
    view = mine[:]
    record = Inner(name="a", values=mine)
    view[0] = mine[1] = 99  # neither raises nor reaches the record
    assert record.values.tolist() == list(range(6))


def test_a_read_only_view_of_an_array_is_not_shared_either():
    mine = np.arange(3)
    record = Inner(name="a", values=np.broadcast_to(mine, (2, 3)))
    mine[0] = 99
    assert record.values[0, 0] == 0


def test_whole_numbers_in_float_fields_keep_their_id_through_a_file():
    for record in (Interval(low=0, best=1, high=2, level=0.95), line_device("cz", job_overhead=2)):
        assert through_json(record).id == record.id


def test_arrays_of_all_stage_records_are_read_only():
    device = line_device("cz")
    for record in (device, small_plan(device)):
        for field in dataclasses.fields(record):
            value = getattr(record, field.name)
            if isinstance(value, np.ndarray):
                assert not value.flags.writeable, field.name


@pytest.mark.parametrize(
    "record",
    [
        line_device("mixed"),
        small_plan(line_device("ecr")),
        Ticket(plan_id="p", backend="aer", number=3, circuits=np.array([1, 4, 7])),
        Interval(low=math.nan, best=math.nan, high=math.nan, level=0.95),
    ],
    ids=lambda r: type(r).__name__,
)
def test_stage_records_survive_being_written_and_read(record):
    assert through_json(record).id == record.id


def test_missing_and_unknown_fields_are_named():
    header, named = parts(Inner(name="a", values=np.arange(3)))
    with pytest.raises(ValueError, match=r"missing fields \['values'\]"):
        rebuild(Inner, header, {})
    with pytest.raises(ValueError, match=r"unknown fields \['extra'\]"):
        rebuild(Inner, {**header, "extra": 1}, named)


def test_records_of_different_types_are_never_equal():
    record = Inner(name="a", values=np.arange(3))
    assert record != "a"
    assert record != Interval(low=0.0, best=0.0, high=0.0, level=0.5)
    assert hash(record) == hash(record.replace())


def test_interval_must_be_ordered_with_a_sensible_level():
    with pytest.raises(ValueError, match="not ordered"):
        Interval(low=0.5, best=0.4, high=0.6, level=0.95)
    with pytest.raises(ValueError, match=r"between 0 and 1, got 95"):
        Interval(low=0.1, best=0.2, high=0.3, level=95)


def test_interval_as_json_has_null_where_there_is_no_number():
    assert Interval(low=-math.inf, best=1.0, high=math.inf, level=0.9).as_dict() == {"low": None, "best": 1.0, "high": None, "level": 0.9}
    assert Interval(low=math.nan, best=math.nan, high=math.nan, level=0.9).as_dict()["best"] is None


def test_an_id_is_computed_once_and_copies_have_their_own(monkeypatch):
    calls = []
    monkeypatch.setattr("qthreshold.identity.content_id", lambda *parts: calls.append(1) or content_id(*parts))
    record = Inner(name="a", values=np.zeros(3))
    assert record.id == record.id
    assert len(calls) == 1
    other = record.replace(name="b")
    assert other.id != record.id
    assert len(calls) == 2
    assert pickle.loads(pickle.dumps(record)) == record
    assert not hasattr(record, "__dict__")
