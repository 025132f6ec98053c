"""Optimizers of torch that leave its compiler alone, which takes longer to load than a small job to train."""

from __future__ import annotations

import inspect
from functools import cache

import torch

# Torch keeps its compiler from looking into these, and loads it to say so.
_GUARDED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


@cache
def light(rule: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """The same optimizer, for programs that compile nothing: its methods are those behind the guards."""
    methods = {name: inspect.unwrap(getattr(rule, name)) for name in _GUARDED}
    return type(rule.__name__, (rule,), {**methods, "step": torch.no_grad()(inspect.unwrap(rule.step))})
