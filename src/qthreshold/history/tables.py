"""The tables, the same in SQLite and PostgreSQL. A change here needs a migration (``migrations/versions``) and a new :data:`VERSION`.

``points`` is clustered by series, then run: the history of one number lies together, and a run is found number by number.
"""

from typing import Any

from sqlalchemy import Column, Double, Index, Integer, MetaData, PrimaryKeyConstraint, Table, Text, UniqueConstraint
from sqlalchemy.types import UserDefinedType

__all__ = ["EXACT", "VERSION", "VERSION_TABLE", "metadata", "points", "runs", "series"]

VERSION = "0001"
"""Of the tables below: the last of the migrations."""

VERSION_TABLE = "qthreshold_version"
"""Says which version a database has; named after us, so that no other program's is taken for it."""


class _AsItIs(UserDefinedType[float]):
    """A double that SQLite keeps bit by bit: a column of its type REAL would turn -0.0 into 0."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "BLOB"


EXACT: Double[float] = Double().with_variant(_AsItIs(), "sqlite")
"""A double; NaN is NULL, which is all that SQLite has for it."""

metadata = MetaData()

runs = Table(
    "runs", metadata,
    Column("id", Integer, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("taken_at", Text, nullable=False),  # as the run says
    Column("taken", EXACT, nullable=False),  # the same in seconds since 1970 (UTC)
    Column("calibrated_at", Text, nullable=False),
    Column("calibrated", EXACT),  # NULL where the provider does not say, or not readably
    Column("calibration_id", Text, nullable=False),
    Column("context", Text, nullable=False),  # JSON
    Column("origin", Text, nullable=False),  # JSON
    Column("missing", Integer, nullable=False),
    Column("level", EXACT, nullable=False),
    Column("outcome", Text, nullable=False),  # of the gate
    Column("content", Text, nullable=False),  # id of the Measurements
    Column("added_at", Text, nullable=False),
    PrimaryKeyConstraint("id", name="runs_key"),
    UniqueConstraint("run_id", name="runs_run_id"),
    Index("runs_device_taken", "device", "taken"),
)  # fmt: skip

series = Table(
    "series", metadata,
    Column("id", Integer, nullable=False),
    Column("device", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("target", Text, nullable=False),
    PrimaryKeyConstraint("id", name="series_key"),
    UniqueConstraint("device", "metric", "target", name="series_name"),
)  # fmt: skip

# No foreign keys: to remove a run would then need a second index as large as the table, to look for what refers to it.
points = Table(
    "points", metadata,
    Column("series", Integer, nullable=False, autoincrement=False),
    Column("run", Integer, nullable=False, autoincrement=False),
    Column("place", Integer, nullable=False),  # number of the row in its run
    Column("best", EXACT),
    Column("low", EXACT),
    Column("high", EXACT),
    Column("dof", EXACT),
    Column("status", Text, nullable=False),
    PrimaryKeyConstraint("series", "run", name="points_key"),
    sqlite_with_rowid=False,
)  # fmt: skip
