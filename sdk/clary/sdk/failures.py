"""What the SDK raises when a job or an endpoint says no."""

from __future__ import annotations

from clary.toolkit.errors import PlatformError, UserError


class TrainingFailedError(UserError):
    """The training job failed; the text is the job's own reason, ``job`` its name."""

    def __init__(self, job: str, reason: str) -> None:
        self.job, self.reason = job, reason
        super().__init__(f"training job {job} failed: {reason}")


class RequestRefusedError(UserError):
    """The endpoint could not use the request (status 4xx); the text is the server's reason."""

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(f"the endpoint refused the request (status {status}): {reason}")


class EndpointFailedError(PlatformError):
    """The endpoint failed to answer (status 5xx, or it could not be reached); the text is the server's reason."""

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(f"the endpoint failed (status {status}): {reason}" if status else reason)
