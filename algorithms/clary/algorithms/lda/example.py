"""The smallest honest LDA job: ten topics that look like bars, in documents that look like pictures."""

from __future__ import annotations

from functools import partial

from clary.datasets.generators import bars
from clary.toolkit.example import Example

EXAMPLE = Example(
    title="Find the ten bars that 1,500 made-up pictures of 25 pixels are mixed from",
    hyperparameters={"num_topics": "10", "feature_dim": "25", "mini_batch_size": "1500"},
    channels={"train": partial(bars, 1500), "test": partial(bars, 500, seed=1)},
    metric="test:pwll",
    reach=-3.0,
    longer={"max_restarts": "1000000"},
)
