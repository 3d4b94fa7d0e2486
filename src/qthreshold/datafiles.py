"""Finding and reading the files that users write or copy: profiles, recipes and rules in TOML, tables of their own.

Errors name the file, the line, the field and what is accepted.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TypeVar

import pydantic

from qthreshold.errors import InputError
from qthreshold.suggest import near_matches

__all__ = ["load_named", "load_toml", "located", "names_in", "parse_toml", "read_bytes", "resolved", "shipped"]

M = TypeVar("M", bound=pydantic.BaseModel)


def shipped(folder: str) -> Path:
    """Directory of shipped data (``circuits``, ``backends`` or ``rules``): inside the package, or in the checkout."""
    package = Path(str(resources.files("qthreshold")))
    if folder == "rules":
        return package / "rules"
    inside = package / "data" / folder
    return inside if inside.is_dir() else package.parents[1] / folder


def names_in(folder: str) -> list[str]:
    """Names of the shipped TOML files of a folder, sorted."""
    return sorted(p.stem for p in shipped(folder).glob("*.toml"))


def load_named(folder: str, spec: str, model: type[M], kind: str) -> M:
    """Load a shipped file by name, or a user's file by path.

    Args:
        folder: ``circuits`` or ``backends``.
        spec: Name of a shipped file, or a path that ends in ``.toml`` or contains a separator.
        model: Schema to check against.
        kind: Word for messages, such as ``recipe``.

    Raises:
        InputError: Nothing of that name or at that path, or the content is not valid.
    """
    if _is_path(spec):
        return load_toml(Path(spec), model, kind)
    path = shipped(folder) / f"{spec}.toml"
    if spec not in names_in(folder):
        raise InputError(f"unknown {kind} {spec!r}: {near_matches(spec, names_in(folder))}; or give the path of a .toml file")
    return load_toml(path, model, kind)


def _is_path(spec: str) -> bool:
    return spec.endswith(".toml") or "/" in spec or "\\" in spec


def resolved(spec: str) -> str:
    """A spec that means the same from any directory: names as they are, paths made absolute."""
    return str(Path(spec).resolve()) if _is_path(spec) else spec


def read_bytes(path: Path, kind: str) -> bytes:
    """Content of a user's file; ``kind`` is the word for it in messages.

    Raises:
        InputError: It does not exist or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no {kind} at {path}") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise InputError(f"cannot read {kind} {path}: {error}") from None


def load_toml(path: Path, model: type[M], kind: str) -> M:
    """Read and check one TOML file.

    Raises:
        InputError: The file cannot be read, is not TOML, or breaks the schema; the first fault is named with its line.
    """
    return parse_toml(read_bytes(path, f"{kind} file"), path, model, kind)


def parse_toml(content: bytes, path: Path, model: type[M], kind: str) -> M:
    """Check the content of one TOML file.

    Args:
        content: Bytes of the file.
        path: Where it lies, for messages.
        model: Schema to check against.
        kind: Word for messages, such as ``recipe``.

    Raises:
        InputError: It is not TOML, or breaks the schema; the first fault is named with its line.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {kind} file {path}: {error}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise InputError(_explain(path, text, error)) from None


def located(path: Path, text: str, place: Sequence[str | int], complaint: str) -> str:
    """A message about one place in a TOML file: file, line, field, complaint."""
    names = [str(part) for part in place]
    return f"{path}, line {_line_of(text, names)}: {'.'.join(names) or 'file'}: {complaint}"


def _explain(path: Path, text: str, error: pydantic.ValidationError) -> str:
    faults = error.errors(include_url=False)
    # a value that fits none of several forms is reported once per form: say each distinct complaint about that place
    first = faults[0]
    names = [str(part) for part in first["loc"] if not _is_form(part)]
    same = [f for f in faults if [str(p) for p in f["loc"] if not _is_form(p)] == names]
    complaint = " or ".join(dict.fromkeys(_plain_words(f["msg"]) for f in same))
    given = first.get("input")
    shown = "" if first["type"] == "missing" or isinstance(given, Mapping) else f", got {given!r}"[:80]
    more = f" (and {len(faults) - len(same)} more)" if len(faults) > len(same) else ""
    inside = getattr(first.get("ctx", {}).get("error"), "place", ())  # a fault of a whole table that names the field to change
    return located(path, text, [*names, *inside], f"{complaint}{shown}{more}")


def _plain_words(message: str) -> str:
    draw = "a draw { median = M, spread = S }"
    return re.sub(r"Input should be a valid dictionary or instance of \w*Spread", draw, message.removeprefix("Value error, "))


def _is_form(part: int | str) -> bool:
    """Pydantic puts the name of a union's member into the location; those are types, not fields."""
    if not isinstance(part, str):
        return False
    return part in {"float", "int", "str", "bool"} or part.startswith("constrained-") or "[" in part or not (part.islower() or part.isupper())


