"""Alembic runs this file; see tocsin.common.postgres.upgrade."""

from tocsin.alert.store.tables import metadata
from tocsin.common.postgres.upgrade import run_environment

run_environment(metadata)
