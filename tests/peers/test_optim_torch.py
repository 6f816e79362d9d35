"""Optimizers and schedules beside torch.optim, on the same gradients in float64, option by option."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import optim

torch = pytest.importorskip("torch")

STEPS = 100
rng = np.random.default_rng(0)
START = {
    "encoder.weight": rng.normal(size=(5, 4)),
    "encoder.bias": rng.normal(size=4),
    "kernel": rng.normal(size=(2, 3, 4)),
    "gain": rng.normal(size=()),
}
GRADIENTS = [{k: rng.normal(size=v.shape) * 10.0 ** rng.uniform(-3, 1) for k, v in START.items()} for _ in range(STEPS)]

T = torch.optim
PAIRS = [
    (optim.sgd(0.1), T.SGD, {"lr": 0.1}),
    (optim.sgd(0.1, weight_decay=0.1), T.SGD, {"lr": 0.1, "weight_decay": 0.1}),
    *[
        (optim.sgd(0.05, **options), T.SGD, {"lr": 0.05, **options})
        for options in (
            {"momentum": 0.9},
            {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.01},
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
        )
    ],
    *[
        (optim.adagrad(**options), T.Adagrad, options)
        for options in (
            {},
            {"lr": 0.1, "lr_decay": 0.02},
            {"lr": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1, "eps": 1e-4},
        )
    ],
    *[
        (optim.rmsprop(**options), T.RMSprop, options)
        for options in (
            {},
            {"lr": 0.003, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1},
            {"momentum": 0.9},
            {"centered": True},
            {"centered": True, "momentum": 0.5, "weight_decay": 0.01, "alpha": 0.95},
        )
    ],
    *[
        (optim.adadelta(**options), T.Adadelta, options)
        for options in ({}, {"lr": 0.5, "rho": 0.95, "eps": 1e-5, "weight_decay": 0.1})
    ],
    *[
        (optim.adam(**options), T.Adam, options)
        for options in (
            {},
            {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3},
            {"lr": 0.02, "weight_decay": 0.1},
            {"lr": 0.02, "amsgrad": True},
            {"lr": 0.02, "amsgrad": True, "weight_decay": 0.05, "betas": (0.0, 0.99)},
        )
    ],
    *[
        (optim.adamw(**options), T.AdamW, options)
        for options in ({}, {"lr": 0.05, "weight_decay": 0.3}, {"lr": 0.05, "amsgrad": True, "betas": (0.8, 0.95)})
    ],
    *[
        (optim.nadam(**options), T.NAdam, options)
        for options in (
            {},
            {"lr": 0.05, "momentum_decay": 0.1, "betas": (0.8, 0.99)},
            {"lr": 0.05, "weight_decay": 0.1},
            {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
        )
    ],
    *[
        (optim.adafactor(**options), T.Adafactor, options)
        for options in (
            {},
            {"lr": 0.5, "beta2_decay": -0.5, "d": 1.5},
            {"lr": 0.05, "weight_decay": 0.2, "eps": (1e-6, 1e-2)},
        )
    ],
]  # fmt: skip
NAMES = [f"{kind.__name__}-{'-'.join(map(str, options))}" for _, kind, options in PAIRS]


def ours(optimizer, start=None, gradients=None, after=lambda i, state: state):
    params = {k: bl.tensor(v) for k, v in (START if start is None else start).items()}
    state = optimizer.init(params)
    for i, g in enumerate(GRADIENTS if gradients is None else gradients):
        params, state = optimizer.update(params, {k: bl.tensor(v) for k, v in g.items()}, state)
        state = after(i, state)
    return {k: v.numpy() for k, v in params.items()}


def theirs(kind, options, schedule=None, before=lambda params: None):
    params = {k: torch.tensor(v, requires_grad=True) for k, v in START.items()}
    optimizer = kind(list(params.values()), **options)
    scheduler = schedule and schedule(optimizer)
    for g in GRADIENTS:
        for k, p in params.items():
            p.grad = torch.tensor(g[k])
        before(list(params.values()))
        optimizer.step()
        if scheduler:
            scheduler.step()
    return {k: p.detach().numpy() for k, p in params.items()}


def close(found, expected, rtol=1e-10):
    assert found.keys() == expected.keys()
    for k in expected:
        np.testing.assert_allclose(found[k], expected[k], rtol=rtol, atol=1e-12, err_msg=k)


@pytest.mark.parametrize(("optimizer", "kind", "options"), PAIRS, ids=NAMES)
def test_a_hundred_steps_are_torchs(optimizer, kind, options):
    # torch keeps NAdam's product of momenta in float32, whatever the parameters are.
    close(ours(optimizer), theirs(kind, options), rtol=1e-7 if kind is T.NAdam else 1e-10)


S = torch.optim.lr_scheduler
SCHEDULES = {
    "step": (optim.step_decay(0.3, 30), lambda o: S.StepLR(o, 30)),
    "multistep": (optim.multistep(0.3, [10, 50, 51], 0.5), lambda o: S.MultiStepLR(o, [10, 50, 51], 0.5)),
    "exponential": (optim.exponential(0.3, 0.97), lambda o: S.ExponentialLR(o, 0.97)),
    "polynomial": (optim.polynomial(0.3, 70, 2.0), lambda o: S.PolynomialLR(o, 70, 2.0)),
    "linear": (optim.linear(0.3, 20, 0.1, 0.8), lambda o: S.LinearLR(o, 0.1, 0.8, 20)),
    "cosine": (optim.cosine(0.3, 100, 0.01), lambda o: S.CosineAnnealingLR(o, 100, 0.01)),
    "restarts": (optim.cosine_restarts(0.3, 13), lambda o: S.CosineAnnealingWarmRestarts(o, 13)),
    "growing": (
        optim.cosine_restarts(0.3, 7, 2, 0.02),
        lambda o: S.CosineAnnealingWarmRestarts(o, 7, 2, 0.02),
    ),
    "one_cycle": (optim.one_cycle(0.3, 101), lambda o: S.OneCycleLR(o, 0.3, 101)),
    "one_cycle_linear": (
        optim.one_cycle(0.3, 110, anneal="linear", pct_start=0.25, div_factor=10, final_div_factor=100),
        lambda o: S.OneCycleLR(
            o, 0.3, 110, anneal_strategy="linear", pct_start=0.25, div_factor=10, final_div_factor=100
        ),
    ),
    "one_cycle_three_phases": (
        optim.one_cycle(0.3, 105, three_phase=True),
        lambda o: S.OneCycleLR(o, 0.3, 105, three_phase=True),
    ),
    "warm_up": (
        optim.warm_up(optim.cosine(0.3, 90), 10, 0.1),
        lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 10), S.CosineAnnealingLR(o, 90)], [10]),
    ),
    "chained": (
        optim.chained(0.3 * 0.5, optim.exponential(0.3, 0.9), optim.step_decay(0.3, 5, 0.5), at=[20, 60]),
        lambda o: S.SequentialLR(
            o, [S.ConstantLR(o, 0.5, 1000), S.ExponentialLR(o, 0.9), S.StepLR(o, 5, 0.5)], [20, 60]
        ),
    ),
    "product": (
        optim.product(optim.linear(0.3, 20, 0.1), optim.exponential(1, 0.95)),
        lambda o: S.ChainedScheduler([S.LinearLR(o, 0.1, 1.0, 20), S.ExponentialLR(o, 0.95)]),
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch warns of its own use of a deprecated argument in SequentialLR
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_torchs(name):
    schedule, make = SCHEDULES[name]
    p = torch.zeros(1, requires_grad=True)
    optimizer = T.SGD([p], 0.3)
    scheduler = make(optimizer)
    for step in range(STEPS):
        expected = optimizer.param_groups[0]["lr"]
        np.testing.assert_allclose(float(schedule(float(step)).item()), expected, rtol=1e-6, err_msg=f"step {step}")
        found = schedule(bl.tensor(step, dtype=bl.float64))
        np.testing.assert_allclose(found.item(), expected, rtol=1e-11, atol=1e-15, err_msg=f"step {step}")
        optimizer.step()
        scheduler.step()


def test_a_schedule_inside_an_optimizer():
    make = lambda o: S.CosineAnnealingLR(o, 100)
    close(ours(optim.adamw(optim.cosine(0.05, 100))), theirs(T.AdamW, {"lr": 0.05}, make))


def test_clipping_by_global_norm_is_clip_grad_norm():
    clip = lambda params: torch.nn.utils.clip_grad_norm_(params, 0.7)
    found = ours(optim.chain(optim.clip_by_global_norm(0.7), optim.adam(0.02)))
    close(found, theirs(T.Adam, {"lr": 0.02}, before=clip))


def test_clipping_by_value_is_clip_grad_value():
    clip = lambda params: torch.nn.utils.clip_grad_value_(params, 0.01)
    found = ours(optim.chain(optim.clip_by_value(0.01), optim.sgd(0.5, momentum=0.9)))
    close(found, theirs(T.SGD, {"lr": 0.5, "momentum": 0.9}, before=clip))


def test_groups_are_parameter_groups():
    optimizer = optim.groups({"*.bias": optim.sgd(0.1), "gain": None, "*": optim.adamw(0.01)})
    params = {k: torch.tensor(v, requires_grad=True) for k, v in START.items()}
    biases = [p for k, p in params.items() if k.endswith("bias")]
    others = [p for k, p in params.items() if not k.endswith("bias") and k != "gain"]
    both = T.SGD(biases, 0.1), T.AdamW(others, 0.01)
    for g in GRADIENTS:
        for k, p in params.items():
            p.grad = torch.tensor(g[k])
        for one in both:
            one.step()
    close(ours(optimizer), {k: p.detach().numpy() for k, p in params.items()})


def test_ema_is_the_averaged_model():
    model = torch.nn.Linear(5, 3, dtype=torch.float64)
    start = {k: p.detach().numpy().copy() for k, p in model.named_parameters()}
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    average.update_parameters(model)  # the first call takes the parameters as they are
    optimizer = T.Adam(model.parameters(), 0.05)
    params = {k: bl.tensor(v) for k, v in start.items()}
    ours = optim.ema(optim.adam(0.05), 0.9)
    state = ours.init(params)
    for _ in range(30):
        slopes = {k: rng.normal(size=v.shape) for k, v in start.items()}
        for k, p in model.named_parameters():
            p.grad = torch.tensor(slopes[k])
        optimizer.step()
        average.update_parameters(model)
        params, state = ours.update(params, slopes, state)
    for k, p in average.module.named_parameters():
        np.testing.assert_allclose(optim.averaged(state)[k].numpy(), p.detach().numpy(), rtol=1e-10)


def test_accumulated_gradients_are_one_large_batch():
    found = ours(optim.accumulate(optim.adam(0.05), 4))
    means = [{k: sum(g[k] for g in GRADIENTS[i : i + 4]) / 4 for k in START} for i in range(0, STEPS, 4)]
    close(found, ours(optim.adam(0.05), gradients=means))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 2, "factor": 0.5},
        {"mode": "max", "patience": 1, "cooldown": 3},
        {"patience": 0, "threshold": 0.3, "threshold_mode": "abs", "factor": 0.7},
        {"mode": "max", "threshold": 0.2, "patience": 1, "threshold_mode": "rel", "factor": 0.9},
    ],
)
def test_plateau_is_reduce_on_plateau(options):
    optimizer = T.SGD([torch.zeros(1, requires_grad=True)], 0.5)
    scheduler = S.ReduceLROnPlateau(optimizer, min_lr=1e-5, eps=0, **options)
    watch = optim.plateau(min_scale=2e-5, **options)
    state = watch.init()
    sign = -1 if options.get("mode") == "max" else 1
    for step in range(60):
        figure = sign * (1 / (1 + 0.1 * step) + 0.2 * rng.normal())
        scheduler.step(figure)
        state = watch.update(figure, state)
        np.testing.assert_allclose(0.5 * state.scale, optimizer.param_groups[0]["lr"], rtol=1e-12)


def test_a_scaled_rate_is_a_rate_that_was_set():
    def slower(i, state):
        return optim.with_scale(state, 0.1) if i == 49 else state

    params = {k: torch.tensor(v, requires_grad=True) for k, v in START.items()}
    optimizer = T.NAdam(list(params.values()), 0.05)
    for i, g in enumerate(GRADIENTS):
        optimizer.param_groups[0]["lr"] = 0.05 if i < 50 else 0.005
        for k, p in params.items():
            p.grad = torch.tensor(g[k])
        optimizer.step()
    found = ours(optim.rate_scaled(optim.nadam(0.05)), after=slower)
    close(found, {k: p.detach().numpy() for k, p in params.items()}, rtol=1e-7)


def valley(x, y):
    """Rosenbrock's function of a vector, with a matrix that hangs on to it."""
    return ((1 - x[:-1]) ** 2).sum() + 100 * ((x[1:] - x[:-1] ** 2) ** 2).sum() + ((y - x[None, :3]) ** 4).sum()


