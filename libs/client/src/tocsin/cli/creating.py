"""What every `tocsin channel create …` ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.cli.channel_view import channel_fields

if TYPE_CHECKING:
    from tocsin.api.notify.v1.channel_pb2 import Channel
    from tocsin.cli.session import Session


def create(session: Session, wanted: Channel) -> None:
    """Create a channel and show it, with the secret that was made for it."""
    answer = session.notify.create_channel(wanted)
    if session.output.json_wanted:
        session.output.document(answer)
        return
    session.output.fields(channel_fields(answer.channel))
    if answer.generated_signing_secret:
        session.output.line("")
        session.output.line("The signing secret, shown now and never again:")
        session.output.line(f"  {answer.generated_signing_secret}")
