"""Loads well-known public sets from a folder where a person has put the files as their origins publish them.

Nothing is downloaded. Each set names its files; they may lie in the folder itself or anywhere below it.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from clary.toolkit.errors import UserError
from clary.toolkit.records import Records


def fashion_mnist(folder: Path, *, part: str = "train") -> Records:
    """Fashion-MNIST (MIT): 784 pixel values from 0 to 255, and the class; 60,000 rows, 10,000 with part ``t10k``."""
    images = _content(folder, f"{part}-images-idx3-ubyte.gz")
    labels = _content(folder, f"{part}-labels-idx1-ubyte.gz")
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784).astype(np.float32)
    return Records(pixels, np.frombuffer(labels, np.uint8, offset=8).astype(np.float32)[:, None], "fashion-mnist")


def letter(folder: Path) -> Records:
    """UCI Letter Recognition (CC BY 4.0): 16 integer features, and the letter from 0 (A) to 25; 20,000 rows."""
    lines = _content(folder, "letter-recognition.data.gz").decode().split()
    cells = [line.split(",") for line in lines]
    features = np.array([row[1:] for row in cells], dtype=np.float32)
    labels = np.array([ord(row[0]) - ord("A") for row in cells], dtype=np.float32)
    return Records(features, labels[:, None], "letter")


def _content(folder: Path, name: str) -> bytes:
    """The unpacked file of that name in or below the folder; UserError if it is not there."""
    found = sorted(folder.rglob(name))
    if not found:
        raise UserError(f"{name} is not in {folder}; put the file there as its origin publishes it")
    return gzip.decompress(found[0].read_bytes())
