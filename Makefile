# `make help` lists the targets. Everything runs in .venv, which is made from requirements.lock and nothing else.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup repro launch plan test check bench ui lock clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## make .venv from requirements.lock

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which with make PYTHON=...")'
	@test ! -L $(VENV) || { echo "$(VENV) is a link, and setting up would empty what it leads to: remove it, or run make setup there"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	@touch $@

repro: setup  ## train and test every cell here, one training a core, and make Tables I-VI, at the budget of params.yaml
	python -m stages.launch --weights $(OPTIONS)
	dvc repro

launch: setup  ## train and test what has no recorded result; OPTIONS="--jobs 4" passes options on
	python -m stages.launch $(OPTIONS)

plan: setup  ## what `make launch` would run, for how long, and what would be refused; OPTIONS="--budget paper"
	python -m stages.plan $(OPTIONS)

test: setup  ## run the tests
	python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

check: setup  ## what CI runs: lint, format, types, tests
	ruff check .
	ruff format --check .
	mypy
	python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

bench: setup  ## measure the training engine against a plain PyTorch loop; OPTIONS="--only speed" passes options on
	python -m benchmarks.engine $(OPTIONS)

ui: setup  ## open the MLflow UI on what was run: http://127.0.0.1:5000
	@case "$$MLFLOW_TRACKING_URI" in http*) echo "your runs are at $$MLFLOW_TRACKING_URI: open it in a browser"; exit 1;; esac
	@echo "http://127.0.0.1:5000: choose 'Model training' (top left), then Experiments and a table"
	MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --port 5000 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}"

lock: setup  ## resolve pyproject.toml into requirements.lock again (needs uv: pip install uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --output-file requirements.lock

clean:  ## remove .venv and caches; results and data stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache
