"""Trains XGBoost: rows to matrices, rounds of the library one by one, and what is said and kept after each."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.xgboost import data, evaluate
from clary.algorithms.xgboost.data import MODEL_FILE, Place, Room, Table
from clary.algorithms.xgboost.evaluate import Patience, Scores, Scoring, Watched
from clary.algorithms.xgboost.library import XGBoostError, xgboost
from clary.algorithms.xgboost.model import (
    Boosting,
    Settings,
    check_earlier,
    held_out,
    loaded,
    messages,
    settings,
    translated,
)
from clary.algorithms.xgboost.ring import together
from clary.algorithms.xgboost.spec import COMPUTED, SPEC, Hyperparameters
from clary.toolkit import media
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.records import Records
from clary.toolkit.tabular import ALIASES

Array = npt.NDArray[Any]

# Shares of the memory for decoded rows while they wait for their matrix; the rest is for matrices.
_TRAIN_ROWS, _VALIDATION_ROWS, _MATRIX = 0.25, 0.08, 0.6
_PROGRAM = 256 << 20  # bytes that the program takes with no row read


def train(job: Job[Hyperparameters]) -> Artifact:
    """Boost for ``num_round`` rounds, or until the validation metric stands still.

    UserError says what the data, the hosts or the machine lack for what was asked.
    """
    chosen = settings(job.hyperparameters, repeatable=job.checkpoints.kept and _resumes(job.hyperparameters))
    _announce(job, chosen)
    _check(job, chosen)
    verbosity = int(chosen.parameters.get("verbosity", 1))
    with tempfile.TemporaryDirectory(prefix="clary-xgboost-") as folder, messages(job.log, verbosity):
        try:
            return _trained(job, chosen, Path(folder))
        except XGBoostError as error:
            raise translated(error) from error


def _resumes(hp: Hyperparameters) -> bool:
    """Whether the job can go on from a checkpoint; the others are done again, which comes to the same."""
    return not hp.kfold and hp.process_type != "update"


def _announce(job: Job[Hyperparameters], chosen: Settings) -> None:
    hp, hosts = job.hyperparameters, job.cluster.hosts
    job.log.say(f"Determined {job.gpus} GPU(s) available on the instance.")
    several = f"Distributed node training with {len(hosts)} hosts: {', '.join(hosts)}"
    job.log.say(several if len(hosts) > 1 else "Single node training.")
    for remark in chosen.remarks:
        job.log.say(remark)
    if chosen.cuda and job.gpus > 1:
        job.log.say(f"only one of the {job.gpus} GPUs of this host is used; more hosts use more GPUs")
    if "code" in job.channels:
        job.log.say("channel code is not used: this is no script mode")
    if hp.early_stopping_rounds and "validation" not in job.channels and not hp.kfold:
        job.log.say("early_stopping_rounds has no effect: there is no validation channel to watch")
    elif hp.early_stopping_rounds and not hp.metrics:
        job.log.say("early_stopping_rounds has no effect: name the metric to watch in eval_metric")


def _check(job: Job[Hyperparameters], chosen: Settings) -> None:
    """UserError where the job's hosts, channels and machine do not go with its hyperparameters."""
    hp, hosts = job.hyperparameters, job.cluster.size
    if hp.use_dask_gpu_training and (broken := _dask_problems(job)):
        raise UserError(
            f"Some configurations unsuitable for Dask GPU training were found: {'; '.join(broken)}. "
            "Change them, or leave use_dask_gpu_training out"
        )
    if chosen.cuda and job.device != "cuda":
        asked = "tree_method gpu_hist" if hp.tree_method == "gpu_hist" else "use_dask_gpu_training"
        raise UserError(
            f"{asked} needs a GPU, and this host has none; take an instance with GPUs, or tree_method hist"
        )
    alone = chosen.whole or ("_kfold" if hp.kfold else "") or (hp.objective if hp.objective == "survival:cox" else "")
    if hosts > 1 and alone:
        raise UserError(f"{alone} needs all rows on one host, and the job has {hosts}; take one host")
    if hp.process_type == "update" and "model" not in job.channels:
        raise UserError("process_type update changes an earlier model; give it in the channel model")


