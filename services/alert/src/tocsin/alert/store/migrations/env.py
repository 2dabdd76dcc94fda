"""Alembic runs this file; see tocsin.common.postgres.migrator."""

from tocsin.alert.store.tables import metadata
from tocsin.common.postgres.migrator import run_environment

run_environment(metadata)
