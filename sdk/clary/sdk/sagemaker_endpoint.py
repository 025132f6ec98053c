"""An endpoint on SageMaker: asked through the runtime API, deleted with what belongs to it."""

from __future__ import annotations

from clary.runner.invocation import Answer
from clary.sdk.aws import Aws
from clary.sdk.s3 import told

_PAYLOAD_LIMIT = 6_291_456


class SageMakerConnection:
    """An endpoint on the service."""

    payload_limit = _PAYLOAD_LIMIT

    def __init__(self, name: str, aws: Aws) -> None:
        self.name, self._aws = name, aws

    @property
    def url(self) -> str:
        """Where requests go."""
        base = self._aws.client("sagemaker-runtime").meta.endpoint_url
        return f"{base}/endpoints/{self.name}/invocations"

    def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        """The endpoint's answer, whatever its status."""
        from botocore.exceptions import ClientError

        runtime = self._aws.client("sagemaker-runtime")
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=self.name, Body=body, ContentType=content_type, Accept=accept
            )
        except ClientError as error:
            status = error.response.get("OriginalStatusCode") or error.response["ResponseMetadata"]["HTTPStatusCode"]
            text = error.response.get("OriginalMessage") or error.response["Error"].get("Message", "")
            return Answer(int(status), "text/plain", str(text).encode())
        return Answer(200, answer.get("ContentType", ""), answer["Body"].read())

    def close(self) -> None:
        """Delete endpoint, configuration and model."""
        service = self._aws.client("sagemaker")
        with told(f"endpoint {self.name}"):
            service.delete_endpoint(EndpointName=self.name)
            service.delete_endpoint_config(EndpointConfigName=self.name)
            service.delete_model(ModelName=self.name)
