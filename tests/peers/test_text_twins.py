"""The networks for texts beside the torch modules that the comparison on real data trains: same outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backlit.data import text_dataset
from backlit.train.networks import network
from bench.twins import twin

torch: Any = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_twin(name: str) -> None:
    data = text_dataset("to be, or not to be: that is the question. " * 10, window=6)
    model = network(name, data).build(data.train.x[:1], key=3)
    x = data.train.x[:4]
    with torch.no_grad():
        found = twin(name, model).eval()(torch.from_numpy(x.astype(np.int64)))
    np.testing.assert_allclose(model(x).numpy(), found, rtol=1e-4, atol=2e-5)
