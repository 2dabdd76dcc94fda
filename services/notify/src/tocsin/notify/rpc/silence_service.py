"""SilenceService: thin. The rules are in silence_rules, the rows in store."""

# ruff: noqa: ARG002, N802 - gRPC names the methods, and gives a context to each

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tocsin.api.notify.v1 import silence_service_pb2 as api
from tocsin.api.notify.v1 import silence_service_pb2_grpc
from tocsin.common.errors import (
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    Violations,
)
from tocsin.common.ids import uuid7
from tocsin.common.rpc.caller import peer_of
from tocsin.common.rpc.pages import note_made_up, page_token, read_page_token
from tocsin.common.rpc.validate import REQUEST_ID_CHARACTERS, check_text, read_page_size
from tocsin.notify.router.coverage import Coverage, covered, too_broad
from tocsin.notify.router.silences import over_time
from tocsin.notify.rpc.acts import act_of
from tocsin.notify.rpc.convert import id_of
from tocsin.notify.rpc.convert_silence import coverage_to_stub, silence_to_stub
from tocsin.notify.rpc.silence_rules import read_silence

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.notify.domain.silence import Silence
    from tocsin.notify.store.silences import SilenceStore

    Context = grpc.aio.ServicerContext[Any, Any]


class SilenceService(silence_service_pb2_grpc.SilenceServiceServicer):
    """Keeps the silences.

    `most_hosts` is how many a silence may cover without being forced. `on_change` is called after
    each silence that was ended: what it held may be due now.
    """

    def __init__(
        self,
        store: SilenceStore,
        *,
        clock: Clock,
        on_change: Callable[[], None],
        most_hosts: int,
        new_id: NewId = uuid7,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._most_hosts = most_hosts
        self._new_id = new_id

    async def CreateSilence(
        self, request: api.CreateSilenceRequest, context: Context
    ) -> api.CreateSilenceResponse:
        found, now, actor = Violations(), self._clock.now(), peer_of(context).actor
        check_text(found, "request_id", request.request_id, most=REQUEST_ID_CHARACTERS)
        wanted = read_silence(
            found, "silence", request.silence, silence_id=self._new_id(), actor=actor, now=now
        )
        found.raise_if_any()
        if request.dry_run:
            return self._answer(wanted, await self._coverage(wanted), is_kept=False)
        former = await self._store.of_request(request.request_id, actor)
        coverage = await self._coverage(former or wanted)
        if former is None:
            why = too_broad(coverage, self._most_hosts)
            if why and not request.force:
                raise _too_broad(why)
            act = act_of(context, "SilenceService/CreateSilence")
            former = await self._store.create(wanted, request_id=request.request_id, act=act)
        return self._answer(_same(former, wanted, request), coverage)

    async def GetSilence(
        self, request: api.GetSilenceRequest, context: Context
    ) -> api.GetSilenceResponse:
        silence = await self._store.get(id_of("silence_id", request.silence_id))
        return api.GetSilenceResponse(
            silence=silence_to_stub(silence, self._clock.now()),
            coverage=coverage_to_stub(await self._coverage(silence)),
        )

    async def ListSilences(
        self, request: api.ListSilencesRequest, context: Context
    ) -> api.ListSilencesResponse:
        found = Violations()
        size = read_page_size(found, "page_size", request.page_size)
        scope = f"ListSilences {request.include_expired}".encode()
        before = _read_place(found, request.page_token, scope)
        found.raise_if_any()
        silences = await self._store.list_page(
            include_expired=request.include_expired, before=before, limit=size + 1
        )
        shown, now = silences[:size], self._clock.now()
        return api.ListSilencesResponse(
            silences=[silence_to_stub(silence, now) for silence in shown],
            next_page_token=page_token(scope, [str(shown[-1].silence_id)])
            if len(silences) > size
            else "",
        )

    async def ExpireSilence(
        self, request: api.ExpireSilenceRequest, context: Context
    ) -> api.ExpireSilenceResponse:
        silence_id = id_of("silence_id", request.silence_id)
        act = act_of(context, "SilenceService/ExpireSilence")
        silence, is_changed = await self._store.expire(silence_id, peer_of(context).actor, act=act)
        if is_changed:
            self._on_change()
        return api.ExpireSilenceResponse(
            silence=silence_to_stub(silence, self._clock.now()), changed=is_changed
        )

    def _answer(
        self, silence: Silence, coverage: Coverage, *, is_kept: bool = True
    ) -> api.CreateSilenceResponse:
        return api.CreateSilenceResponse(
            silence=silence_to_stub(silence, self._clock.now(), kept=is_kept),
            coverage=coverage_to_stub(coverage),
            needs_force=bool(too_broad(coverage, self._most_hosts)),
        )

    async def _coverage(self, silence: Silence) -> Coverage:
        over = over_time(silence)
        is_over = over is not None and over <= self._clock.now()
        return covered(silence, [] if is_over else await self._store.known_alerts())


def _too_broad(why: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"It would cover {why}. Narrow the matchers, or set force.", reason="SILENCE_TOO_BROAD"
    )


def _same(former: Silence, wanted: Silence, request: api.CreateSilenceRequest) -> Silence:
    """Return what the same request made before. Raises InvalidArgumentError if it was another."""
    is_start_given = request.silence.HasField("start_time")
    repeated = replace(
        wanted,
        silence_id=former.silence_id,
        start_time=wanted.start_time if is_start_given else former.start_time,
        create_time=former.create_time,
        expire_time=former.expire_time,
        expired_by=former.expired_by,
    )
    if repeated != former:
        raise InvalidArgumentError.of(
            [
                FieldViolation(
                    "request_id",
                    f"was used for another silence, {former.silence_id}; write a new one",
                )
            ]
        )
    return former


def _read_place(found: Violations, token: str, scope: bytes) -> UUID | None:
    place = read_page_token(found, "page_token", token, scope, parts=1)
    if place is None:
        return None
    try:
        return UUID(place[0])
    except ValueError:
        note_made_up(found, "page_token")
        return None
