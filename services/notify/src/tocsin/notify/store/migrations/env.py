"""Alembic runs this file; see tocsin.common.postgres.upgrade."""

from tocsin.common.postgres.upgrade import run_environment
from tocsin.notify.store.tables import metadata

run_environment(metadata)
