"""How much memory there is, and how people write it."""

import re
from pathlib import Path

from qthreshold.errors import InputError

__all__ = ["available_memory", "parse_memory", "written_memory"]

_UNITS = {"": 1, "b": 1, **{f"{p}b": 1000 ** (i + 1) for i, p in enumerate("kmgt")}}
_UNITS |= {f"{p}{end}": 1024 ** (i + 1) for i, p in enumerate("kmgt") for end in ("", "i", "ib")}
_FORM = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)
_LARGEST = 2**60
_UNKNOWN = 4 * 2**30  # where the system does not say


def parse_memory(text: str) -> int:
    """Bytes, from a text such as ``4GiB`` or ``800MB``. A prefix alone, such as ``4G``, is binary, as batch systems take it.

    Raises:
        InputError: It is not an amount of memory.

    Example:
        >>> parse_memory("800MB"), parse_memory("1.5 GiB"), parse_memory("2G")
        (800000000, 1610612736, 2147483648)
    """
    form = _FORM.fullmatch(text)
    unit = _UNITS.get(form[2].lower()) if form else None
    amount = float(form[1]) * unit if form and unit else 0.0
    if not 1 <= amount <= _LARGEST:
        raise InputError(f"--max-memory {text!r} is not an amount of memory; write it like 800MB or 4GiB")
    return round(amount)


def written_memory(size: float) -> str:
    """Bytes as people read them, in decimal units.

    Example:
        >>> written_memory(210_000_000), written_memory(4 * 2**30), written_memory(999_999)
        ('210 MB', '4.3 GB', '1 MB')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{max(1, round(size / 1e6))} MB"


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may still take: of the machine, or of its control group where that leaves less.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    return max(0, min([_machine(root), *_groups(root)]))


def _machine(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _UNKNOWN


def _groups(root: Path) -> list[int]:
    """What the limits of the control group and of those above it leave; files in its page cache do not count, they give way."""
    left = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, used, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit, used, cache = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        inner = base / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if not folder.is_relative_to(base):
                break
            most, taken = _number(folder / limit), _number(folder / used)
            if most is not None and taken is not None:
                left.append(most - taken + _entry(folder / "memory.stat", cache))
    return left


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):  # not Linux, or not mounted
        return ""


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None  # "max": no limit


def _entry(path: Path, name: str) -> int:
    return next((int(line.split()[1]) for line in _read(path).splitlines() if line.split()[0] == name), 0)
