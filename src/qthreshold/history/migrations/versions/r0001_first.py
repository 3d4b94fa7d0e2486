"""Runs, series, points."""

from alembic import op
from sqlalchemy import Column, Integer, PrimaryKeyConstraint, Text, UniqueConstraint

from qthreshold.history.tables import EXACT

__all__ = ["upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "runs",
        Column("id", Integer, nullable=False),
        Column("run_id", Text, nullable=False),
        Column("device", Text, nullable=False),
        Column("taken_at", Text, nullable=False),
        Column("taken", EXACT, nullable=False),
        Column("calibrated_at", Text, nullable=False),
        Column("calibrated", EXACT),
        Column("calibration_id", Text, nullable=False),
        Column("context", Text, nullable=False),
        Column("origin", Text, nullable=False),
        Column("missing", Integer, nullable=False),
        Column("level", EXACT, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("content", Text, nullable=False),
        Column("added_at", Text, nullable=False),
        PrimaryKeyConstraint("id", name="runs_key"),
        UniqueConstraint("run_id", name="runs_run_id"),
    )
    op.create_index("runs_device_taken", "runs", ["device", "taken"])
    op.create_table(
        "series",
        Column("id", Integer, nullable=False),
        Column("device", Text, nullable=False),
        Column("metric", Text, nullable=False),
        Column("target", Text, nullable=False),
        PrimaryKeyConstraint("id", name="series_key"),
        UniqueConstraint("device", "metric", "target", name="series_name"),
    )
    op.create_table(
        "points",
        Column("series", Integer, nullable=False, autoincrement=False),
        Column("run", Integer, nullable=False, autoincrement=False),
        Column("place", Integer, nullable=False),
        Column("best", EXACT),
        Column("low", EXACT),
        Column("high", EXACT),
        Column("dof", EXACT),
        Column("status", Text, nullable=False),
        PrimaryKeyConstraint("series", "run", name="points_key"),
        sqlite_with_rowid=False,
    )
