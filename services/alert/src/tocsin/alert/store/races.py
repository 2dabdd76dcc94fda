"""What another transaction did meanwhile: the one at work must be run again."""

from __future__ import annotations


class RacedError(Exception):
    """Another transaction committed something after this one had read that it was not there.

    Run again, the transaction reads it.
    """
