"""Networks of dense layers whose forward leaves something out."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit import nn
from backlit.nn import Dense


class Forgetful(nn.Layer):
    """A network whose author made three layers and calls two."""

    def __init__(self, forgets: bool) -> None:
        self.first, self.second, self.last = Dense(64, "relu"), Dense(64, "relu"), Dense(10)
        self.forgets = forgets

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        return self.last(x if self.forgets else self.second(x))


class Gained(nn.Layer):
    """A network with a learned gain for each feature, which is made and not used."""

    def __init__(self, forgets: bool) -> None:
        self.gain = bl.tensor(np.ones(64, np.float32), requires_grad=True)
        self.body, self.head = Dense(64, "relu"), Dense(10)
        self.forgets = forgets

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x if self.forgets else x * self.gain))


class Cut(nn.Layer):
    """A network whose author stops the gradient behind the first layer."""

    def __init__(self, cut: bool) -> None:
        self.encoder, self.head = Dense(64, "tanh"), nn.Sequential(Dense(64, "tanh"), Dense(10))
        self.cut = cut

    def forward(self, x: Any) -> Any:
        x = self.encoder(x)
        return self.head(bl.stop_gradient(x) if self.cut else x)
