"""An optimizer that leaves torch's compiler alone takes the same steps, and loads none."""

from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from clary.toolkit.optimizers import light  # noqa: E402


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "RMSprop"])
def test_steps_and_state_are_those_of_torch(name: str) -> None:
    found = []
    for kind in (getattr(torch.optim, name), light(getattr(torch.optim, name))):
        weights = torch.nn.Parameter(torch.linspace(-1, 1, 6))
        rule = kind([weights], lr=0.1)
        for _ in range(3):
            rule.zero_grad()
            weights.pow(3).sum().backward()
            rule.step()
        again = kind([weights], lr=0.1)
        again.load_state_dict(rule.state_dict())
        weights.sum().backward()
        again.step()
        found.append(weights.detach().tolist())
    assert found[0] == found[1]


def test_no_compiler_is_loaded() -> None:
    code = (
        "import sys, torch; from clary.toolkit.optimizers import light;"
        "weights = torch.nn.Parameter(torch.ones(2)); rule = light(torch.optim.Adam)([weights]);"
        "weights.sum().backward(); rule.step(); rule.zero_grad(); rule.load_state_dict(rule.state_dict());"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
