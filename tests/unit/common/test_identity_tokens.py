from __future__ import annotations

import hashlib
import secrets

import pytest

from tocsin.common.identity.tokens import bearer, digest_of, is_token, new_token


def test_a_token_is_32_random_bytes_behind_a_prefix_that_scanners_can_look_for() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    token = new_token(random_bytes)

    assert [32] == asked
    assert ("tocsin_", 50) == (token[:7], len(token))
    assert is_token(token)


def test_no_two_tokens_are_alike() -> None:
    assert 100 == len({new_token(secrets.token_bytes) for _ in range(100)})


def test_what_is_kept_of_a_token_is_its_sha256() -> None:
    token = new_token(bytes)

    assert hashlib.sha256(token.encode()).digest() == digest_of(token)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_a_bearer_header_gives_its_token(scheme: str) -> None:
    token = new_token(bytes)

    assert token == bearer(scheme + token)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer tocsin_short",
        "Basic dXNlcjpwYXNz",
        new_token(bytes),
        "Bearer " + new_token(bytes) + "A",
        "Bearer " + new_token(bytes)[:-1] + "é",
        "Bearer " + new_token(bytes)[:-1] + "\n",
    ],
)
def test_any_other_header_gives_none(header: str) -> None:
    assert bearer(header) is None
