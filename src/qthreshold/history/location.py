"""Where a history is. The only place that sees a password, and it gives out a name that has none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from qthreshold.errors import InputError

__all__ = ["Location", "Server", "locate"]

_FORM = "postgresql://USER@HOST:PORT/DATABASE, with the password in PGPASSWORD or ~/.pgpass"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: C: is a disk
_SETTINGS = re.compile(r"\b(password|user|host|dbname)\s*=", re.IGNORECASE)  # as drivers write it, and no file
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_HOST = re.compile(r"[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.%]+\]")
_SECRET = ("password", "sslpassword", "passfile", "sslkey", "oauth_client_secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A PostgreSQL database, as its URL names it."""

    user: str | None
    password: str | None = field(repr=False)
    host: str | None
    port: int | None
    database: str | None
    options: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A file or a server.

    Attributes:
        name: For messages; without password and options.
        path: Of the file; None for a server.
        server: None for a file.
        secrets: What must not be printed.
    """

    name: str
    path: Path | None = None
    server: Server | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def scrubbed(self, text: str) -> str:
        """A text of the driver, on one line, without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())


def locate(where: str | Path) -> Location:
    """Understand a path or URL.

    Raises:
        InputError: It is a URL that cannot be understood. The message holds no part of it: any part may be one of a password.

    Example:
        >>> locate("postgresql://lab:secret@db:5433/results?sslmode=require").name
        'postgresql://lab@db:5433/results'
    """
    if isinstance(where, Path):
        return Location(name=str(where), path=where)
    if where.startswith(tuple(f"{scheme}://" for scheme in _SCHEMES)):
        return _server(where)
    if not where.strip() or "\0" in where:
        raise InputError(f"the history has no name; write a file, or {_FORM}")
    if _SCHEME.match(where) or "@" in where.partition(":")[2] or _SETTINGS.search(where):
        raise InputError(f"the history is neither a file nor a URL that is known; write a file (./a:b if its name has a colon), or {_FORM}")
    return Location(name=where, path=Path(where))


def _server(text: str) -> Location:
    refusal = InputError(f"the URL of the history cannot be read; write {_FORM}; @ : / ? # % in a part as %40 %3A %2F %3F %23 %25")
    try:
        parts = urlsplit(text)
        login, at, address = parts.netloc.rpartition("@")
        host, _, port = address.rpartition(":") if re.search(r":\d*$", address) else (address, "", "")
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else {}
        number = int(port) if port else None
    except ValueError:  # its text may show the password
        raise refusal from None
    whole = "@" not in login + parts.path + parts.query and not parts.fragment and "#" not in text
    if not whole or not _HOST.fullmatch(host) or "/" in parts.path[1:] or (number is not None and not 0 < number < 65536):
        raise refusal
    user, colon, password = (unquote(part) for part in login.partition(":"))
    server = Server(
        user=user or None, password=password if colon else None, host=unquote(host).strip("[]") or None, port=number,
        database=unquote(parts.path[1:]) or None, options=options,
    )  # fmt: skip
    shown_login = f"{login.partition(':')[0]}@" if at and user else ""
    secrets = {password, login.partition(":")[2], *(v for k, v in options.items() if k in _SECRET)} - {""}
    longest_first = tuple(sorted(secrets, key=len, reverse=True))
    return Location(name=f"postgresql://{shown_login}{address}{parts.path}", server=server, secrets=longest_first)
