"""The one write path of alerts: commands in, durable answers out."""

from tocsin.alert.ledger.ledger import Ledger

__all__ = ["Ledger"]
