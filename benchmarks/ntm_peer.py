"""The network of the neural topic model in plain PyTorch on dense batches, as a program: the seconds of its epochs.

    python -m benchmarks.ntm_peer SETTINGS

SETTINGS is JSON: the job's hyperparameters, the ``archive`` with the documents, and ``threads``. Every part is what
PyTorch has for it: linear layers, log_softmax, gradients by autograd, its own Adam.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ntm import TOPICS, WORDS, rows


def encoder(layers: str) -> tuple[torch.nn.Module, int]:
    """The layers and the width of the last."""
    widths = [3 * TOPICS, 2 * TOPICS] if layers == "auto" else [int(each) for each in layers.split(",")]
    parts: list[torch.nn.Module] = []
    for before, behind in zip([WORDS, *widths], widths, strict=False):
        parts += [torch.nn.Linear(before, behind), torch.nn.Tanh()]
    return torch.nn.Sequential(*parts), widths[-1]


def main() -> None:
    """Train, and print the seconds of each epoch as a JSON list."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    documents, batch = rows(Path(settings["archive"]), "tr"), int(settings.get("mini_batch_size", 256))
    hidden, width = encoder(settings["encoder_layers"])
    mean, log_variance, decoder = (
        torch.nn.Linear(*sizes) for sizes in ((width, TOPICS), (width, TOPICS), (TOPICS, WORDS))
    )
    network = torch.nn.ModuleList([hidden, mean, log_variance, decoder])
    rule, seconds = torch.optim.Adam(network.parameters(), lr=float(settings["learning_rate"])), []
    for epoch in range(int(settings["epochs"])):
        began, order = time.perf_counter(), np.random.default_rng(epoch).permutation(documents.shape[0])
        for first in range(0, len(order), batch):
            counts = torch.from_numpy(documents[order[first : first + batch]].toarray())
            units = hidden(torch.log1p(counts))
            middle, spread = mean(units), log_variance(units)
            shares = torch.softmax(middle + torch.exp(spread / 2) * torch.randn_like(middle), dim=1)
            lost = -(counts * torch.log_softmax(decoder(shares), dim=1)).sum(dim=1)
            divergence = 0.5 * (middle.square() + spread.exp() - 1 - spread).sum(dim=1)
            rule.zero_grad()
            ((lost + divergence) / counts.sum(dim=1).clamp(min=1)).mean().backward()
            rule.step()
        seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