def _line_of(text: str, names: Sequence[str]) -> int:
    """Line of the deepest field on the way to a place that the text shows; 1 if none."""
    best, depth = 1, 0
    for place, line in _places(text):
        if len(place) > depth and tuple(names[: len(place)]) == place:
            best, depth = line, len(place)
    return best


_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""+|\'\'\'.*?\'\'\'+|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|\n|[\[\]{},=]|[^\s\[\]{},=#"\']+|#[^\n]*|[^\S\n]+', re.DOTALL
)


class _Tokens:
    """Tokens of a TOML text that is known to be valid, without blanks and comments, and their lines."""

    def __init__(self, text: str) -> None:
        self.found: list[tuple[str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            token = match[0]
            if token == "\n" or not (token.isspace() or token.startswith("#")):
                self.found.append((token, line))
            line += token.count("\n")
        self.at = 0

    def peek(self) -> str:
        return self.found[self.at][0] if self.at < len(self.found) else ""

    def line(self) -> int:
        return self.found[min(self.at, len(self.found) - 1)][1]

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def skip(self, *tokens: str) -> None:
        while self.peek() in tokens:
            self.at += 1

    def key(self, end: str) -> list[str]:
        """The parts of a dotted key, up to and with the token that ends it."""
        parts: list[str] = []
        while (token := self.take()) not in (end, ""):
            parts += [token[1:-1]] if token[0] in "\"'" else [p for p in token.split(".") if p]
        return parts


def _places(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Tables, fields and elements of lists in a valid TOML text, each with its line."""
    tokens = _Tokens(text)
    table: tuple[str, ...] = ()
    last: dict[tuple[str, ...], int] = {}  # of each array of tables, the one that is being written
    while True:
        tokens.skip("\n")
        if not tokens.peek():
            return
        line = tokens.line()
        if tokens.peek() != "[":
            yield from _field(tokens, table, "=")
            continue
        tokens.take()
        several = tokens.peek() == "["
        tokens.skip("[")
        parts = tokens.key("]")
        tokens.skip("]")
        table = ()
        for part in parts[:-1]:
            table += (part,)
            table += (str(last[table]),) if table in last else ()
        table += (parts[-1],)
        if several:
            yield table, line
            last[table] = last.get(table, -1) + 1
            table += (str(last[table]),)
        yield table, line


def _field(tokens: _Tokens, table: tuple[str, ...], end: str) -> Iterator[tuple[tuple[str, ...], int]]:
    line = tokens.line()
    parts = tokens.key(end)
    for depth in range(1, len(parts) + 1):
        yield (*table, *parts[:depth]), line
    yield from _value(tokens, (*table, *parts))


def _value(tokens: _Tokens, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    opening = tokens.take()
    if opening not in ("[", "{"):
        while tokens.peek() not in ("\n", ",", "]", "}", ""):  # a date and a time with a blank between
            tokens.take()
        return
    closing, number = "]" if opening == "[" else "}", 0
    tokens.skip("\n", ",")
    while tokens.peek() not in (closing, ""):
        if opening == "[":
            yield (*place, str(number)), tokens.line()
            yield from _value(tokens, (*place, str(number)))
            number += 1
        else:
            yield from _field(tokens, place, "=")
        tokens.skip("\n", ",")
    tokens.take()
