"""Signatures by Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from tocsin.notify.channels.signature import new_secret, read_secret, sign, signature_headers


def encoded(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def test_the_signature_of_the_specifications_example() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'

    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == signature


@given(st.binary(min_size=24, max_size=64), st.text())
def test_what_is_signed_is_verified_by_the_package_that_receivers_use(
    key: bytes, body: str
) -> None:
    now = datetime.now(UTC)
    headers = signature_headers([encoded(key)], "id-1", now, body.encode())

    Webhook(encoded(key)).verify(body, headers, json_parse=False)


def test_each_secret_signs_once() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    keys = [b"a" * 24, b"b" * 64]

    headers = signature_headers(map(encoded, keys), "id-1", now, b"body")

    expected = [
        "v1," + base64.b64encode(hmac.digest(key, b"id-1.1767225600.body", hashlib.sha256)).decode()
        for key in keys
    ]
    assert expected == headers["webhook-signature"].split(" ")
    assert "1767225600" == headers["webhook-timestamp"]
    assert "id-1" == headers["webhook-id"]


def test_a_new_secret_holds_32_random_bytes() -> None:
    assert b"\x05" * 32 == read_secret(new_secret(lambda count: b"\x05" * count))


@given(st.binary(min_size=24, max_size=64))
def test_a_secret_is_read_with_and_without_padding(key: bytes) -> None:
    assert key == read_secret(encoded(key)) == read_secret(encoded(key).rstrip("="))


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "must begin with whsec_"),
        ("password", "must begin with whsec_"),
        ("whsec_", "holds 0 bytes"),
        (encoded(b"x" * 23), "holds 23 bytes; it must hold 24 to 64"),
        (encoded(b"x" * 65), "holds 65 bytes"),
        ("whsec_not/base64!" + "A" * 40, "must be base64"),
        ("whsec_" + "é" * 40, "must be base64"),
        ("whsec_" + "A" * 41, "must be base64"),
    ],
)
def test_a_bad_secret_is_told_what_is_wrong_without_being_repeated(secret: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        read_secret(secret)

    assert secret.removeprefix("whsec_") == "" or secret.removeprefix("whsec_") not in str(
        raised.value
    )
