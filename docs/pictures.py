"""Draws the pictures of the documentation from sample data, through the SDK and without a network.

    python docs/pictures.py

The result is the same on each run with the same versions, so a changed picture is a changed result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from clary.algorithms.linear_learner import search
from clary.algorithms.linear_learner import train as linear_training
from clary.algorithms.linear_learner.evaluate import Criterion, steady
from clary.algorithms.linear_learner.serve import Predictor
from clary.algorithms.linear_learner.spec import SPEC as LINEAR
from clary.datasets import samples
from clary.sdk import KNN, PCA, KMeans, LinearLearner, XGBoost
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import RECORDIO_PROTOBUF, MediaType
from clary.toolkit.records import Records
from clary.toolkit.spool import Spool

IMAGES = Path(__file__).parent / "images"
EPOCHS = (1, 2, 3, 5, 10)
SEEDS = range(5)
FACTORS = (1, 4, 10)
COLORS = ("#0072b2", "#d55e00", "#009e73")  # told apart by people who see colors differently, too


def main() -> None:
    """Train the models and write the pictures."""
    plt.rcParams.update({"font.size": 13, "axes.spines.top": False, "axes.spines.right": False})
    pixels = samples.digits().dense()
    centers = centers_of(KMeans(k=10, epochs=10, init_method="kmeans++").fit(train=pixels, logs=False))
    draw_centers(centers)
    draw_training(pixels, centers)
    draw_neighbors(samples.digits())
    draw_explanations()
    draw_early_stopping()
    draw_patients_explained()
    draw_candidates_and_threshold(samples.digits())
    draw_pixels_explained(samples.digits())
    draw_components(samples.digits().dense())


def draw_explanations() -> None:
    """The pictures of the page about a classifier: all test rows by the linear learner, one row by XGBoost."""
    from sklearn.datasets import load_breast_cancer

    tumors = load_breast_cancer(as_frame=True).frame
    test = tumors.iloc[::4]
    rows, train = test.drop(columns="target"), tumors.drop(test.index)
    linear = LinearLearner(predictor_type="binary_classifier", seed=1)
    with linear.fit(train=train, validation=test, label="target", logs=False).deploy(workers=1) as predictor:
        save(predictor.explain(rows).plot(), "explanation-linear.png")
    boosted = XGBoost(num_round=60, max_depth=3, objective="binary:logistic", eval_metric="logloss,error")
    with boosted.fit(train=train, validation=test, label="target", logs=False).deploy(workers=1) as predictor:
        save(predictor.explain(rows).plot(row=3), "explanation-xgboost.png")


def centers_of(job: Any) -> np.ndarray[Any, Any]:
    """The centers in a job's artifact, k rows of 64 pixels."""
    return tensors_of(job)["centers"]


def tensors_of(job: Any) -> Mapping[str, np.ndarray[Any, Any]]:
    """The arrays in a job's artifact."""
    from clary.toolkit.artifact import Artifact, opened

    with opened(Path(job.model_path)) as folder:
        return Artifact.read(folder).tensors


def draw_centers(centers: np.ndarray[Any, Any]) -> None:
    """The centers as images in two rows."""
    figure, places = plt.subplots(2, 5, figsize=(8, 3.6))
    for number, place in enumerate(places.flat):
        place.imshow(centers[number].reshape(8, 8), cmap="gray_r", interpolation="nearest")
        place.set_title(f"cluster {number}", fontsize=10, color="#555555")
        place.set_axis_off()
    save(figure, "kmeans-digits-centers.png")


