"""Draws the picture of the page about factorization machines: what the factors found in ratings of films.

    PYTHONPATH=. python docs/film_picture.py --data FOLDER

FOLDER holds the files of MovieLens 100K, anywhere below; they may be used for research, and not be handed on.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from benchmarks.factorization_machines import FILMS, RATINGS, USERS, films, movielens

from clary.sdk import FactorizationMachines
from clary.toolkit import tabular
from clary.toolkit.artifact import Artifact, unpack
from clary.toolkit.media import LIBSVM, MediaType

Array = npt.NDArray[Any]
IMAGE = Path(__file__).parent / "images" / "factorization-machines-films.png"
EPOCHS = (3, 6, 12, 20)
CURVES: tuple[tuple[str, dict[str, str]], ...] = (("with pairs", {}), ("without", {"factors_lr": "0"}))
COLORS = ("#0072b2", "#d55e00")
# Well-known films of many kinds; all of them on the map would be unreadable.
SHOWN = (
    "Star Wars (1977)",
    "Return of the Jedi (1983)",
    "Terminator 2: Judgment Day (1991)",
    "Independence Day (ID4) (1996)",
    "Pulp Fiction (1994)",
    "Fargo (1996)",
    "Citizen Kane (1941)",
    "Casablanca (1942)",
    "English Patient, The (1996)",
    "Piano, The (1993)",
    "Titanic (1997)",
    "Sound of Music, The (1965)",
    "Lion King, The (1994)",
    "Mary Poppins (1964)",
    "Dumb & Dumber (1994)",
    "Trainspotting (1996)",
)


def main() -> None:
    """Train on the first fold, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files of MovieLens 100K")
    folder = parser.parse_args().data
    titles = _titles(folder)
    parts = movielens(folder, 1)
    plt.rcParams.update({"font.size": 13, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 6.5), width_ratios=(1, 1.9))
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: _written(part, Path(scratch) / f"{name}.libsvm") for name, part in parts.items()}
        for color, (label, changed) in zip(
            COLORS, (("with pairs", {}), ("without", {"factors_lr": "0"})), strict=True
        ):
            jobs = [_trained(paths, {**RATINGS, **changed, "epochs": str(epochs)}) for epochs in EPOCHS]
            left.plot(EPOCHS, [job.metrics["test:rmse"].value for job in jobs], "o-", color=color, label=label)
            if not changed:
                unpack(Path(jobs[-1].model_path), Path(scratch) / "model")
        machine = Artifact.read(Path(scratch) / "model").tensors
    left.set(xlabel="epochs", ylabel="test:rmse", ylim=(0.9, 1.0))
    left.legend(frameon=False)
    _draw_map(right, machine["v"][USERS:].astype(np.float64), titles, parts["train"])
    figure.tight_layout()
    figure.savefig(IMAGE, dpi=80)


def _trained(paths: dict[str, Path], settings: dict[str, str]) -> Any:
    given: dict[str, Any] = {**settings, "feature_dim": USERS + FILMS}
    return FactorizationMachines(**given).fit(**{name: str(path) for name, path in paths.items()}, logs=False)


def _written(part: Array, path: Path) -> Path:
    with path.open("wb") as stream:
        tabular.write(stream, films(part), MediaType(LIBSVM))
    return path


def _titles(folder: Path) -> list[str]:
    (path,) = sorted(folder.rglob("u.item.gz"))[:1]
    lines = gzip.decompress(path.read_bytes()).decode("latin-1").splitlines()
    return [line.split("|")[1] for line in lines]


def _draw_map(axes: Any, factors_FK: Array, titles: list[str], rated: Array) -> None:
    """The films with sixty ratings or more in the two directions in which their factors differ most."""
    often = np.flatnonzero(np.bincount(rated[:, 1] - 1, minlength=FILMS) >= 60)
    centered = factors_FK[often] - factors_FK[often].mean(axis=0)
    _, _, directions = np.linalg.svd(centered, full_matrices=False)
    places = centered @ directions[:2].T
    axes.scatter(*places.T, s=12, color="#bbbbbb")
    for name in SHOWN:
        x, y = places[np.searchsorted(often, titles.index(name))]
        axes.plot(x, y, "o", color=COLORS[0], markersize=5)
        axes.annotate(name, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=10)
    axes.set(xlabel="first direction", ylabel="second direction", xticks=[], yticks=[])


if __name__ == "__main__":
    main()
