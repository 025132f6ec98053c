"""A model answers as it is asked to, refuses what is damaged, and is taken away without Clary."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from clary.algorithms.knn.managed import INDEX, LABELS, SETTINGS, Settings
from clary.algorithms.knn.search import encode
from clary.algorithms.knn.serve import Predictor
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.media import MediaType
from linear import records

Array = npt.NDArray[Any]
ROWS = np.array([[0, 0], [0, 1], [0, 2], [5, 5], [5, 6]], np.float32)
LABELS_S = np.array([2, 1, 1, 7, 7], np.float32)


def model(rows: Array = ROWS, labels: Array = LABELS_S, normalize: bool = False, **settings: Any) -> Artifact:
    """A model with a flat index of these rows."""
    index = faiss.IndexFlatIP(rows.shape[1]) if normalize else faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    chosen = Settings(**{"k": 3, "predictor_type": "classifier", "normalize": normalize, **settings})
    files = {INDEX: encode(index), LABELS: labels.tobytes(), SETTINGS: chosen.spell()}
    return Artifact("knn", {}, {"feature_dim": rows.shape[1]}, {"labels": labels}, files)


def answered(artifact: Artifact, body: bytes, accept: str) -> bytes:
    predictor, kind = Predictor.load(artifact, "cpu"), MediaType.parse(accept)
    request = predictor.decode(body, MediaType.parse("text/csv"))
    return predictor.encode(predictor.predict_with(request, predictor.options(kind)), kind)


def test_answers_have_the_documented_form() -> None:
    plain = answered(model(), b"0,0\n5,5\n", "application/json")
    assert json.loads(plain) == {"predictions": [{"predicted_label": 1.0}, {"predicted_label": 7.0}]}
    verbose = answered(model(), b"0,0\n", "application/json; verbose=true")
    assert verbose == b'{"predictions":[{"predicted_label":1.0,"distances":[0.0,1.0,2.0],"labels":[2.0,1.0,1.0]}]}'
    lines = answered(model(predictor_type="regressor", k=2), b"0,0\n5,5\n", "application/jsonlines; verbose=false")
    assert lines.split() == [b'{"predicted_label":1.5}', b'{"predicted_label":7.0}']


def test_verbose_must_be_a_truth_value() -> None:
    with pytest.raises(UserError, match="verbose must be 'true' or 'false'; got 'loud'"):
        answered(model(), b"0,0\n", "application/json; verbose=loud")


def test_of_labels_that_are_as_frequent_the_smallest_wins() -> None:
    assert json.loads(answered(model(k=5), b"5,5\n", "application/json"))["predictions"] == [{"predicted_label": 1.0}]


def test_of_rows_that_are_as_near_the_first_is_taken() -> None:
    twins = model(np.zeros((50, 2), np.float32), np.arange(50, dtype=np.float32), k=2)
    for count in (1, 20, 100):
        answer = Predictor.load(twins, "cpu").predict_with(records(np.ones((count, 2))), {"verbose": "1"})
        assert answer["labels"].tolist() == [[0, 1]] * count


def test_settings_may_be_edited() -> None:
    artifact = model()
    edited = json.loads(artifact.files[SETTINGS]) | {"k": 1, "predictor_type": "regressor"}
    edit = replace(artifact, files={**artifact.files, SETTINGS: json.dumps(edited).encode()})
    assert json.loads(answered(edit, b"0,0\n", "application/json"))["predictions"] == [{"predicted_label": 2.0}]


def test_a_row_beyond_all_numbers_is_refused_with_its_place() -> None:
    far = model(np.full((5, 2), 3e38, np.float32), LABELS_S)
    with pytest.raises(DataError, match="row 2: the row is farther from the sample than a float32 can say"):
        answered(far, b"3e38,3e38\n-3e38,-3e38\n", "application/json")


def test_no_row_has_no_answer() -> None:
    answer = Predictor.load(model(), "cpu").predict(records(np.empty((0, 0))))
    assert len(answer["predicted_label"]) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (b"{", "cannot be read as JSON"),
        (b"[]", "must hold a JSON object; got list"),
        (b'{"k": "5", "predictor_type": "classifier"}', 'k must be an integer at least 1; got "5"'),
        (b'{"k": 5, "predictor_type": "best"}', 'predictor_type must be one of classifier, regressor; got "best"'),
        (b'{"k": 50, "predictor_type": "classifier"}', "its index has 5 rows, .* k = 50"),
        (
            b'{"k": 1, "predictor_type": "regressor", "dimension_reduction": 7}',
            "dimension_reduction must be null or an object with a type",
        ),
        (
            b'{"k": 1, "predictor_type": "regressor", "dimension_reduction": {"type": "sign", "target_dim": 2}}',
            "the parts of its sign reduction have shapes {}",
        ),
    ],
    ids=str,
)
def test_damaged_settings_are_refused_in_a_sentence(settings: bytes, words: str) -> None:
    artifact = model()
    with pytest.raises(UserError, match=words):
        Predictor.load(replace(artifact, files={**artifact.files, SETTINGS: settings}), "cpu")


def test_labels_that_do_not_fit_the_index_are_refused() -> None:
    with pytest.raises(UserError, match="its index has 5 rows, and there are labels of shape"):
        Predictor.load(replace(model(), tensors={"labels": LABELS_S[:4]}), "cpu")


# Models of the managed algorithm


def managed(folder: Path, artifact: Artifact, **settings: Any) -> Path:
    """The three files that the managed algorithm leaves."""
    for name in (INDEX, LABELS):
        (folder / name).write_bytes(artifact.files[name])
    (folder / SETTINGS).write_text(json.dumps(json.loads(artifact.files[SETTINGS]) | settings))
    return folder


def test_a_managed_model_is_served(tmp_path: Path) -> None:
    unit = ROWS[1:] / np.linalg.norm(ROWS[1:], axis=1, keepdims=True)
    adopted = Predictor.adopt(managed(tmp_path, model(unit, LABELS_S[1:], normalize=True)))
    answer = json.loads(answered(adopted, b"9,9\n", "application/json;verbose=true"))["predictions"][0]
    assert answer["labels"] == [7, 7, 1]
    assert answer["distances"] == pytest.approx([1, 61**-0.5 * 11 / 2**0.5, 2**-0.5])
    assert adopted.hyperparameters["index_metric"] == "COSINE"


def test_a_managed_model_with_a_reduction_is_refused(tmp_path: Path) -> None:
    reduction = {"type": "sign", "seed": 1, "target_dim": 2, "input_dim": 9}
    managed(tmp_path, model(), dimension_reduction=reduction)
    with pytest.raises(UserError, match="whose random numbers only the managed algorithm knows"):
        Predictor.adopt(tmp_path)


def test_half_a_managed_model_is_refused(tmp_path: Path) -> None:
    managed(tmp_path, model())
    (tmp_path / LABELS).unlink()
    with pytest.raises(UserError, match=r"has model_algo-1 but no model_algo-1\.labels"):
        Predictor.adopt(tmp_path)


def test_the_page_says_truly_how_to_take_a_model_away(tmp_path: Path) -> None:
    model().write(tmp_path)
    index = faiss.read_index(os.fspath(tmp_path / "model_algo-1"))
    labels = np.fromfile(tmp_path / "model_algo-1.labels", np.float32)
    squared, numbers = index.search(np.array([[0, 0]], np.float32), 3)
    assert squared.tolist() == [[0, 1, 4]]
    assert labels[numbers].tolist() == [[2, 1, 1]]