def draw_training(pixels: np.ndarray[Any, Any], centers: np.ndarray[Any, Any]) -> None:
    """Left the loss by the number of epochs, right the rows in the plane that shows most of their spread."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    for factor, color in zip(FACTORS, COLORS, strict=True):
        loss = [np.mean([final_loss(pixels, epochs, factor, seed) for seed in SEEDS]) for epochs in EPOCHS]
        left.plot(EPOCHS, loss, marker="o", color=color, label=f"{factor}")
    left.set_xlabel("epochs")
    left.set_ylabel("test:msd")
    left.set_xticks(EPOCHS)
    left.grid(axis="y", color="#dddddd")
    left.legend(title="extra_center_factor", frameon=False)

    middle = pixels.mean(axis=0)
    plane = np.linalg.svd(pixels - middle, full_matrices=False)[2][:2].T
    nearest = np.square(pixels[:, None] - centers[None]).sum(axis=2).argmin(axis=1)
    flat, flat_centers = (pixels - middle) @ plane, (centers - middle) @ plane
    right.scatter(*flat.T, c=nearest, cmap="tab10", s=8, alpha=0.7, linewidths=0)
    for number, place in enumerate(flat_centers):
        right.annotate(str(number), place, ha="center", va="center", fontweight="bold", bbox=WHITE)
    right.set_xlabel("first principal axis")
    right.set_ylabel("second principal axis")
    save(figure, "kmeans-digits-training.png")


def draw_neighbors(digits: Records) -> None:
    """Held-out digits at the left, and in each row the images nearest to it, with their labels and distances."""
    assert digits.labels is not None
    pixels, labels = digits.dense(), digits.labels[:, 0]
    held = np.arange(len(digits)) % 4 == 0
    learner = KNN(k=NEIGHBORS, predictor_type="classifier", sample_size=len(digits))
    job = learner.fit(train=(pixels[~held], labels[~held]), logs=False)
    with job.deploy(workers=1) as predictor:
        answers = predictor.predict(pixels[held], {"Accept": "application/json;verbose=true"})["predictions"]
    asked, true, kept = pixels[held], labels[held], pixels[~held]
    nearest = np.argsort(np.square(asked[:, None] - kept[None]).sum(axis=2), axis=1, kind="stable")
    agreed = np.array(
        [np.mean(np.equal(answer["labels"], label)) for answer, label in zip(answers, true, strict=True)]
    )
    # The first that all neighbors agree on, one that some do not, and one that is read wrong.
    wrong = np.array([answer["predicted_label"] for answer in answers]) != true
    chosen = [int(np.argmax(agreed == 1)), int(np.argmax((agreed < 0.75) & ~wrong)), int(np.argmax(wrong))]
    figure, places = plt.subplots(3, NEIGHBORS + 1, figsize=(11, 5.4), width_ratios=[1.25, *[1.0] * NEIGHBORS])
    for row, query in zip(places, chosen, strict=True):
        answer = answers[query]
        row[0].set_title(f"a {true[query]:.0f}, read as {answer['predicted_label']:.0f}", fontsize=11)
        images = [asked[query], *kept[nearest[query, :NEIGHBORS]]]
        for place, image in zip(row, images, strict=True):
            place.imshow(image.reshape(8, 8), cmap="gray_r", interpolation="nearest")
            place.set_axis_off()
        for place, label, distance in zip(row[1:], answer["labels"], answer["distances"], strict=True):
            color = COLORS[2] if label == true[query] else COLORS[1]
            place.set_title(f"{label:.0f}  at {distance:.1f}", fontsize=11, color=color)
    save(figure, "knn-digits-neighbors.png")


NEIGHBORS = 7
WHITE = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": "#444444", "linewidth": 0.8}


def final_loss(pixels: np.ndarray[Any, Any], epochs: int, factor: int, seed: int) -> float:
    """The loss over all rows after that many epochs."""
    model = KMeans(k=10, epochs=epochs, extra_center_factor=factor, mini_batch_size=100, seed=seed)
    return float(model.fit(train=pixels, test=pixels, logs=False).metrics["test:msd"].value)


MEASURES = {
    "bmi": "body mass index",
    "bp": "blood pressure",
    "s1": "total cholesterol",
    "s2": "LDL",
    "s3": "HDL",
    "s4": "cholesterol / HDL",
    "s5": "log of triglycerides",
    "s6": "blood sugar",
    "target": "progression",
}


def patients() -> tuple[Any, Any]:
    """Rows to learn from and rows to watch: ten measures of a patient, and how far diabetes came in a year."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame.rename(columns=MEASURES)
    held = frame.iloc[::4]
    return frame.drop(held.index), held


