"""Bringing a database to a version. Imported only where a version differs, because Alembic takes a while to import."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from qthreshold.history.tables import VERSION

__all__ = ["knows", "upgrade"]

_FOLDER = Path(__file__).parent / "migrations"


def knows(version: str, folder: Path = _FOLDER) -> bool:
    """Whether there is a migration of that version."""
    return version in {script.revision for script in ScriptDirectory(str(folder)).walk_revisions()}


def upgrade(connection: Connection, version: str = VERSION, folder: Path = _FOLDER) -> None:
    """Make or change the tables; the transaction that is open holds all of it.

    Args:
        connection: In a transaction that keeps other writers out.
        version: To get to.
        folder: With the migrations.
    """
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    command.upgrade(config, version)
