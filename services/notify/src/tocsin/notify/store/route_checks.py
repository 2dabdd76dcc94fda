"""What a change of the routes must fit to: their names, places and versions. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.errors import (
    AbortedError,
    AlreadyExistsError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from tocsin.notify.domain.route import Route

MOST_ROUTES = 500


def only(routes: list[Route], route_id: UUID) -> Route:
    """Return the route of that id. Raises NotFoundError (ROUTE_NOT_FOUND)."""
    for route in routes:
        if route.route_id == route_id:
            return route
    raise unknown(route_id)


def unknown(route_id: UUID) -> NotFoundError:
    """Return the error for an id that no route has."""
    return NotFoundError(f"No route {route_id}.", reason="ROUTE_NOT_FOUND")


def place_for(wanted: int, count: int) -> int:
    """Return the place of a new one among `count`, 0 for the end. Raises InvalidArgumentError."""
    if count >= MOST_ROUTES:
        raise _violation("route", f"would be one more than {MOST_ROUTES}; delete another one first")
    if wanted > count + 1:
        raise _violation(
            "position", f"is {wanted}, but the last place is {count + 1}; write 0 for the end"
        )
    return wanted or count + 1


def require_free_name(route: Route, present: list[Route]) -> None:
    """Raise AlreadyExistsError (ROUTE_NAME_TAKEN) if another route has the name."""
    for other in present:
        if other.display_name == route.display_name and other.route_id != route.route_id:
            raise AlreadyExistsError(
                f"Another route has the display_name {route.display_name!r}. Choose another one.",
                reason="ROUTE_NAME_TAKEN",
            )


def require_version(present: Route, expected: int | None) -> None:
    """Raise AbortedError (VERSION_MISMATCH) unless it has the version, if one is expected."""
    if expected is not None and expected != present.version:
        raise AbortedError(
            f"The route has version {present.version} by now, not {expected}. Read it again.",
            reason="VERSION_MISMATCH",
        )


def _violation(path: str, description: str) -> InvalidArgumentError:
    return InvalidArgumentError.of([FieldViolation(path, description)])


def require_all_named(route_ids: Sequence[UUID], present: Sequence[Route]) -> None:
    """Raise AbortedError (ROUTES_CHANGED) unless these are the ids of all routes."""
    missing = [route for route in present if route.route_id not in route_ids]
    strangers = set(route_ids) - {route.route_id for route in present}
    if missing or strangers:
        names = ", ".join(repr(route.display_name) for route in missing)
        told = f"leaves out {names}" if names else f"names {min(strangers)}, which is none"
        raise AbortedError(
            f"The order {told}. List the routes again, and name each of them once.",
            reason="ROUTES_CHANGED",
        )
