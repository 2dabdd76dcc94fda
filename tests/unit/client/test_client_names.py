"""What the client library offers by name is there."""

from __future__ import annotations

import pytest

import tocsin.client


@pytest.mark.parametrize("name", tocsin.client.__all__)
def test_every_name_that_is_offered_can_be_imported(name: str) -> None:
    assert getattr(tocsin.client, name) is not None
