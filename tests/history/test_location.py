"""URLs: what is understood, what is refused, and that no part of a password is ever said."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.errors import InputError
from qthreshold.history.location import locate

SECRET = "sEcr3t"


@pytest.mark.parametrize(
    ("text", "name", "server"),
    [
        ("postgresql://db", "postgresql://db", (None, None, "db", None, None)),
        ("postgres://db/x", "postgresql://db/x", (None, None, "db", None, "x")),
        ("postgresql+psycopg://u@db:5433/x", "postgresql://u@db:5433/x", ("u", None, "db", 5433, "x")),
        ("postgresql://u:p%40%3A%2Fq@db/x", "postgresql://u@db/x", ("u", "p@:/q", "db", None, "x")),
        ("postgresql://u:a:b@db/x", "postgresql://u@db/x", ("u", "a:b", "db", None, "x")),
        ("postgresql://[::1]:5432/x", "postgresql://[::1]:5432/x", (None, None, "::1", 5432, "x")),
        ("postgresql:///x", "postgresql:///x", (None, None, None, None, "x")),
        ("postgresql://lab%40home@db/my%20runs", "postgresql://lab%40home@db/my%20runs", ("lab@home", None, "db", None, "my runs")),
    ],
)
def test_a_url_is_understood(text, name, server):
    found = locate(text)
    assert found.name == name
    assert (found.server.user, found.server.password, found.server.host, found.server.port, found.server.database) == server
    assert found.path is None


def test_options_are_passed_on_and_not_said():
    found = locate(f"postgresql://u@db/x?sslmode=require&password={SECRET}")
    assert found.server.options == {"sslmode": "require", "password": SECRET}
    assert found.name == "postgresql://u@db/x"
    assert found.scrubbed(f"no {SECRET}\nhere") == "no *** here"


@pytest.mark.parametrize("text", ["h.db", "/data/h.db", "./a:b", "C:\\runs\\h.db", "C:/runs/h.db", "with space?#%.db", "lab@home.db"])
def test_anything_else_is_a_file(text):
    assert locate(text).path == Path(text)
    assert locate(Path(text)).path == Path(text)


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://u:{SECRET}@ss@db/x", f"postgresql://u:{SECRET}/q@db/x", f"postgresql://u:{SECRET}?q@db/x", f"postgresql://u:{SECRET}#q@db/x",
        f"postgresql://u:{SECRET}@db:port/x", f"postgresql://u:{SECRET}@db:99999/x", f"postgresql://u:{SECRET}@[db/x", f"postgresql://u:{SECRET}[@db/x",
        f"postgresql://u:{SECRET}@d b/x", f"postgresql://u:{SECRET}@db/x/y", f"postgresql://u@db/x?password={SECRET}&broken", f"postgresql://u:{SECRET}",
        f"postgresql://u@db/x?password={SECRET}@1", f"mysql://u:{SECRET}@db/x", f"postgresql:u:{SECRET}@db/x", f"//u:{SECRET}@db/x",
        f"u:{SECRET}@db/x", f"sqlite:///{SECRET}.db", f"POSTGRESQL://u:{SECRET}@db/x", f" postgresql://u:{SECRET}@db/x", "", " ", "a\0b",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_without_being_said(text):
    with pytest.raises(InputError) as caught:
        locate(text)
    assert SECRET not in str(caught.value)
    assert "postgresql://USER@HOST:PORT/DATABASE" in str(caught.value)


@given(password=st.text(min_size=8), mark=st.sampled_from(["", "@", ":", "/", "?", "#", "%", "[", " "]))
def test_no_password_is_in_what_is_said_of_a_url(password, mark):
    planted = f"{SECRET}{mark}{password}"
    try:
        found = locate(f"postgresql://user:{planted}@host/db")
    except InputError as error:
        said = str(error)
    else:
        said = found.name + repr(found) + repr(found.server)
    assert SECRET not in said
