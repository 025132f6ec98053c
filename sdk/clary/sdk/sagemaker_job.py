"""A training job on SageMaker: described, followed through its log, stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clary.algorithms import registry
from clary.runner.metrics import Extractor, History, Metrics, Point
from clary.sdk.aws import Aws
from clary.sdk.backend import Resources, Status
from clary.sdk.s3 import told
from clary.toolkit.errors import PlatformError, UserError

_LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class SageMakerJob:
    """A training job on the service."""

    def __init__(self, name: str, aws: Aws) -> None:
        self.name, self._aws = name, aws
        self._last: Mapping[str, Any] | None = None

    @property
    def algorithm(self) -> str:
        """The image's repository name."""
        image = str(self._described()["AlgorithmSpecification"]["TrainingImage"])
        return image.rpartition("/")[2].partition(":")[0]

    @property
    def hyperparameters(self) -> Mapping[str, str]:
        """The job's hyperparameters as strings."""
        found: Mapping[str, str] = self._described().get("HyperParameters", {})
        return found

    @property
    def resources(self) -> Resources:
        """What the job runs on."""
        found = self._described()
        return Resources(
            instance_count=found["ResourceConfig"]["InstanceCount"],
            instance_type=found["ResourceConfig"].get("InstanceType"),
            role=found.get("RoleArn"),
            image_uri=found["AlgorithmSpecification"].get("TrainingImage"),
        )

    def status(self) -> Status:
        """Where the job stands."""
        found: Status = self._described()["TrainingJobStatus"]
        return found

    def failure(self) -> str | None:
        """Why the job failed, or None."""
        return self._described().get("FailureReason")

    def lines(self) -> Iterator[str]:
        """The log from its beginning; waits for more while the job runs."""
        tokens: dict[str, str] = {}
        while True:
            over = self.status() not in ("InProgress", "Stopping")
            yield from (text for _, text in self._events(tokens))
            if over:
                return
            self._aws.pause()

    def log(self) -> str:
        """The log so far."""
        return "\n".join(text for _, text in self._events({}))

    def metrics(self) -> Metrics:
        """What the log reports, and the final values that only the service has."""
        spec = registry.spec(self.algorithm)
        extractor = Extractor(spec.metrics)
        for when, text in self._events({}):
            extractor.read(text, when)
        found = dict(extractor.metrics)
        goals = {metric.name: metric.goal for metric in spec.metrics}
        for entry in self._described().get("FinalMetricDataList", ()):
            name = entry["MetricName"]
            if name not in found and name in goals:
                found[name] = History(name, goals[name], [Point(entry["Value"], entry["Timestamp"].timestamp())])
        return Metrics(found.values())

    def wait(self, timeout: float | None) -> Status:
        """Wait for the end, for at most that many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.status()) in ("InProgress", "Stopping"):
            if deadline is not None and time.monotonic() >= deadline:
                break
            self._aws.pause()
        return status

    def stop(self) -> None:
        """Ask for an early end; a job that is over stays as it is."""
        if self.status() == "InProgress":
            with told(f"job {self.name}"):
                self._aws.client("sagemaker").stop_training_job(TrainingJobName=self.name)

    def model(self) -> str:
        """The address of the model archive; UserError if the job has none."""
        address = self._described().get("ModelArtifacts", {}).get("S3ModelArtifacts")
        if not address:
            raise UserError(f"job {self.name} has no model: its status is {self.status()}")
        return str(address)

    def _described(self) -> Mapping[str, Any]:
        """The service's description; asked once more only while the job can still change."""
        if self._last is None or self._last["TrainingJobStatus"] in ("InProgress", "Stopping"):
            with told(f"job {self.name}"):
                self._last = self._aws.client("sagemaker").describe_training_job(TrainingJobName=self.name)
        assert self._last is not None
        return self._last

    def _events(self, tokens: dict[str, str]) -> Iterator[tuple[float, str]]:
        """Time and text of the log's events behind the tokens, which are moved on; none before there is a log."""
        logs = self._aws.client("logs")
        for stream in self._streams(logs):
            while True:
                position = {"nextToken": tokens[stream]} if stream in tokens else {}
                answer = logs.get_log_events(
                    logGroupName=_LOG_GROUP, logStreamName=stream, startFromHead=True, **position
                )
                yield from ((event["timestamp"] / 1000, event["message"]) for event in answer["events"])
                before, tokens[stream] = tokens.get(stream), answer["nextForwardToken"]
                if not answer["events"] or before == tokens[stream]:
                    break

    def _streams(self, logs: Any) -> Sequence[str]:
        from botocore.exceptions import ClientError

        try:
            answer = logs.describe_log_streams(logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{self.name}/")
        except ClientError as error:
            if error.response["Error"].get("Code") == "ResourceNotFoundException":
                return ()
            raise PlatformError(f"the log of job {self.name} cannot be read: {error}") from error
        return [stream["logStreamName"] for stream in answer["logStreams"]]
