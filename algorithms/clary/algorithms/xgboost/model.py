"""The XGBoost library as a job uses it: its parameters, and a booster that can go on later.

Chen and Guestrin, "XGBoost: a scalable tree boosting system" (2016). Nothing of the mathematics is here: a model is,
bit for bit, what ``xgboost.train`` makes of the same parameters and rows, and only what a job set is sent to it.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from clary.algorithms.xgboost.library import XGBoostError, xgboost
from clary.algorithms.xgboost.spec import COMPUTED, Hyperparameters
from clary.toolkit.codecs import ubjson
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Log

Array = npt.NDArray[Any]
# What a job sets and the library does not know.
_OURS = {
    "num_round",
    "csv_weights",
    "early_stopping_rounds",
    "eval_metric",
    "save_model_on_termination",
    "use_dask_gpu_training",
    "_kfold",
    "_num_cv_round",
    "_tuning_objective_metric",
    "tree_method",
    "updater",
    "monotone_constraints",
    "interaction_constraints",
}
# What the library has dropped, and why that changes nothing.
_RETIRED = {
    "deterministic_histogram": "histograms on a GPU are always built deterministically",
    "dsplit": "several hosts always share the data out by rows",
    "lambda_bias": "the bias of the linear booster is not penalized any more",
    "predictor": "predictions are made where the data are",
    "prob_buffer_row": "there is no such buffer any more",
    "silent": "",
    "single_precision_histogram": "histograms have one precision",
    "sketch_eps": "",
}
_RENAMED_UPDATERS = {"distcol": "grow_colmaker", "grow_skmaker": "grow_histmaker"}
_QUANTILE_UPDATER = "grow_quantile_histmaker"
_SAMPLING = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")
_MOST_BINS = 1 << 16
_CONVERT = (
    "load it once with the XGBoost version that made it, booster.save_model('xgboost-model.json'), and put that file "
    "in its place"
)
_TINY, _HUGE = 1.2e-38, 3.4e38  # the ends of what float32 holds in full


@dataclass(frozen=True)
class Settings:
    """What a job's hyperparameters are to the library.

    ``histograms``: splits are searched among bins made once; ``quantile``: so that training needs the bins alone,
    not the values. ``whole`` is what needs all rows in memory, and on one host. ``sampled``: rows or columns are
    drawn. ``numbered`` are the metrics that the job wrote with a number behind them, as in ``error@0.3``.
    ``remarks`` are sentences for the log.
    """

    parameters: Mapping[str, Any]
    remarks: tuple[str, ...] = ()
    quantile: bool = True
    histograms: bool = True
    whole: str = ""
    sampled: bool = False
    numbered: tuple[str, ...] = ()

    @property
    def cuda(self) -> bool:
        """Whether the library is to train on a GPU."""
        return self.parameters.get("device") == "cuda"


def settings(hp: Hyperparameters, *, repeatable: bool = False) -> Settings:
    """The library's parameters; what was set without effect is in ``remarks``.

    ``repeatable`` makes the draws of a round depend on its number alone, so that a job can go on from there.
    """
    spelled = hp.spell()
    parameters: dict[str, Any] = {n: _storable(spelled[n]) for n in sorted(hp.given - _OURS - _RETIRED.keys())}
    remarks = [f"{name} has no effect: {_RETIRED[name]}" for name in sorted(hp.given) if _RETIRED.get(name)]
    _add_method(hp, parameters, remarks)
    if "silent" in hp.given and hp.silent and "verbosity" not in hp.given:
        parameters["verbosity"] = "0"
    if signs := hp.sign_list():
        parameters["monotone_constraints"] = f"({','.join(map(str, signs))})"
    if groups := hp.interaction_list():
        parameters["interaction_constraints"] = json.dumps(groups, separators=(",", ":"))
    parameters.update(_metrics(hp))
    if repeatable:
        parameters["seed_per_iteration"] = "1"
    plain = parameters.get("tree_method", "auto") not in ("auto", "hist") or hp.booster == "gblinear"
    updaters = parameters.get("updater", _QUANTILE_UPDATER).split(",")
    histograms = not plain and updaters[0] == _QUANTILE_UPDATER
    return Settings(
        parameters,
        tuple(remarks),
        quantile=histograms and "device" not in parameters and hp.process_type != "update",
        histograms=histograms,
        whole=_whole(hp, updaters[0]),
        sampled=any(getattr(hp, name) < 1 for name in _SAMPLING),
        numbered=tuple(name for name in hp.metrics if "@" in name),
    )


def _storable(text: str) -> str:
    """The number, or the nearest one to it that the library, which keeps float32, does not refuse."""
    try:
        number = float(text)
    except ValueError:
        return text
    kept = min(max(abs(number), _TINY), _HUGE) if number else 0.0
    return text if kept == abs(number) else repr(math.copysign(kept, number))


def _whole(hp: Hyperparameters, updater: str) -> str:
    if hp.booster == "gblinear":
        return "booster gblinear"
    if updater == "grow_colmaker":
        return "updater grow_colmaker"
    return "tree_method exact" if hp.tree_method == "exact" else ""


def _add_method(hp: Hyperparameters, parameters: dict[str, Any], remarks: list[str]) -> None:
    """How trees are grown, and where."""
    if "tree_method" in hp.given:
        parameters["tree_method"] = "hist" if hp.tree_method == "gpu_hist" else hp.tree_method
    if hp.tree_method == "gpu_hist" or hp.use_dask_gpu_training:
        parameters["device"] = "cuda"
    if hp.updaters:
        named = [_RENAMED_UPDATERS.get(each, each) for each in hp.updaters]
        parameters["updater"] = ",".join(named)
        remarks += [
            f"updater {o} has left the library; {n} takes its place"
            for o, n in _RENAMED_UPDATERS.items()
            if o in hp.updaters
        ]
    if "sketch_eps" in hp.given:
        if hp.tree_method == "approx" and "max_bin" not in hp.given:
            parameters["max_bin"] = str(min(_MOST_BINS, math.ceil(1 / hp.sketch_eps)))
            remarks.append(
                f"sketch_eps {hp.sketch_eps} is max_bin {parameters['max_bin']} to this version of the library"
            )
        else:
            remarks.append("sketch_eps has no effect: it is for tree_method approx where max_bin is not set")
    if hp.num_cv_round and not hp.kfold:
        remarks.append("_num_cv_round has no effect: it repeats the cross-validation that _kfold asks for")
    if hp.tree_method == "exact" and hp.grow_policy == "lossguide":
        remarks.append("grow_policy lossguide has no effect: tree_method exact grows trees level by level")


def _metrics(hp: Hyperparameters) -> dict[str, Any]:
    """The metrics that the library computes; none is reported that was not asked for, if any was."""
    wanted = [name for name in hp.metrics if name not in COMPUTED]
    if not hp.metrics:
        return {}
    if not wanted:
        return {"disable_default_eval_metric": "1"}
    tweedie = f"tweedie-nloglik@{hp.tweedie_variance_power}"
    return {"eval_metric": [tweedie if name == "tweedie-nloglik" else name for name in wanted]}


class Boosting:
    """A booster that grows by rounds; what it was saved as goes on as if it had never stopped.

    ``first`` is the number of rounds in an earlier model that it began with.
    """

    def __init__(self, chosen: Settings, matrices: Sequence[xgboost.DMatrix], start: bytes | None = None) -> None:
        parameters = dict(chosen.parameters)
        self._booster = xgboost.Booster(parameters, list(matrices), None if start is None else bytearray(start))
        self._booster.feature_names = self._booster.feature_types = None  # rows have numbers for their columns here
        # The library draws the seed of its column sampler once in a booster's life; a new sampler in each round
        # has what a resumed job has. Needed up to version 3.2.
        self._renewed = chosen.sampled and "seed_per_iteration" in parameters
        self._linear = parameters.get("booster") == "gblinear"
        self._numbered = {name.partition("@")[0] for name in chosen.numbered}

    @property
    def rounds(self) -> int:
        """Number of rounds that the model holds."""
        return int(self._booster.num_boosted_rounds())

    def update(self, train: xgboost.DMatrix, number: int) -> None:
        """One more round."""
        if self._renewed and self.rounds:
            self._booster.load_config(self._booster.save_config())
        self._booster.update(train, number)

    def scores(self, sets: Sequence[tuple[xgboost.DMatrix, str]], number: int) -> dict[str, dict[str, float]]:
        """The library's metrics of each set by name, over all hosts."""
        found: dict[str, dict[str, float]] = {name: {} for _, name in sets}
        for part in str(self._booster.eval_set(list(sets), number)).split("\t")[1:]:
            where, _, value = part.rpartition(":")
            name, _, metric = where.partition("-")
            # A number that the job did not write behind the name is the library's, and the declared name has none.
            plain = metric.partition("@")[0]
            found[name][plain if plain not in self._numbered else metric] = float(value)
        return found

    def predict(self, matrix: xgboost.DMatrix) -> Array:
        """The predictions of the rows, transformed as the objective has it."""
        predicted: Array = self._booster.predict(matrix, validate_features=False)
        return predicted

    def saved(self, rounds: int | None = None) -> bytes:
        """The model as the library's own file, or its first rounds alone, which a linear model does not have."""
        whole = rounds is None or self._linear or rounds >= self.rounds
        booster = self._booster if whole else self._booster[:rounds]
        return bytes(booster.save_raw("ubj"))


