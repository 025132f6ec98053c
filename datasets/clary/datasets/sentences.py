"""Made-up sentences from a seed, each on one of a dozen topics, so that words of a topic stand together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TOPICS: dict[str, str] = {
    "animals": "tiger cat feline jaguar carnivore animal fauna zoo crane bird cock rooster mammal horse",
    "computers": "computer keyboard internet software network hardware news report laboratory data",
    "economy": "stock market bank money cash dollar buck credit finance currency investor earning",
    "family": "man woman king queen brother monk boy lad mother child parent nephew",
    "food": "food fruit drink mouth eat cucumber cabbage potato bread butter sugar liquid water",
    "law": "law lawyer court attorney evidence judge president medal crisis proceeding peace",
    "medicine": "doctor nurse hospital physician health treatment recovery disease psychology psychiatry",
    "music": "music project chord smile singer string instrument concert piano record",
    "places": "city street avenue car automobile journey voyage train plane coast shore hill travel",
    "religion": "jerusalem israel palestinian holy midday noon wizard magician oracle furnace stove",
    "sport": "football soccer basketball tennis racket game team series championship tournament victory defeat",
    "space": "planet star constellation moon sun galaxy astronomer telescope space chemistry nature environment",
}
_COMMON = tuple("the of and a to in is was it for on with as by at from that this".split())  # noqa: SIM905
_SHORTEST, _LONGEST = 7, 14  # words


def of_topics(count: int, *, seed: int = 0, labeled: bool = False) -> Sequence[str]:
    """Sentences in an order that means nothing; labeled ones begin with ``__label__`` and the topic's name."""
    rng = np.random.default_rng(seed)
    names = list(TOPICS)
    return [_sentence(rng, names[int(rng.integers(len(names)))], labeled) for _ in range(count)]


def _sentence(rng: np.random.Generator, topic: str, labeled: bool) -> str:
    words = TOPICS[topic].split()
    # Words that stand next to each other above stand together more often than others of the topic.
    middle, size = int(rng.integers(len(words))), int(rng.integers(_SHORTEST, _LONGEST + 1))
    chosen = []
    for _ in range(size):
        place = round(float(rng.normal(middle, 1.5)))
        common = rng.random() < 0.3 or not 0 <= place < len(words)
        chosen.append(_COMMON[int(rng.integers(len(_COMMON)))] if common else words[place])
    return " ".join([f"__label__{topic}", *chosen] if labeled else chosen)
