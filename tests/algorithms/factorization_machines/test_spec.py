"""The declaration of factorization machines against the managed algorithm's published tables."""

from __future__ import annotations

import re

import pytest

from clary.algorithms.factorization_machines.spec import SPEC
from clary.toolkit.errors import HyperparameterError
from factorization import settings

SEARCH = ([1e-8, 512.0], "Logarithmic")
STARTS = ["uniform", "normal", "constant"]
# name: type, choices, least, default, required, range and scale of a search
PUBLISHED = {
    "feature_dim": ("integer", None, 1, None, True, None),
    "num_factors": ("integer", None, 1, None, True, None),
    "predictor_type": ("categorical", ["binary_classifier", "regressor"], None, None, True, None),
    "bias_init_method": ("categorical", STARTS, None, "normal", False, None),
    "bias_init_scale": ("continuous", None, 0, None, False, SEARCH),
    "bias_init_sigma": ("continuous", None, 0, 0.01, False, SEARCH),
    "bias_init_value": ("continuous", None, None, None, False, SEARCH),
    "bias_lr": ("continuous", None, 0, 0.1, False, SEARCH),
    "bias_wd": ("continuous", None, 0, 0.01, False, SEARCH),
    "clip_gradient": ("continuous", None, None, None, False, None),
    "epochs": ("integer", None, 1, 1, False, ([1, 1000], "Linear")),
    "eps": ("continuous", None, None, None, False, None),
    "factors_init_method": ("categorical", STARTS, None, "normal", False, None),
    "factors_init_scale": ("continuous", None, 0, None, False, SEARCH),
    "factors_init_sigma": ("continuous", None, 0, 0.001, False, SEARCH),
    "factors_init_value": ("continuous", None, None, None, False, SEARCH),
    "factors_lr": ("continuous", None, 0, 0.0001, False, SEARCH),
    "factors_wd": ("continuous", None, 0, 0.00001, False, SEARCH),
    "linear_lr": ("continuous", None, 0, 0.001, False, SEARCH),
    "linear_init_method": ("categorical", STARTS, None, "normal", False, None),
    "linear_init_scale": ("continuous", None, 0, None, False, SEARCH),
    "linear_init_sigma": ("continuous", None, 0, 0.01, False, SEARCH),
    "linear_init_value": ("continuous", None, None, None, False, SEARCH),
    "linear_wd": ("continuous", None, 0, 0.001, False, SEARCH),
    "mini_batch_size": ("integer", None, 1, 1000, False, ([100, 10000], "Linear")),
    "rescale_grad": ("continuous", None, None, None, False, None),
}

# Lines that the managed algorithm prints, and the value in each.
OFFICIAL = {
    "test:rmse": ("#quality_metric: host=algo-1, test rmse <loss>=68.73201116365345", 68.73201116365345),
    "test:mse": ("#quality_metric: host=algo-1, test mse <loss>=4724.089358600583", 4724.089358600583),
    "test:absolute_loss": ("#quality_metric: host=algo-1, test absolute_loss <loss>=17.0", 17.0),
    "test:binary_classification_accuracy": (
        "#quality_metric: host=algo-1, test binary_classification_accuracy <score>=0.9734",
        0.9734,
    ),
    "test:binary_classification_cross_entropy": (
        "#quality_metric: host=algo-1, test binary_classification_cross_entropy <loss>=0.0894",
        0.0894,
    ),
    "test:binary_f_beta": ("#quality_metric: host=algo-1, test binary_f_1.000 <score>=0.8563", 0.8563),
    "train:rmse": ("#quality_metric: host=algo-1, train rmse <loss>=0.123", 0.123),
    "train:rmse:epoch": ("#quality_metric: host=algo-1, epoch=0, train rmse <loss>=0.123", 0.123),
    "train:rmse:batch": ("#quality_metric: host=algo-1, epoch=0, batch=0 train rmse <loss>=0.123", 0.123),
    "train:binary_f_beta:batch": (
        "#quality_metric: host=algo-1, epoch=0, batch=500 train binary_f_1.000 <score>=0.123",
        0.123,
    ),
}


def test_the_hyperparameters_are_the_published_ones() -> None:
    found = {
        each["name"]: (
            each["type"],
            each["values"],
            each["range"]["min"] if each["range"] else None,
            each["default"],
            each["required"],
            (each["tunable"]["range"], each["tunable"]["scaling"]) if each["tunable"] else None,
        )
        for each in SPEC.describe()["hyperparameters"]
    }
    expected = {**PUBLISHED, "predictor_type": ("categorical", sorted(found["predictor_type"][1]), *[None] * 4)}
    assert {name: row[0] for name, row in found.items()} == {name: row[0] for name, row in PUBLISHED.items()}
    for name, row in PUBLISHED.items():
        kind, choices, *others = row
        assert (found[name][0], *found[name][2:]) == (kind, *others), name
        assert sorted(found[name][1] or []) == sorted(choices or []), name
    assert list(found) == list(expected)


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_line_of_the_managed_algorithm_is_ours_too(name: str) -> None:
    line, value = OFFICIAL[name]
    found = re.search(SPEC.metric(name).regex, line)
    assert found is not None
    assert float(found.group(1)) == value
    assert SPEC.metric(name).render(value, host="algo-1", epoch=0, batch=500 if "500" in line else 0) == line


def test_adam_must_not_divide_by_zero() -> None:
    for eps in ("0", "-1e-8"):
        with pytest.raises(HyperparameterError, match="eps must be above 0"):
            settings(feature_dim=3, eps=eps)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("normal", 0.001)),
        ({"factors_init_sigma": 0.5}, ("normal", 0.5)),
        ({"factors_init_method": "uniform"}, ("uniform", 0.001)),
        ({"factors_init_method": "uniform", "factors_init_scale": 2}, ("uniform", 2.0)),
        ({"factors_init_method": "constant"}, ("constant", 0.0)),
        ({"factors_init_method": "constant", "factors_init_value": -2}, ("constant", -2.0)),
        # The hyperparameter page treats each group by itself, where the tuning page links all to the bias.
        ({"bias_init_method": "constant", "bias_init_value": 7}, ("normal", 0.001)),
    ],
)
def test_each_group_starts_by_its_own_method(given: dict[str, object], expected: tuple[str, float]) -> None:
    assert settings(feature_dim=3, **given).start("factors") == expected


def test_what_has_no_effect_is_told() -> None:
    hp = settings(
        feature_dim=3, linear_init_scale=0.5, bias_init_method="constant", bias_init_value=1, clip_gradient=0
    )
    assert list(hp.without_effect()) == [
        "linear_init_scale has no effect with linear_init_method normal; it acts with uniform",
        "clip_gradient 0.0 cuts nothing; gradients are cut with a value above 0",
    ]
    assert list(settings(feature_dim=3).without_effect()) == []
