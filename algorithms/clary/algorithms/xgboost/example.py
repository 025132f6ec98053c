"""The smallest honest XGBoost job: tumors told apart by measures of their cells; and one of each other task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from clary.datasets import samples
from clary.toolkit.example import Example, Variant
from clary.toolkit.records import Records

Loader = Callable[[], Records]
_HELD_OUT = 4  # one row of so many is kept back for the validation channel


def _channels(load: Loader) -> dict[str, Loader]:
    """Rows to learn from and rows to watch, the latter spread evenly over the set."""

    def part(held: bool) -> Records:
        records = load()
        return records.take(np.flatnonzero((np.arange(len(records)) % _HELD_OUT == 0) == held))

    return {"train": lambda: part(False), "validation": lambda: part(True)}


def _scaled() -> Records:
    """The diabetes rows with labels from 1 to 13, whole numbers, which a logarithmic link reaches in a few rounds."""
    records = samples.diabetes()
    assert records.labels is not None
    return replace(records, labels=np.floor(records.labels / 25))


def _followed() -> Records:
    """The diabetes rows as times, of which half ended before anything had happened."""
    records = _scaled()
    assert records.labels is not None
    sign_N = np.where(np.arange(len(records)) % (2 * _HELD_OUT) < _HELD_OUT, 1, -1).astype(np.float32)
    return replace(records, labels=records.labels * sign_N[:, None])


def _variant(objective: str, metrics: str, load: Loader, **more: str) -> Variant:
    settings = {"num_round": "10", "max_depth": "3", "objective": objective, "eval_metric": metrics, **more}
    return Variant(hyperparameters=settings, channels=_channels(load))


EXAMPLE = Example(
    title="Tell 357 benign tumors from 212 malignant ones by 30 measures",
    hyperparameters={
        "num_round": "30",
        "objective": "binary:logistic",
        "eval_metric": "auc,logloss,accuracy",
        "eta": "0.3",
        "max_depth": "4",
        "nthread": "1",
    },
    channels=_channels(samples.breast_cancer),
    metric="validation:accuracy",
    reach=0.95,
    longer={"num_round": "1000000"},
    fixed=(
        "objective",
        "booster",
        "process_type",
        "updater",
        "tree_method",
        "base_score",
        "csv_weights",
        "use_dask_gpu_training",
    ),
    variants={
        "ranked classes": _variant(
            "binary:logitraw",
            "error,error@0.7,aucpr,map,ndcg,ndcg@5,f1,f1_binary,f1_macro,precision,precision_macro,precision_micro,"
            "recall,recall_macro,recall_micro,balanced_accuracy",
            samples.breast_cancer,
        ),
        "ten classes": _variant("multi:softprob", "merror,mlogloss,accuracy", samples.digits, num_class="10"),
        "numbers": _variant("reg:squarederror", "rmse,mse,mae,r2,mape,mphe,rmsle", samples.diabetes),
        "dropout": _variant("reg:absoluteerror", "mae", samples.diabetes, booster="dart", rate_drop="0.2"),
        "linear": _variant("reg:squarederror", "rmse", samples.diabetes, booster="gblinear", updater="coord_descent"),
        "counts": _variant("count:poisson", "poisson-nloglik", _scaled),
        "amounts": _variant("reg:gamma", "gamma-nloglik,gamma-deviance", samples.diabetes),
        "amounts and zeros": _variant("reg:tweedie", "tweedie-nloglik", _scaled),
        "hazards": _variant("survival:cox", "cox-nloglik", _followed),
        "survival times": _variant("survival:aft", "aft-nloglik,interval-regression-accuracy", _followed),
        "scores": _variant("rank:pairwise", "ndcg,map,auc", samples.breast_cancer),
    },
)
