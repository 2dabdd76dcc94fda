"""What the end-to-end tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.postgres import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that PostgreSQL's own account can reach, unlike pytest's."""
    with data_folder() as folder:
        folder.mkdir()
        folder.chmod(0o711)
        yield folder
