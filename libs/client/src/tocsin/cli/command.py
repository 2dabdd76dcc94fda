"""The options that every command has, in one place, and what ends in an exit code.

No `from __future__ import annotations` in modules that define commands: typer reads their
annotations when the program runs.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from tocsin.cli.exits import ReaderGoneError, wrong_usage
from tocsin.cli.failures import explain
from tocsin.cli.open_credentials import tell_open_files
from tocsin.cli.output import Output
from tocsin.cli.session import DEFAULT_ALERT_TARGET, DEFAULT_NOTIFY_TARGET, Session
from tocsin.cli.targets import check_target
from tocsin.client.errors import CallError
from tocsin.common.rpc.client_credentials import CredentialsError

_PANEL = "Connection and output"

_Ended = TypeVar("_Ended", None, int)

Target = Annotated[
    str,
    typer.Option(
        "--target",
        envvar="TOCSIN_ALERT_TARGET",
        metavar="HOST:PORT",
        help="Where tocsin-alert listens.",
        rich_help_panel=_PANEL,
    ),
]
NotifyTarget = Annotated[
    str,
    typer.Option(
        "--notify-target",
        envvar="TOCSIN_NOTIFY_TARGET",
        metavar="HOST:PORT",
        help="Where tocsin-notify listens.",
        rich_help_panel=_PANEL,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.1,
        max=600,
        metavar="SECONDS",
        help="How long a call may take, its retries included.",
        rich_help_panel=_PANEL,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Answer in JSON, for programs.", rich_help_panel=_PANEL),
]

_SHARED = (
    ("target", Target, DEFAULT_ALERT_TARGET),
    ("notify_target", NotifyTarget, DEFAULT_NOTIFY_TARGET),
    ("timeout", Timeout, 5.0),
    ("json", Json, False),
)


def command(
    app: typer.Typer, name: str, /, **written_as: str
) -> Callable[[Callable[..., _Ended]], Callable[..., _Ended]]:
    """Make a function a command of `app`. Its first parameter is the Session; the rest is typer's.

    Every command takes the shared options as well, and closes its connections at its end.
    `written_as` names the argument or option of a field where it is not the usual one. An int that
    the function returns is the exit code.
    """

    def register(function: Callable[..., _Ended]) -> Callable[..., _Ended]:
        @wraps(function)
        def run(**given: Any) -> _Ended:
            target, notify_target, timeout, json = (given.pop(name) for name, _, _ in _SHARED)
            output = Output(json_wanted=json)
            check_target("--target", target)
            check_target("--notify-target", notify_target)
            tell_open_files(output)
            with Session(output, target, notify_target, timeout) as session:
                try:
                    return function(session, **given)
                except UnicodeEncodeError as error:  # Python lets any bytes into arguments
                    raise wrong_usage("An argument holds bytes that are not UTF-8.") from error
                except CallError as error:
                    raise explain(error, session, written_as) from error
                except CredentialsError as error:
                    raise wrong_usage(f"The credentials of the environment: {error}.") from error
                except BrokenPipeError as error:  # typer would make it an exit code 1
                    raise ReaderGoneError from error

        run.__signature__ = _with_shared_options(function)  # type: ignore[attr-defined]  # how inspect is told
        run.__annotations__ = {}
        app.command(name)(run)
        return function

    return register


def _with_shared_options(function: Callable[..., Any]) -> inspect.Signature:
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, kind, default in _SHARED
    ]
    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    return inspect.Signature([*named, *shared])
