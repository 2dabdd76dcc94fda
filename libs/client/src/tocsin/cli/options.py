"""Arguments and options that several commands share, and how their values are read."""

import getpass
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from tocsin.cli.exits import wrong_usage
from tocsin.cli.times import parse_moment, parse_span, parse_until

Host = Annotated[str, typer.Argument(metavar="HOST", help="The host, as it is reported.")]
Kind = Annotated[
    str, typer.Argument(metavar="KIND", help="What sort of failure, such as backup_failed.")
]
AlertRef = Annotated[
    str,
    typer.Argument(
        metavar="ALERT", help="Its id, or at least 4 characters of the id's end or beginning."
    ),
]
ChannelRef = Annotated[
    str, typer.Argument(metavar="CHANNEL", help="Its name, its id, or the end of its id.")
]
DeliveryRef = Annotated[
    str,
    typer.Argument(
        metavar="DELIVERY", help="Its id, or at least 4 characters of the id's end or beginning."
    ),
]
DedupKey = Annotated[
    str,
    typer.Option(
        "--dedup-key",
        "-k",
        metavar="KEY",
        help="What tells apart several failures of one kind on one host.",
    ),
]
ObserveTime = Annotated[
    str,
    typer.Option(
        "--observe-time",
        metavar="RFC3339",
        help="When it happened, such as 2026-01-31T03:15:00Z. Unset: now, by the server's clock.",
    ),
]
Note = Annotated[str, typer.Option("--note", "-n", metavar="TEXT", help="What others should know.")]
OnBehalfOf = Annotated[
    str,
    typer.Option(
        "--on-behalf-of",
        metavar="PERSON",
        help="Who does it, when it is somebody else than you.",
        show_default="your login name",
    ),
]
Labels = Annotated[
    list[str],
    typer.Option("--label", "-l", metavar="NAME=VALUE", help="A label. May be repeated."),
]
Hosts = Annotated[
    list[str],
    typer.Option("--host", metavar="HOST", help="Only of this host. May be repeated."),
]
Kinds = Annotated[
    list[str],
    typer.Option("--kind", metavar="KIND", help="Only of this kind. May be repeated."),
]
MinSeverity = Annotated[
    str,
    typer.Option(
        "--min-severity",
        metavar="SEVERITY",
        help="Only those at least this severe: info, warning or critical.",
    ),
]
OfHost = Annotated[str, typer.Option("--host", metavar="HOST", help="Only of this host.")]
All = Annotated[bool, typer.Option("--all", "-a", help="The retired ones, too.")]
RequestId = Annotated[
    str,
    typer.Option(
        "--request-id",
        metavar="ID",
        help="Names this call: repeating it within 24 h changes nothing. Unset: a new one.",
    ),
]


def login_name() -> str:
    """Return who is logged in, or '' when the machine does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def read_labels(given: Iterable[str]) -> dict[str, str]:
    """Read `name=value` labels."""
    labels = dict[str, str]()
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise wrong_usage(f"--label: {text!r} is no label; write NAME=VALUE")
        if name in labels:
            raise wrong_usage(f"--label: {name!r} is given twice; give each name once")
        labels[name] = value
    return labels


def read_moment(option: str, given: str) -> datetime | None:
    """Read a time, None when none is given."""
    try:
        return parse_moment(given) if given else None
    except ValueError as error:
        raise wrong_usage(f"{option}: {error}") from None


def read_length(option: str, given: str) -> timedelta | None:
    """Read a length of time, None when none is given. `0` and `0s` are one too."""
    if given.strip().lower() in {"0", "0s", "0m"}:
        return timedelta(0)
    try:
        return parse_span(given) if given else None
    except ValueError as error:
        raise wrong_usage(f"{option}: {error}") from None


def read_expiry(span: str, until: str) -> datetime | None:
    """Read when an acknowledgement lapses, from --for or --until; None when neither is given."""
    if span and until:
        raise wrong_usage("--for and --until exclude each other; give one of them")
    option = "--for" if span else "--until"
    now = datetime.now(UTC)
    try:
        if span:
            return now + parse_span(span)
        return parse_until(until, now.astimezone()) if until else None
    except ValueError as error:
        raise wrong_usage(f"{option}: {error}") from None
