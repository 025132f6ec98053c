"""Renders a declaration to what the service's ``CreateAlgorithm`` takes, as plain dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clary.toolkit.parameters import Parameter
from clary.toolkit.spec import AlgorithmSpec, Channel, Metric

Description = dict[str, Any]

CPU_INSTANCES = ("ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.m5.4xlarge", "ml.c5.xlarge", "ml.c5.2xlarge")
GPU_INSTANCES = ("ml.g4dn.xlarge", "ml.g5.xlarge", "ml.g5.2xlarge", "ml.p3.2xlarge")
LONGEST_TEXT = 1024
MOST_METRICS = 40  # the service takes no more definitions, so the last ones of a longer list are left out
MOST_VALUES = 30  # of a categorical range; a longer list becomes free text, which the algorithm itself checks

_TYPES = {"integer": "Integer", "continuous": "Continuous", "categorical": "Categorical", "text": "FreeText"}
_RANGES = {
    "integer": "IntegerParameterRangeSpecification",
    "continuous": "ContinuousParameterRangeSpecification",
}
_WIDEST = {"integer": 2**31 - 1, "continuous": 1e30}  # the service has no open range; these stand for one


def create_algorithm(spec: AlgorithmSpec, image: str) -> Description:
    """The request that registers the algorithm with that training and inference image."""
    return {
        "AlgorithmName": spec.repository,
        "AlgorithmDescription": spec.summary[:LONGEST_TEXT],
        "TrainingSpecification": training_specification(spec, image),
        "InferenceSpecification": inference_specification(spec, image),
    }


def training_specification(spec: AlgorithmSpec, image: str) -> Description:
    """Hyperparameters, channels, metrics and instance types."""
    parameters = [hyperparameter(each) for each in spec.hyperparameters.parameters().values()]
    return {
        "TrainingImage": image,
        "SupportedHyperParameters": parameters + [_inert(name, reason) for name, reason in spec.inert.items()],
        "SupportedTrainingInstanceTypes": _instances(spec),
        "SupportsDistributedTraining": spec.capabilities.hosts,
        "MetricDefinitions": [metric_definition(each) for each in spec.metrics[:MOST_METRICS]],
        "TrainingChannels": [training_channel(each) for each in spec.channels],
        "SupportedTuningJobObjectiveMetrics": [
            {"Type": each.goal, "MetricName": each.name} for each in spec.metrics[:MOST_METRICS]
        ],
    }


def inference_specification(spec: AlgorithmSpec, image: str) -> Description:
    """Request and response types of an endpoint."""
    return {
        "Containers": [{"Image": image}],
        "SupportedTransformInstanceTypes": _instances(spec),
        "SupportedRealtimeInferenceInstanceTypes": _instances(spec),
        "SupportedContentTypes": list(spec.payloads.requests),
        "SupportedResponseMIMETypes": list(spec.payloads.responses),
    }


def hyperparameter(parameter: Parameter) -> Description:
    """One entry of ``SupportedHyperParameters``; a range whose end is open gets the widest end there is."""
    described = parameter.describe()
    required = described["required"] is True
    kind = "text" if len(described["values"] or ()) > MOST_VALUES else described["type"]
    rendered = {
        "Name": described["name"],
        "Description": described["doc"][:LONGEST_TEXT],
        "Type": _TYPES[kind],
        "IsTunable": described["tunable"] is not None,
        "IsRequired": required,
    }
    if kind in _RANGES:
        rendered["Range"] = {_RANGES[kind]: _ends(described["range"], _WIDEST[kind])}
    elif kind == "categorical":
        rendered["Range"] = {"CategoricalParameterRangeSpecification": {"Values": described["values"]}}
    if not required and parameter.default is not None:
        rendered["DefaultValue"] = parameter.spell(parameter.default)
    return rendered


def metric_definition(metric: Metric) -> Description:
    """One entry of ``MetricDefinitions``."""
    return {"Name": metric.name, "Regex": metric.regex}


def training_channel(channel: Channel) -> Description:
    """One entry of ``TrainingChannels``."""
    return {
        "Name": channel.name,
        "Description": channel.doc[:LONGEST_TEXT],
        "IsRequired": channel.required is True,
        "SupportedContentTypes": list(channel.content_types),
        "SupportedCompressionTypes": ["None", "Gzip"],
        "SupportedInputModes": list(channel.input_modes),
    }


def _ends(range_: Description, widest: float) -> Description:
    low = -widest if range_["min"] is None else range_["min"]
    high = widest if range_["max"] is None else range_["max"]
    return {"MinValue": str(low), "MaxValue": str(high)}


def _inert(name: str, reason: str) -> Description:
    return {
        "Name": name,
        "Description": f"Accepted without effect: {reason}."[:LONGEST_TEXT],
        "Type": "FreeText",
        "IsTunable": False,
        "IsRequired": False,
    }


def _instances(spec: AlgorithmSpec) -> Sequence[str]:
    return [*CPU_INSTANCES, *(GPU_INSTANCES if spec.capabilities.gpu else ())]
