"""`tocsin route …`: which events are told to which channels."""

import sys
from typing import Annotated

import typer

from tocsin.cli import references, route_trial, route_writing
from tocsin.cli.command import command
from tocsin.cli.exits import wrong_usage
from tocsin.cli.output import as_json
from tocsin.cli.route_options import WRITTEN_AS, RouteRef
from tocsin.cli.route_view import ROUTE_HEADINGS, channel_names, route_row, tell_route
from tocsin.cli.session import Session
from tocsin.cli.text import one_line


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Say which events are told to which channels.", no_args_is_help=True)
    route_writing.add_to(group)
    for name, function in (
        ("list", list_routes),
        ("show", show),
        ("enable", enable),
        ("disable", disable),
        ("move", move),
        ("delete", delete),
    ):
        command(group, name, **WRITTEN_AS)(function)
    route_trial.add_to(group)
    app.add_typer(group, name="route")


def list_routes(session: Session) -> None:
    """List the routes in the order in which they are asked."""
    answer = session.notify.list_routes()
    if session.output.json_wanted:
        session.output.document(answer)
        return
    if answer.default_route_applies:
        session.output.line(
            "No routes: every enabled channel is told of everything. "
            "Create one with `tocsin route create`."
        )
        return
    names = channel_names(session)
    session.output.table(ROUTE_HEADINGS, [route_row(route, names) for route in answer.routes])
    if not any(route.enabled for route in answer.routes):
        session.output.remark("No route is enabled: nobody is told of anything new.")


def show(session: Session, route: RouteRef) -> None:
    """Show one route."""
    tell_route(session, session.notify.get_route(references.route_id(session, route)))


def enable(session: Session, route: RouteRef) -> None:
    """Ask it again."""
    _switch(session, route, on=True)


def disable(session: Session, route: RouteRef) -> None:
    """Ask it no more. It counts as a route all the same."""
    _switch(session, route, on=False)


def move(
    session: Session,
    route: RouteRef,
    place: Annotated[
        int, typer.Argument(metavar="PLACE", min=1, help="Its new place: 1 is asked first.")
    ],
) -> None:
    """Put it at another place in the order."""
    moved = references.route_id(session, route)
    present = [each.route_id for each in session.notify.list_routes().routes]
    if place > len(present):
        raise wrong_usage(f"PLACE: there are {len(present)} routes; write 1 to {len(present)}")
    order = [route_id for route_id in present if route_id != moved]
    order.insert(place - 1, moved)
    routes = session.notify.reorder_routes(order)
    if session.output.json_wanted:
        session.output.document({"routes": [as_json(each) for each in routes]})
        return
    names = channel_names(session)
    session.output.table(ROUTE_HEADINGS, [route_row(each, names) for each in routes])


def delete(
    session: Session,
    route: RouteRef,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete it. What it has addressed is still told."""
    present = session.notify.get_route(references.route_id(session, route))
    if not yes:
        _ask(f"Delete the route {one_line(present.display_name)}?")
    answer = session.notify.delete_route(present.route_id)
    if session.output.json_wanted:
        session.output.document(answer)
        return
    last = answer.default_route_applies
    so = " It was the last: every enabled channel is told of everything now." if last else ""
    session.output.line(f"Deleted {one_line(present.display_name)}.{so}")


def _switch(session: Session, route: str, *, on: bool) -> None:
    present = session.notify.get_route(references.route_id(session, route))
    present.enabled = on
    tell_route(session, session.notify.update_route(present))


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise wrong_usage("Nobody can be asked here whether to delete it; add --yes.")
    typer.confirm(question, abort=True, err=True)
