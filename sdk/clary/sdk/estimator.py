"""An algorithm with its settings, ready to be fitted to data here or elsewhere."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from clary.algorithms import registry
from clary.runner.request import Distribution, Mode, check_job_name
from clary.sdk.backend import Backend, Plan, Resources, resolve
from clary.sdk.classic import canonical, other_names, renamed
from clary.sdk.home import new_name
from clary.sdk.inputs import Input, check_channels, understand, width_of
from clary.sdk.job import TrainingJob
from clary.sdk.progress import say
from clary.toolkit.errors import UserError
from clary.toolkit.spec import AlgorithmSpec

if TYPE_CHECKING:
    from typing_extensions import Self

    from clary.runner.splitting import Strategy
    from clary.runner.transform import Assemble
    from clary.sdk.arrays import RecordSet
    from clary.sdk.predictor import Predictor
    from clary.sdk.transformer import Transformer

_BATCH = 500  # rows


class Options(TypedDict, total=False):
    """The keywords that every estimator takes besides its hyperparameters."""

    backend: str | Backend
    output: str | Path | None
    output_path: str | Path | None
    data_location: str | None
    seed: int | None
    job_name: str | None
    base_job_name: str | None
    environment: Mapping[str, str] | None
    checkpoints: str | Path | None
    checkpoint_s3_uri: str | None
    input_mode: Mode
    tags: Sequence[Mapping[str, str]]
    max_run: int | None
    volume_size: int
    image_uri: str | None
    endpoint_url: str | None


class Estimator:
    """Any algorithm of the suite by its name; ``fit`` trains it, and a typed class exists for each.

    ``backend`` is ``local`` (processes of this machine), ``sagemaker``, or an object of your own. ``output``
    is the folder that holds the job's folder, or on SageMaker the address that holds the model. ``seed`` makes a
    run repeatable. ``checkpoints`` is a folder or address that outlives the job. ``max_run`` is in seconds.
    ``role``, ``instance_type``, ``volume_size``, ``tags``, ``image_uri`` and ``data_location`` (where data from
    here is uploaded) mean something on SageMaker; ``endpoint_url`` names another service with its protocol.
    ``output_path`` and ``checkpoint_s3_uri`` are the classic names of ``output`` and ``checkpoints``.
    """

    algorithm: ClassVar[str] = ""

    def __init__(
        self,
        algorithm: str,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        *,
        hyperparameters: Mapping[str, Any] | None = None,
        backend: str | Backend = "local",
        output: str | Path | None = None,
        output_path: str | Path | None = None,
        data_location: str | None = None,
        seed: int | None = None,
        job_name: str | None = None,
        base_job_name: str | None = None,
        environment: Mapping[str, str] | None = None,
        checkpoints: str | Path | None = None,
        checkpoint_s3_uri: str | None = None,
        input_mode: Mode = "File",
        tags: Sequence[Mapping[str, str]] = (),
        max_run: int | None = None,
        volume_size: int = 30,
        image_uri: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        self.spec: AlgorithmSpec = registry.spec(algorithm)
        if role is not None and not isinstance(role, str):
            raise TypeError(f"role must be a text; got {role!r} (hyperparameters are given by name)")
        if instance_count < 1:
            raise UserError(f"instance_count must be at least 1; got {instance_count}")
        target = output or output_path
        self._output = None if target is None else str(target)
        self._backend = resolve(backend, endpoint_url=endpoint_url, output=self._output, store=data_location)
        self._resources = Resources(
            instance_count=instance_count,
            instance_type=instance_type,
            role=role,
            volume_size=volume_size,
            image_uri=image_uri,
            tags=tuple(tags),
            environment=dict(environment or {}),
        )
        self._seed, self._max_run, self._input_mode = seed, max_run, input_mode
        self._job_name, self._base_name = job_name, base_job_name or self.spec.repository
        kept = checkpoints or checkpoint_s3_uri
        self._checkpoints = None if kept is None else str(kept)
        self._hyperparameters: dict[str, Any] = {}
        self.set_hyperparameters(**(hyperparameters or {}))
        self.latest_training_job: TrainingJob | None = None

    def hyperparameters(self) -> dict[str, str]:
        """The hyperparameters that have been set, under their declared names and as strings."""
        known = self.spec.hyperparameters.parameters()
        return {
            name: known[name].spell(value) if name in known else str(value)
            for name, value in self._hyperparameters.items()
        }

    def set_hyperparameters(self, **values: Any) -> None:
        """Set or replace hyperparameters, by any of their names; None takes one back."""
        together = self._hyperparameters | canonical(values, self.spec)
        self._hyperparameters = {name: value for name, value in together.items() if value is not None}

    def record_set(
        self, train: Any, labels: Any = None, channel: str = "train", *, distribution: Distribution | None = None
    ) -> RecordSet:
        """The rows, held ready for that channel of ``fit``; an error names what is no finite number.

        On several hosts training rows are shared out and others are given to all, unless ``distribution`` says
        ``FullyReplicated`` or ``ShardedByS3Key``.
        """
        from clary.sdk.arrays import RecordSet, as_records

        given = train if labels is None else (train, labels)
        records = as_records(given, name=channel, missing=self.spec.capabilities.missing)
        return RecordSet(records, channel, distribution)

    def fit(
        self,
        train: Any = None,
        mini_batch_size: int | None = None,
        wait: bool = True,
        logs: bool | str = True,
        job_name: str | None = None,
        *,
        validation: Any = None,
        test: Any = None,
        label: Hashable | None = None,
        content_type: str | Mapping[str, str] | None = None,
        **channels: Any,
    ) -> TrainingJob:
        """The training job: over, unless ``wait`` is false. TrainingFailedError gives the reason of a failure.

        Each channel is a path (file, folder or pattern), an ``s3://`` address, an array, a SciPy sparse matrix,
        a pandas or polars data frame, a ``record_set`` or a ``TrainingInput``; features with labels are a pair,
        or a data frame whose labels are the column that ``label`` names. Time series are a list of dicts.
        ``train`` may also be a dict of channels or a list of record sets. The content type of files is told
        by their names, or by ``content_type`` for all channels or by channel. Every problem with
        hyperparameters and data that can be seen from here is raised before anything starts.
        """
        if hasattr(mini_batch_size, "__len__"):
            raise TypeError("features and labels are a pair: fit((rows, labels)) or fit(train=(rows, labels))")
        given = _channels(train, {"validation": validation, "test": test, **channels})
        inputs = self._inputs(given, content_type, label)
        values = self.hyperparameters()
        if mini_batch_size is not None:
            values["mini_batch_size"] = str(mini_batch_size)
        values |= self._measured(values, inputs)
        self.spec.parse(values)
        name = job_name or self._job_name or new_name(self._base_name)
        check_job_name(name)
        plan = Plan(
            name=name,
            spec=self.spec,
            hyperparameters=values,
            inputs=inputs,
            resources=self._resources,
            output=self._output,
            checkpoints=self._checkpoints,
            seed=self._seed,
            max_run=self._max_run,
        )
        job = TrainingJob(self._backend.train(plan), self._backend, self._resources)
        self.latest_training_job = job
        return self._awaited(job, logs=bool(logs)) if wait else job

    def deploy(self, *args: Any, **options: Any) -> Predictor:
        """A predictor over an endpoint with the latest job's model; the arguments are those of ``Model.deploy``."""
        return self._job().deploy(*args, **options)

    def transformer(
        self,
        instance_count: int = 1,
        instance_type: str | None = None,
        strategy: Strategy | None = None,
        assemble_with: Assemble | None = None,
        output_path: str | Path | None = None,
        accept: str | None = None,
        env: dict[str, str] | None = None,
        max_concurrent_transforms: int | None = None,
        max_payload: int | None = None,
    ) -> Transformer:
        """Batch transform with the latest job's model, in the classic two steps."""
        from clary.sdk.transformer import Transformer

        settings = {
            "instance_count": instance_count,
            "instance_type": instance_type,
            "strategy": strategy,
            "assemble_with": assemble_with,
            "accept": accept,
            "environment": env,
            "max_concurrent_transforms": max_concurrent_transforms,
            "max_payload": max_payload,
        }
        return Transformer(self._job().model, output_path, settings)

    @property
    def model_data(self) -> str:
        """Where the latest job's model is."""
        return self._job().model_data

    @classmethod
    def attach(
        cls, training_job_name: str | Path, *, backend: str | Backend = "local", endpoint_url: str | None = None
    ) -> Self:
        """An estimator whose ``latest_training_job`` is the job of that name, or in that folder."""
        job = TrainingJob.attach(training_job_name, backend=backend, endpoint_url=endpoint_url)
        if cls.algorithm and cls.algorithm != job.algorithm:
            raise UserError(f"job {job.name} is one of {job.algorithm}, not of {cls.algorithm}")
        made = cls.__new__(cls)
        Estimator.__init__(
            made, job.algorithm, hyperparameters=job.hyperparameters, backend=backend, endpoint_url=endpoint_url
        )
        made.latest_training_job = job
        return made

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._hyperparameters.items())
        return f"{type(self).__name__}({settings})"

    def _job(self) -> TrainingJob:
        if self.latest_training_job is None:
            raise UserError("there is no model yet: call fit() first, or attach() a job")
        return self.latest_training_job

    def _inputs(
        self, given: Mapping[str, Any], content_type: str | Mapping[str, str] | None, label: Hashable | None
    ) -> dict[str, Input]:
        check_channels(given, self.spec)
        types = content_type if isinstance(content_type, Mapping) else dict.fromkeys(given, content_type)
        strangers = [name for name in types if name not in given]
        if strangers:
            raise UserError(f"content_type names channels that have no data: {', '.join(strangers)}")
        return {
            name: understand(name, data, self.spec, content_type=types.get(name), mode=self._input_mode, label=label)
            for name, data in given.items()
        }

    def _measured(self, values: Mapping[str, str], inputs: Mapping[str, Input]) -> dict[str, str]:
        """The hyperparameters that the data tells and the user did not set."""
        wanted = [name for name in self.spec.measured if name not in values]
        if not wanted or "train" not in inputs:
            return {}
        given = inputs["train"]
        told = {}
        for name in wanted:
            batch = self.spec.measured[name] == "mini_batch_size"
            told[name] = str(self._batch(given) if batch else self._width(given))
        return told

    def _batch(self, given: Input) -> int:
        """As in the classic SDK: 500 rows, and fewer where a host has no more."""
        rows = _BATCH if given.records is None else len(given.records) // self._resources.instance_count
        return min(_BATCH, max(1, rows))

    def _width(self, given: Input) -> int:
        if given.records is not None:
            return given.records.width
        declared = self.spec.channel("train")
        assert declared is not None
        with self._backend.open_first(given) as (stream, source):
            return width_of(stream, given.content_type or declared.default_type, source)

    def _awaited(self, job: TrainingJob, *, logs: bool) -> TrainingJob:
        try:
            return job.wait(logs=logs)
        except KeyboardInterrupt:
            if self._backend.ends_with_caller:
                say(f"stopping {job.name}; the model so far is kept")
                job.stop()
            raise


