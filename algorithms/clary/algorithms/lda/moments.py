"""The first moments of a corpus, as its documents estimate them: how often one, two and three words stand together.

N documents, V words, K directions. For words x1, x2, x3 of a document, with the concentration a of its mixture,

    M1 = E[x1],   M2 = E[x1 x2] - a / (a + 1) M1 M1,
    M3 = E[x1 x2 x3] - a / (a + 2) (E[x1 x2 M1] + E[x1 M1 x2] + E[M1 x1 x2]) + 2 a^2 / ((a + 1) (a + 2)) M1 M1 M1

are sums over topics, of weights times the topic once, twice and three times (Anandkumar, Ge, Hsu, Kakade and
Telgarsky, "Tensor Decompositions for Learning Latent Variable Models", 2014, theorem 3.5). No matrix over pairs of
words is ever formed: M2 is multiplied by a few columns, and M3 is formed in the directions of M2 alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from clary.algorithms.lda.data import Array, Matrix
from clary.toolkit.channels import StoppedError

FEWEST_WORDS = 3  # of a document that tells how often three words stand together
_ITERATIONS, _MORE = 3, 10  # of the randomized decomposition, and the columns that it has beyond those asked for
_AT_ONCE = 1 << 23  # numbers of a block of products
_REAL = 0.5  # how much of a direction's second moment the other half of the documents must confirm


@dataclass(frozen=True)
class Moments:
    """M1; the directions of M2 as orthonormal columns, with its values along them; M3 in whitened directions."""

    mean_V: Array
    axes_VK: Array
    values_K: Array
    tensor_KKK: Array

    def colored(self, directions_KR: Array) -> Array:
        """Whitened directions turned back into words (V, R)."""
        return np.asarray((self.axes_VK * np.sqrt(self.values_K)) @ directions_KR)


class Documents:
    """Documents of three words or more, each counting as much as it has words.

    A long document says more of which words stand together than a short one, whose few pairs are mostly chance.
    What takes long raises StoppedError soon after ``stop`` holds.
    """

    def __init__(self, counts_NV: Matrix, concentration: float, stop: Callable[[], bool] = lambda: False) -> None:
        lengths_N = np.asarray(counts_NV.sum(axis=1, dtype=np.float64)).ravel()
        chosen = lengths_N >= FEWEST_WORDS
        self.counts_NV = counts_NV[chosen].astype(np.float64)
        self.counts_VN = self.counts_NV.T.tocsr()
        lengths_N, self._a, self._stop = lengths_N[chosen], concentration, stop
        # What the products of two and of three words of a document are divided by, so that it counts by its length.
        self._pairs_N = 1 / (lengths_N - 1) / lengths_N.sum()
        self._triples_N = self._pairs_N / (lengths_N - 2)
        self.mean_V = self.counts_VN @ (np.ones(len(lengths_N)) / lengths_N.sum())
        self._own_V = self.counts_VN @ self._pairs_N

    def __len__(self) -> int:
        return int(self.counts_NV.shape[0])

    def halves(self, rng: np.random.Generator) -> Iterator[Documents]:
        """The documents in two parts, by chance."""
        first = rng.permutation(len(self)) < len(self) / 2
        for part in (first, ~first):
            yield Documents(self.counts_NV[part], self._a, self._stop)

    def second(self, columns_VL: Array) -> Array:
        """M2, multiplied by the columns."""
        self.heed()
        # A word does not stand beside itself: that is what the diagonal takes away.
        found_VL: Array = self.counts_VN @ (self._pairs_N[:, None] * (self.counts_NV @ columns_VL))
        found_VL -= self._own_V[:, None] * columns_VL
        found_VL -= self._a / (self._a + 1) * np.multiply.outer(self.mean_V, self.mean_V @ columns_VL)
        return found_VL

    def third(self, white_VK: Array) -> Array:
        """M3 in whitened directions (K, K, K)."""
        white_NK, mean_K = self.counts_NV @ white_VK, self.mean_V @ white_VK
        tensor_KKK = self._cubes(white_NK, white_NK * self._triples_N[:, None])
        # Of the same word twice, and three times.
        beside_VK = self.counts_VN @ (self._triples_N[:, None] * white_NK)
        beside_VK -= 2 / 3 * (self.counts_VN @ self._triples_N)[:, None] * white_VK
        pairs_KK = white_NK.T @ (self._pairs_N[:, None] * white_NK) - white_VK.T @ (self._own_V[:, None] * white_VK)
        taken_KKK = self._cubes(white_VK, beside_VK)
        taken_KKK += self._a / (self._a + 2) * np.multiply.outer(mean_K, pairs_KK)
        tensor_KKK -= taken_KKK + taken_KKK.transpose(1, 0, 2) + taken_KKK.transpose(1, 2, 0)
        share = 2 * (self._a / (self._a + 1)) * (self._a / (self._a + 2))
        tensor_KKK += share * mean_K[:, None, None] * mean_K[:, None] * mean_K
        return tensor_KKK

    def heed(self) -> None:
        """Nothing; StoppedError where the job was asked to stop."""
        if self._stop():
            raise StoppedError

    def _cubes(self, twice_NK: Array, once_NK: Array) -> Array:
        """The sum over rows of once x twice x twice (K, K, K)."""
        count = twice_NK.shape[1]
        total = np.zeros((count, count * count))
        for start in range(0, len(twice_NK), step := max(1, _AT_ONCE // count**2)):
            self.heed()
            rows = twice_NK[start : start + step]
            total += once_NK[start : start + step].T @ (rows[:, :, None] * rows[:, None]).reshape(len(rows), -1)
        return total.reshape(count, count, count)


def moments(documents: Documents, most: int, rng: np.random.Generator, say: Callable[[str], None]) -> Moments:
    """The moments of the documents in at most so many directions: those that both halves of the documents have.

    StoppedError where the job was asked to stop before they were there.
    """
    values_K, axes_VK = _leading(documents, most, rng, say)
    count = _confirmed(documents, len(values_K), rng)
    values_K, axes_VK = values_K[:count], axes_VK[:, :count]
    # M2 becomes the identity where it is multiplied with these from both sides.
    white_VK = axes_VK / np.sqrt(values_K)
    return Moments(documents.mean_V, axes_VK, values_K, documents.third(white_VK))


def _leading(
    documents: Documents, most: int, rng: np.random.Generator, say: Callable[[str], None] = lambda _: None
) -> tuple[Array, Array]:
    """The largest eigenvalues of M2 above zero, descending, and their eigenvectors, by random subspace iteration.

    Halko, Martinsson and Tropp, "Finding structure with randomness" (2011), algorithm 4.4.
    """
    width = len(documents.mean_V)
    basis_VL = _orthonormal(rng.standard_normal((width, min(most + _MORE, width))))
    for iteration in range(_ITERATIONS):
        say(f"Krylov method iteration: {iteration}.")
        basis_VL = _orthonormal(documents.second(basis_VL))
    small_LL = basis_VL.T @ documents.second(basis_VL)
    values, vectors = np.linalg.eigh((small_LL + small_LL.T) / 2)
    values, vectors = values[::-1][:most], vectors[:, ::-1][:, :most]
    real = values > max(values[0], 0) * math.sqrt(np.finfo(np.float64).eps)
    return values[real], basis_VL @ vectors[:, real]


def _orthonormal(columns_VL: Array) -> Array:
    """Orthonormal columns of the same span, and zeros where it has fewer dimensions than columns.

    From the Gram matrix, by products of matrices alone; the second time mends the rounding of the first.
    """
    for _ in range(2):
        values_L, turns_LL = np.linalg.eigh(columns_VL.T @ columns_VL)
        least = max(values_L[-1], 0) * np.finfo(np.float64).eps
        columns_VL = columns_VL @ (turns_LL / np.sqrt(np.where(values_L > least, values_L, np.inf)))
    return columns_VL


def _confirmed(documents: Documents, most: int, rng: np.random.Generator) -> int:
    """How many directions of M2 are there in both halves of the documents, and so are no chance.

    Whitening brings every direction to one length, the noise as well, which would then drown the others in M3.
    """
    one, two = documents.halves(rng)
    if not len(one) or not len(two) or not most:
        return most
    shares = np.zeros(most)
    for own, other in ((one, two), (two, one)):
        values_K, axes_VK = _leading(own, most, rng)
        confirmed_K = np.einsum("vk,vk->k", axes_VK, other.second(axes_VK)) / values_K
        shares[: len(confirmed_K)] += confirmed_K / 2
    # One long document makes a direction of its own, which half of the documents lack, and behind the last real one
    # chance confirms a few; so most of the kept ones have to be confirmed, and the more the better.
    return int(np.argmax(np.cumsum(np.clip(shares, 0, 1) - _REAL))) + 1
