"""Where everything lies under ``/opt/ml``; the root is given, so the whole contract runs in any folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = Path("/opt/ml")


@dataclass(frozen=True)
class Layout:
    """The folders and files of the train and serve contract under one root."""

    root: Path = DEFAULT_ROOT

    @classmethod
    def from_environment(cls) -> Layout:
        """The root that ``CLARY_ROOT`` names, or ``/opt/ml``."""
        return cls(Path(os.environ.get("CLARY_ROOT") or DEFAULT_ROOT))

    @property
    def config(self) -> Path:
        """Folder of the three configuration files."""
        return self.root / "input" / "config"

    @property
    def hyperparameters(self) -> Path:
        """The job's hyperparameters, a flat object of strings."""
        return self.config / "hyperparameters.json"

    @property
    def channels(self) -> Path:
        """The job's channels and how each is delivered."""
        return self.config / "inputdataconfig.json"

    @property
    def resources(self) -> Path:
        """The job's hosts and which of them this one is."""
        return self.config / "resourceconfig.json"

    @property
    def data(self) -> Path:
        """Folder of channel folders (File, FastFile) and FIFOs (Pipe)."""
        return self.root / "input" / "data"

    @property
    def model(self) -> Path:
        """Training writes the model here; serving reads it here."""
        return self.root / "model"

    @property
    def models(self) -> Path:
        """Multi-model serving: one folder for each model."""
        return self.root / "models"

    @property
    def checkpoints(self) -> Path:
        """Where a job's progress is kept while it runs."""
        return self.root / "checkpoints"

    @property
    def output(self) -> Path:
        """Folder of the failure file and of other artifacts."""
        return self.root / "output"

    @property
    def output_data(self) -> Path:
        """Other artifacts."""
        return self.output / "data"

    @property
    def failure(self) -> Path:
        """What went wrong, for the platform; 1,024 characters of it are used."""
        return self.output / "failure"
