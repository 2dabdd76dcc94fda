"""Writes docs/telemetry.md, whose tables of metrics come from the services: `make docs`."""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.alert.app import AlertApp
from tocsin.alert.config import AlertSettings
from tocsin.notify.app import NotifyApp
from tocsin.notify.config import NotifySettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.common.telemetry.measures import Family

PAGE = Path(__file__).with_suffix(".md")

_HEAD = """\
# Telemetry

What the services say of themselves: logs always, metrics and traces when asked for. The tables of
metrics on this page are made from the code by `make docs`.

## Logs

Each line on stderr is one event: JSON for programs, words on a terminal. Every line has
`timestamp` (UTC), `level`, `service` and `event`. What keeps a service from starting is said in
words, before there is a log. gRPC's own lines, which are no JSON, are silent; GRPC_VERBOSITY=INFO
in the environment brings them back, to see why a TLS handshake fails.

A call that succeeds is logged at DEBUG only, as `call_done` with `method`, `actor` and the ids of
its request and of its alert; so is an attempt that arrives, as `attempt_delivered`. One that is
refused is, once, as `call_refused` with `method`, `code`, `reason` and the ids that the request
bears (`request_id`, `alert_id`, `delivery_id`, …): as a warning when the service could not, as
information when it was asked wrongly, and at DEBUG only when a caller asked too often or came
while the server was stopping. A bug is logged as an error, with the `error_id` that the caller was
told. A delivery whose attempt fails is logged as `attempt_failed` with `delivery_id`, `event_id`,
`alert_id` and `channel_id`.

No secret is logged: fields that are named like one, passwords in URLs, `Authorization` headers,
signing secrets of webhooks and tokens of Tocsin are replaced by `(hidden)`, also in what libraries
log and in tracebacks; and so is what a far side echoes of a channel's secrets or of its URL.

## Metrics and probes

`TOCSIN_ALERT_METRICS_LISTEN` and `TOCSIN_NOTIFY_METRICS_LISTEN` say where, for example
`127.0.0.1:9070`. There is no encryption and nobody is asked who they are, so let only operators
reach it.

| path | answer |
|---|---|
| `/metrics` | everything below, for Prometheus (text, or OpenMetrics when asked for) |
| `/livez` | 200 while the process answers. A database that is away is no reason to restart |
| `/readyz` | 200 while it can do its work, else 503 with the conditions that do not hold |

With several workers (`TOCSIN_ALERT_WORKERS`) each has its own numbers: the first takes the port
that is set, the others take the ones that follow.

[deploy/prometheus/tocsin.rules.yml](../deploy/prometheus/tocsin.rules.yml) has alert rules, tested
with promtool; [deploy/grafana](../deploy/grafana) has a dashboard for each service. The rules find
the services by the jobs `tocsin-alert` and `tocsin-notify`:

```yaml
rule_files: [tocsin.rules.yml]
scrape_configs:
  - {job_name: tocsin-alert, static_configs: [{targets: ["127.0.0.1:9070"]}]}
  - {job_name: tocsin-notify, static_configs: [{targets: ["127.0.0.1:9071"]}]}
```

Labels take few values: methods, codes, reasons, sweeps, and the names of channels. No host and no
alert is ever a label. What is counted in the database (open alerts, what waits for a channel, dead
letters, the follower) every replica tells alike: take the `max`. All else is of one process.

Every process also shows `process_*` (CPU, memory, open files, start time) and `python_gc_*`.
"""

_TRACES = """\
## Traces

`TOCSIN_ALERT_TRACING=true` and `TOCSIN_NOTIFY_TRACING=true` make OpenTelemetry traces. They need
packages that are not installed by default, locked by hash as the others are, and go where the
variables of OpenTelemetry say. In a clone (an image is [built with them](deploying.md#containers)):

```
.venv/bin/python -m pip install --require-hashes -r requirements/run.txt -r requirements/otlp.txt
export TOCSIN_ALERT_TRACING=true OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
```

That is OTLP over HTTP; `OTEL_TRACES_EXPORTER` names another exporter that is installed.
`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME` and
`OTEL_RESOURCE_ATTRIBUTES` are heeded too. What is not sent yet is sent when the service stops.

* A call with a [`traceparent`](https://www.w3.org/TR/trace-context/) goes on in a span of
  tocsin-alert. Streams have none: they last for days.
* The event that it writes bears the context of that span as its `traceparent`, which subscribers
  and webhooks are told. Without tracing it bears what the caller gave.
* Each attempt at a delivery is a span of its own (`deliver webhook`), *linked* to the trace of the
  event: it may come much later, and more than once.
* The webhook's request has a `traceparent` header, that of the attempt. The receiver's spans join
  it.
"""


async def _families() -> tuple[list[Family], list[Family]]:
    """Put both services together, without starting them."""
    url = "postgresql://tocsin@127.0.0.1/tocsin"
    key = base64.b64encode(bytes(32)).decode()
    alert = AlertApp(AlertSettings.model_validate({"database_url": url, "insecure_dev": True}))
    notify = NotifyApp(
        NotifySettings.model_validate(
            {"database_url": url, "secret_key": key, "insecure_dev": True}
        )
    )
    return alert.telemetry.families, notify.telemetry.families


def page() -> str:
    """Return the whole page."""
    alert, notify = asyncio.run(_families())
    parts = [
        _HEAD,
        "### tocsin-alert\n",
        _table(alert),
        "### tocsin-notify\n",
        _table(notify),
        _TRACES,
    ]
    return "\n".join(parts)


def _table(families: Iterable[Family]) -> str:
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for each in sorted(families, key=lambda family: family.name):
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {each.kind} | {labels} | {each.help} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} is up to date.\n")
