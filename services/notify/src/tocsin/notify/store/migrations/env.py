"""Alembic runs this file; see tocsin.common.postgres.migrator."""

from tocsin.common.postgres.migrator import run_environment
from tocsin.notify.store.tables import metadata

run_environment(metadata)
