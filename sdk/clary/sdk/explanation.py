"""Why a model answers what it answers: what each feature of each row adds to its score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from clary.sdk.contributions import OPTION
from clary.toolkit.errors import PlatformError, UserError
from clary.toolkit.records import Records
from clary.toolkit.spec import AlgorithmSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from clary.sdk.answers import Predictions

Numbers = npt.NDArray[np.floating[Any]]


class Explanation:
    """What the D features of N rows add to the score of each row, or to the scores of its C classes.

    ``contributions`` is an array (N, D), or (N, C, D) for a classifier of several classes. Added to ``base``, (N,)
    or (N, C), they give ``margins``, the score before the link function: for two classes the log odds.
    ``scores`` are the answers themselves, ``rows`` the explained rows, and ``names`` those of the features.
    """

    def __init__(
        self,
        rows: Records,
        *,
        contributions: Numbers,
        base: Numbers,
        scores: npt.NDArray[Any],
        names: Sequence[str] | None = None,
        title: str = "",
    ) -> None:
        self.rows, self.contributions, self.base, self.scores = rows, contributions, base, scores
        width, given = contributions.shape[-1], list(names or ())
        self.names = [*given[:width], *(f"feature {number}" for number in range(len(given), width))]
        self.title = title

    @classmethod
    def of(cls, rows: Records, answers: Predictions, spec: AlgorithmSpec, names: Sequence[str] | None) -> Explanation:
        """The explanation that the answers to these rows hold; PlatformError if they hold none."""
        columns = answers.columns
        if OPTION not in columns or "base" not in columns:
            raise PlatformError(
                f"the answers hold no {OPTION}; serve the model with a version of Clary that has them"
            )
        contributions, base = columns[OPTION], columns["base"]
        # Where the server is told to answer other values than the score, there is still what it is made of.
        scores = columns.get("score", base + contributions.sum(axis=-1))
        return cls(rows, contributions=contributions, base=base, scores=scores, names=names, title=spec.title)

    @classmethod
    def join(cls, parts: Sequence[Explanation]) -> Explanation:
        """One explanation of the rows of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            Records.join([part.rows for part in parts]),
            contributions=np.concatenate([part.contributions for part in parts]),
            base=np.concatenate([part.base for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            names=parts[0].names,
            title=parts[0].title,
        )

    @property
    def classes(self) -> int:
        """Number of classes that have contributions of their own; 1 where each row has one score."""
        return self.contributions.shape[1] if self.contributions.ndim == 3 else 1

    @property
    def margins(self) -> Numbers:
        """Base plus contributions: the score before the link function, (N,) or (N, C)."""
        return np.asarray(self.base + self.contributions.sum(axis=-1))

    @property
    def importance(self) -> Numbers:
        """The mean size of each feature's contributions, (D,) or (C, D)."""
        return np.asarray(np.abs(self.contributions).mean(axis=0))

    def of_class(self, class_: int | None = None) -> Explanation:
        """The part for one class, as if it had the only score; without a number, the class that wins most rows.

        UserError if there is no such class.
        """
        if self.contributions.ndim == 2:
            if class_ is not None:
                raise UserError(f"each row has one score here, so there is no class to choose; got class {class_}")
            return self
        if class_ is None:
            class_ = int(np.bincount(self.margins.argmax(axis=1)).argmax())
        if not 0 <= class_ < self.classes:
            raise UserError(f"the classes are 0 to {self.classes - 1}; got class {class_}")
        scores = self.scores[:, class_] if self.scores.ndim == 2 else self.scores
        return Explanation(
            self.rows,
            contributions=self.contributions[:, class_],
            base=self.base[:, class_],
            scores=scores,
            names=self.names,
            title=f"{self.title}, class {class_}",
        )

    def table(self) -> Numbers:
        """Score, base and contributions in columns: a line for each row, or for each class of each row."""
        shape = self.contributions.shape[:-1]
        scores = self.scores if self.scores.shape == shape else np.broadcast_to(self.scores[:, None], shape)
        lines = np.concatenate([scores[..., None], self.base[..., None], self.contributions], axis=-1)
        return np.asarray(lines.reshape(-1, lines.shape[-1]))

    def to_pandas(self) -> Any:
        """``table`` as a pandas data frame under the names of the features, indexed by row, and class of several."""
        import pandas

        index = None
        if self.contributions.ndim == 3:
            index = pandas.MultiIndex.from_product([range(len(self)), range(self.classes)], names=["row", "class"])
        return pandas.DataFrame(self.table(), columns=["score", "base", *self.names], index=index)

    def plot(
        self, path: str | Path | None = None, *, row: int | None = None, top: int = 15, class_: int | None = None
    ) -> Figure:
        """A matplotlib figure of the features that matter most, written to ``path`` if one is given.

        Without ``row``: how much each feature adds on average, and its contribution to every row, colored by the
        feature's value. With ``row``, counted from 0: the way from the base to that row's score, feature by
        feature. ``top`` features are shown and the others together; of several classes one is shown, the one
        that wins most rows, or wins the row, unless ``class_`` names it.
        """
        from clary.sdk import explanation_plot

        if top < 1:
            raise UserError(f"top must be at least 1; got {top}")
        if row is not None and not 0 <= row < len(self):
            raise UserError(f"the rows are 0 to {len(self) - 1}; got row {row}")
        if row is None and len(self) > 1:
            figure = explanation_plot.overview(self.of_class(class_), top)
        else:
            row = row or 0
            chosen = class_ if class_ is not None or self.classes == 1 else int(self.margins[row].argmax())
            figure = explanation_plot.waterfall(self.of_class(chosen), row, top)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def __len__(self) -> int:
        return len(self.contributions)

    def __repr__(self) -> str:
        of = f" and {self.classes} classes" if self.classes > 1 else ""
        part = self.of_class()
        order = np.argsort(-part.importance, kind="stable")[:5]
        most = ", ".join(f"{self.names[at]} ({part.importance[at]:.3g})" for at in order)
        return f"Explanation of {len(self)} rows, {len(self.names)} features{of} by {self.title}; most: {most}"
