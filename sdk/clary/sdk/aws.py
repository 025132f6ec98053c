"""The clients of one account: boto3's, made on first use, or given ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from clary.sdk.s3 import told


class Aws:
    """Clients by service name. ``poll_seconds`` is how long to wait before a question is asked again."""

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        clients: Mapping[str, Any] | None = None,
        poll_seconds: float = 5.0,
    ) -> None:
        self._endpoint_url, self._region, self._poll = endpoint_url, region, poll_seconds
        self._clients: dict[str, Any] = dict(clients or {})

    def client(self, service: str) -> Any:
        """The client of that service."""
        if service not in self._clients:
            import boto3

            with told(service):
                self._clients[service] = boto3.client(
                    service, region_name=self._region, endpoint_url=self._endpoint_url
                )
        return self._clients[service]

    def pause(self) -> None:
        """Wait before asking again."""
        time.sleep(self._poll)