def expect_readable(content: bytes, name: str) -> None:
    """UserError with what to do, where this is no JSON or UBJSON, or only a part of it."""
    if content.startswith(b"\x80"):
        raise UserError(f"{name} is a Python pickle, which can run any code and is never opened: {_CONVERT}")
    if content.startswith(b"binf"):
        raise UserError(f"{name} is in the binary format that XGBoost 3.1 gave up: {_CONVERT}")
    if not content.lstrip().startswith(b"{"):
        raise UserError(f"{name} is no XGBoost model: those are JSON or UBJSON documents, and begin with a brace")
    # The library may crash on half a UBJSON document.
    if content[:1] == b"{" and content[1:2] not in b'" \t\r\n}':
        try:
            ubjson.check(content, source=name)
        except DataError as error:
            raise UserError(f"the model is damaged or incomplete: {error}") from error


def loaded(content: bytes, source: str) -> xgboost.Booster:
    """The model that the library's own file holds; UserError if it is none, a pickle above all."""
    expect_readable(content, source)
    try:
        return xgboost.Booster(model_file=bytearray(content))
    except (XGBoostError, ValueError) as error:
        raise UserError(f"{source} cannot be loaded by the XGBoost library: {_first_line(error)}") from error


def held_out(content: bytes, matrix: xgboost.DMatrix, threads: int | None, *, margins: bool) -> Array:
    """What a saved model predicts for the rows, before the link function with ``margins``."""
    booster = xgboost.Booster({} if threads is None else {"nthread": threads}, model_file=bytearray(content))
    predicted: Array = booster.predict(matrix, output_margin=margins, validate_features=False)
    return predicted


