"""No secret is kept or shown, in whatever form a far side says it."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.channels.base import without_secrets
from tocsin.notify.domain.channel import Secrets

TOKEN = "qP5sT:verysecret/token+0123456789"
URL = f"https://hooks.example.com/services/T00/{quote(TOKEN, safe='')}?sig=s3cr3t%2Fs1gnature"


@pytest.mark.parametrize("name", ["signing_secret", "previous_signing_secret", "password", "token"])
@pytest.mark.parametrize(
    "form", [TOKEN, quote(TOKEN, safe=""), base64.b64encode(TOKEN.encode()).decode()]
)
def test_a_secret_is_taken_out_in_each_form(name: str, form: str) -> None:
    shown = without_secrets(f"no such thing: {form}!", Secrets(**{name: TOKEN}))

    assert "no such thing: (hidden)!" == shown


@pytest.mark.parametrize(
    "said",
    [
        URL,
        URL.removeprefix("https://hooks.example.com"),
        f"/services/T00/{quote(TOKEN, safe='')}",
        "sig=s3cr3t%2Fs1gnature",
        "s3cr3t/s1gnature",
    ],
)
def test_of_a_secret_url_its_path_and_each_token_are_taken_out(said: str) -> None:
    shown = without_secrets(f"cannot POST {said}", Secrets(url=URL))

    assert "(hidden)" in shown
    assert "s3cr3t" not in shown
    assert "verysecret" not in shown


def test_the_host_of_a_secret_url_is_told() -> None:
    said = "Cannot connect to host hooks.example.com:443"

    assert said == without_secrets(said, Secrets(url=URL))


def test_each_of_several_urls_is_secret_with_its_host() -> None:
    urls = "tgram://123456789:AAEtoken-of-a-bot/42\nslack://tokenAtokenA/tokenBtokenB"

    shown = without_secrets("tokenAtokenA AAEtoken-of-a-bot tokenBtokenB", Secrets(urls=urls))

    assert "(hidden) (hidden) (hidden)" == shown


def test_what_authorizes_a_request_is_secret_too() -> None:
    assert "got (hidden)" == without_secrets("got Basic dTpw", Secrets(), "Basic dTpw")


@given(st.text(), st.text())
def test_no_url_breaks_it(url: str, text: str) -> None:
    assert isinstance(without_secrets(text, Secrets(url=url, urls=url)), str)


@given(st.text())
def test_without_secrets_a_text_stays_as_it_is(text: str) -> None:
    assert text == without_secrets(text, Secrets())