def boosted_on_patients(**more: Any) -> Any:
    """A job of XGBoost on the patients; one thread, because there is little to share."""
    train, held = patients()
    model = XGBoost(max_depth=3, eval_metric="rmse", nthread=1, **more)
    return model.fit(train=train, validation=held, label="progression", logs=False)


def draw_early_stopping() -> None:
    """Left where early stopping ends a job and which round it keeps, right the same job with three step sizes."""
    patience, shown = 20, 100
    metrics = boosted_on_patients(num_round=shown, eta=0.1).metrics
    train, held = (np.array(metrics[f"{name}:rmse"].values) for name in ("train", "validation"))
    best = int(held.argmin())
    last = best + patience
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    left.axvspan(best, last, color="#f0f0f0", linewidth=0)
    for values, name, color, gap in ((train, "train:rmse", "#6db3e3", 4), (held, "validation:rmse", COLORS[0], 1.5)):
        left.plot(range(last + 1), values[: last + 1], color=color, linewidth=2.2)
        left.plot(range(last, shown), values[last:], color=color, linewidth=1.4, linestyle=":")
        left.annotate(name, (shown, values[-1] + gap), color=color, ha="right", va="bottom")
    left.plot(best, held[best], "o", markersize=9, markerfacecolor="none", markeredgewidth=1.8, color=COLORS[1])
    left.annotate(f"round {best} is the best: its model is kept", (best + 1, 81.5), fontsize=11)
    left.annotate(f"none better for {patience} rounds: stop", (last + 1, 74), fontsize=11)
    left.set_ylim(25, 86)
    left.set_xlabel("round")
    left.set_ylabel("error")
    for eta, color in zip((0.3, 0.1, 0.03), COLORS[::-1], strict=True):
        values = boosted_on_patients(num_round=300, eta=eta).metrics["validation:rmse"].values
        right.plot(range(1, 301), values, color=color, label=f"{eta:g}", linewidth=1.8)
        right.plot(int(np.argmin(values)) + 1, min(values), "o", color=color, markersize=8)
    right.set_xscale("log")
    right.xaxis.set_major_formatter("{x:g}")
    right.set_xlabel("rounds")
    right.set_ylabel("validation:rmse")
    right.legend(title="eta", frameon=False)
    for place in (left, right):
        place.grid(axis="y", color="#dddddd")
    save(figure, "xgboost-diabetes-early-stopping.png")


def draw_patients_explained() -> None:
    """What each measure adds to the prediction of each patient that the model has not seen."""
    job = boosted_on_patients(num_round=200, eta=0.1, early_stopping_rounds=20)
    rows = patients()[1].drop(columns="progression")
    with job.deploy(workers=1) as predictor:
        save(predictor.explain(rows).plot(), "xgboost-diabetes-explanation.png")