def _dask_problems(job: Job[Hyperparameters]) -> list[str]:
    hp, problems = job.hyperparameters, []
    if hp.tree_method not in ("hist", "gpu_hist"):
        problems.append(f"tree_method must be gpu_hist or hist; got {hp.tree_method}")
    if job.device != "cuda":
        problems.append("there is no GPU on this host")
    for name in sorted({"train", "validation"} & job.channels.keys()):
        channel = job.channels[name]
        kind = ALIASES.get(channel.content_type.name, channel.content_type.name)
        if channel.mode == "Pipe":
            problems.append(f"channel {name} is delivered in Pipe mode; use File")
        if kind not in (media.CSV, media.PARQUET):
            problems.append(f"channel {name} holds {kind}; use CSV or Parquet")
        if channel.sharded and job.cluster.size > 1:
            problems.append(f"channel {name} is sharded; with several hosts use FullyReplicated")
    return problems


def _trained(job: Job[Hyperparameters], chosen: Settings, folder: Path) -> Artifact:
    hp = job.hyperparameters
    earlier = data.earlier_model(job.channels["model"]) if "model" in job.channels else None
    memory = max(job.memory - _PROGRAM, 0)
    tables = [data.read(job.channel("train"), hp, job.cluster, int(memory * _TRAIN_ROWS))]
    if "validation" in job.channels:
        _like_train(job)
        tables.append(data.read(job.channel("validation"), hp, job.cluster, int(memory * _VALIDATION_ROWS)))
    width = _width(job, tables, earlier)
    if hp.kfold:
        return _cross_validated(job, chosen, tables, width, earlier)
    # Values that an earlier model splits at need not be borders of this data's bins.
    ready = chosen if earlier is None else replace(chosen, quantile=False)
    room = Room(int(memory * _MATRIX), folder)
    where = _agreed(job, data.place(tables[0], ready, room))
    with together(job.cluster, job.abandon):
        matrices = [data.for_training(tables[0], width, hp, ready, where, folder)]
        tables[0].close()
        matrices += [data.for_scoring(table, width, hp, room) for table in tables[1:]]
        watched = [_watched(job, table, matrix) for table, matrix in zip(tables, matrices, strict=True)]
        outcome = _Rounds(job, ready, watched, width, earlier).run()
    return _artifact(hp, width, {MODEL_FILE: outcome.model})


def _like_train(job: Job[Hyperparameters]) -> None:
    """Read the validation channel as the train channel where its type may have been left out.

    It then has the default type, LIBSVM, which its first line does not look like.
    """
    train_, validation = job.channel("train"), job.channel("validation")
    default = SPEC.channel("validation")
    assert default is not None
    if validation.content_type.name != default.default_type or train_.content_type.name == default.default_type:
        return
    if not data.looks_like_libsvm(validation):
        job.log.say(f"channel validation is read as {train_.content_type}, like channel train")
        validation.content_type = train_.content_type


def _width(job: Job[Hyperparameters], tables: Sequence[Table], earlier: bytes | None) -> int:
    """The number of features on all hosts; DataError where there are no rows, or rows of another width."""
    hp, cluster = job.hyperparameters, job.cluster
    rows_HT = np.zeros((cluster.size, len(tables)), np.int64)
    rows_HT[cluster.rank] = [table.rows for table in tables]
    weights_T = np.array([0 if (w := table.weights) is None else w.sum() for table in tables])
    widths_H = np.zeros(cluster.size, np.int64)
    before = check_earlier(earlier, hp) if earlier is not None else 0
    widths_H[cluster.rank] = max(before, *(table.width for table in tables))
    rows_HT, weights_T, widths_H = cluster.sum_all([rows_HT, weights_T, widths_H])
    width = int(widths_H.max())
    for table, count, weight in zip(tables, rows_HT.sum(axis=0).tolist(), weights_T.tolist(), strict=True):
        source = f"channel {table.name}"
        if not count and job.stop.is_set():
            raise UserError("the job was stopped before it had a row to learn from, so it leaves no model")
        if not count:
            raise DataError("there is no row in it", source=source)
        if table.weights is not None and not weight:
            raise DataError("the weights of all rows are 0", source=source)
        if before and table.width > before:
            raise DataError(
                f"the rows have {table.width} features, the model in channel model has {before}", source=source
            )
        if table.dense and table.width != width:
            other = "the model in channel model has" if before == width else "other rows of the job have"
            raise DataError(f"the rows have {table.width} features, {other} {width}", source=source)
    _describe(job, tables, rows_HT.sum(axis=0).tolist(), width)
    _check_features(hp, width)
    return width


def _describe(job: Job[Hyperparameters], tables: Sequence[Table], rows: Sequence[int], width: int) -> None:
    """Say what there is to learn from, and what looks like a mistake and may be none."""
    job.log.say(f"Train matrix has {rows[0]} rows and {width} columns")
    if len(tables) > 1:
        job.log.say(f"Validation matrix has {rows[1]} rows")
    for table in tables:
        if not table.rows:
            job.log.say(f"this host has no rows of channel {table.name}; it takes part without")
    if len(tables) > 1 and tables[0].rows and np.array_equal(tables[0].labels, tables[1].labels):
        job.log.say("channels train and validation have the same labels in the same order; are they the same rows?")
    if job.hyperparameters.objective.startswith("rank:") and not tables[0].grouped and tables[0].rows:
        job.log.say("the rows have no qid, so all of them are one query")


def _agreed(job: Job[Hyperparameters], where: Place) -> Place:
    """Where all hosts have room."""
    counts = np.zeros(len(Place), np.int64)
    counts[where] = 1
    return Place(int(np.flatnonzero(job.cluster.sum(counts)).max()))


def _check_features(hp: Hyperparameters, width: int) -> None:
    if len(hp.sign_list()) > width:
        raise UserError(f"monotone_constraints has {len(hp.sign_list())} entries, and the rows have {width} features")
    highest = max((number for group in hp.interaction_list() for number in group), default=0)
    if highest >= width:
        raise UserError(f"interaction_constraints names feature {highest}; the rows have features 0 to {width - 1}")


def _artifact(hp: Hyperparameters, width: int, files: Mapping[str, bytes]) -> Artifact:
    schema = {"feature_dim": width, "objective": hp.objective, "num_class": hp.num_class}
    return Artifact(SPEC.name, hp.spell(), schema, files=files)


def _watched(job: Job[Hyperparameters], table: Table, matrix: xgboost.DMatrix) -> Watched:
    return Watched(table.name, matrix, _scoring(job, table.labels, table.weights))


def _scoring(job: Job[Hyperparameters], labels_N: Array, weights_N: Array | None) -> Scoring | None:
    hp = job.hyperparameters
    names = [name for name in hp.metrics if name in COMPUTED]
    if hp.objective == "survival:aft":
        labels_N = np.abs(labels_N)
    return Scoring(names, hp.objective, hp.num_class or 2, labels_N, weights_N, job.cluster) if names else None


@dataclass(frozen=True)
class _Outcome:
    model: bytes
    scores: Scores


