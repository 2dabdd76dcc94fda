"""Who may call what of tocsin-alert. A method that is not here is for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.identity.roles import Role, only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.common.identity.roles import Rule

_ALERTS = "/tocsin.api.alert.v1.AlertService"
_BACKUPS = "/tocsin.api.alert.v1.BackupService"

_REPORTS = only(Role.ORCHESTRATOR, names_hosts=True)
_READS_ALERTS = only(Role.SUBSCRIBER, Role.OPERATOR)
_DECIDES = only(Role.OPERATOR)
_KEEPS = only(Role.ORCHESTRATOR, Role.OPERATOR)
_KEEPS_HOSTS = only(Role.ORCHESTRATOR, Role.OPERATOR, names_hosts=True)
_LOOKS = only(Role.ORCHESTRATOR, Role.SUBSCRIBER, Role.OPERATOR)
_LOOKS_AT_HOSTS = only(Role.ORCHESTRATOR, Role.SUBSCRIBER, Role.OPERATOR, names_hosts=True)

RULES: Mapping[str, Rule] = {
    f"{_ALERTS}/RaiseOrTouch": _REPORTS,
    f"{_ALERTS}/BatchRaiseOrTouch": _REPORTS,
    f"{_ALERTS}/AutoResolve": _REPORTS,
    f"{_ALERTS}/Acknowledge": _DECIDES,
    f"{_ALERTS}/Resolve": _DECIDES,
    f"{_ALERTS}/GetAlert": _READS_ALERTS,
    f"{_ALERTS}/ListAlerts": _READS_ALERTS,
    f"{_ALERTS}/ListAlertEvents": _READS_ALERTS,
    f"{_ALERTS}/WatchEvents": _READS_ALERTS,
    f"{_BACKUPS}/ReportJobStarted": _REPORTS,
    f"{_BACKUPS}/ReportJobFinished": _REPORTS,
    f"{_BACKUPS}/ReportHeartbeat": _REPORTS,
    f"{_BACKUPS}/Heartbeats": _REPORTS,
    f"{_BACKUPS}/PutHost": _KEEPS_HOSTS,
    f"{_BACKUPS}/PutSourceGroup": _KEEPS_HOSTS,
    f"{_BACKUPS}/PutSchedule": _KEEPS_HOSTS,
    f"{_BACKUPS}/RetireHost": _KEEPS_HOSTS,
    # They name no host.
    f"{_BACKUPS}/RetireSourceGroup": _KEEPS,
    f"{_BACKUPS}/RetireSchedule": _KEEPS,
    f"{_BACKUPS}/GetSourceGroup": _LOOKS,
    f"{_BACKUPS}/GetSchedule": _LOOKS,
    f"{_BACKUPS}/ListHosts": _LOOKS,
    f"{_BACKUPS}/GetHost": _LOOKS_AT_HOSTS,
    f"{_BACKUPS}/ListSourceGroups": _LOOKS_AT_HOSTS,
    f"{_BACKUPS}/ListSchedules": _LOOKS_AT_HOSTS,
    f"{_BACKUPS}/GetProtection": _LOOKS_AT_HOSTS,
}
"""By the full names of the methods, as gRPC writes them."""