def draw_candidates_and_threshold(digits: Records) -> None:
    """Left the loss of every candidate by epochs, right what a threshold makes of the scores."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
    draw_candidates(left, digits)
    draw_threshold(right, digits)
    save(figure, "linear-learner-training.png")


def draw_candidates(axes: Any, digits: Records) -> None:
    """Candidates for all ten digits: the one that is kept, the one with the given settings, and the others."""
    job = Watched({"predictor_type": "multiclass_classifier", "num_classes": "10"}, parts(digits))
    losses, winner = np.array(job.losses), job.winner
    epochs = np.arange(1, len(losses) + 1)
    others = [number for number in range(losses.shape[1]) if number not in (0, winner.number)]
    axes.plot(epochs, losses[:, others], color="#c4c4c4", linewidth=1)
    axes.plot(epochs, losses[:, 0], color=COLORS[1], linewidth=2.5, label="the first, with the job's settings")
    axes.plot(epochs, losses[:, winner.number], color=COLORS[0], linewidth=2.5, label="the one that is kept")
    axes.plot(winner.epoch + 1, winner.loss, "o", color=COLORS[0], markersize=10)
    axes.set_yscale("log")
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
    axes.minorticks_off()
    axes.set_xticks(epochs[::2])
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss of the validation rows")
    axes.legend(frameon=False, loc="upper right")


def draw_threshold(axes: Any, digits: Records) -> None:
    """Whether a digit is an 8: accuracy, precision and recall, and the threshold that each criterion picks."""
    rows = parts(Records(digits.features, (digits.labels == 8).astype(np.float32)))
    job = Watched({"predictor_type": "binary_classifier"}, rows)
    scores = Predictor.load(job.artifact, "cpu").predict(rows["validation"])["score"]
    labels = rows["validation"].labels[:, 0] > 0
    cuts = np.linspace(0.005, 0.995, 397)
    said = scores >= cuts[:, None]
    curves = {
        "accuracy": (said == labels).mean(axis=1),
        "precision": (said & labels).sum(axis=1) / said.sum(axis=1),
        "recall": (said & labels).sum(axis=1) / labels.sum(),
    }
    # Each name beside its curve: above the first, behind where the second has risen and the third has fallen.
    named = (255, int((curves["precision"] > 0.6).argmax()), int((curves["recall"] < 0.7).argmax()))
    for (name, curve), at, color in zip(curves.items(), named, ("#444444", *COLORS[:2]), strict=True):
        axes.plot(cuts, curve, color=color, linewidth=2.2)
        apart = (0, 6) if name == "accuracy" else (8, -8 if name == "precision" else 4)
        axes.annotate(name, (cuts[at], curve[at]), apart, textcoords="offset points", color=color)
    criteria = {
        "recall ≥ 0.95": Criterion("precision_at_target_recall", target_recall=0.95),
        "accuracy": Criterion("accuracy"),
        "precision ≥ 0.95": Criterion("recall_at_target_precision", target_precision=0.95),
    }
    for name, criterion in criteria.items():
        place = steady(scores, labels, criterion, np.random.default_rng(0)).threshold
        axes.axvline(place, color="#888888", linewidth=1.2, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(f"{name}\n{place:.2f}", (place, 1.035), ha="center", fontsize=11, annotation_clip=False)
    axes.set_ylim(0.4, 1.02)
    axes.set_xlabel("decision threshold")
    axes.set_ylabel("share of the validation rows")


def draw_pixels_explained(digits: Records) -> None:
    """Five digits, and below each what its pixels add to the score of being an 8."""
    pixels, names = digits.dense(), digits.labels[:, 0].astype(int)
    eight = (names == 8).astype(np.float32)
    shown = [int(np.flatnonzero(names == name)[number]) for name, number in ((8, 0), (8, 1), (3, 0), (1, 3), (9, 0))]
    job = LinearLearner(predictor_type="binary_classifier").fit(train=(pixels, eight), logs=False)
    with job.deploy(workers=1) as predictor:
        explained = predictor.explain(pixels[shown])
    most = np.abs(explained.contributions).max()
    figure, places = plt.subplots(2, len(shown), figsize=(11, 4.4), layout="constrained")
    for number, (above, below) in enumerate(places.T):
        above.imshow(pixels[shown[number]].reshape(8, 8), cmap="gray_r")
        shares = explained.contributions[number].reshape(8, 8)
        drawn = below.imshow(shares, cmap="RdBu", vmin=-most, vmax=most)
        below.set_title(f"score {explained.scores[number]:.3f}", fontsize=11, color="#555555")
        for place in (above, below):
            place.set_axis_off()
    scale = figure.colorbar(drawn, ax=places[1], shrink=0.9, ticks=[-most, 0, most])
    scale.ax.set_yticklabels(["against an 8", "", "for an 8"], fontsize=11)
    scale.outline.set_visible(False)
    save(figure, "linear-learner-pixels.png")


COUNTS = (1, 2, 5, 10, 20, 30, 40, 64)
SHOWN = (2, 5, 10, 20, 64)


def draw_components(pixels: np.ndarray[Any, Any]) -> None:
    """Left the share of the variance that so many components explain, right digits rebuilt from so many of them."""
    figure = plt.figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    place = left.subplots()
    for mode, color, style in (("regular", COLORS[0], "o-"), ("randomized", COLORS[1], "s--")):
        share = [explained(pixels, count, mode) for count in COUNTS]
        place.plot(COUNTS, share, style, color=color, label=mode, markersize=6)
    place.set_xlabel("num_components")
    place.set_ylabel("test:explained_variance")
    place.set_ylim(0, 1.03)
    place.grid(axis="y", color="#dddddd")
    place.legend(frameon=False, loc="lower right")
    tensors = tensors_of(PCA(num_components=64).fit(train=pixels, logs=False))
    rows = pixels[[0, 3, 8]]
    along = (rows - tensors["mean"]) @ tensors["v"]
    drawn = right.subplots(len(rows), len(SHOWN) + 1)
    for number, row in enumerate(drawn):
        # The most significant components come last.
        images = [tensors["mean"] + along[number, -count:] @ tensors["v"][:, -count:].T for count in SHOWN]
        for image, cell, title in zip([*images, rows[number]], row, [*map(str, SHOWN), "original"], strict=True):
            cell.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            cell.set_axis_off()
            if number == 0:
                cell.set_title(title, fontsize=12)
    save(figure, "pca-digits.png")


def explained(pixels: np.ndarray[Any, Any], count: int, mode: str) -> float:
    """The share of the rows' variance that the components of that mode explain."""
    model = PCA(num_components=count, algorithm_mode=mode)  # type: ignore[arg-type]
    return float(model.fit(train=pixels, test=pixels, logs=False).metrics["test:explained_variance"].value)