class _Rounds:
    """The rounds of one model: scored, stopped, saved and resumed alike on all hosts."""

    def __init__(
        self,
        job: Job[Hyperparameters],
        chosen: Settings,
        watched: Sequence[Watched],
        width: int,
        earlier: bytes | None,
    ) -> None:
        hp = job.hyperparameters
        self._job, self._watched, self._width = job, watched, width
        self._kept = job.checkpoints.kept and _resumes(hp)
        self._patience = Patience.asked(hp, watched)
        model, state = self._resumed() if _resumes(hp) else (None, {})
        self._number, self._finished = int(state.get("rounds", 0)), bool(state.get("finished"))
        # Rounds of an earlier model, which stand before those of this job unless they are updated.
        self._first = 0
        if earlier is not None and hp.process_type != "update":
            self._first = loaded(earlier, "channel model").num_boosted_rounds()
        self._boosting = Boosting(chosen, [each.matrix for each in watched], earlier if model is None else model)
        self._listed = "disable_default_eval_metric" not in chosen.parameters
        self._linear = hp.booster == "gblinear"

    def run(self) -> _Outcome:
        """Boost to the end, or to where the platform stops the job; the best model that early stopping found."""
        hp, job = self._job.hyperparameters, self._job
        scores: Scores = {}
        stopped = False
        while self._number < hp.num_round and not (self._finished or stopped):
            self._boosting.update(self._watched[0].matrix, self._number)
            scores, stopped, due = self._scored()
            if job.cluster.leads:
                job.log.line(_line(self._number, scores))
            self._look(scores)
            self._number += 1
            if hp.save_model_on_termination and not hp.kfold:
                job.publish(_artifact(hp, self._width, {MODEL_FILE: self._model()}))
            if due and self._number < hp.num_round:
                self._save()
        if stopped and self._number < hp.num_round and not self._finished:
            job.log.say(f"stopping early, after {self._number} of {hp.num_round} rounds")
        self._save()
        return _Outcome(self._model(), scores)

    def _scored(self) -> tuple[Scores, bool, bool]:
        """All metrics of the round by set, whether a host was asked to stop, and whether to save."""
        sets = [(each.matrix, each.name) for each in self._watched]
        scores = self._boosting.scores(sets, self._number) if self._listed else {name: {} for _, name in sets}
        flags = np.array([self._job.stop.is_set(), self._job.cluster.leads and self._job.checkpoints.due], np.int64)
        computed = [(each, each.scoring) for each in self._watched if each.scoring]
        own = [scoring.sums(self._boosting.predict(each.matrix)) for each, scoring in computed]
        flags, *sums = self._job.cluster.sum_all([flags, *own])
        for (each, scoring), total in zip(computed, sums, strict=True):
            scores[each.name] |= scoring.values(total)
        return scores, bool(flags[0]), bool(flags[1])

    def _look(self, scores: Scores) -> None:
        patience = self._patience
        if patience is None:
            return
        if patience.improved(scores, self._number):
            # The rounds of a linear model cannot be told apart later.
            patience.model = self._boosting.saved() if self._linear else b""
        elif self._number - patience.best_round >= patience.rounds:
            self._finished = True
            self._job.log.say(
                f"validation-{patience.metric} has not improved for {patience.rounds} rounds; "
                f"round {patience.best_round} is the best"
            )

    def _model(self) -> bytes:
        if self._patience is None or not self._number:
            return self._boosting.saved()
        return self._patience.model or self._boosting.saved(self._first + self._patience.best_round + 1)

    def _save(self) -> None:
        if not (self._kept and self._job.cluster.leads):
            return
        arrays = {"model": np.frombuffer(self._boosting.saved(), np.uint8)}
        state: dict[str, Any] = {"rounds": self._number, "finished": self._finished}
        if self._patience:
            state |= {"best": self._patience.best, "best_round": self._patience.best_round}
            arrays |= {"best": np.frombuffer(self._patience.model, np.uint8)}
        self._job.checkpoints.save(arrays, state)

    def _resumed(self) -> tuple[bytes | None, dict[str, Any]]:
        """The model and the state that the leader saved last, on every host; one host is asked, as in passes."""
        cluster = self._job.cluster
        kept = self._job.checkpoints.load() if cluster.leads else None
        state = {} if kept is None else dict(kept.state)
        own = np.frombuffer(json.dumps(state).encode(), np.uint8)
        state = json.loads(cluster.broadcast(own).tobytes())
        if not state:
            return None, {}
        self._job.log.say(f"resuming from a checkpoint, after {state['rounds']} rounds")
        model = cluster.broadcast(kept.arrays["model"] if kept else None).tobytes()
        if self._patience:
            self._patience.model = cluster.broadcast(kept.arrays["best"] if kept else None).tobytes()
            self._patience.best, self._patience.best_round = state["best"], int(state["best_round"])
        return model, state


def _line(number: int, scores: Scores) -> str:
    values = ((f"{name}-{metric}", value) for name, each in scores.items() for metric, value in each.items())
    return f"[{number}]" + "".join(f"\t{name}:{value:.5f}" for name, value in values)


