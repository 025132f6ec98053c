"""How well word vectors agree with people: rank correlations on the WordSimilarity-353 sets, and analogies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Judged = tuple[str, str, float]

SETS = {"EN-WS-353-ALL.txt": "", "EN-WS-353-REL.txt": "R", "EN-WS-353-SIM.txt": "S"}
MEAN = "mean_rho"
_PAIRS = "wordsim353.tsv"
_AT_ONCE = 512  # questions


@cache
def judgments() -> Mapping[str, Sequence[Judged]]:
    """The pairs of words of each set, in lower case, with what people think of them (Finkelstein et al. 2002)."""
    text = resources.files("clary.algorithms.blazingtext").joinpath(_PAIRS).read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    pairs = [(one.lower(), other.lower(), float(score), sets) for one, other, score, sets in rows]
    return {
        name: [(one, other, score) for one, other, score, sets in pairs if mark in sets]
        for name, mark in SETS.items()
    }


def word_similarity(words: Sequence[bytes], vectors_VD: Array) -> dict[str, Any]:
    """For each set the rank correlation of cosine and judgment, pairs that are not found left out; and their mean.

    Where fewer than two pairs are found, or all are alike, the correlation is 0.
    """
    places = {word: place for place, word in reversed(list(enumerate(words)))}
    found: dict[str, Any] = {}
    for name, pairs in judgments().items():
        known = [
            (places[one.encode()], places[other.encode()], score)
            for one, other, score in pairs
            if one.encode() in places and other.encode() in places
        ]
        found[name] = {
            "not_found": len(pairs) - len(known),
            "spearmans_rho": _rho(vectors_VD, known),
            "total_pairs": len(pairs),
        }
    return {**found, MEAN: float(np.mean([each["spearmans_rho"] for each in found.values()]))}


def _rho(vectors_VD: Array, known: Sequence[tuple[int, int, float]]) -> float:
    if len(known) < 2:
        return 0.0
    ones, others, scores = zip(*known, strict=True)
    unit_ND, other_ND = _unit(vectors_VD[list(ones)]), _unit(vectors_VD[list(others)])
    cosines = np.einsum("nd,nd->n", unit_ND, other_ND).round(12)
    ranks, judged = _ranks(cosines), _ranks(np.array(scores))
    if not (ranks.std() and judged.std()):
        return 0.0
    return float(np.corrcoef(ranks, judged)[0, 1])


def _ranks(values_N: Array) -> Array:
    """The rank of each value, that of equals the mean of their places."""
    _, places_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places_N])


def _unit(vectors_ND: Array) -> Array:
    exact = vectors_ND.astype(np.float64)
    unit_ND: Array = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-30)
    return unit_ND


def analogies(words: Sequence[bytes], vectors_VD: Array, questions: Sequence[Sequence[bytes]]) -> tuple[float, int]:
    """The share of questions "a is to b as c is to d" that the word closest to b - a + c answers; and their number.

    The three given words are no answers, and questions with an unknown word are not asked (Mikolov et al. 2013).
    """
    places = {word: place for place, word in reversed(list(enumerate(words)))}
    asked_Q4 = np.array(
        [[places[word] for word in each] for each in questions if all(word in places for word in each)]
    )
    if not len(asked_Q4):
        return 0.0, 0
    unit_VD = _unit(vectors_VD).astype(np.float32)
    right = 0
    for start in range(0, len(asked_Q4), _AT_ONCE):
        part_Q4 = asked_Q4[start : start + _AT_ONCE]
        wanted_QD = unit_VD[part_Q4[:, 1]] - unit_VD[part_Q4[:, 0]] + unit_VD[part_Q4[:, 2]]
        cosine_QV = wanted_QD @ unit_VD.T
        np.put_along_axis(cosine_QV, part_Q4[:, :3], -np.inf, axis=1)
        right += int((cosine_QV.argmax(axis=1) == part_Q4[:, 3]).sum())
    return right / len(asked_Q4), len(asked_Q4)
