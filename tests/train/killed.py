"""A small training with checkpoints, run as a process of its own to be killed: `killed.py FOLDER EPOCHS`."""

from __future__ import annotations

import sys

import numpy as np

from backlit import nn, optim, train
from backlit.data import Loader


class Tell(train.Callback):
    """Says that training has begun, so that the killer knows when to begin."""

    def begin(self, trainer: train.Trainer) -> None:
        print("begun", flush=True)


def trained(folder: str, epochs: int) -> nn.Layer:
    """The model after so many epochs, begun anew or gone on from the checkpoints in the folder."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    y = (x[:, :3].sum(1) > 0).astype(np.int64)
    model = nn.Sequential(nn.Dense(16, "tanh"), nn.Dropout(0.2), nn.BatchNorm(), nn.Dense(2))
    stopping = train.EarlyStopping("loss", patience=1000)
    callbacks = [Tell(), stopping, train.Checkpoints(folder, every=2, monitor="loss")]
    trainer = train.Trainer(model, optim.adam(1e-2), callbacks=callbacks, seed=1, threads=1)
    if train.written(folder):
        trainer.resume(*train.latest(folder))
    trainer.fit(Loader((x, y), 32, key=1), epochs)
    return model


if __name__ == "__main__":
    model = trained(sys.argv[1], int(sys.argv[2]))
    print(*(f"{path} {value.numpy().tobytes().hex()}" for path, value in model.values().items()))
