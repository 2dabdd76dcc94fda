"""What a channel may hold, and what becomes of a change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.notifications import (
    AT,
    FORMER_SECRET,
    LOOPBACK,
    SECRET,
    a_channel,
    a_mailbox,
    a_webhook,
)
from tocsin.common.errors import InvalidArgumentError, Violations
from tocsin.notify.domain.channel import (
    ChannelType,
    EmailConfig,
    EmailSecurity,
    Secrets,
    WebhookConfig,
)
from tocsin.notify.rpc.channel_rules import changed_channel, new_channel, read_mask
from tocsin.notify.rpc.field_rules import check_mailbox, check_url
from tocsin.notify.rpc.given import GivenChannel, GivenEmail, GivenForm, GivenWebhook
from tocsin.notify.store.sealing import SecretsUnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.domain.channel import Channel

URL = "https://hooks.example.com/tocsin"
EMAIL = GivenEmail(
    smtp_host="mail.example.com",
    from_address="tocsin@example.com",
    to_addresses=("ops@example.com",),
)


def given(
    config: GivenWebhook | GivenEmail | GivenForm | None,
    *,
    name: str = "on call",
    enabled: bool = True,
) -> GivenChannel:
    return GivenChannel("", name, enabled, 0, config)


def create(channel: GivenChannel, allowed: Sequence[Network] = ()) -> Any:
    return new_channel(channel, allowed, lambda count: b"\x07" * count)


def wrong(channel: GivenChannel) -> dict[str, str]:
    """Return what is said about each wrong field."""
    with pytest.raises(InvalidArgumentError) as raised:
        create(channel)
    return {each.field: each.description for each in raised.value.violations}


def said_about_url(url: str, allowed: Sequence[Network] = ()) -> str:
    found = Violations()
    check_url(found, "url", url, allowed)
    return "; ".join(each.description for each in found.found)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "http://hooks.example.com",
        "https://hooks.example.com:8443/a/b?c=d&e=%20",
        "HTTPS://Hooks.Example.COM/",
        "https://münchen.example/ä",
        "https://xn--mnchen-3ya.example/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:443/",
        "https://under_score.example.com/",
        "https://hooks.example.com./",
        "https://hooks.example.com/a@b",
        "https://hooks.example.com/?mail=a@b",
        "https://hooks.example.com/" + "x" * 2021,
    ],
)
def test_a_url_that_can_be_called_is_accepted(url: str) -> None:
    assert "" == said_about_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "must not be empty"),
        ("https://hooks.example.com/" + "x" * 2023, "has 2,049 characters"),
        ("hooks.example.com", "must begin with https:// or http://"),
        ("ftp://hooks.example.com/", "must begin with https:// or http://"),
        ("file:///etc/passwd", "must begin with https:// or http://"),
        ("//hooks.example.com/", "must begin with https:// or http://"),
        ("https://", "must name a host"),
        ("https:///path", "must name a host"),
        ("https://user@hooks.example.com/", "a user or a password"),
        ("https://user:password@hooks.example.com/", "a user or a password"),
        ("https://:@hooks.example.com/", "a user or a password"),
        ("https://@hooks.example.com/", "a user or a password"),
        ("https://hooks.example.com/#part", "has a fragment"),
        ("https://hooks.example.com/#", "has a fragment"),
        ("https://hooks.example.com:0/", "port 0"),
        ("https://hooks.example.com:65536/", "is not a URL: Port out of range"),
        ("https://hooks.example.com:http/", "is not a URL"),
        ("https://hooks.example.com/a b", "a space, a control character"),
        (" https://hooks.example.com/", "a space, a control character"),
        ("https://hooks.example.com/\r\nHost: other", "a space, a control character"),
        ("https://hooks.example.com\\@other/", "backslash"),
        ("https://hooks.example.com/\x00", "a space, a control character"),
        ("https://[::1", "is not a URL"),
        ("https://a..b/", "has the host 'a..b', which is none"),
        ("https://-a.example/", "which is none"),
        ("https://a%00b/", "which is none"),
        ("https://" + "a" * 64 + ".example/", "which is none"),
        ("https://" + "a.example." * 26 + "com/", "which is none"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_with_the_reason(url: str, said: str) -> None:
    assert said in said_about_url(url)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8080",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fd00::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::]",
        "[2001:0:808:808::1]",
        "[::7f00:1]",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_a_private_url_is_refused_with_what_to_do(host: str) -> None:
    assert "an operator must add its network to TOCSIN_NOTIFY_ALLOWED_NETWORKS" in said_about_url(
        f"http://{host}/"
    )


@pytest.mark.parametrize(
    "host", ["2130706433", "127.1", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.0.0.1."]
)
def test_an_address_in_an_old_form_is_refused_with_the_form_to_write(host: str) -> None:
    assert "write it as 127.0.0.1" in said_about_url(f"http://{host}/", LOOPBACK)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_an_allowed_private_url_is_accepted(host: str) -> None:
    assert "" == said_about_url(f"http://{host}/", LOOPBACK)


@pytest.mark.parametrize(
    "address",
    [
        "ops@example.com",
        "o'brien+backup@mail.example.com",
        "root@localhost",
        "a@xn--mnchen-3ya.example",
    ],
)
def test_a_mail_address_is_accepted(address: str) -> None:
    found = Violations()
    check_mailbox(found, "to", address)

    assert [] == found.found


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ops",
        "@example.com",
        "ops@",
        "Ops <ops@example.com>",
        "ops@example.com, other@example.com",
        "ops@example.com\r\nRCPT TO:<thief@example.net>",
        "ops@example.com\n",
        "ops@exa mple.com",
        "öps@example.com",
        "ops@münchen.example",
        '"a b"@example.com',
        "<ops@example.com>",
        "ops@example.com\x00",
        "a" * 65 + "@example.com",
        "a@" + "b." * 130 + "com",
    ],
)
def test_what_is_not_one_plain_mail_address_is_refused(address: str) -> None:
    found = Violations()
    check_mailbox(found, "to", address)

    assert ["to"] == [each.field for each in found.found]


def test_a_webhook_without_a_secret_gets_one() -> None:
    created = create(given(GivenWebhook(URL)))

    assert SECRET == created.secrets.signing_secret == created.generated_secret


def test_a_webhook_with_a_secret_keeps_it_and_shows_nothing() -> None:
    created = create(given(GivenWebhook(URL, FORMER_SECRET)))

    assert FORMER_SECRET == created.secrets.signing_secret
    assert "" == created.generated_secret


def test_everything_that_is_wrong_with_a_webhook_is_told_at_once() -> None:
    told = wrong(given(GivenWebhook("ftp://user@10.0.0.1/#x", "whsec_c2hvcnQ="), name=" "))

    assert {
        "channel.display_name",
        "channel.webhook.url",
        "channel.webhook.signing_secret",
    } == set(told)
    assert "holds 5 bytes; it must hold 24 to 64" in told["channel.webhook.signing_secret"]


def test_everything_that_is_wrong_with_a_mailbox_is_told_at_once() -> None:
    told = wrong(
        given(
            GivenEmail(
                smtp_host="10.0.0.1",
                smtp_port=70000,
                security=9,
                username="a\nb",
                password="p" * 257,
                from_address="me",
                to_addresses=("ops@example.com", "ops@example.com", "you"),
            ),
            name="n" * 129,
        )
    )

    assert {
        "channel.display_name",
        "channel.email.smtp_host",
        "channel.email.smtp_port",
        "channel.email.security",
        "channel.email.username",
        "channel.email.password",
        "channel.email.from_address",
        "channel.email.to_addresses[1]",
        "channel.email.to_addresses[2]",
    } == set(told)
    assert "ppp" not in str(told)


@pytest.mark.parametrize("count", [0, 51])
def test_there_are_1_to_50_recipients(count: int) -> None:
    addresses = tuple(f"ops{number}@example.com" for number in range(count))

    told = wrong(given(replace(EMAIL, to_addresses=addresses)))

    assert f"has {count} addresses; write 1 to 50" == told["channel.email.to_addresses"]


def test_a_channel_needs_a_configuration() -> None:
    told = wrong(given(None))

    assert ["channel.config"] == list(told)
    assert "must be set: one of webhook, email, console, ntfy" in told["channel.config"]


@pytest.mark.parametrize(
    "name", ["", " ", " on call", "on call\n", "on\ncall", "on\x00call", "\u2028", "n" * 129]
)
def test_a_name_that_would_break_a_table_is_refused(name: str) -> None:
    assert "channel.display_name" in wrong(given(GivenForm(ChannelType.CONSOLE), name=name))


@pytest.mark.parametrize(
    ("security", "port"),
    [(0, 587), (1, 587), (2, 465), (3, 25)],
)
def test_the_port_follows_from_the_security(security: int, port: int) -> None:
    created = create(given(replace(EMAIL, security=security)))

    assert port == created.config.smtp_port


def test_a_password_is_not_sent_in_clear_text() -> None:
    told = wrong(given(replace(EMAIL, security=3, username="u", password="p")))

    assert "clear text" in told["channel.email.security"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"username": "u"}, "password"), ({"password": "p"}, "username")],
)
def test_a_login_needs_both_a_name_and_a_password(changes: dict[str, str], field: str) -> None:
    told = wrong(given(replace(EMAIL, **changes)))  # type: ignore[arg-type]

    assert f"channel.email.{field}" in told


def test_a_mask_must_name_fields_that_there_are() -> None:
    found = Violations()

    paths = read_mask(found, ["enabled", "webhook.uri", "channel_id"], given(None))

    assert {"enabled"} == paths
    unknown, misspelt = (each.description for each in found.found)
    assert "names 'channel_id'; it may name display_name, enabled, rate_limit, the" in unknown
    assert "names 'webhook.uri'; of webhook it may name webhook.url, webhook.s" in misspelt


def test_an_empty_mask_is_told_what_it_may_name() -> None:
    found = Violations()
    read_mask(found, [], given(None))

    assert "must name the fields to change: display_name, enabled" in found.found[0].description


def change(
    present: Channel,
    config: GivenWebhook | GivenEmail | GivenForm | None,
    *mask: str,
    secrets: Secrets | None = None,
    **changes: Any,
) -> tuple[Channel, Secrets | None]:
    wanted = given(config, **changes)
    paths = read_mask(Violations(), mask, wanted)
    return changed_channel(present, wanted, paths, lambda: secrets or Secrets(), AT)


def test_only_what_the_mask_names_changes() -> None:
    present = a_webhook(URL)

    changed, secrets = change(
        present, GivenWebhook("https://other.example/", SECRET), "display_name", name="new"
    )

    assert replace(present, display_name="new") == changed
    assert secrets is None


def test_another_secret_keeps_the_former_one_for_24_hours() -> None:
    changed, secrets = change(
        a_webhook(URL),
        GivenWebhook(signing_secret=SECRET),
        "webhook.signing_secret",
        secrets=Secrets(signing_secret=FORMER_SECRET),
    )

    assert Secrets(SECRET, FORMER_SECRET) == secrets
    assert WebhookConfig(URL, AT + timedelta(hours=24)) == changed.config


def test_the_same_secret_again_changes_nothing() -> None:
    present = a_webhook(URL)

    assert (present, None) == change(
        present,
        GivenWebhook(signing_secret=SECRET),
        "webhook.signing_secret",
        secrets=Secrets(signing_secret=SECRET),
    )


def test_a_webhook_named_as_a_whole_without_a_secret_keeps_its_own() -> None:
    changed, secrets = change(a_webhook(URL), GivenWebhook("https://other.example/"), "webhook")

    assert WebhookConfig("https://other.example/") == changed.config
    assert secrets is None


def test_a_lost_key_is_mended_by_another_secret() -> None:
    def unreadable() -> Secrets:
        raise SecretsUnreadableError

    changed, secrets = changed_channel(
        a_webhook(URL),
        given(GivenWebhook(signing_secret=SECRET)),
        frozenset({"webhook.signing_secret"}),
        unreadable,
        AT,
    )

    assert Secrets(signing_secret=SECRET) == secrets
    assert WebhookConfig(URL) == changed.config


def test_the_type_of_a_channel_cannot_change() -> None:
    with pytest.raises(InvalidArgumentError, match="the type cannot be changed") as raised:
        change(a_webhook(URL), EMAIL, "email")

    assert "update_mask" == raised.value.violations[0].field


def test_enabling_a_channel_forgets_why_it_was_disabled() -> None:
    present = a_channel(WebhookConfig(URL), enabled=False, disabled_reason="410 Gone")

    changed, _ = change(present, None, "enabled", enabled=True)

    assert (True, "") == (changed.enabled, changed.disabled_reason)


def test_disabling_a_disabled_channel_keeps_the_reason() -> None:
    present = a_channel(WebhookConfig(URL), enabled=False, disabled_reason="410 Gone")

    assert (present, None) == change(present, None, "enabled", enabled=False)


def test_a_mailbox_changes_field_by_field() -> None:
    present = a_mailbox(2525)

    changed, secrets = change(
        present, replace(EMAIL, to_addresses=("new@example.com",)), "email.to_addresses"
    )

    assert isinstance(present.config, EmailConfig)
    assert replace(present.config, to_addresses=("new@example.com",)) == changed.config
    assert secrets is None


def test_a_password_that_is_not_given_stays() -> None:
    present = a_mailbox(2525)
    whole = GivenEmail(
        "127.0.0.1", 2525, 1, "tocsin", "", "tocsin@example.com", ("ops@example.org",)
    )

    assert (present, None) == change(present, whole, "email")


def test_a_password_does_not_follow_to_another_server() -> None:
    with pytest.raises(InvalidArgumentError, match="must be given again when smtp_host changes"):
        change(a_mailbox(25), GivenEmail(smtp_host="thief.example.net"), "email.smtp_host")


def test_a_password_does_not_stay_for_clear_text() -> None:
    with pytest.raises(InvalidArgumentError, match="clear text"):
        change(a_mailbox(25), GivenEmail(security=3), "email.security")


def test_without_a_user_name_the_password_goes() -> None:
    changed, secrets = change(a_mailbox(25), GivenEmail(), "email.username")

    assert Secrets() == secrets
    assert not changed.has_secrets


def test_a_port_of_0_becomes_the_default_of_the_security_that_is_there() -> None:
    changed, _ = change(
        a_mailbox(2525, EmailSecurity.TLS), GivenEmail(smtp_port=0), "email.smtp_port"
    )

    assert isinstance(changed.config, EmailConfig)
    assert 465 == changed.config.smtp_port
