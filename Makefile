# `make help` lists the targets. Everything runs in .venv, which is made from requirements.lock and nothing else.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
STAMP := .cache/venv.stamp
PYTEST := python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
ASKED := $(if $(filter file,$(origin PYTHON)),,--asked)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# They would put packages elsewhere than into .venv, or other modules before ours.
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_NO_DEPS PIP_DRY_RUN PIP_PYTHON
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONWARNINGS

.DEFAULT_GOAL := help
.PHONY: help setup repro launch plan doctor faults test check bench ui lock clean FORCE

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## make .venv from requirements.lock

# With PYTHONSAFEPATH `python -m stages.train` would not look into the working folder: the last line lets it.
$(READY): requirements.lock $(STAMP)
	@test ! -L $(VENV) || { echo "$(VENV) is a link, and setting up would empty what it leads to: remove it, or run make setup there"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-user --require-hashes -r requirements.lock
	@cp stages/doctor/safe_path.pth "$$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

# Refuses before the first byte is downloaded; newer than .venv when that was moved, or another Python is asked for.
$(STAMP): FORCE
	@$(PYTHON) -m stages.doctor.before $@ $(ASKED)

repro: setup  ## train and test every cell here, one training a core, and make Tables I-VI, at the budget of params.yaml
	python -m stages.launch --weights $(OPTIONS)
	dvc repro

launch: setup  ## train and test what has no recorded result; OPTIONS="--jobs 4" passes options on
	python -m stages.launch $(OPTIONS)

doctor: setup  ## what of this machine and checkout stands in the way, one line a check, with its cure
	python -m stages.doctor $(OPTIONS)

faults: setup  ## throw at the pipeline what users and machines throw, and print what survives (6 to 15 minutes)
	python -m tests.faults $(OPTIONS)

plan: setup  ## what `make launch` would run, for how long, and what would be refused; OPTIONS="--budget paper"
	python -m stages.plan $(OPTIONS)

test: setup  ## run the tests but for the slow ones, which `make check` runs too
	$(PYTEST) -m "not slow"

check: setup  ## what CI runs: lint, format, types, every test
	ruff check .
	ruff format --check .
	mypy
	$(PYTEST)

bench: setup  ## measure the training engine against a plain PyTorch loop; OPTIONS="--only speed" passes options on
	python -m benchmarks.engine $(OPTIONS)

ui: setup  ## open the MLflow UI on what was run: http://127.0.0.1:5000, or PORT=5001
	python -m stages.track ui $(if $(PORT),--port $(PORT))

lock: setup  ## resolve pyproject.toml into requirements.lock again (needs uv: pip install uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --output-file requirements.lock

clean:  ## remove .venv and caches; results and data stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache
