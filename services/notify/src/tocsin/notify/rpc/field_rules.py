"""What a single field of a channel may hold. Pure: each check notes in `found` what is wrong."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from yarl import URL

from tocsin.common.rpc.validate import check_text, shown
from tocsin.notify.channels.address_guard import is_allowed, literal_address
from tocsin.notify.channels.signature import read_secret
from tocsin.notify.domain.channel import EmailSecurity
from tocsin.notify.rpc.lengths import read_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.common.errors import Violations
    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.rpc.given import GivenRateLimit

NAME_CHARACTERS: Final = 128
URL_CHARACTERS: Final = 2_048
CREDENTIAL_CHARACTERS: Final = 256
RECIPIENTS: Final = 50
BURST: Final = 10_000
REFILL_LEAST: Final = timedelta(milliseconds=10)
REFILL_MOST: Final = timedelta(days=1)

SECURITIES: Final = {
    0: EmailSecurity.STARTTLS,
    1: EmailSecurity.STARTTLS,
    2: EmailSecurity.TLS,
    3: EmailSecurity.NONE,
}
DEFAULT_PORTS: Final = {
    EmailSecurity.STARTTLS: 587,
    EmailSecurity.TLS: 465,
    EmailSecurity.NONE: 25,
}

_HIGHEST_PORT = 65_535
_HOST_CHARACTERS = 253
_ADDRESS_CHARACTERS = 254  # RFC 5321, section 4.5.3.1.3, without the brackets
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_MAILBOX = re.compile(rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def check_display_name(found: Violations, path: str, name: str) -> None:
    """A name fits into a table and a log line."""
    check_text(found, path, name, least=1, most=NAME_CHARACTERS)
    if name != name.strip():
        found.add(path, "begins or ends with a space; leave it out")
    elif _CONTROL.search(name.replace("\0", "")):
        found.add(path, "holds control characters; write it on one line")


def check_url(found: Violations, path: str, text: str, allowed: Sequence[Network]) -> None:
    """The URL of a receiver, read by the parser that the sender uses."""
    if not text or len(text) > URL_CHARACTERS:
        check_text(found, path, text, least=1, most=URL_CHARACTERS)
        return
    if _NOT_IN_A_URL.search(text):
        found.add(path, "holds a space, a control character or a backslash; percent-encode it")
        return
    try:
        url = URL(text)
        host = url.raw_host or ""
    except ValueError as error:
        found.add(path, f"is not a URL: {shown(str(error))}")
        return
    if url.scheme not in {"http", "https"}:
        found.add(path, "must begin with https:// or http://")
    authority = text.partition("://")[2].partition("/")[0].partition("?")[0]
    if "@" in authority:
        found.add(path, "holds a user or a password; leave them out")
    if "#" in text:
        found.add(path, "has a fragment (#…); leave it out, it is never sent")
    if url.explicit_port == 0:
        found.add(path, "has port 0; write 1 to 65535")
    check_host(found, path, host, allowed)


def check_host(found: Violations, path: str, host: str, allowed: Sequence[Network]) -> None:
    """A host name, or an address that may be dialled. Names are judged when they are dialled."""
    if not host:
        found.add(path, "must name a host, such as hooks.example.com")
        return
    address = literal_address(host)
    if address is None and (len(host) > _HOST_CHARACTERS or not _HOST_NAME.fullmatch(host)):
        found.add(
            path,
            f"has the host {shown(host)!r}, which is none; write a name such as"
            " hooks.example.com, in its xn-- form if it is not ASCII, or an IP address",
        )
    elif address is not None and host.strip("[]") != str(address) and host[0].isdigit():
        found.add(path, f"has an IP address in an old form; write it as {address}")
    elif address is not None and not is_allowed(address, allowed):
        found.add(
            path,
            f"leads to {address}, which is not a public address. If it shall be reached, an"
            " operator must add its network to TOCSIN_NOTIFY_ALLOWED_NETWORKS of tocsin-notify",
        )


def check_signing_secret(found: Violations, path: str, secret: str) -> None:
    """A secret by Standard Webhooks. What is noted never repeats it."""
    try:
        read_secret(secret)
    except ValueError as error:
        found.add(path, str(error))


def check_port(found: Violations, path: str, port: int) -> None:
    """A port, or 0 for the default."""
    if not 0 <= port <= _HIGHEST_PORT:
        found.add(path, f"is {port}; write 1 to {_HIGHEST_PORT}, or 0 for the default")


def check_security(found: Violations, path: str, number: int) -> None:
    """A value of EmailSecurity."""
    if number not in SECURITIES:
        found.add(
            path,
            f"has no value {number}; write EMAIL_SECURITY_STARTTLS, EMAIL_SECURITY_TLS or"
            " EMAIL_SECURITY_NONE",
        )


def check_credential(found: Violations, path: str, text: str) -> None:
    """A user name or a password. What is noted never repeats it."""
    check_text(found, path, text, most=CREDENTIAL_CHARACTERS)
    check_one_line(found, path, text)


def check_one_line(found: Violations, path: str, text: str) -> None:
    """A text without line breaks. What is noted never repeats it."""
    if _CONTROL.search(text.replace("\0", "")):
        found.add(path, "holds control characters; leave them out")


def check_mailbox(found: Violations, path: str, address: str) -> None:
    """One address without a name, in ASCII."""
    if len(address) <= _ADDRESS_CHARACTERS and _MAILBOX.fullmatch(address):
        return
    found.add(
        path,
        f"{shown(address)!r} is not one mail address; write it like ops@example.com, without a"
        " name, and a domain that is not ASCII in its xn-- form"
        if address
        else "must not be empty; write an address like ops@example.com",
    )


def check_recipients(found: Violations, path: str, addresses: Sequence[str]) -> None:
    """All the recipients."""
    if not 1 <= len(addresses) <= RECIPIENTS:
        found.add(path, f"has {len(addresses):,} addresses; write 1 to {RECIPIENTS}")
        return
    for index, address in enumerate(addresses):
        check_mailbox(found, f"{path}[{index}]", address)
        if address in addresses[:index]:
            found.add(f"{path}[{index}]", f"{shown(address)!r} stands there twice; write it once")


def check_rate_limit(found: Violations, path: str, given: GivenRateLimit | None) -> None:
    """A token bucket. None is right: the default of the type."""
    if given is None:
        return
    if not 0 <= given.burst <= BURST:
        found.add(f"{path}.burst", f"is {given.burst}; write 1 to {BURST:,}, or 0 for no limit")
    elif given.burst and given.refill_period is None:
        found.add(f"{path}.refill_period", "must be set, unless burst is 0")
    elif given.burst and given.refill_period is not None:
        read_length(found, f"{path}.refill_period", given.refill_period, REFILL_LEAST, REFILL_MOST)