def check_earlier(content: bytes, hp: Hyperparameters) -> int:
    """The number of features of an earlier model; UserError where the job cannot go on from it."""
    booster = loaded(content, "channel model")
    learner = json.loads(booster.save_config())["learner"]
    found = {
        "objective": str(learner["learner_train_param"]["objective"]),
        "booster": str(learner["learner_train_param"]["booster"]),
        "num_class": int(learner["learner_model_param"]["num_class"]) or None,
    }
    for name, value in found.items():
        if (asked := getattr(hp, name)) != value:
            raise UserError(f"{name} is {asked}, and the model in channel model has {value}; set {name} to that")
    rounds = int(booster.num_boosted_rounds())
    if hp.process_type == "update" and hp.num_round > rounds:
        raise UserError(
            f"num_round must be at most {rounds}, the rounds of the model in channel model, "
            f"when process_type is update; got {hp.num_round}"
        )
    return int(booster.num_features())


@contextlib.contextmanager
def messages(log: Log, verbosity: int) -> Iterator[None]:
    """The library's warnings, as sentences of the log, each once.

    How much it says is a setting of the whole process, which is put back at the end.
    """
    seen: set[str] = set()

    def shown(message: Warning | str, *_: Any, **__: Any) -> None:
        text = re.sub(r"\s+", " ", re.sub(r"^\[[\d:]+\] WARNING: \S+", "", str(message))).strip()
        if unused := re.match(r"Parameters: \{ (.*) \} are not used", text):
            text = f"without effect in this job: {unused[1].replace(chr(34), '')}"
        if text not in seen:
            seen.add(text)
            log.say(f"XGBoost: {text}")

    with warnings.catch_warnings(), xgboost.config_context(verbosity=verbosity):
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = shown
        yield


def _first_line(error: Exception) -> str:
    return re.sub(r"^\[[\d:]+\] \S+ (Check failed: )?", "", str(error).strip()).partition("\n")[0]


# What the library finds wrong with rows, where it was not seen before; and what to tell instead.
_DATA_ERRORS = {
    r"[Rr]elevance degre": "labels of a ranking must be whole numbers from 0 to 31",
    r"map can only be used with binary labels": "metric map needs labels 0 and 1",
    r"label must be": "a label is outside of what the objective takes",
    r"Number of columns does not match|feature_names mismatch": "the rows have another width than the model",
}


def translated(error: Exception) -> Exception:
    """The error itself, or a UserError with a plain sentence where the rows are at fault."""
    for pattern, sentence in _DATA_ERRORS.items():
        if re.search(pattern, str(error)):
            return UserError(f"{sentence} (the XGBoost library says: {_first_line(error)})")
    return error
