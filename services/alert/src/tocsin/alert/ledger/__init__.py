"""The one write path of alerts: commands in, durable answers out."""

from tocsin.alert.ledger.lane import Ledger

__all__ = ["Ledger"]
