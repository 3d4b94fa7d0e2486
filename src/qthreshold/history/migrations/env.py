"""What Alembic runs to migrate: on the connection that :func:`.migrate.upgrade` hands over, in its transaction."""

from alembic import context

from qthreshold.history.tables import VERSION_TABLE, metadata

__all__: list[str] = []

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE, transactional_ddl=True)
context.run_migrations()
