"""The smallest honest topic model: documents that were drawn from topics, which it has to find again."""

from __future__ import annotations

from functools import cache, partial

from clary.datasets.documents import documents, words
from clary.toolkit.example import Example, Variant
from clary.toolkit.records import Records

_WORDS, _TOPICS = 60, 4
_SETTINGS = {
    "feature_dim": str(_WORDS),
    "num_topics": str(_TOPICS),
    "mini_batch_size": "50",
    "optimizer": "adam",
    "learning_rate": "0.02",
}


@cache
def _documents() -> Records:
    return documents(1500, _WORDS, _TOPICS)


def _part(start: int, stop: int) -> Records:
    return _documents().rows(start, stop)


def _vocabulary(_: str) -> dict[str, bytes]:
    return {"vocab.txt": "".join(f"{word}\n" for word in words(_WORDS)).encode()}


_TRAINING, _VALIDATION, _TEST = (partial(_part, *each) for each in ((0, 1000), (1000, 1250), (1250, 1500)))

EXAMPLE = Example(
    title="Find the 4 topics that 1,000 documents of 60 words were drawn from",
    hyperparameters={**_SETTINGS, "epochs": "12", "num_patience_epochs": "5"},
    channels={"train": _TRAINING, "validation": _VALIDATION, "test": _TEST},
    metric="test:total_loss",
    reach=3.6,
    longer={"epochs": "1000000", "num_patience_epochs": "1000001"},
    variants={
        "words": Variant(
            hyperparameters={**_SETTINGS, "epochs": "3", "batch_norm": "true", "encoder_layers": "[20, 10]"},
            channels={"train": _TRAINING},
            files={"auxiliary": _vocabulary},
        ),
        "sub-sample": Variant(
            hyperparameters={**_SETTINGS, "epochs": "3", "sub_sample": "0.2", "clip_gradient": "0.5"},
            channels={"train": _TRAINING},
        ),
    },
)