def parts(whole: Records) -> dict[str, Records]:
    """Seven tenths of the rows to learn from, and three to validate with."""
    order, cut = np.random.default_rng(0).permutation(len(whole)), int(0.7 * len(whole))
    return {"train": whole.take(order[:cut]), "validation": whole.take(order[cut:])}


class Watched:
    """A job of the linear learner in this process, without early stopping, that notes every candidate's losses."""

    def __init__(self, given: dict[str, str], rows: dict[str, Records]) -> None:
        self.losses: list[Any] = []
        watched = self

        class Contest(search.Contest):
            def enter(self, epoch: int, value_M: Any, loss_M: Any, *more: Any) -> None:
                watched.losses.append(loss_M)
                super().enter(epoch, value_M, loss_M, *more)
                watched.winner = self.winner

        job: Job[Any] = Job(
            LINEAR.parse({**given, "early_stopping_patience": "1000"}),
            {name: channel(name, part) for name, part in rows.items()},
            Cluster(),
            Log(LINEAR, "algo-1", lambda _: None),
            Checkpoints(None, {}),
        )
        with mock.patch.object(linear_training, "Contest", Contest):
            self.artifact = linear_training.train(job)


def channel(name: str, rows: Records) -> ChannelInput:
    """A channel that holds these rows."""
    kept = Spool()
    kept.add(rows)
    return ChannelInput(name, Path(name), MediaType(RECORDIO_PROTOBUF), kept=kept)


def save(figure: Any, name: str) -> None:
    """Write a picture without the date in it, so that equal pictures are equal files."""
    IMAGES.mkdir(exist_ok=True)
    if figure.get_layout_engine() is None:
        figure.tight_layout()
    figure.savefig(IMAGES / name, dpi=120, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
