"""The estimators against scikit-learn's own checks, and in its pipelines, searches and curves."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, make_friedman1
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from backlit import nn, optim
from backlit.base.errors import ArgumentError
from backlit.sklearn import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor


class Network:
    """A function with a name that is the same in every process, for the names of tests."""

    def __call__(self, outputs):
        return nn.Sequential(nn.Dense(8, "relu"), nn.Dense(outputs))

    def __repr__(self):
        return "network"


network = Network()


#: A weight of 2 is a sample twice in the loss of a batch; but which samples make a batch does not depend on weights.
STOCHASTIC = {
    f"check_sample_weight_equivalence_on_{kind}_data": "batches are other ones where samples are repeated"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [
        MLPClassifier((8,), epochs=40, learning_rate=0.03),
        MLPRegressor((8,), epochs=40, learning_rate=0.03),
        NetworkClassifier(network, epochs=40, learning_rate=0.03),
        NetworkRegressor(network, epochs=40, learning_rate=0.03),
    ],
    expected_failed_checks=lambda estimator: STOCHASTIC,
)
def test_what_scikit_learn_asks(estimator, check):
    check(estimator)


def test_classifies_as_well_as_one_should():
    x, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), MLPClassifier((16,), epochs=40, learning_rate=0.01, random_state=0))
    assert cross_val_score(model, x, y, cv=3).mean() > 0.96


def test_a_grid_search_finds_the_better_setting():
    x, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), epochs=40, random_state=0))
    search = GridSearchCV(model, {"mlpclassifier__learning_rate": [1e-5, 0.03]}, cv=3).fit(x, y)
    assert search.best_params_ == {"mlpclassifier__learning_rate": 0.03}
    assert search.best_score_ > 0.93


def test_regression_does_not_mind_units():
    x, y = make_friedman1(600, random_state=0)
    x = StandardScaler().fit_transform(x)
    parts = train_test_split(x, 1000 * y + 5000, random_state=0)
    model = MLPRegressor((16,), learning_rate=0.02, early_stopping=True, alpha=0.01, random_state=0)
    assert model.fit(parts[0], parts[2]).score(parts[1], parts[3]) > 0.9
    assert len(model.validation_curve_) == len(model.loss_curve_) == model.n_iter_ < 200


def test_weights_classes_and_warm_starts():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (190, 2)), rng.normal(1, 1, (10, 2))])
    y = np.repeat([0, 1], [190, 10])
    options = {"epochs": 60, "learning_rate": 0.01, "random_state": 0}
    plain = MLPClassifier((8,), **options).fit(x, y)
    balanced = MLPClassifier((8,), class_weight="balanced", **options).fit(x, y)
    weighted = MLPClassifier((8,), **options).fit(x, y, sample_weight=np.where(y == 1, 10.0, 10 / 19))
    again = MLPClassifier((8,), class_weight={0: 10 / 19, 1: 10.0}, **options).fit(x, y)
    assert balanced.predict(x).sum() > 3 * plain.predict(x).sum()
    np.testing.assert_array_equal(weighted.predict_proba(x), again.predict_proba(x))
    warm = MLPClassifier((8,), warm_start=True, **options).fit(x, y)
    before = warm.loss_curve_[0]
    assert warm.fit(x, y).n_iter_ == 120
    assert warm.loss_curve_[60] < before
    with pytest.raises(ValueError, match="warm_start: the classes were"):
        warm.fit(x, y + 1)


def test_partial_fit_and_sparse_input():
    x, y = load_iris(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    model = MLPClassifier((8,), learning_rate=0.05, random_state=0)
    with pytest.raises(ValueError, match="must be given in the first call"):
        model.partial_fit(x, y)
    for _ in range(30):
        model.partial_fit(sparse.csr_matrix(x), y, classes=[0, 1, 2])
    assert model.score(x, y) > 0.93
    with pytest.raises(ValueError, match="none of the classes"):
        model.partial_fit(x, y + 5)


def test_networks_of_ones_own(tmp_path):
    x, y = load_iris(return_X_y=True)
    template = nn.Sequential(nn.BatchNorm(), nn.Dense(16, "tanh"), nn.Dropout(0.1), nn.Dense(3))
    model = NetworkClassifier(template, optimizer=optim.adam(0.02), epochs=60, random_state=0)
    assert clone(model).fit(x, y).score(x, y) > 0.93
    model.fit(x, y)
    assert not template.state()  # the template itself is left as it was
    copy = pickle.loads(pickle.dumps(NetworkClassifier(template, epochs=2, random_state=0).fit(x, y)))
    assert copy.predict_proba(x).shape == (150, 3)
    with pytest.raises(ArgumentError, match="give model="):
        NetworkRegressor().fit(x, y)
    several = NetworkRegressor(network, epochs=60, learning_rate=0.02, random_state=0).fit(x, np.c_[x[:, 0], y])
    assert several.score(x, np.c_[x[:, 0], y]) > 0.8
