"""Arrays exchanged with PyTorch and JAX without a copy."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl


def test_torch_and_back() -> None:
    torch = pytest.importorskip("torch")
    t = bl.asarray(np.arange(6.0, dtype=np.float32).reshape(2, 3))
    there = torch.from_dlpack(t)
    assert there.dtype == torch.float32
    assert there.tolist() == t.tolist()
    assert there.data_ptr() == t.numpy().ctypes.data
    back = bl.from_dlpack(there)
    assert np.shares_memory(back.numpy(), t.numpy())
    assert bl.asarray(torch.arange(3)).tolist() == [0, 1, 2]
    assert bl.sum(torch.ones(3)).item() == 3.0
    assert torch.from_dlpack(bl.broadcast_to(t[0], (2, 3))).tolist() == [[0, 1, 2]] * 2


def test_jax_and_back() -> None:
    jax = pytest.importorskip("jax")
    t = bl.asarray(np.arange(6.0, dtype=np.float32))
    there = jax.numpy.from_dlpack(t)
    assert there.tolist() == t.tolist()
    assert bl.from_dlpack(there).tolist() == t.tolist()
    assert bl.asarray(there).dtype == bl.float32
