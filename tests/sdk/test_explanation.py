"""Explanations: what each feature adds to each score, as numbers, as tables and as pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from clary.algorithms import registry
from clary.runner.invocation import Answer
from clary.sdk import Explanation, Predictions, Predictor
from clary.toolkit import tabular
from clary.toolkit.errors import DataError, PlatformError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS = np.array([[2.0, -1.0, 0.5], [0.0, 4.0, 0.25]])
ROWS = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 4.0], [2.0, 2.0, 0.0], [0.5, 0.0, 0.0]], np.float32)
NAMES = ["height", "width", "weight"]
LINEAR = registry.spec("linear_learner")


def one(rows: Any = ROWS, names: list[str] | None = None) -> Explanation:
    """The explanation of a model with one score: a weighted sum from 0.25 on, through the logistic function."""
    dense = rows.toarray() if sparse.issparse(rows) else np.nan_to_num(rows)
    contributions = dense * WEIGHTS[0]
    base = np.full(len(dense), 0.25)
    scores = 1 / (1 + np.exp(-(base + contributions.sum(axis=1))))
    return Explanation(
        Records(rows), contributions=contributions, base=base, scores=scores, names=names, title="A model"
    )


def several() -> Explanation:
    """The explanation of a model with two classes that have a score each."""
    contributions = ROWS[:, None, :] * WEIGHTS
    base = np.tile([0.25, -0.5], (len(ROWS), 1))
    scores = base + contributions.sum(axis=2)
    return Explanation(Records(ROWS), contributions=contributions, base=base, scores=scores, names=NAMES, title="It")


# Numbers


def test_base_and_contributions_add_up_to_the_margin() -> None:
    found = one()
    np.testing.assert_allclose(1 / (1 + np.exp(-found.margins)), found.scores)
    assert several().margins.shape == (4, 2)
    assert len(found) == 4


def test_importance_is_the_mean_size() -> None:
    np.testing.assert_allclose(one().importance, np.abs(ROWS * WEIGHTS[0]).mean(axis=0))
    assert several().importance.shape == (2, 3)


def test_features_are_named_and_numbered_where_they_have_no_names() -> None:
    assert one(names=NAMES).names == NAMES
    assert one().names == ["feature 0", "feature 1", "feature 2"]
    assert one(names=["height"]).names == ["height", "feature 1", "feature 2"]


def test_a_class_can_be_looked_at_alone() -> None:
    found = several()
    assert (found.classes, one().classes) == (2, 1)
    np.testing.assert_array_equal(found.of_class(1).contributions, found.contributions[:, 1])
    np.testing.assert_array_equal(found.of_class(1).scores, found.scores[:, 1])
    winners = found.margins.argmax(axis=1)
    most = int(np.bincount(winners).argmax())
    assert found.of_class().title == f"It, class {most}"
    assert one().of_class().title == "A model"


def test_a_data_frame_has_a_line_for_each_row_or_for_each_class_of_each_row() -> None:
    frame = one(names=NAMES).to_pandas()
    assert list(frame.columns) == ["score", "base", *NAMES]
    assert frame["width"].tolist() == (-ROWS[:, 1]).tolist()
    frame = several().to_pandas()
    assert frame.index.names == ["row", "class"]
    assert frame.loc[(2, 1), "width"] == 8.0
    np.testing.assert_allclose(frame["base"] + frame[NAMES].sum(axis=1), frame["score"])


def test_parts_make_a_whole() -> None:
    whole = one(names=NAMES)
    parts = Explanation.join([one(ROWS[:1], NAMES), one(ROWS[1:], NAMES)])
    np.testing.assert_array_equal(parts.table(), whole.table())
    assert parts.names == NAMES
    assert len(parts.rows) == len(ROWS)


def test_it_says_what_it_holds() -> None:
    assert repr(one(names=NAMES)).startswith("Explanation of 4 rows, 3 features by A model; most: height (")
    assert "3 features and 2 classes by It" in repr(several())


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda: one().of_class(0), "there is no class to choose; got class 0"),
        (lambda: several().of_class(2), "the classes are 0 to 1; got class 2"),
        (lambda: one().plot(row=4), "the rows are 0 to 3; got row 4"),
        (lambda: one().plot(row=-1), "the rows are 0 to 3; got row -1"),
        (lambda: one().plot(top=0), "top must be at least 1; got 0"),
    ],
)
def test_what_is_not_there_is_refused(ask: Any, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        ask()


def test_answers_without_contributions_are_told() -> None:
    with pytest.raises(PlatformError, match="the answers hold no contributions"):
        Explanation.of(Records(ROWS), Predictions({"score": np.zeros(4)}), LINEAR, None)


def test_the_score_may_be_left_out_of_the_answers() -> None:
    columns = {"contributions": ROWS.astype(float), "base": np.ones(4)}
    found = Explanation.of(Records(ROWS), Predictions(columns), LINEAR, None)
    np.testing.assert_array_equal(found.scores, found.margins)


# Pictures


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def words(figure: Figure) -> str:
    found = [part for axes in figure.axes for part in (axes, *axes.child_axes)]
    return " | ".join(text.get_text() for axes in found for text in axes.texts)


def test_over_many_rows_the_features_are_ranked_and_each_row_is_a_dot(tmp_path: Path) -> None:
    figure = one(names=NAMES).plot(tmp_path / "why.png")
    assert labels(figure) == ["height", "width", "weight"]
    assert figure.get_suptitle() == "A model: what moves the score, over 4 rows and 3 features"
    dots = [len(each.get_offsets()) for each in figure.axes[1].collections]  # type: ignore[arg-type]
    assert dots == [4, 4, 4]
    assert (tmp_path / "why.png").stat().st_size > 1000


def test_for_one_row_the_steps_lead_from_the_base_to_the_score() -> None:
    figure = one(names=NAMES).plot(row=1)
    assert labels(figure) == ["base", "weight = 4", "width = 1", "height = 0", "together"]
    assert figure.get_suptitle() == "A model: why row 1 scores 0.7773"
    assert words(figure) == "+2 | −1 | +0 | 0.25 | 1.25"
    assert one(ROWS[:1]).plot().get_suptitle().startswith("A model: why row 0 scores"), "one row has no ranking"


def test_features_beyond_the_first_are_shown_together() -> None:
    wide = Explanation(
        Records(np.eye(6, dtype=np.float32)), contributions=np.eye(6), base=np.ones(6), scores=np.ones(6)
    )
    assert labels(wide.plot(top=2)) == ["feature 0", "feature 1", "4 other features"]
    assert labels(wide.plot(top=2, row=5))[-2:] == ["4 other features", "together"]
    assert len(labels(wide.plot(top=5))) == 6, "a single one is no others"


def test_of_several_classes_one_is_drawn() -> None:
    found = several()
    assert found.plot().get_suptitle().startswith("It, class ")
    assert found.plot(class_=1).get_suptitle().startswith("It, class 1: what moves the score")
    wins = int(found.margins[2].argmax())
    assert found.plot(row=2).get_suptitle().startswith(f"It, class {wins}: why row 2 scores")


def test_missing_values_and_sparse_rows_are_drawn() -> None:
    holes = ROWS.copy()
    holes[1, 2] = np.nan
    assert "gray: none" in words(one(holes).plot())
    assert "gray: none" not in words(one().plot())
    assert "feature 2 = no value" in labels(one(holes).plot(row=1))
    assert labels(one(sparse.csr_matrix(ROWS)).plot(row=0))[1] == "feature 0 = 1"


def test_long_names_and_many_rows_keep_the_picture_readable() -> None:
    rows = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    figure = one(rows, ["x" * 60, "short", "name"]).plot()
    assert max(map(len, labels(figure))) == 32
    assert figure.axes[1].get_title(loc="left") == "Each row (2,000 of them)"


@settings(deadline=None, max_examples=6)
@given(rows=st.integers(1, 30), width=st.integers(1, 20), top=st.integers(1, 8), seed=st.integers(0, 9))
def test_every_shape_can_be_drawn(rows: int, width: int, top: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2, (rows, width)).astype(np.float32)
    found = Explanation(
        Records(values), contributions=values * seed, base=np.zeros(rows), scores=np.zeros(rows), title="A model"
    )
    found.plot(top=top)
    found.plot(row=rows - 1, top=top)


def test_without_matplotlib_a_picture_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install 'clary\[plot\]'"):
        one().plot()


# From an endpoint


class Endpoint:
    """An endpoint whose score is the sum of the features, with a payload limit as small as wished."""

    name, url = "mine", "http://127.0.0.1:1"

    def __init__(self, payload_limit: int) -> None:
        self.payload_limit, self.answers, self.accepted = payload_limit, [0], ""

    def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        self.accepted = accept
        assert len(body) <= self.payload_limit
        rows = tabular.decode(body, MediaType.parse(content_type)).dense().tolist()
        content = json.dumps({"predictions": [{"score": sum(r), "base": 0.0, "contributions": r} for r in rows]})
        self.answers.append(len(content))
        return Answer(200, "application/json", content.encode())

    def close(self) -> None:
        pass


@pytest.mark.parametrize("limit", [4000, 1 << 20])
def test_all_rows_are_explained_in_order_and_no_answer_is_too_long(limit: int) -> None:
    rows = np.arange(3000, dtype=np.float32).reshape(500, 6) / 7
    endpoint = Endpoint(limit)
    found = Predictor(endpoint, LINEAR).explain(pandas.DataFrame(rows, columns=list("abcdef")))
    np.testing.assert_allclose(found.contributions, rows, rtol=1e-6)
    np.testing.assert_allclose(found.scores, found.margins)
    assert found.names == list("abcdef")
    assert found.title == "Linear learner"
    assert endpoint.accepted == "application/json; contributions=true"
    assert max(endpoint.answers) <= limit
    assert len(endpoint.answers) > (10 if limit == 4000 else 1)


def test_a_vector_is_one_row_and_bad_rows_are_refused_before_they_are_sent() -> None:
    endpoint = Endpoint(1 << 20)
    predictor = Predictor(endpoint, LINEAR)
    assert predictor.explain([1.0, 2.0]).contributions.tolist() == [[1.0, 2.0]]
    with pytest.raises(DataError, match="row 1, column 2"):
        predictor.explain([1.0, float("inf")])


def test_an_algorithm_that_cannot_explain_names_those_that_can() -> None:
    predictor = Predictor(Endpoint(1 << 20), registry.spec("kmeans"))
    with pytest.raises(UserError, match=r"K-means does not explain its answers; those that do: .*, XGBoost"):
        predictor.explain(ROWS)
