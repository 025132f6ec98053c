"""DeepAR (Salinas et al. 2017, arXiv 1704.04110): an autoregressive recurrent network for many series.

At each step the network sees the series' own past at several lags over its scale, features of the calendar, the age
of the series, dynamic features, embeddings of its categories and the logarithm of the scale; it gives the likelihood
of the target. Forecasts are sample paths: each sample is seen by the steps behind it.

T steps, I inputs, G gates, H cells, B windows, N series, S samples, E numbers of the embeddings and the scale.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from clary.algorithms.deepar.data import Fields, Series
from clary.algorithms.deepar.frequency import Frequency
from clary.algorithms.deepar.layers import Recurrent, on_all_cores, one_thread, project
from clary.algorithms.deepar.loss import LIKELIHOODS, Noise
from clary.algorithms.deepar.spec import SPEC, Hyperparameters
from clary.algorithms.deepar.windows import Batch, Windows
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]
# Sample paths that are drawn together: on a core as many as its cache holds, on a GPU as many as keep it busy.
PATHS_OF_A_CORE, PATHS_OF_A_GPU = 1 << 11, 1 << 14


class Network(nn.Module):
    """The network: from what is known at each step to the numbers of a likelihood."""

    def __init__(self, hp: Hyperparameters, fields: Fields, usual: float) -> None:
        super().__init__()
        self.frequency, self.fields, self.usual = Frequency.parse(hp.time_freq), fields, usual
        self.lags, self.likelihood = self.frequency.lags(), LIKELIHOODS[hp.likelihood]
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, hp.embedding_dimension) for size in fields.categories or ()
        )
        self._still = len(self.embeddings) * hp.embedding_dimension + 1
        moving = len(self.lags) + self.frequency.width + 1 + fields.dynamic
        self.recurrent = Recurrent(self._still + moving, hp.num_cells, hp.num_layers, hp.dropout_rate)
        self.head = nn.Linear(hp.num_cells, self.likelihood.width)

    def forward(self, batch: Batch) -> Tensor:
        """The mean loss of the targets that were observed."""
        hidden_THB, _ = self.recurrent(self.project(batch), self.recurrent.start(len(batch)))
        loss_TB = self.likelihood.loss(self.numbers(hidden_THB), batch.target_TB, batch.scale_B)
        return (loss_TB * batch.observed_TB).sum() / batch.observed_TB.sum().clamp(min=1)

    def project(self, batch: Batch) -> Tensor:
        """What the first layer makes of the inputs (T, G, B); what stands still in a window is added once."""
        still = [torch.log(batch.scale_B / self.usual)[None]]
        still += [each(batch.cat_BC[:, place]).t() for place, each in enumerate(self.embeddings)]
        weights_GI, bias_G1 = self.recurrent.from_input[0], self.recurrent.bias[0]
        still_GB = weights_GI[:, : self._still] @ torch.cat(still) + bias_G1
        return project(weights_GI[:, self._still :], batch.inputs_TIB, still_GB)

    def lag_weights(self) -> Tensor:
        """The first layer's weights of the lags (G, L)."""
        return self.recurrent.from_input[0][:, self._still : self._still + len(self.lags)]

    def numbers(self, hidden_THB: Tensor) -> tuple[Tensor, ...]:
        """The likelihood's numbers at each step, each (T, B)."""
        bias_PB = self.head.bias[:, None].expand(-1, hidden_THB.shape[-1])
        found = project(self.head.weight, hidden_THB, bias_PB)
        numbers: tuple[Tensor, ...] = found.unbind(dim=-2)
        return numbers


