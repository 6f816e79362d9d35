"""The contenders: what each needs to be installed, and how it is held to two threads."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from typing import NamedTuple

from .workload import THREADS


class Peer(NamedTuple):
    """A contender.

    Attributes:
        method: the name of the method of a `Workload` that makes it.
        needs: the modules it imports, of which all must be there.
        packages: whose versions are reported.
    """

    method: str
    needs: tuple[str, ...]
    packages: tuple[str, ...]


PEERS = {
    "Backlit": Peer("backlit", ("backlit",), ("backlit", "llvmlite", "numpy")),
    "NumPy by hand": Peer("numpy", ("numpy",), ("numpy",)),
    "scikit-learn": Peer("sklearn", ("sklearn",), ("scikit-learn",)),
    "torch eager": Peer("torch", ("torch",), ("torch",)),
    "torch.compile": Peer("torch_compiled", ("torch",), ("torch",)),
    "jax.jit": Peer("jax", ("jax",), ("jax", "jaxlib")),
    "tf.function": Peer("tensorflow", ("tensorflow",), ("tensorflow-cpu",)),
    "TensorFlow XLA": Peer("tensorflow_xla", ("tensorflow",), ("tensorflow-cpu",)),
    "tinygrad": Peer("tinygrad", ("tinygrad",), ("tinygrad",)),
    "onnxruntime": Peer("onnxruntime", ("onnxruntime", "onnx"), ("onnxruntime",)),
}


def installed() -> list[str]:
    """The contenders that can be run here."""
    there = [name for name, peer in PEERS.items() if all(map(importlib.util.find_spec, peer.needs))]
    # tinygrad calls clang for every kernel that it runs on a CPU.
    return [name for name in there if name != "tinygrad" or shutil.which("clang")]


def versions(names: list[str]) -> dict[str, str]:
    """The versions of their packages."""
    packages = sorted({p for name in names for p in PEERS[name].packages})
    return {p: importlib.metadata.version(p) for p in packages}


def environment() -> dict[str, str]:
    """The environment of a process that is measured; libraries read it when they are loaded.

    Some machines hold NumPy's products back by `OPENBLAS_CORETYPE`.
    """
    kept = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BACKLIT_THREADS")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", "JAX_PLATFORMS": "cpu", "DEV": "CPU"}
    return kept | {k: str(THREADS) for k in threads} | quiet


def hold() -> None:
    """Keep this process to as many cores as threads: what sizes its pool by the cores it sees (XLA) has so many."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def settle(name: str) -> None:
    """Set the threads of a contender that takes them from Python."""
    if name.startswith("torch"):
        import torch

        torch.set_num_threads(THREADS)
    elif PEERS[name].needs == ("tensorflow",):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
