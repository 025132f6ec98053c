"""Jobs and endpoints on SageMaker, or on any service that speaks its API, through boto3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from clary.runner.placement import find
from clary.runner.transform import TransformRequest
from clary.sdk.aws import Aws
from clary.sdk.backend import Hosting, JobHandle, ModelSource, Plan, Resources
from clary.sdk.inputs import Input, open_first
from clary.sdk.s3 import S3, split, told
from clary.sdk.sagemaker_endpoint import SageMakerConnection
from clary.sdk.sagemaker_job import SageMakerJob
from clary.toolkit.errors import PlatformError, UserError
from clary.toolkit.spec import AlgorithmSpec

_MAX_RUN = 86_400


class SageMakerBackend:
    """Creates jobs, models and endpoints under the role that the estimator names.

    Credentials and region come from where boto3 finds them. ``images`` maps algorithms to image addresses for
    estimators without an ``image_uri``; ``bucket_prefix`` is the ``s3://`` address under which data from here
    is stored, by default below the job's output. ``clients`` replaces boto3's, by service name.
    """

    ends_with_caller = False

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        images: Mapping[str, str] | None = None,
        bucket_prefix: str | None = None,
        clients: Mapping[str, Any] | None = None,
        poll_seconds: float = 5.0,
    ) -> None:
        self._aws = Aws(endpoint_url=endpoint_url, region=region, clients=clients, poll_seconds=poll_seconds)
        self._images, self._prefix = dict(images or {}), bucket_prefix

    def open_first(self, given: Input) -> AbstractContextManager[tuple[BinaryIO, str]]:
        """The first file of the channel, open at its start, and its name."""
        return open_first(given, self._s3)

    def train(self, plan: Plan) -> JobHandle:
        """Upload what is not on S3 yet, and create the job."""
        resources = plan.resources
        output = _needed(plan.output, "output", "an s3:// address for the model")
        split(output)
        request: dict[str, Any] = {
            "TrainingJobName": plan.name,
            "AlgorithmSpecification": {
                "TrainingImage": self._image(plan.spec, resources),
                "TrainingInputMode": "File",
            },
            "RoleArn": _needed(resources.role, "role", "the ARN of the role that the job runs as"),
            "OutputDataConfig": {"S3OutputPath": output},
            "ResourceConfig": {
                "InstanceCount": resources.instance_count,
                "InstanceType": _instance(resources),
                "VolumeSizeInGB": resources.volume_size,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": plan.max_run or _MAX_RUN},
            "HyperParameters": dict(plan.hyperparameters),
        }
        environment = dict(resources.environment)
        if plan.seed is not None:
            environment["CLARY_SEED"] = str(plan.seed)
        if environment:
            request["Environment"] = environment
        if resources.tags:
            request["Tags"] = [dict(tag) for tag in resources.tags]
        if plan.checkpoints is not None:
            split(plan.checkpoints)
            request["CheckpointConfig"] = {"S3Uri": plan.checkpoints}
        request["InputDataConfig"] = [self._channel(given, plan, output) for given in plan.inputs.values()]
        with told(f"job {plan.name}"):
            self._aws.client("sagemaker").create_training_job(**request)
        return SageMakerJob(plan.name, self._aws)

    def attach(self, name: str) -> JobHandle:
        """The job of that name."""
        return SageMakerJob(name, self._aws)

    def deploy(self, model: ModelSource, hosting: Hosting) -> SageMakerConnection:
        """Create model, configuration and endpoint, and wait until it is in service."""
        service, resources, name = self._aws.client("sagemaker"), hosting.resources, hosting.name
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InitialInstanceCount": resources.instance_count,
            "InstanceType": _instance(resources),
            "InitialVariantWeight": 1.0,
        }
        tags = [dict(tag) for tag in resources.tags]
        self._create_model(name, model, resources)
        with told(f"endpoint {name}"):
            service.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=tags)
            service.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
        self._await(
            f"endpoint {name}", lambda: service.describe_endpoint(EndpointName=name), "EndpointStatus", "InService"
        )
        return SageMakerConnection(name, self._aws)

    def transform(
        self, model: ModelSource, given: Input, output: str | None, request: TransformRequest, hosting: Hosting
    ) -> list[Path | str]:
        """Create a transform job and wait for it; the answers' addresses, or files if ``output`` is a folder."""
        name, service = hosting.name, self._aws.client("sagemaker")
        base = output if output is not None and output.startswith("s3://") else self._prefix
        target = _needed(base, "output", "an s3:// address for the answers").rstrip("/")
        target = target if base is output else f"{target}/{name}/output"
        self._create_model(name, model, hosting.resources)
        source, kind = self._source(given, f"{target}/{name}-input", shards=1)
        job: dict[str, Any] = {
            "TransformJobName": name,
            "ModelName": name,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": source}},
                "ContentType": request.content_type,
                "SplitType": request.split,
            },
            "TransformOutput": {
                "S3OutputPath": target,
                "AssembleWith": request.assemble,
                **({"Accept": request.accept} if request.accept else {}),
            },
            "TransformResources": {
                "InstanceCount": hosting.resources.instance_count,
                "InstanceType": _instance(hosting.resources),
            },
        }
        settings = {
            "BatchStrategy": request.strategy,
            "MaxConcurrentTransforms": request.concurrent,
            "MaxPayloadInMB": request.payload_mb,
        }
        job |= {key: value for key, value in settings.items() if value is not None}
        with told(f"transform job {name}"):
            service.create_transform_job(**job)
        self._await(
            f"transform job {name}",
            lambda: service.describe_transform_job(TransformJobName=name),
            "TransformJobStatus",
            "Completed",
        )
        return self._answers(given, target, output)

    def _s3(self) -> S3:
        return S3(client=self._aws.client("s3"))

    def _image(self, spec: AlgorithmSpec, resources: Resources) -> str:
        image = resources.image_uri or self._images.get(spec.repository) or self._images.get(spec.name)
        return _needed(image, "image_uri", f"the address of the image for {spec.title}")

    def _channel(self, given: Input, plan: Plan, output: str) -> dict[str, Any]:
        """The channel's member of InputDataConfig, its data uploaded."""
        shards = plan.shards(given)
        base = (self._prefix or f"{output.rstrip('/')}/{plan.name}/input").rstrip("/")
        place = f"{base}/{plan.spec.class_name}-{plan.name}/{given.channel}"
        address, kind = self._source(given, place, shards=shards)
        sharded = given.distribution or (
            "ShardedByS3Key" if shards > 1 and kind == "ManifestFile" else "FullyReplicated"
        )
        source = {"S3DataType": kind, "S3Uri": address, "S3DataDistributionType": sharded}
        channel: dict[str, Any] = {"ChannelName": given.channel, "DataSource": {"S3DataSource": source}}
        declared = plan.spec.channel(given.channel)
        # Data from memory come without a type, as the classic record set does, where the algorithm expects theirs.
        expected = given.in_memory and declared is not None and given.content_type == declared.default_type
        if given.content_type is not None and not expected:
            channel["ContentType"] = given.content_type
        if given.mode != "File":
            channel["InputMode"] = given.mode
        return channel

    def _source(self, given: Input, place: str, *, shards: int) -> tuple[str, str]:
        """Where the data is on S3, uploaded if it was here, and the data type of that address."""
        if given.s3 is not None:
            return given.s3, "S3Prefix"
        if not given.in_memory:
            for key, path in find(given.paths, channel=given.channel).items():
                self._s3().upload_file(path, f"{place}/{key}")
            return f"{place}/", "S3Prefix"
        from tempfile import TemporaryDirectory

        from clary.sdk.shards import MANIFEST, manifest, write_shards

        with TemporaryDirectory(prefix="clary-upload-") as scratch:
            names = write_shards(given, Path(scratch), shards)
            for name in names:
                self._s3().upload_file(Path(scratch) / name, f"{place}/{name}")
        self._s3().upload(manifest(f"{place}/", names), f"{place}/{MANIFEST}")
        return f"{place}/{MANIFEST}", "ManifestFile"

    def _create_model(self, name: str, model: ModelSource, resources: Resources) -> None:
        role = _needed(resources.role, "role", "the ARN of the role that the model runs as")
        if isinstance(model.location, Path):
            prefix = _needed(self._prefix, "bucket_prefix", "an s3:// address to upload the model to")
            address = f"{prefix.rstrip('/')}/{name}/model.tar.gz"
            self._s3().upload_file(model.location, address)
        else:
            address = model.location
        container = {
            "Image": self._image(model.spec, resources),
            "ModelDataUrl": address,
            "Environment": dict(resources.environment),
        }
        with told(f"model {name}"):
            self._aws.client("sagemaker").create_model(
                ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container
            )

    def _await(self, subject: str, describe: Callable[[], Mapping[str, Any]], status: str, wanted: str) -> None:
        while True:
            with told(subject):
                answer = describe()
            if answer[status] == wanted:
                return
            if answer[status] in ("Failed", "Stopped", "OutOfService"):
                raise PlatformError(
                    f"{subject} is {answer[status]}: {answer.get('FailureReason', 'no reason given')}"
                )
            self._aws.pause()

    def _answers(self, given: Input, target: str, output: str | None) -> list[Path | str]:
        """The outputs' addresses, or the files that they were fetched into."""
        if output is None or output.startswith("s3://"):
            if given.in_memory:
                from clary.sdk.shards import names_of

                return [f"{target}/{name}.out" for name in names_of(given, 1)]
            if given.s3 is not None:
                return [f"{target}/{PurePosixPath(given.s3).name}.out"]
            return [f"{target}/{key}.out" for key in find(given.paths, channel=given.channel)]
        folder = Path(output).expanduser()
        self._s3().download(f"{target}/", folder)
        return sorted(folder.rglob("*.out"))


def _needed(value: str | None, name: str, what: str) -> str:
    if not value:
        raise UserError(f"SageMaker needs {name}=, {what}")
    return value


def _instance(resources: Resources) -> str:
    return _needed(resources.instance_type, "instance_type", "for example 'ml.m5.large'")
