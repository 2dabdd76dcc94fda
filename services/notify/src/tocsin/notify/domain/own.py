"""What notify itself raises in the alert service: the names by which it knows its own alerts."""

from __future__ import annotations

OWN_HOST = "tocsin-notify"
"""The host of all of them."""

KIND_CHANNEL_FAILING = "channel_failing"
"""A channel does not work. The dedup_key is its channel_id."""

KIND_CANARY = "canary"
"""The alert that proves the whole way. LABEL_CHANNEL_ID names the one channel that is told."""

LABEL_CHANNEL_ID = "channel_id"