@dataclass(frozen=True)
class Forecaster:
    """A trained network, ready to be asked."""

    network: Network
    hp: Hyperparameters
    device: torch.device

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Forecaster:
        """The model of an artifact on that device; UserError if it holds none of DeepAR."""
        if artifact.algorithm != SPEC.name:
            raise UserError(f"this is a model of {artifact.algorithm}; deepar cannot load it")
        hp = SPEC.parse(artifact.hyperparameters)
        assert isinstance(hp, Hyperparameters)
        try:
            categories, schema = artifact.schema["cardinality"], artifact.schema
            fields = Fields(tuple(categories) if categories else None, int(schema["num_dynamic_feat"]))
            usual = float(schema["mean_absolute_target"])
            if not 0 < usual < math.inf:
                raise ValueError(f"mean_absolute_target is {usual}")
            network = Network(hp, fields, usual)
            network.load_state_dict({name: torch.tensor(each) for name, each in artifact.tensors.items()})
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"the model's tensors do not fit its hyperparameters; it is damaged ({error})") from error
        return cls(network.to(device).eval(), hp, torch.device(device))

    def artifact(self) -> Artifact:
        """This model as an artifact."""
        fields, frequency = self.network.fields, self.network.frequency
        return Artifact(
            algorithm=SPEC.name,
            hyperparameters=self.hp.spell(),
            schema={
                "cardinality": list(fields.categories or ()),
                "num_dynamic_feat": fields.dynamic,
                "mean_absolute_target": self.network.usual,
                "lags": list(self.network.lags),
                "time_features": frequency.width,
            },
            tensors={name: each.detach().cpu().numpy() for name, each in self.network.state_dict().items()},
        )

    @property
    def fields(self) -> Fields:
        """The optional fields that a series must have."""
        return self.network.fields

    @property
    def frequency(self) -> Frequency:
        """The time between two points."""
        return self.network.frequency

    @property
    def prediction_length(self) -> int:
        """How many steps a forecast has."""
        return self.hp.prediction_length

    def sample(self, series: Series, samples: int) -> Array:
        """Sample paths (N, S, prediction_length) of what follows each series, float32, in units of the data.

        The same series has the same paths whatever stands beside it, but for the rounding of sums: chance is drawn
        by a number made from its points. Dynamic features go on to the end of the forecast.
        """
        found = np.empty((len(series), samples, self.prediction_length), np.float32)
        windows = Windows(series, self.network.lags, self.network.usual, self.device)
        drawn = 1 if self.network.likelihood.certain else samples
        on_gpu = self.device.type != "cpu"
        each = max(1, (PATHS_OF_A_GPU if on_gpu else PATHS_OF_A_CORE) // drawn)

        def draw(start: int) -> None:
            index_B = np.arange(start, min(start + each, len(series)))
            noise = Noise([_chance(series, int(index)) for index in index_B])
            with torch.inference_mode():
                found[index_B] = self._paths(windows, index_B, series.lengths[index_B], drawn, noise)

        starts = range(0, len(series), each)
        with one_thread():
            if on_gpu:
                for start in starts:
                    draw(start)
            else:
                on_all_cores(draw, starts)
        return found

    def _paths(self, windows: Windows, index_N: Array, length_N: Array, samples: int, noise: Noise) -> Array:
        network, context, horizon = self.network, self.hp.context_length, self.prediction_length
        batch = windows.cut(index_N, length_N - context, context, context + horizon)
        projected_TGN = network.project(batch)
        # The first step of the forecast still sees nothing but what is known.
        hidden, state = network.recurrent(projected_TGN[: context + 1], network.recurrent.start(len(index_N)))
        raw = [each.expand(samples, -1).t().cpu().numpy() for each in (n[-1] for n in network.numbers(hidden))]
        scale_N1 = batch.scale_B[:, None].cpu().numpy()
        scale_NS = np.broadcast_to(scale_N1, (len(index_N), samples))
        paths_TNS = np.empty((horizon, len(index_N), samples), np.float32)
        paths_TNS[0] = network.likelihood.draw(raw, scale_NS, noise)
        state = [(h.repeat_interleave(samples, 1), c.repeat_interleave(samples, 1)) for h, c in state]
        seen_TB = torch.from_numpy(paths_TNS.reshape(horizon, -1)).to(self.device)
        weights_GL = network.lag_weights()
        for step in range(1, horizon):
            known_GN = projected_TGN[context + step]
            gates_GB = known_GN.repeat_interleave(samples, dim=1)
            back = [(place, step - lag) for place, lag in enumerate(network.lags) if lag <= step]
            columns, steps = [place for place, _ in back], [place for _, place in back]
            gates_GB.addmm_(weights_GL[:, columns], seen_TB[steps])
            hidden_THB, state = network.recurrent(gates_GB[None], state)
            raw = [each.view(len(index_N), samples).cpu().numpy() for each in network.numbers(hidden_THB)]
            paths_TNS[step] = network.likelihood.draw(raw, scale_NS, noise)
            seen_TB[step] = torch.from_numpy(paths_TNS[step].reshape(-1)).to(self.device)
        paths_NST: Array = paths_TNS.transpose(1, 2, 0) * scale_N1[:, :, None]
        return paths_NST


def _chance(series: Series, index: int) -> np.random.Generator:
    """A generator whose state follows from the points, the start and the categories of one series."""
    points = series.target[series.ends[index] : series.ends[index + 1]]
    told = [points, series.start[index : index + 1], series.cat[index]]
    return np.random.default_rng([zlib.crc32(np.ascontiguousarray(each).tobytes()) for each in told])
