# Needs Python 3.10 or newer, and a package registry for pip. Everything made lies in build/, dist/ and .venv/.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
TESTS ?= tests
WORKERS ?= 2

.NOTPARALLEL:
.PHONY: demo test proof bench lint docs dist clean

DEMO = build/demo
PUBLISHER = $(DEMO)/publisher/bin
CONSUMER = $(DEMO)/consumer/bin

demo:
	rm -rf $(DEMO)
	@echo "--- two environments: one that publishes, one that installs"
	$(PYTHON) -m venv $(DEMO)/publisher
	$(PYTHON) -m venv $(DEMO)/consumer
	mkdir -p $(DEMO)/pypiprivate
	cp -R pypiprivate setup.cfg setup.py pyproject.toml README.rst LICENSE.txt $(DEMO)/pypiprivate/
	$(PUBLISHER)/python -m pip install --quiet --upgrade setuptools ./$(DEMO)/pypiprivate
	@echo "--- a project builds and publishes itself"
	cp -R examples/setup_py examples/extras $(DEMO)/
	cd $(DEMO)/setup_py && ../publisher/bin/python setup.py --quiet sdist bdist_wheel publish_private --repository ../index
	@echo "--- another one is built, and published from the command line"
	cd $(DEMO)/extras && ../publisher/bin/python setup.py --quiet sdist bdist_wheel
	printf '[demo]\ntype = local-filesystem\nbase_path = index\n' >$(DEMO)/pypi-private.cfg
	cd $(DEMO)/extras && ../publisher/bin/pypi-private -v -c ../pypi-private.cfg -r demo publish acme-extras 1.0
	@echo "--- anybody who can read the directory installs from it"
	find $(DEMO)/index -name .pypiprivate -prune -o -type f -print
	$(CONSUMER)/python -m pip install --index-url "file://$(CURDIR)/$(DEMO)/index" acme-extras
	$(CONSUMER)/python -m pip show acme-extras acme-setup-py
	$(CONSUMER)/python -c 'import acme_extras; print(acme_extras.VALUE)'

# A file's tests share servers and indexes, so they stay on one worker.
test: $(VENV)/test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term $(TESTS)

# The full counts of docs/proof.rst: about half an hour, and the figures there are written anew.
PROOFS = simulation stateful crash crowd faults_http faults_disk untrusted secrets
proof: $(VENV)/test
	mkdir -p build && rm -f build/figures.json
	-$(BIN)/python -m pip install --quiet '.[proof]'
	PROOF=full PROOF_FIGURES=$(abspath build/figures.json) \
	    $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PROOFS:%=tests/test_%.py)
	$(BIN)/python docs/figures.py build/figures.json docs/proof-figures.rst

# Beside the peers, which come from the package registry: twenty minutes on a machine that does nothing else. Some
# scenarios only: make bench SCENARIOS=small,again ; without the wheel of 2 GB: make bench BENCH='--big 500'
bench: $(VENV)/test
	$(BIN)/python -m benchmarks $(SCENARIOS:%=--scenarios %) $(BENCH)

lint: $(VENV)/test $(VENV)/lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/docs
	$(BIN)/python docs/build.py build/docs

dist: $(VENV)/dist
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# One environment; a stamp for each extra that is in it.
$(VENV)/%: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