def _mean_line(number: int, of_folds: Sequence[Scores]) -> str:
    """The line of a whole repetition: each metric's mean over the folds, side by side for the two sets."""
    first = of_folds[0]
    means = (
        (f"{name}-{metric}", float(np.mean([scores[name][metric] for scores in of_folds])))
        for metric in first["train"]
        for name in first
    )
    return f"[{number}]" + "".join(f"\t{name}:{value:.5f}" for name, value in means)


def _cross_validated(
    job: Job[Hyperparameters], chosen: Settings, tables: Sequence[Table], width: int, earlier: bytes | None
) -> Artifact:
    """A model for each fold of each repetition; the held-out predictions go to the job's output."""
    hp, records = job.hyperparameters, data.all_rows(tables, width)
    repetitions = hp.num_cv_round or 1
    folding = _Folding(job, chosen, records, earlier)
    for repetition in range(repetitions):
        folding.repeat(repetition)
        if job.stop.is_set():
            break
    else:
        if repetitions > 1:
            job.log.say(f"The overall metrics of {repetitions}-round cross validation")
            job.log.line(_mean_line(hp.num_round, folding.scores))
        job.output("predictions.csv", folding.predictions())
    return _artifact(hp, width, {f"{MODEL_FILE}-{number}": model for number, model in enumerate(folding.models)})


class _Folding:
    """Cross-validation: the models, their scores, and what was predicted for the rows that each did not see."""

    def __init__(self, job: Job[Hyperparameters], chosen: Settings, records: Records, earlier: bytes | None) -> None:
        self.models: list[bytes] = []
        self.scores: list[Scores] = []
        self._job, self._chosen, self._records, self._earlier = job, chosen, records, earlier
        hp, groups = job.hyperparameters, records.groups
        assert records.labels is not None
        self._labels_N = records.labels[:, 0]
        self._units_N = np.arange(len(records)) if groups is None else groups
        self._of_classes = hp.objective.startswith(("binary:", "multi:"))
        if (units := len(np.unique(self._units_N))) < (hp.kfold or 0):
            what = "rows" if groups is None else "queries"
            raise UserError(f"_kfold must be at most the number of {what}, {units}; got {hp.kfold}")
        shape = (len(records), hp.num_cv_round or 1)
        self._classes_NR, self._values_NR = np.zeros(shape, np.int64), np.zeros(shape)

    def repeat(self, repetition: int) -> None:
        """Train a model for each fold of this repetition, until the platform stops the job."""
        job, hp = self._job, self._job.hyperparameters
        folds = hp.kfold or 0
        rng = np.random.default_rng([job.seed, hp.seed % 2**32, repetition])
        fold_N = evaluate.folds(self._units_N, self._labels_N if self._of_classes else None, folds, rng)
        for fold in range(folds):
            job.log.say(f"Train cross validation fold {fold + 1}")
            self._fold(np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold), repetition)
            if job.stop.is_set():
                return
        job.log.say(f"The metrics of round {repetition + 1} cross validation")
        job.log.line(_mean_line(hp.num_round, self.scores[-folds:]))

    def predictions(self) -> bytes:
        """The content of predictions.csv."""
        return evaluate.prediction_table(
            self._labels_N, self._classes_NR if self._of_classes else None, self._values_NR
        )

    def _fold(self, fit_N: Array, held_N: Array, repetition: int) -> None:
        hp, records = self._job.hyperparameters, self._records
        parts = [records.take(fit_N), records.take(held_N)]
        matrices = [data.of_records(part, hp) for part in parts]
        watched = [
            Watched(name, matrix, _scoring(self._job, part.labels[:, 0], part.weights))
            for name, part, matrix in zip(("train", "validation"), parts, matrices, strict=True)
            if part.labels is not None
        ]
        outcome = _Rounds(self._job, self._chosen, watched, records.width, self._earlier).run()
        self.models.append(outcome.model)
        self.scores.append(outcome.scores)
        predicted = held_out(outcome.model, matrices[1], hp.nthread, margins=self._of_classes)
        if self._of_classes:
            classes_N, predicted = evaluate.likely(predicted, hp.objective)
            self._classes_NR[held_N, repetition] = classes_N
        self._values_NR[held_N, repetition] = predicted
