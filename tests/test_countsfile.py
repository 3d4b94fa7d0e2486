"""Counts files: what is read is what was written, and what cannot be used is refused with a reason."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.counts import pack_outcomes
from qthreshold.countsfile import BIT_ORDERS, parse_counts
from qthreshold.errors import InputError
from qthreshold.plan import READOUT, TWO_QUBIT, circuit_name, measured_qubits
from reference.countsfiles import as_csv, as_json, readings
from reference.devices import device_of, line_device, small_plan

DEVICES = [line_device("cz", 2), line_device("ecr", 5), device_of([(3, 1), (5, 7), (8, 7)], "cz", 9, absent_qubits={0: "x", 2: "x", 4: "x", 6: "x"})]
PLANS = [(small_plan(d), d) for d in DEVICES]
PLAN, DEVICE = PLANS[2]
NAMES = [circuit_name(PLAN, c) for c in range(PLAN.n_circuits)]
PAIR = int(np.flatnonzero(PLAN.circuit_experiment == TWO_QUBIT)[0])


def parse(text, plan=PLAN, device=DEVICE, **options):
    return parse_counts(text, "my.file", plan=plan, device=device, names=[circuit_name(plan, c) for c in range(plan.n_circuits)], **options)


@st.composite
def measurements(draw, of=PLANS):
    """A plan, its device, and counts of some of its circuits."""
    plan, device = draw(st.sampled_from(of))
    measured = measured_qubits(plan, device)
    circuit, bits = [], []
    for c in sorted(draw(st.sets(st.integers(0, plan.n_circuits - 1), min_size=1, max_size=5))):
        shots = int(plan.circuit_shots[c])
        few = draw(st.lists(st.integers(0, 2 ** len(measured[c]) - 1), min_size=1, max_size=6))
        picked = (few * shots)[:shots]
        row = np.zeros((shots, device.n_qubits), dtype=np.uint8)
        row[:, measured[c]] = np.array(picked)[:, None] >> np.arange(len(measured[c])) & 1
        circuit += [c] * shots
        bits.append(row)
    return plan, device, pack_outcomes(plan.id, device.n_qubits, circuit, np.concatenate(bits))


@given(measurements(), st.sampled_from(BIT_ORDERS), st.booleans(), st.sampled_from([0, 1, 3]), st.randoms(use_true_random=False))
def test_what_is_read_is_what_was_written(measurement, order, full, every, random):
    plan, device, counts = measurement
    rows = readings(plan, device, counts, order=order, full=full, every=every)
    names = list(rows)
    random.shuffle(names)
    rows = {name: random.sample(rows[name], len(rows[name])) for name in names}
    assert parse(as_json(rows, order), plan, device) == counts
    assert parse("\ufeff\n" + as_json(rows, None, plan_id=plan.id).replace(",", ",\r\n"), plan, device, bit_order=order) == counts
    assert parse(as_csv(rows), plan, device, bit_order=order) == counts
    swapped = "\n".join(",".join(line.split(",")[i] for i in (2, 0, 1)) for line in as_csv(rows).splitlines())
    assert parse(swapped.replace("\n", "\r\n\r\n"), plan, device, bit_order=order) == counts


@given(measurements(), st.data())
def test_a_damaged_file_is_refused_or_read_whole(measurement, data):
    plan, device, counts = measurement
    rows = readings(plan, device, counts)
    text, order = (as_json(rows), None) if data.draw(st.booleans()) else (as_csv(rows), "qubit0-last")
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 4)) :]
    try:
        read = parse(text, plan, device, bit_order=order)
    except InputError:
        return
    total = np.bincount(read.circuit, read.count, minlength=plan.n_circuits)
    assert ((total == plan.circuit_shots) | (total == 0)).all()


LEAVES = st.none() | st.booleans() | st.floats() | st.text()


@given(st.one_of(st.text(), st.recursive(LEAVES, lambda inner: st.dictionaries(st.text(), inner)).map(json.dumps)))
def test_any_other_text_is_refused(text):
    with pytest.raises(InputError, match=r"my\.file"):
        parse(text, bit_order="qubit0-last")


Q = measured_qubits(PLAN, DEVICE)[PAIR].tolist()


def pair(*rows):
    return {NAMES[PAIR]: list(rows)}


WHOLE = pair(("0" * 9, 20))
JSON_FAULTS = {
    "cut off": (as_json(WHOLE)[:-2], "line 1: not JSON"), "a list": ("[1]", "is not a JSON object"), "deep": ('{"a":' * 100_000, "not JSON"),
    "a number without end": ('{"schema": ' + "9" * 5000 + "}", "not JSON"),
    "no schema": (as_json(WHOLE, schema=None), "schema is null; accepted"), "other schema": (as_json(WHOLE, schema="x/2"), "schema is 'x/2'"),
    "other plan": (as_json(WHOLE, plan_id="ab12"), f"counts of plan 'ab12'; this run's plan is {PLAN.id}"),
    "plan is a number": (as_json(WHOLE, plan_id=3), "plan_id is 3; text in quotes"),
    "extra field": (as_json(WHOLE, shots=3), "unknown field 'shots'"),
    "no bit order": (as_json(WHOLE, None), "add --bit-order: qubit0-last"),
    "other bit order": (as_json(WHOLE, "little"), "bit_order 'little' is not"),
    "no circuits": (as_json({}), "holds no counts"), "circuits is a list": (as_json({}, circuits=[]), "no object 'circuits'"),
    "counts is a list": (as_json({}, circuits={NAMES[0]: [1]}), "a JSON list is not accepted"),
    "field twice": (as_json(WHOLE).replace("{", '{"schema": 1, ', 1), "field 'schema' occurs twice"),
    "circuit twice": (as_json(WHOLE).replace('s": {', f's": {{"{NAMES[PAIR]}": {{}}, ', 1), f"circuit '{NAMES[PAIR]}' occurs twice"),
    "outcome twice": (as_json(pair(("0" * 9, 10), ("x", 10))).replace('"x"', '"000000000"'), "outcome '000000000' of c"),
    "the same outcome in both widths": (as_json(pair(("0" * 9, 10), ("0" * len(Q), 10))), f"outcome '{'0' * len(Q)}' of"),
    "no outcomes": (as_json(pair()), "add up to 0, the plan asks for 20 shots"),
    **{
        f"count {count}": (as_json(WHOLE).replace(" 20}", f" {count}}}"), f"count {shown} is not accepted; a whole number from 1")
        for count, shown in ((0, 0), (-20, -20), (20.0, 20.0), ("true", "true"), ('"20"', "'20'"), ("null", "null"), ("NaN", "nan"),
                             ("[]", "a JSON list"), ("1" * 100, "a number of 100 digits"))
    },
}  # fmt: skip
CSV_FAULTS = {
    "empty": ("", "holds no counts"), "header only": ("circuit,bits,count\n", "holds no counts"),
    "semicolons": (as_csv(WHOLE).replace(",", ";"), "line 1: 'circuit;bits;count' is neither JSON nor the header"),
    "a column more": ("circuit,bits,count,shots\n", "accepted: circuit, bits, count"),
    "a value less": ("circuit,bits,count\na,b\n", "line 2: 2 values"),
    "count is a fraction": (as_csv(pair(("0" * 9, "20.0"))), "line 2: count '20.0'"), "count is 0": (as_csv(pair(("0" * 9, 0))), "count '0'"),
    "count has other digits": (as_csv(pair(("0" * 9, "٢٠"))), "count '٢٠'"), "count beyond all": (as_csv(pair(("0" * 9, 10**30))), "count '1000"),
    "row twice": (as_csv(pair(("0" * 9, 10), ("0" * 9, 10))), "line 3: outcome '000000000' of c"),
    "row twice, spaced": (as_csv(pair(("0" * 9, 10), ("000_000 000", 10))), "(first in line 2)"),
    "an open quote": ('circuit,bits,count\n"' + "x" * 200_000, "not CSV"),
}  # fmt: skip
BOTH = {
    "unknown circuit": ({NAMES[1][:-1] + "9": [("0" * 9, 20)]}, f"did you mean {NAMES[1]}"),
    "no circuit like it": ({"zzz": [("0" * 9, 20)]}, f"Known: {NAMES[0]}"),
    "a shot less": (pair(("0" * 9, 19)), f"{NAMES[PAIR]} add up to 19, the plan asks for 20"), "a shot more": (pair(("0" * 9, 21)), "add up to 21"),
    "a shot more in two": (pair(("0" * 9, 20), ("0" * 9, 1)), "occurs twice"), "not a bit": (pair(("00000002", 20)), "'00000002' is not accepted"),
    "other digits": (pair(("٠" * 9, 20)), "a bit string of 0 and 1 is"), "hexadecimal": (pair(("0x00", 20)), "'0x00' is not accepted"),
    "too short": (pair(("0", 20)), f"has 1 bits; 9 (all qubits) or {len(Q)} (those that {NAMES[PAIR]} measures) are accepted; spreadsheets drop"),
    "too long": (pair(("0" * 10, 20)), "has 10 bits"), "nothing": (pair(("", 20)), "has 0 bits"),
    "a bit of a qubit that is not measured": (pair(("000000001", 20)), f"has a 1 at qubit 0, which {NAMES[PAIR]} does not measure; is the bit order"),
}  # fmt: skip
FAULTS = [
    *(("json", name, text, words) for name, (text, words) in JSON_FAULTS.items()),
    *(("csv", name, text, words) for name, (text, words) in CSV_FAULTS.items()),
    *((form, name, write(rows), words) for form, write in (("json", as_json), ("csv", as_csv)) for name, (rows, words) in BOTH.items()
      if (form, name) != ("json", "a shot more in two")),
]  # fmt: skip


@pytest.mark.parametrize(("form", "name", "text", "words"), FAULTS, ids=[f"{form}: {name}" for form, name, _, _ in FAULTS])
def test_every_fault_is_named(form, name, text, words):
    with pytest.raises(InputError) as caught:
        parse(text, bit_order="qubit0-last" if form == "csv" else None)
    assert words in str(caught.value)
    assert str(caught.value).startswith("my.file")
    assert len(str(caught.value)) < 500


def test_the_bit_order_is_never_guessed():
    with pytest.raises(InputError, match="add --bit-order"):
        parse(as_csv(WHOLE))
    with pytest.raises(InputError, match="--bit-order 'msb' is not accepted; qubit0-last"):
        parse(as_json(WHOLE), bit_order="msb")
    with pytest.raises(InputError, match="says bit_order qubit0-last, the command line --bit-order qubit0-first"):
        parse(as_json(WHOLE), bit_order="qubit0-first")
    assert parse(as_json(WHOLE), bit_order="qubit0-last") == parse(as_csv(WHOLE), bit_order="qubit0-first")


def test_circuits_that_are_there_already_are_refused():
    with pytest.raises(InputError, match="ingested before"):
        parse(as_json(WHOLE), held={PAIR})
    assert parse(as_json(WHOLE), held={PAIR + 1}).circuit.tolist() == [PAIR]


def test_measured_qubits_are_those_of_the_units():
    for plan, device in PLANS:
        for c, qubits in enumerate(measured_qubits(plan, device)):
            targets = plan.unit_target[plan.unit_circuit == c].tolist()
            two = plan.circuit_experiment[c] == TWO_QUBIT
            assert qubits.tolist() == sorted(q for t in targets for q in (device.edges[t].tolist() if two else [t]))
            assert plan.circuit_experiment[c] != READOUT or qubits.tolist() == device.usable_qubits.tolist()
