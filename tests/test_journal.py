"""The state of jobs follows from the lines of a journal alone, whatever moment it is read at; damage to it is seen."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.errors import StoreError
from qthreshold.journal import PREFLIGHT, Journal
from qthreshold.store import RunDirectory


def intent(ticket, tag, attempt=1, estimate=3.0):
    return {"event": "intent", "at": 1.0, "ticket": ticket, "attempt": attempt, "tag": tag, "estimate": estimate}


STORY = [
    {"event": "consent", "at": 0.0, "cap": 60.0},
    intent(PREFLIGHT, "p-1", estimate=2.0),
    {"event": "submitted", "at": 1.0, "tag": "p-1", "job_id": "j0"},
    {"event": "collected", "at": 1.0, "tag": "p-1"},
    {"event": "charged", "at": 1.0, "tag": "p-1", "seconds": 2.5},
    intent(0, "a-1"),
    {"event": "submitted", "at": 1.0, "tag": "a-1", "job_id": "j1"},
    intent(1, "b-1"),
    {"event": "refused", "at": 1.0, "tag": "b-1", "kind": "QuotaError", "message": "later"},
    intent(1, "b-1"),
    {"event": "submitted", "at": 1.0, "tag": "b-1", "job_id": "j2", "found": True},
    {"event": "ended", "at": 1.0, "tag": "b-1", "kind": "failed", "message": "why"},
    intent(1, "b-2", attempt=2),
    {"event": "absent", "at": 1.0, "tag": "b-2"},
    intent(1, "b-2", attempt=2),
    {"event": "submitted", "at": 1.0, "tag": "b-2", "job_id": "j3"},
    {"event": "duplicate", "at": 1.0, "tag": "b-2", "job_id": "j4"},
    {"event": "something of a later version", "at": 1.0, "tag": "b-2"},
    {"event": "collected", "at": 1.0, "tag": "a-1"},
    {"event": "charged", "at": 1.0, "tag": "a-1", "seconds": 4.0},
]


def test_the_story_of_a_run():
    journal = Journal.replay(STORY)
    assert (journal.consented, journal.cap) == (True, 60.0)
    assert {a.tag: (a.state, a.job_id) for a in journal.attempts.values()} == {
        "p-1": ("collected", "j0"), "a-1": ("collected", "j1"), "b-1": ("ended", "j2"), "b-2": ("submitted", "j3"),
    }  # fmt: skip
    assert journal.last(1).tag == "b-2"
    assert journal.last(7) is None
    assert journal.seconds == 2.5 + 4.0 + 3.0 + 3.0  # charged where it is known; a job that failed counts by its estimate
    assert journal.copies == {"j4": 0.0}
    assert journal.charged is None  # not of every job that ran
    rest = [{"event": "charged", "tag": "b-1", "seconds": 0.0}, {"event": "charged", "tag": "b-2", "seconds": 1.0}]
    assert Journal.replay([*STORY, *rest]).charged == 7.5


def test_an_intent_counts_until_it_is_known_to_have_come_to_nothing():
    lines = [intent(0, "a-1", estimate=5.0)]
    assert Journal.replay(lines).attempts["a-1"].open
    assert Journal.replay(lines).seconds == 5.0
    for end in ("absent", "refused"):
        after = Journal.replay([*lines, {"event": end, "tag": "a-1"}])
        assert not after.attempts["a-1"].open
        assert after.seconds == 0


@given(st.integers(0, len(STORY)))
def test_a_journal_is_the_same_whether_read_at_once_or_line_by_line(cut):
    whole = Journal.replay(STORY)
    half = Journal.replay(STORY[:cut])
    for event in STORY[cut:]:
        half.add(event)
    assert half == whole


EVENTS = st.lists(st.dictionaries(st.sampled_from(["event", "tag", "seconds", "message"]), st.text(max_size=20) | st.floats(0, 1e6)), max_size=8)


@given(EVENTS, st.data())
def test_what_is_appended_is_read_back_and_a_torn_end_is_cut_off(tmp_path_factory, events, data):
    run = RunDirectory(tmp_path_factory.mktemp("journal"))
    for event in events:
        run.append_event(event)
    assert run.read_events() == events
    path = run.path / "journal.jsonl"
    if not events:
        assert not path.exists()
        return
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)), label="bytes that a kill left")
    path.write_bytes(content[:cut])
    kept = run.read_events()
    assert kept == events[: len(kept)]
    assert len(kept) == content[:cut].count(b"\n")
    run.append_event({"event": "after"})
    assert run.read_events() == [*kept, {"event": "after"}]


@pytest.mark.parametrize("change", ["drop a line", "swap lines", "change a digit", "drop the first"])
def test_a_journal_that_was_changed_is_refused(tmp_path, change):
    run = RunDirectory(tmp_path)
    for number in range(4):
        run.append_event({"event": "x", "n": number})
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    changed = {
        "drop a line": [lines[0], *lines[2:]], "swap lines": [lines[1], lines[0], *lines[2:]], "drop the first": lines[1:],
        "change a digit": [*lines[:2], lines[2].replace('"n": 2', '"n": 3'), lines[3]],
    }[change]  # fmt: skip
    path.write_text("".join(changed))
    for use in (run.read_events, lambda: run.append_event({"event": "y"}), run.verify):
        with pytest.raises(StoreError, match=r"journal.jsonl, line \d|manifest"):
            use()
    assert path.read_text() == "".join(changed)


def test_lines_are_readable_with_ordinary_tools(tmp_path):
    run = RunDirectory(tmp_path)
    run.append_event({"event": "submitted", "job_id": "d0é"})
    check, _, text = (tmp_path / "journal.jsonl").read_text().partition(" ")
    assert len(check) == 16
    assert json.loads(text) == {"event": "submitted", "job_id": "d0é"}
