"""Tables in README.md that scripts renew, each between two comment lines with its name."""

from pathlib import Path

_README = Path(__file__).with_name("README.md")


def renew(name: str, text: str) -> None:
    """Replace the table ``name`` by ``text``."""
    first, last = f"<!-- {name} table -->\n", f"<!-- end of {name} table -->\n"
    head, rest = _README.read_text(encoding="utf-8").split(first)
    _README.write_text(head + first + text + last + rest.split(last)[1], encoding="utf-8")
