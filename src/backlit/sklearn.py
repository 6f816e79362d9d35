"""Networks as scikit-learn's estimators; needs scikit-learn: `pip install "backlit[data]"`.

>>> from sklearn.datasets import load_iris
>>> from sklearn.model_selection import cross_val_score
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> from backlit.sklearn import MLPClassifier
>>> model = make_pipeline(StandardScaler(), MLPClassifier((16,), epochs=60, learning_rate=0.01, random_state=0))
>>> bool(cross_val_score(model, *load_iris(return_X_y=True), cv=3).mean() > 0.93)
True
"""

from .train.estimators import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"]
