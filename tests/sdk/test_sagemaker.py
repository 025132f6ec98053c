"""The same call on SageMaker: requests that botocore accepts, data where the service looks, answers read back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

import cloud
from clary.sdk import (
    EndpointFailedError,
    Estimator,
    KMeans,
    LinearLearner,
    Model,
    RequestRefusedError,
    TrainingFailedError,
    TrainingInput,
    TrainingJob,
    XGBoost,
)
from clary.sdk.sagemaker import SageMakerBackend
from clary.toolkit import tabular
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType

ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)
IMAGE = "111122223333.dkr.ecr.us-west-2.amazonaws.com/kmeans:1"
ROLE = "arn:aws:iam::111122223333:role/Trainer"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[cloud.Cloud]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    with cloud.running() as made:
        yield made


def backend(service: cloud.Cloud, **settings: Any) -> SageMakerBackend:
    names = ("sagemaker", "sagemaker-runtime", "s3", "logs")
    clients = {name: boto3.client(name, endpoint_url=service.url) for name in names}
    return SageMakerBackend(clients=clients, images={"kmeans": IMAGE}, poll_seconds=0.01, **settings)


def estimator(service: cloud.Cloud, **settings: Any) -> KMeans:
    given: dict[str, Any] = {"instance_type": "ml.m5.large", "k": 2, "output": "s3://b/out"} | settings
    return KMeans(ROLE, backend=backend(service), **given)


def test_rows_in_memory_travel_in_the_layout_of_record_sets(service: cloud.Cloud) -> None:
    job = estimator(service, instance_count=2).fit(train=ROWS, logs=False, job_name="mine")
    request = service.request("CreateTrainingJob")
    place = "s3://b/out/mine/input/KMeans-mine/train/"
    assert request["InputDataConfig"] == [
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "ManifestFile",
                    "S3Uri": f"{place}.amazon.manifest",
                    "S3DataDistributionType": "ShardedByS3Key",
                }
            },
        }
    ]
    stored = {key.removeprefix("b/out/mine/input/KMeans-mine/train/"): body for key, body in service.objects.items()}
    assert json.loads(stored[".amazon.manifest"]) == [{"prefix": place}, "matrix_0.pbr", "matrix_1.pbr"]
    kind = MediaType("application/x-recordio-protobuf")
    shards = [tabular.decode(stored[f"matrix_{n}.pbr"], kind).dense() for n in range(2)]
    np.testing.assert_array_equal(np.concatenate(shards), ROWS)
    assert request["HyperParameters"] == {"k": "2", "feature_dim": "2"}
    assert job.status == "Completed"
    assert job.model_path == "s3://b/out/mine/output/model.tar.gz"


def test_the_request_says_all_that_the_estimator_was_told(service: cloud.Cloud, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2\n3,4\n")
    made = estimator(
        service,
        seed=5,
        max_run=60,
        environment={"A": "b"},
        tags=[{"Key": "team", "Value": "blue"}],
        checkpoints="s3://b/kept",
    )
    data = TrainingInput(str(tmp_path / "rows.csv"), input_mode="Pipe", distribution="ShardedByS3Key")
    made.fit(
        train=data, test="s3://b/test/", content_type={"test": "text/csv;label_size=0"}, job_name="j", wait=False
    )
    request = service.request("CreateTrainingJob")
    train, test = request.pop("InputDataConfig")
    assert request == {
        "TrainingJobName": "j",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"k": "2", "feature_dim": "2"},
        "Environment": {"A": "b", "CLARY_SEED": "5"},
        "Tags": [{"Key": "team", "Value": "blue"}],
        "CheckpointConfig": {"S3Uri": "s3://b/kept"},
    }
    assert (train["ContentType"], train["InputMode"]) == ("text/csv;label_size=0", "Pipe")
    assert train["DataSource"]["S3DataSource"]["S3DataDistributionType"] == "ShardedByS3Key"
    assert service.objects["b/out/j/input/KMeans-j/train/rows.csv"] == b"1,2\n3,4\n"
    assert test["DataSource"]["S3DataSource"]["S3Uri"] == "s3://b/test/"


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (LinearLearner(predictor_type="regressor"), None),
        (XGBoost(num_round=1), "application/x-recordio-protobuf"),
    ],
)
def test_rows_with_labels_say_their_type_where_the_algorithm_expects_another(
    service: cloud.Cloud, made: Estimator, kind: str | None
) -> None:
    there = Estimator(
        made.spec.name,
        ROLE,
        instance_type="ml.m5.large",
        hyperparameters=made.hyperparameters(),
        backend=backend(service),
        image_uri=IMAGE,
        output="s3://b/out",
    )
    there.fit(train=(ROWS, ROWS[:, 0]), wait=False, job_name="mine")
    (channel,) = service.request("CreateTrainingJob")["InputDataConfig"]
    assert channel.get("ContentType") == kind
    stored = next(body for key, body in service.objects.items() if key.endswith("matrix_0.pbr"))
    (records,) = tabular.read(io.BytesIO(stored), MediaType("application/x-recordio-protobuf"), source="rows")
    assert records.labels is not None
    np.testing.assert_array_equal(records.labels[:, 0], ROWS[:, 0])


def test_log_and_metrics_come_back(service: cloud.Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    service.log = ["starting", "#quality_metric: host=algo-1, train msd <loss>=2.5"]
    job = estimator(service).fit(train=ROWS)
    assert capsys.readouterr().out == "".join(f"{line}\n" for line in service.log)
    assert job.logs.splitlines() == service.log
    assert {name: history.value for name, history in job.metrics.items()} == {"train:msd": 2.5, "test:msd": 4.25}


def test_a_failed_job_tells_its_reason(service: cloud.Cloud) -> None:
    service.failure = "ClientError: row 3"
    with pytest.raises(TrainingFailedError, match="ClientError: row 3"):
        estimator(service).fit(train=ROWS, logs=False)


def test_a_job_is_found_again_by_its_name_and_deployed(service: cloud.Cloud) -> None:
    estimator(service).fit(train=ROWS, logs=False, job_name="mine")
    found = TrainingJob.attach("mine", backend=backend(service))
    assert (found.algorithm, found.hyperparameters["k"]) == ("kmeans", "2")
    rows = [{"closest_cluster": 1.0, "distance_to_cluster": 0.5}] * len(ROWS)
    service.answer = (200, "application/json", json.dumps({"predictions": rows}).encode())
    with found.deploy(instance_type="ml.m5.large", endpoint_name="ep") as predictor:
        answers = predictor.predict(ROWS)
        assert predictor.url.endswith("/endpoints/ep/invocations")
    assert answers.closest_cluster.tolist() == [1.0] * len(ROWS)
    assert service.request("CreateModel") == {
        "ModelName": "ep",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {
            "Image": IMAGE,
            "ModelDataUrl": "s3://b/out/mine/output/model.tar.gz",
            "Environment": {},
        },
    }
    variant = service.request("CreateEndpointConfig")["ProductionVariants"][0]
    assert (variant["ModelName"], variant["InstanceType"], variant["InitialInstanceCount"]) == (
        "ep",
        "ml.m5.large",
        1,
    )
    kind, accept, body = service.invocations[0]
    assert (kind, accept) == ("application/x-recordio-protobuf", "application/json")
    np.testing.assert_array_equal(tabular.decode(body, MediaType(kind)).dense(), ROWS)
    assert service.operations()[-3:] == ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]


@pytest.mark.parametrize(("status", "error"), [(400, RequestRefusedError), (500, EndpointFailedError)])
def test_an_endpoints_refusal_is_told_in_its_own_words(
    service: cloud.Cloud, status: int, error: type[Exception]
) -> None:
    job = estimator(service).fit(train=ROWS, logs=False)
    predictor = job.deploy(instance_type="ml.m5.large")
    service.answer = (status, "text/plain", b"the row has 2 features")
    with pytest.raises(error, match="the row has 2 features"):
        predictor.predict(ROWS)


def test_whole_files_are_scored_by_a_transform_job(service: cloud.Cloud, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2\n")
    model = Model("s3://b/m/model.tar.gz", "kmeans", ROLE, backend=backend(service, bucket_prefix="s3://b/scratch"))
    written = model.transform(
        tmp_path / "rows.csv", tmp_path / "out", instance_type="ml.m5.large", max_payload=1, strategy="MultiRecord"
    )
    assert [Path(path).read_text() for path in written] == ["scored\n"]
    assert Path(written[0]).name == "rows.csv.out"
    request = service.request("CreateTransformJob")
    assert request["TransformInput"]["ContentType"] == "text/csv"
    assert request["TransformInput"]["SplitType"] == "Line"
    assert request["TransformOutput"]["Accept"] == "application/jsonlines"
    assert (request["BatchStrategy"], request["MaxPayloadInMB"]) == ("MultiRecord", 1)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"output": None}, "needs output="),
        ({"instance_type": None}, "needs instance_type="),
        ({"output": "somewhere"}, "s3://bucket/key"),
    ],
)
def test_what_the_service_needs_is_asked_for_before_anything_is_sent(
    service: cloud.Cloud, settings: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(UserError, match=wanted):
        estimator(service, **settings).fit(train=ROWS)
    assert service.requests == []


def test_role_and_image_are_asked_for(service: cloud.Cloud) -> None:
    with pytest.raises(UserError, match="needs image_uri="):
        Estimator(
            "kmeans",
            ROLE,
            instance_type="ml.m5.large",
            hyperparameters={"k": 2},
            backend="sagemaker",
            endpoint_url=service.url,
            output="s3://b/out",
        ).fit(train=ROWS)


def test_data_location_is_where_rows_are_uploaded(service: cloud.Cloud) -> None:
    made = Estimator(
        "kmeans",
        ROLE,
        1,
        "ml.m5.large",
        hyperparameters={"k": 2},
        backend="sagemaker",
        endpoint_url=service.url,
        output="s3://b/out",
        data_location="s3://b/sets",
        image_uri=IMAGE,
    )
    made.fit(made.record_set(ROWS), wait=False, job_name="j")
    assert "b/sets/KMeans-j/train/matrix_0.pbr" in service.objects


def test_data_on_s3_trains_a_job_of_this_machine(service: cloud.Cloud, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = "\n".join(",".join(map(str, row)) for row in rng.normal(size=(50, 3)).round(3))
    service.objects["b/data/one.csv"] = f"{text}\n".encode()
    service.objects["b/data/deep/two.csv"] = f"{text}\n".encode()
    made = KMeans(k=2, output=tmp_path, endpoint_url=service.url)
    job = made.fit(train="s3://b/data/", content_type="text/csv;label_size=0", logs=False)
    assert "processed a total of 100 examples" in job.logs
    assert job.hyperparameters["feature_dim"] == "3"
    with pytest.raises(UserError, match="there are no objects under s3://b/nothing/"):
        made.fit(train="s3://b/nothing/", content_type="text/csv;label_size=0")
