"""A trained model, ready for an endpoint or for whole files."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from clary.algorithms import registry
from clary.runner.splitting import Split, Strategy
from clary.runner.transform import Assemble, TransformRequest
from clary.sdk.backend import Backend, Hosting, ModelSource, Resources, resolve
from clary.sdk.home import new_name
from clary.sdk.inputs import SPLITS, understand_payload
from clary.sdk.predictor import Predictor
from clary.toolkit import media
from clary.toolkit.artifact import MANIFEST
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.spec import AlgorithmSpec


class Model:
    """A ``model.tar.gz`` or the folder that it was packed from, by path, or by address where a backend reads one.

    ``algorithm`` is needed only for a model that another program made.
    """

    def __init__(
        self,
        model_data: str | Path,
        algorithm: str | None = None,
        role: str | None = None,
        *,
        backend: str | Backend = "local",
        image_uri: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        self._backend = resolve(backend, endpoint_url=endpoint_url)
        address = isinstance(model_data, str) and model_data.startswith("s3://")
        location = model_data if address else Path(model_data).expanduser().absolute()
        spec = registry.spec(algorithm or _algorithm_of(location))
        self._source = ModelSource(location=location, spec=spec, name=spec.repository)
        self._resources = Resources(role=role, image_uri=image_uri)

    @property
    def spec(self) -> AlgorithmSpec:
        """The declaration of the model's algorithm."""
        return self._source.spec

    def deploy(
        self,
        initial_instance_count: int = 1,
        instance_type: str | None = None,
        serializer: str | None = None,
        deserializer: str | None = None,
        endpoint_name: str | None = None,
        *,
        workers: int | None = None,
        port: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> Predictor:
        """A predictor over an endpoint that is ready; on this machine, a server process."""
        hosting = self._hosting(endpoint_name, initial_instance_count, instance_type, workers, port, environment)
        connection = self._backend.deploy(self._source, hosting)
        return Predictor(connection, self.spec, serializer=serializer, deserializer=deserializer)

    def transform(
        self,
        data: Any,
        output: str | Path | None = None,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        split_type: Split | None = None,
        strategy: Strategy | None = None,
        assemble_with: Assemble | None = None,
        max_concurrent_transforms: int | None = None,
        max_payload: int | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        workers: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> list[Path | str]:
        """Score whole files: a path, folder, address or data in memory; where the answers are comes back.

        For each input there is one output in the folder ``output`` (here, the current one if it is not given),
        named like the input with ``.out`` behind.
        ``max_payload`` is in MB. Order is kept, and an output appears whole or not at all.
        """
        given = understand_payload(data, self.spec, content_type=content_type)
        if given.content_type is None:
            raise UserError(f"say what {data} holds with content_type=")
        request = TransformRequest(
            content_type=given.content_type,
            accept=accept or _answer_type(self.spec),
            split=split_type or SPLITS.get(MediaType.parse(given.content_type).name, "None"),
            strategy=strategy,
            assemble=assemble_with or _assembly(accept or _answer_type(self.spec)),
            concurrent=max_concurrent_transforms,
            payload_mb=max_payload,
        )
        hosting = self._hosting(None, instance_count, instance_type, workers, None, environment)
        target = None if output is None else str(output)
        return self._backend.transform(self._source, given, target, request, hosting)

    def __repr__(self) -> str:
        return f"Model({str(self._source.location)!r}, {self.spec.name!r})"

    @classmethod
    def of_job(
        cls, location: str | Path, spec: AlgorithmSpec, name: str, backend: Backend, resources: Resources
    ) -> Model:
        """The model that a job made, on the backend and with the role of that job."""
        made = cls.__new__(cls)
        made._backend, made._resources = backend, resources
        made._source = ModelSource(location=location, spec=spec, name=name)
        return made

    def _hosting(
        self,
        name: str | None,
        instance_count: int,
        instance_type: str | None,
        workers: int | None,
        port: int | None,
        environment: dict[str, str] | None,
    ) -> Hosting:
        resources = Resources(
            instance_count=instance_count,
            instance_type=instance_type,
            role=self._resources.role,
            image_uri=self._resources.image_uri,
            tags=self._resources.tags,
            environment=environment or {},
        )
        return Hosting(name=name or new_name(self.spec.repository), resources=resources, workers=workers, port=port)


def _algorithm_of(location: str | Path) -> str:
    """The algorithm that the model's manifest names; UserError if it has none to read."""
    hint = "name its algorithm: Model(path, algorithm)"
    if not isinstance(location, Path):
        raise UserError(f"{location} cannot be looked into from here; {hint}")
    try:
        if location.is_dir():
            content = (location / MANIFEST).read_bytes()
        else:
            with tarfile.open(location, "r:*") as tar:
                member = next((each for each in tar if each.name.removeprefix("./") == MANIFEST), None)
                stream = None if member is None else tar.extractfile(member)
                content = b"" if stream is None else stream.read()
        return str(json.loads(content)["algorithm"])
    except FileNotFoundError:
        if location.exists():
            raise UserError(f"{location} holds no {MANIFEST}; {hint}") from None
        raise UserError(f"there is no model at {location}") from None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{location} is no model archive: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{location} holds no {MANIFEST} that names its algorithm; {hint}") from error


def _answer_type(spec: AlgorithmSpec) -> str:
    """Lines can be joined; documents cannot."""
    responses = spec.payloads.responses
    return media.JSON_LINES if media.JSON_LINES in responses else responses[0]


def _assembly(accept: str) -> Assemble:
    return "Line" if MediaType.parse(accept).name in (media.CSV, media.JSON_LINES) else "None"
