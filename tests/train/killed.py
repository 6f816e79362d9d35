"""A small training with checkpoints, to be run as a process of its own and killed: `killed.py FOLDER`."""

from __future__ import annotations

import sys

import numpy as np

from backlit import nn, optim, train
from backlit.data import Loader


def trained(folder: str) -> nn.Layer:
    """The model after 6 epochs, begun anew or gone on from the checkpoints in the folder."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    y = (x[:, :3].sum(1) > 0).astype(np.int64)
    model = nn.Sequential(nn.Dense(16, "tanh"), nn.Dropout(0.2), nn.BatchNorm(), nn.Dense(2))
    callbacks = [train.EarlyStopping("loss", patience=50), train.Checkpoints(folder, every=2, monitor="loss")]
    trainer = train.Trainer(model, optim.adam(1e-2), callbacks=callbacks, seed=1, threads=1)
    if train.written(folder):
        trainer.resume(*train.latest(folder))
    trainer.fit(Loader((x, y), 32, key=1), 6)
    return model


if __name__ == "__main__":
    print(*(f"{path} {value.numpy().tobytes().hex()}" for path, value in trained(sys.argv[1]).values().items()))