def bowl(x, y):
    """A convex function, so that rounding does not grow from step to step."""
    return (x**2 * (1 + x**2)).sum() + (y**4).sum() + ((x[None, :3] - y - 1) ** 2).sum() / 7


@pytest.mark.parametrize(
    ("f", "lr", "history_size", "line_search", "steps"),
    [
        (bowl, 1.0, 10, "strong_wolfe", 100),
        (bowl, 0.3, 5, None, 100),
        (valley, 1.0, 3, "strong_wolfe", 30),
        (valley, 0.5, 5, "strong_wolfe", 30),
        (valley, 0.01, 5, None, 100),
    ],
)
def test_lbfgs_is_torchs(f, lr, history_size, line_search, steps):
    rng = np.random.default_rng(3)
    start = {"x": rng.normal(size=20), "y": rng.normal(size=(2, 3))}
    ours = optim.lbfgs(lr, history_size=history_size, line_search=line_search)
    params = {k: bl.tensor(v) for k, v in start.items()}
    once = bl.compile(lambda p, state: ours.update(p, lambda p: f(p["x"], p["y"]), state))
    params, _, _ = once.repeat(steps, carry=2)(params, ours.init(params))
    leaves = {k: torch.tensor(v, requires_grad=True) for k, v in start.items()}
    theirs = T.LBFGS(
        list(leaves.values()), lr, max_iter=steps, max_eval=100_000, history_size=history_size,
        line_search_fn=line_search, tolerance_grad=0, tolerance_change=1e-15,
    )  # fmt: skip

    def closure():
        theirs.zero_grad()
        value = f(leaves["x"], leaves["y"])
        value.backward()
        return value

    theirs.step(closure)
    for k, v in leaves.items():
        np.testing.assert_allclose(params[k].numpy(), v.detach().numpy(), rtol=1e-6, atol=1e-7, err_msg=k)