class TypedEstimator(Estimator):
    """The base of the generated classes: one algorithm, hyperparameters as arguments, old names accepted.

    As in the classic SDK a hyperparameter is an attribute too, to be read and set; None where it is not set.
    """

    def __init__(
        self,
        role: str | None,
        instance_count: int,
        instance_type: str | None,
        hyperparameters: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> None:
        spec = registry.spec(self.algorithm)
        # A keyword that means both, such as ``seed``, is the hyperparameter.
        alone = Options.__annotations__.keys() - spec.hyperparameters.parameters().keys()
        own = {name: value for name, value in options.items() if name in alone}
        others = {name: value for name, value in options.items() if name not in alone}
        chosen = {name: value for name, value in hyperparameters.items() if value is not None}
        super().__init__(
            self.algorithm,
            role,
            instance_count,
            instance_type,
            hyperparameters=renamed(chosen | others, spec),
            **own,
        )

    if not TYPE_CHECKING:
        # Type checkers know the arguments, and so refuse any other name.
        def __getattr__(self, name: str) -> Any:
            if (hyperparameter := self._hyperparameter(name)) is not None:
                return self._hyperparameters.get(hyperparameter)
            raise AttributeError(f"{type(self).__name__} has no {name!r}")

        def __setattr__(self, name: str, value: Any) -> None:
            if self._hyperparameter(name) is None:
                super().__setattr__(name, value)
            else:
                self.set_hyperparameters(**{name: value})

    def _hyperparameter(self, name: str) -> str | None:
        """The declared name of the hyperparameter that is called so, if there is one."""
        spec: AlgorithmSpec | None = self.__dict__.get("spec")
        if spec is None:
            return None
        declared = other_names(spec).get(name, name)
        return declared if declared in spec.hyperparameters.parameters() else None


# What the classic SDK calls the first argument of ``fit``.
_CLASSIC_TRAIN = {"inputs", "records"}


def _channels(train: Any, others: Mapping[str, Any]) -> dict[str, Any]:
    """The data of every channel by name, from all the forms in which it may be given."""
    from_others = {name: data for name, data in others.items() if data is not None}
    for classic in _CLASSIC_TRAIN & from_others.keys():
        if train is not None:
            raise UserError(f"{classic} is another name of train, which was given too")
        train = from_others.pop(classic)
    if isinstance(train, Mapping) and all(isinstance(name, str) for name in train):
        first = dict(train)
    else:
        sets = _record_sets(train)
        first = {each.channel: each for each in sets} if sets else {} if train is None else {"train": train}
        if len(first) < len(sets):
            raise UserError("two of the record sets are for one channel; join them, or name a channel for each")
    if twice := first.keys() & from_others.keys():
        raise UserError(f"channel {min(twice)} was given twice")
    return first | from_others


def _record_sets(train: Any) -> list[RecordSet]:
    candidates = train if isinstance(train, (list, tuple)) else [train]
    if not any(type(each).__name__ == "RecordSet" for each in candidates):
        return []
    from clary.sdk.arrays import RecordSet

    sets = [each for each in candidates if isinstance(each, RecordSet)]
    if len(sets) < len(candidates):
        raise UserError("a list for fit() holds record sets only, or paths only")
    return sets
