"""Settings that both services have for where they are deployed."""

from __future__ import annotations

from pydantic import Field

from tocsin.common.config import DatabaseUrl, ListenAddress, ServiceSettings


class PoolerSettings(ServiceSettings):
    """Where the database is, and where it is without the pooler when it is behind one."""

    database_url: DatabaseUrl
    database_direct_url: DatabaseUrl | None = Field(
        default=None,
        description="The same database without the pooler, when the database URL leads through one "
        "in transaction mode (PgBouncer): what needs a session of its own goes there, which is one "
        "or two connections of each replica, and migrations. Unset: there is no such pooler.",
        examples=["postgresql://tocsin:password@127.0.0.1:5432/tocsin"],
    )

    @property
    def direct_url(self) -> str:
        """The URL by which a session is the same one from statement to statement."""
        return (self.database_direct_url or self.database_url).get_secret_value()

    @property
    def pooler_url(self) -> str | None:
        """The URL of the pooler, None when there is none."""
        return self.database_url.get_secret_value() if self.is_pooled else None

    @property
    def is_pooled(self) -> bool:
        return self.database_direct_url is not None


class HealthSettings(ServiceSettings):
    """For probes from outside."""

    health_listen: ListenAddress | None = Field(
        default=None,
        description="Where to answer grpc.health.v1 and nothing else, host:port, without "
        "encryption: for probes that cannot show who they are, such as those of Kubernetes. "
        "Unset: only the service's own port answers it.",
        examples=["0.0.0.0:7079"],
    )
