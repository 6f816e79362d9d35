"""`FAULTS`: what can be wrong with a training, the figures that say so and why, and what follows from what."""

from __future__ import annotations

from typing import NamedTuple


class Limit(NamedTuple):
    """A threshold, and why it lies where it does."""

    value: float
    reason: str


class Fault(NamedTuple):
    """A kind of fault.

    Attributes:
        what: what is meant, in one sentence.
        limits: the thresholds of its rule, by name.
        after: faults that this one may follow from: where one of them is found, it is the root.
    """

    what: str
    limits: dict[str, Limit]
    after: tuple[str, ...] = ()


_BEGINNING = ("broadcasting slip", "wrong loss", "numerical problem")
_SCALE = ("unnormalised input", "bad initial scale")
_RATE = ("learning rate too high", "learning rate too low")
_SIGNAL = ("dead units", "saturated activations", "vanishing gradient", "exploding gradient")

#: The faults, roots before what may follow from them: in this order they are reported.
FAULTS: dict[str, Fault] = {
    "numerical problem": Fault(
        "A number that is not finite comes up, in the values or in the gradients.",
        {},
        ("bad initial scale", "exploding gradient"),
    ),
    "broadcasting slip": Fault(
        "Outputs of shape (n, 1) meet targets of shape (n,), and each is compared with every other.",
        {},
    ),
    "wrong loss": Fault(
        "What the network ends with does not suit the loss: probabilities where scores are expected, or a range that "
        "the targets leave.",
        {"outside": Limit(0.02, "so much of the targets' span may lie outside of the last activation's range")},
        ("numerical problem",),
    ),
    "unnormalised input": Fault(
        "What the first weights are multiplied with is far from mean 0 and variance 1 (LeCun et al. 1998, Efficient "
        "BackProp, section 4.3).",
        {
            "large": Limit(10.0, "initial scales assume about 1; pixels in [0, 1] and centimetres stay below"),
            "small": Limit(0.01, "a hundredth of what initial scales assume: the first layer hears nothing"),
            "uneven": Limit(300.0, "descent goes along the largest feature this much faster than along the smallest"),
        },
    ),
    "bad initial scale": Fault(
        "Weights begin much larger or smaller than keeps the size of a signal (Glorot & Bengio 2010; He et al. 2015), "
        "or all alike.",
        {
            "small": Limit(0.15, "their standard deviation, by Glorot's: layers of this take a signal to nothing"),
            "large": Limit(4.0, "by 1/sqrt(fan in); trained weights reach 3, and four layers of 4 multiply by 256"),
            "learned": Limit(0.5, "the loss by that of the best constant: below, weights are learned ones"),
        },
        ("unnormalised input",),
    ),
    "unused parameter": Fault("The loss does not depend on a parameter.", {}),
    "exploding gradient": Fault(
        "The gradient grows with each layer on its way back, or with each turn of a loop (Pascanu et al. 2013).",
        {
            "whole": Limit(1e3, "clipping and small rates hold ten or a hundred, not a thousand"),
            "through time": Limit(1e3, "over all turns of a loop"),
            "turn": Limit(1.25, "the mean factor of a turn"),
        },
        (*_SCALE, "numerical problem"),
    ),
    "learning rate too high": Fault(
        "The loss rises, breaks or stays where it is, and falls at a smaller rate.",
        {
            "change": Limit(0.1, "an update of a thousandth of the weights is usual; a tenth leaves nothing as it was"),
            "better": Limit(0.8, "at a smaller rate the loss must end at least this much lower, as a factor"),
            "rises": Limit(0.98, "the loss after the trial, by the loss before: it hardly fell"),
            "wild": Limit(1.0, "an update as large as the weights leaves nothing of them, whatever else is wrong"),
            "learned": Limit(0.1, "the loss by that of the best constant: below, ups and downs are no matter"),
        },
        (*_BEGINNING, *_SCALE, "exploding gradient", "dead units", "saturated activations"),
    ),
    "learning rate too low": Fault(
        "The loss hardly moves, and falls at a greater rate.",
        {
            "change": Limit(1e-4, "an update of a thousandth of the weights is usual"),
            "falls": Limit(0.95, "the loss after the trial, by the loss before: it moved by less than this"),
            "better": Limit(0.8, "at a greater rate the loss must end at least this much lower, as a factor"),
        },
        (*_BEGINNING, *_SCALE, *_SIGNAL),
    ),
    "unchanged parameter": Fault(
        "A parameter that the loss depends on gets no gradient, or no update.",
        {},
        ("learning rate too low",),
    ),
    "dead units": Fault(
        "Rectified units give 0 for every sample, and get no gradient (Lu et al. 2019, Dying ReLU).",
        {"share": Limit(0.5, "right after a usual start some units are dead by chance, hardly ever half of them")},
        (*_SCALE, "numerical problem", "exploding gradient", "learning rate too high", "wrong loss"),
    ),
    "saturated activations": Fault(
        "Most elements lie where the activation is flat, with less than a twentieth of its greatest slope.",
        {
            "share": Limit(0.55, "inputs of a few units leave half of a tanh layer flat, and it learns all the same"),
            "good": Limit(0.5, "the loss by that of the best constant: below, units are sure because they are right"),
        },
        (*_SCALE, "numerical problem", "exploding gradient", "learning rate too high", "vanishing gradient"),
    ),
    "vanishing gradient": Fault(
        "The gradient becomes smaller with each layer on its way back, or with each turn of a loop (Hochreiter 1991; "
        "Bengio et al. 1994).",
        {
            "whole": Limit(1e-3, "Adam's scaling makes up for two or three powers of ten, little does for more"),
            "through time": Limit(1e-4, "over all turns of a loop; gates and slopes near 1 lose less in tens of turns"),
            "turn": Limit(0.7, "the mean factor of a turn"),
        },
        (*_SCALE, "dead units", "saturated activations", "numerical problem", "wrong loss"),
    ),
    "constant output": Fault(
        "The outputs are the same whatever the inputs are.",
        {"spread": Limit(1e-4, "standard deviation over the samples, by the size of the outputs")},
        ("bad initial scale", "dead units", "saturated activations", "vanishing gradient", *_RATE),
    ),
    "over-fitting": Fault(
        "The loss on data that are not trained on rises while that on the training data falls.",
        {
            "rises": Limit(1.15, "the loss on validation data, by its least on the way"),
            "gap": Limit(2.0, "the loss on validation data, by that on the training data"),
            "heart": Limit(5.0, "the same, from where the training data count as learned by heart,"),
            "left": Limit(0.15, "if this share of the best constant's loss is left on validation data"),
        },
        ("broadcasting slip",),
    ),
    "class collapse": Fault(
        "One class is said of nearly all samples, though there are others.",
        {
            "said": Limit(0.99, "the share of samples of which the first class is said"),
            "there": Limit(0.03, "the share of the samples that are of another class; fewer may be missed"),
            "sure": Limit(2.0, "before the trial: the loss, by that of equal shares; a usual start has about 1"),
            "rare": Limit(0.7, "the share of the most frequent class from where it draws the others to itself"),
        },
        (*_BEGINNING, *_SCALE, *_SIGNAL, *_RATE, "constant output"),
    ),
    "loss not decreasing": Fault(
        "After the trial the loss is no lower than that of the best constant output.",
        {"baseline": Limit(0.97, "the loss by that of the best constant: it says nothing of the inputs")},
        (*_BEGINNING, *_SCALE, *_SIGNAL, *_RATE, "constant output", "class collapse"),
    ),
}  # fmt: skip


def limit(fault: str, name: str) -> float:
    """A threshold of a fault."""
    return FAULTS[fault].limits[name].value
