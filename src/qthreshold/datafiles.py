"""Finding and reading the files that users write or copy: profiles, recipes and rules in TOML, tables of their own.

Errors name the file, the line, the field and what is accepted.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

import pydantic

from qthreshold.errors import InputError

__all__ = ["load_named", "load_toml", "names_in", "near_matches", "read_bytes", "resolved", "shipped"]

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


def near_matches(name: str, known: Iterable[str]) -> str:
    """A clause for error messages: the closest known names, then all of them.

    Example:
        >>> near_matches("heron", ["heron-133", "tiny-5"])
        'did you mean heron-133? Known: heron-133, tiny-5'
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or [k for k in known if name and name in k][:3]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}Known: {', '.join(known)}"


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
    try:
        text = read_bytes(path, f"{kind} file").decode()
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
    where = ".".join(names) or "file"
    return f"{path}, line {_line_of(text, names)}: {where}: {complaint}{shown}{more}"


def _plain_words(message: str) -> str:
    draw = "a draw { median = M, spread = S }"
    return re.sub(r"Input should be a valid dictionary or instance of \w*Spread", draw, message.removeprefix("Value error, "))


def _is_form(part: int | str) -> bool:
    """Pydantic puts the name of a union's member into the location; those are types, not fields."""
    if not isinstance(part, str):
        return False
    return part in {"float", "int", "str", "bool"} or part.startswith("constrained-") or "[" in part or not (part.islower() or part.isupper())


def _line_of(text: str, names: list[str]) -> int:
    """Line of the deepest field of a dotted place that the text shows; 1 if none."""
    table: list[str] = []
    count: dict[str, int] = {}
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*(\[\[?)\s*([^\[\],]+?)\s*\]\]?\s*(#.*)?$", line):
            table = [part.strip("\"' ") for part in match[2].split(".")]
            if match[1] == "[[":
                key = ".".join(table)
                table.append(str(count.get(key, 0)))
                count[key] = count.get(key, 0) + 1
            place = table
        elif match := re.match(r"\s*([\w\"'.-]+)\s*=", line):
            place = table + [part.strip("\"'") for part in match[1].split(".")]
        else:
            continue
        if len(place) > depth and names[: len(place)] == place:
            best, depth = number, len(place)
    return best
