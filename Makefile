# All of this works on a machine that has only Python (3.11 or newer), pip and make: each goal first makes the
# environment it needs, and makes it anew when pyproject.toml changes.
#
#   make run          train a network on scikit-learn's handwritten digits (DATA=mnist: on MNIST)
#   make test         the whole test suite (ONLY="tests/ops -k conv" for a part); with CI=true also its coverage,
#                     which takes two thirds as long again
#   make browser      Chromium for the tests of the explorer page, where there is none (by apt)
#   make check        style, types, and the import law
#   make test-peers   cross-checks against PyTorch and JAX, in an environment of their own
#   make bench        speed beside NumPy, PyTorch, JAX, TensorFlow, ...: table, docs/benchmarks.md, build/bench.json;
#                     ARGS="--quick" or "--only W4,W6" for a part (python -m bench --help)
#   make faults       planted faults and healthy networks: are verdicts right, and do mends restore learning?
#   make docs         the documentation, its examples executed
#   make gallery      every example, with its pictures
#   make stubs        the type stubs of the generated functions, after a change of their signatures
#   make wheel        dist/backlit-*.whl

PYTHON ?= python3
ENV := .venv
PEERS := .venv-peers
BIN := $(ENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check
DATA ?= digits

.PHONY: run test browser check test-peers bench faults docs gallery stubs wheel clean
.DEFAULT_GOAL := test

run: $(ENV)/.train
	$(BIN)/backlit train --data $(DATA)

COVERAGE := $(if $(CI),--cov=backlit --cov-report=term:skip-covered)

# One thread for BLAS: each of the two test processes has a core of its own.
test: $(ENV)/.dev
ifdef ONLY
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest $(ONLY)
else
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(COVERAGE)
endif

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

browser:
	command -v chromium > /dev/null || command -v google-chrome > /dev/null || \
	    { $(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y chromium; }

check: $(ENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/python -m pytest tests/test_architecture.py

test-peers: $(PEERS)/.compare
	OPENBLAS_NUM_THREADS=1 $(PEERS)/bin/python -m pytest tests/peers

ARGS ?= --docs docs

bench: $(PEERS)/.bench
	$(PEERS)/bin/python -m bench --out build/bench.json $(ARGS)

faults: $(ENV)/.train
	OPENBLAS_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python -m bench.faults --out build/faults.json

docs: $(ENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs site/html

gallery: $(ENV)/.train
	$(BIN)/backlit gallery --all

stubs: $(ENV)/.dev
	$(BIN)/python tools/stubs.py

wheel: $(ENV)/.made
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean:
	rm -rf $(ENV) $(PEERS) build dist site htmlcov .coverage* .pytest_cache .ruff_cache .hypothesis

# --- environments: a stamp file in each says what is installed --------------------------------------

$(ENV)/.made:
	$(PYTHON) -m venv $(ENV)
	@touch $@

$(ENV)/.train $(ENV)/.dev $(ENV)/.docs: $(ENV)/.%: $(ENV)/.made pyproject.toml
	$(BIN)/python $(PIP) -e '.[$*]'
	@touch $@

$(PEERS)/.compare: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python $(PIP) -e '.[compare]'
	@touch $@

# Peers that may not exist for this machine or this Python: those that do not install are left out.
$(PEERS)/.bench: $(PEERS)/.compare
	for package in tensorflow-cpu tinygrad "onnxruntime onnx"; do \
	    $(PEERS)/bin/python $(PIP) $$package || echo "left out: $$package"; done
	@touch $@
