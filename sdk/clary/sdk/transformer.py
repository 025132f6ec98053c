"""Batch transform in the classic two steps: settings first, data later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clary.runner.splitting import Split
from clary.sdk.model import Model


class Transformer:
    """What ``estimator.transformer(...)`` gives; ``outputs`` holds where the answers of the last run are."""

    def __init__(self, model: Model, output_path: str | Path | None, settings: Mapping[str, Any]) -> None:
        self._model, self.output_path, self._settings = model, output_path, dict(settings)
        self.outputs: list[Path | str] = []

    def transform(
        self, data: Any, *, content_type: str | None = None, split_type: Split | None = None
    ) -> list[Path | str]:
        """Score whole files and wait for the end; where the answers are comes back."""
        self.outputs = self._model.transform(
            data, self.output_path, content_type=content_type, split_type=split_type, **self._settings
        )
        return self.outputs

    def wait(self) -> None:
        """Return at once, since ``transform`` has waited already."""
