# The two commands a newcomer needs: `make quickstart` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What `ray up cluster.yaml` talks to AWS with; it asks for an older dateutil than it works with.
AWS := boto3 botocore s3transfer jmespath
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: quickstart test lint wheel clean

quickstart: $(VENV)/installed
	$(BIN)/mfscale run sweeps/quickstart.yaml --store quickstart/store --cpus 2
	$(BIN)/mfscale fit --store quickstart/store
	$(BIN)/mfscale plot --store quickstart/store --out quickstart/figures

test: $(VENV)/installed-test $(VENV)/moto/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MOTO_SERVER=$(CURDIR)/$(VENV)/moto/bin/moto_server \
	  $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(VENV)/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

# torch first and alone: the constraint names a CPU build, which pip takes without CUDA's packages.
$(VENV)/python: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet pip torch
	touch $@

# MACE without its dependencies: it asks for an older e3nn than NequIP, and computes the same with
# NequIP's (tests/models/test_mace_reference.py).
$(VENV)/installed: $(VENV)/python pyproject.toml
	$(BIN)/pip install --quiet --editable . torch-ema
	$(BIN)/pip install --quiet --no-deps mace-torch
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	$(BIN)/pip install --quiet --no-deps $(AWS)
	touch $@

# What cluster.yaml carries to every machine of a cluster.
wheel: $(VENV)/installed
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

# The S3 server of the tests, in an environment of its own: it asks for an older python-dateutil.
$(VENV)/moto/installed: $(VENV)/python
	$(PYTHON) -m venv $(VENV)/moto
	PIP_CONSTRAINT= $(VENV)/moto/bin/pip install --quiet 'moto[ec2,s3,server]==5.2.5'
	touch $@

clean:
	rm -rf $(VENV) quickstart dist
