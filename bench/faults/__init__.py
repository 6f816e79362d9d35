"""Planted faults and healthy networks: does `bl.diagnose` find what is wrong, and does its mend restore learning?

`python -m bench.faults --help`. What is planted is in `mlp.py`, `cnn.py`, `sequences.py` and `numbers.py`, what must
raise no alarm in `healthy.py`; `judge.py` runs and counts.
"""
