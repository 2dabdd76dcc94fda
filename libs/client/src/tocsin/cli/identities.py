"""`tocsin token …`, `grant`, `whoami` and `audit`: who may call a service, and what people did."""

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Literal

import typer

from tocsin.api.auth.v1.credential_pb2 import Role
from tocsin.cli import options
from tocsin.cli.command import command
from tocsin.cli.credential_view import (
    AUDIT_HEADINGS,
    CREDENTIAL_HEADINGS,
    audit_row,
    credential_fields,
    credential_row,
    roles_text,
)
from tocsin.cli.exits import CommandError
from tocsin.cli.names import checked_names
from tocsin.cli.output import as_json
from tocsin.cli.session import Session

_PAGE = 1_000
_WRITTEN_AS = {
    "name": "NAME",
    "roles": "--role",
    "host_ids": "--host",
    "expire_time": "--for / --until",
    "since": "--since",
}
_LEAST = 4

Service = Annotated[
    Literal["alert", "notify"],
    typer.Option(
        "--service", help="Of which service: each has tokens and an audit trail of its own."
    ),
]
Roles = Annotated[
    list[str],
    typer.Option(
        "--role",
        metavar="ROLE",
        help="What it may do: orchestrator, subscriber, operator or admin. May be repeated.",
    ),
]
BoundTo = Annotated[
    list[str],
    typer.Option(
        "--host", metavar="HOST", help="A host that it may speak of; else of all. May be repeated."
    ),
]
For = Annotated[str, typer.Option("--for", metavar="SPAN", help="For how long, such as 90d.")]
Until = Annotated[
    str, typer.Option("--until", metavar="TIME", help="When it ends: 2026-12-31T23:00:00Z.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, metavar="COUNT", help="At most so many.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Who may call a service.", no_args_is_help=True)
    for name, function in (("create", create), ("list", list_tokens), ("revoke", revoke)):
        command(group, name, **_WRITTEN_AS)(function)
    app.add_typer(group, name="token")
    command(app, "grant", **_WRITTEN_AS)(grant)
    command(app, "whoami")(whoami)
    command(app, "audit", **_WRITTEN_AS)(audit)


def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who bears it.")],
    *,
    role: Roles,
    host: BoundTo = [],  # noqa: B006 - typer reads it, nobody changes it
    for_: For = "",
    until: Until = "",
    service: Service = "alert",
) -> None:
    """Make a token. It is shown on standard output, only now; the rest goes to standard error."""
    made = session.identity(service).create_token(
        name,
        checked_names("--role", Role, role),
        host_ids=host,
        expire_time=options.read_expiry(for_, until),
    )
    if session.output.json_wanted:
        session.output.document(made)
        return
    session.output.line(made.token)
    session.output.remark(
        f"This is the token of {made.credential.name} for tocsin-{service}. It is shown only now."
    )


def grant(
    session: Session,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A name in the certificate: a URI, or dns: and a DNS name."
        ),
    ],
    *,
    role: Roles,
    host: BoundTo = [],  # noqa: B006 - typer reads it, nobody changes it
    for_: For = "",
    until: Until = "",
    service: Service = "alert",
) -> None:
    """Say what the bearer of a client certificate may do."""
    granted = session.identity(service).grant_certificate(
        name,
        checked_names("--role", Role, role),
        host_ids=host,
        expire_time=options.read_expiry(for_, until),
    )
    if session.output.json_wanted:
        session.output.document(granted)
        return
    session.output.fields(credential_fields(granted))


def list_tokens(
    session: Session,
    *,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Those that are revoked or expired, too.")
    ] = False,
    limit: Limit = 100,
    service: Service = "alert",
) -> None:
    """List the tokens and the grants to certificates, the latest first."""
    found = session.identity(service).list_credentials(
        include_ended=everything, page_size=min(limit + 1, _PAGE)
    )
    credentials = list(islice(found, limit))
    left_out = next(found, None) is not None
    if session.output.json_wanted:
        content = {"credentials": [as_json(each) for each in credentials], "truncated": left_out}
        session.output.document(content)
        return
    now = session.now()
    session.output.table(CREDENTIAL_HEADINGS, [credential_row(each, now) for each in credentials])
    if left_out:
        session.output.remark(f"Only the latest {limit:,} are listed. More: --limit COUNT")


def revoke(
    session: Session,
    token: Annotated[
        str,
        typer.Argument(metavar="TOKEN", help="Its id, the end of the id, or its name."),
    ],
    *,
    service: Service = "alert",
) -> None:
    """End a token, or a grant to a certificate, for good. Calls with it fail within 2 s."""
    answer = session.identity(service).revoke_credential(_credential_id(session, service, token))
    if session.output.json_wanted:
        session.output.document(answer)
        return
    name = answer.credential.name
    session.output.line(
        f"{name} was revoked." if answer.changed else f"{name} was revoked already."
    )


def whoami(session: Session, *, service: Service = "alert") -> None:
    """Tell who you are to a service, and what you may do there."""
    answer = session.identity(service).who_am_i()
    if session.output.json_wanted:
        session.output.document(answer)
        return
    session.output.fields(
        [
            ("name", answer.actor),
            ("roles", roles_text(answer.roles)),
            ("hosts", ", ".join(answer.host_ids)),
        ]
    )


def audit(
    session: Session,
    *,
    actor: Annotated[str, typer.Option("--actor", metavar="NAME", help="Only of one.")] = "",
    method: Annotated[
        str,
        typer.Option("--method", metavar="METHOD", help="Only one, as AlertService/Resolve."),
    ] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Since 2026-01-31T07:00:00Z, or 2h.")
    ] = "",
    limit: Limit = 100,
    service: Service = "alert",
) -> None:
    """List what people changed, the latest first."""
    found = session.identity(service).list_audit_entries(
        actor=actor, method=method, since=_since(since), page_size=min(limit + 1, _PAGE)
    )
    entries = list(islice(found, limit))
    left_out = next(found, None) is not None
    if session.output.json_wanted:
        content = {"entries": [as_json(each) for each in entries], "truncated": left_out}
        session.output.document(content)
        return
    session.output.table(AUDIT_HEADINGS, [audit_row(each) for each in entries])
    if left_out:
        session.output.remark(f"Only the latest {limit:,} are listed. More: --limit COUNT")


def _since(given: str) -> datetime | None:
    if not given or "T" in given.upper():
        return options.read_moment("--since", given)
    length = options.read_length("--since", given)
    return None if length is None else datetime.now(UTC) - length


def _credential_id(session: Session, service: str, given: str) -> str:
    """Return the id of the credential that is meant. Raises CommandError."""
    credentials = list(session.identity(service).list_credentials(page_size=_PAGE))
    part = given.strip().lower()
    named = [each for each in credentials if each.name == given]
    ending = [each for each in credentials if each.credential_id.endswith(part)]
    found = named or (ending if len(part) >= _LEAST else [])
    if len(found) == 1:
        return found[0].credential_id
    if found:
        told = "\n".join(f"  {each.credential_id}  {each.name}" for each in found)
        raise CommandError(f"{given!r} fits {len(found)} of them. Write the id:\n{told}")
    raise CommandError(f"No token or grant that is valid has the name or id {given!r}.")
