"""Logs: one event a line on stderr, JSON for programs, words and colours for a terminal."""

from __future__ import annotations

import logging
import sys
from io import StringIO
from typing import TYPE_CHECKING, TextIO

import structlog

from tocsin.common.log_secrets import hide_secrets, without_secrets

if TYPE_CHECKING:
    from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger


def configure_logs(service: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logs of this process, those of libraries included, to stderr.

    Each line bears a `service`, a `level`, a `timestamp` (UTC, ISO 8601) and an `event`, and no
    secret. `level` is a name that the standard library knows. Calling it again replaces what was
    set up before.
    """
    out = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _naming(service),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    output = logging.StreamHandler(out)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            # Libraries give their fields by the standard library's `extra`.
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(for_people=out.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [output]
    root.setLevel(level)
    # It tells at each migration what it is made of.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)


def _naming(service: str) -> Processor:
    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add_service


def _rendering(*, for_people: bool) -> list[Processor]:
    # Tracebacks without the values of variables: those may be secrets.
    if for_people:
        return [
            hide_secrets,
            structlog.dev.ConsoleRenderer(exception_formatter=_traceback, pad_event_to=0),
        ]
    return [
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
    ]


def _traceback(out: TextIO, error: ExcInfo) -> None:
    told = StringIO()
    structlog.dev.plain_traceback(told, error)
    out.write(without_secrets(told.getvalue()))
