"""`tocsin route create` and `update`."""

from collections.abc import Callable
from typing import Annotated

import typer

from tocsin.api.notify.v1.route_pb2 import Route
from tocsin.cli import references
from tocsin.cli.command import command
from tocsin.cli.exits import wrong_usage
from tocsin.cli.route_options import (
    WRITTEN_AS,
    Given,
    RouteRef,
    put_onto,
    takes_route_options,
)
from tocsin.cli.route_view import tell_route
from tocsin.cli.session import Session


def _clear_group(route: Route) -> None:
    route.ClearField("group_wait")
    route.ClearField("group_by")


_CLEARABLE: dict[str, Callable[[Route], None]] = {
    "match": lambda route: route.ClearField("matchers"),
    "min-severity": lambda route: route.ClearField("min_severity"),
    "group": _clear_group,
    "reminders": lambda route: route.ClearField("reminders"),
    "quiet": lambda route: route.ClearField("quiet_hours"),
    "proof": lambda route: route.ClearField("proof"),
}


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    command(group, "create", **WRITTEN_AS)(create)
    command(group, "update", **WRITTEN_AS)(update)


@takes_route_options
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name people know it by.")],
    *,
    given: Given,
    position: Annotated[
        int,
        typer.Option(
            "--position", metavar="PLACE", min=0, help="1 is asked first.", show_default="last"
        ),
    ] = 0,
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not ask it yet.")] = False,
) -> None:
    """Create a route. From the first one on, only what a route matches is told."""
    route = Route(display_name=name, enabled=not disabled)
    put_onto(route, session, given)
    tell_route(session, session.notify.create_route(route, position=position))
    if not session.output.json_wanted and len(session.notify.list_routes().routes) == 1:
        session.output.line("It is the first route: what no route matches is now told to nobody.")


@takes_route_options
def update(
    session: Session,
    route: RouteRef,
    *,
    given: Given,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="A new name.")] = "",
    clear: Annotated[
        list[str],
        typer.Option(
            "--clear", metavar="WHAT", help=f"Take away: {', '.join(_CLEARABLE)}. May be repeated."
        ),
    ] = [],  # noqa: B006 - typer never changes it
) -> None:
    """Change what is given, and leave the rest."""
    present = session.notify.get_route(references.route_id(session, route))
    wanted = Route()
    wanted.CopyFrom(present)
    for each in clear:
        if each not in _CLEARABLE:
            raise wrong_usage(f"--clear: {each!r} is none of {', '.join(_CLEARABLE)}")
        _CLEARABLE[each](wanted)
    put_onto(wanted, session, given)
    wanted.display_name = name or wanted.display_name
    if wanted == present:
        raise wrong_usage("Name what to change: tocsin route update --help lists it.")
    tell_route(session, session.notify.update_route(wanted))
