# Two commands: `make demo` opens JupyterLab on the quickstart, `make test` runs every check.
# Both set up first, and set up nothing twice.

PYTHON ?= python3
NPM ?= npm
PORT ?= 8888
TOKEN ?=
VENV := .venv
BIN := $(VENV)/bin
UV := build/uv/bin/uv
PACKAGE_SOURCES := pyproject.toml constraints.txt hatch_build.py
FRONT_END_SOURCES := $(shell find js/src -type f) js/build.mjs js/widgets.json js/tsconfig.json js/package.json

.PHONY: help setup lock demo course docs test lint types python-tests js-tests browser-tests test-oldest test-newest test-hosts bench chromium firefox screenshots train wheel clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

setup: $(VENV)/.installed attnwidget/static/explorer.js ## the environment .venv, the package in it, the front end

$(VENV)/.installed: $(PACKAGE_SOURCES) | attnwidget/static/explorer.js
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "attnwidget needs Python 3.11 or later; this is $$($(PYTHON) --version). Set PYTHON=python3.x"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt pip hatchling editables
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[dev]'
	touch $@

# In an environment of its own: a lock that cannot be installed can still be made anew.
$(UV):
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv

lock: $(UV) ## constraints.txt anew: every version that `make setup` installs, as new as pyproject.toml allows
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --quiet --no-annotate \
	  --custom-compile-command 'make lock' -o constraints.txt
	$(UV) pip compile pyproject.toml tests/hosts/requirements.in --extra test -c constraints.txt --universal --python-version 3.11 \
	  --upgrade --quiet --no-annotate --custom-compile-command 'make lock' -o tests/hosts/requirements.txt

# Not `npm ci`: it refuses a lock that lacks the optional packages of other platforms.
js/node_modules/.installed: js/package-lock.json
	@command -v $(NPM) >/dev/null || { echo "npm is missing; install Node.js 20 or later (Debian: apt-get install nodejs npm)"; exit 1; }
	cd js && $(NPM) install --no-save --no-audit --no-fund
	touch $@

attnwidget/static/explorer.js: $(FRONT_END_SOURCES) js/node_modules/.installed
	cd js && $(NPM) run --silent build
	touch $@

demo: setup ## open JupyterLab on notebooks/quickstart.ipynb (PORT, TOKEN; Ctrl-C ends it)
	@$(if $(TOKEN),echo "open http://127.0.0.1:$(PORT)/lab/tree/notebooks/quickstart.ipynb?token=$(TOKEN)")
	$(BIN)/jupyter lab --port=$(PORT) --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/quickstart.ipynb \
	  $(if $(TOKEN),--IdentityProvider.token=$(TOKEN)) $(if $(filter 0,$(shell id -u)),--allow-root)

course: setup ## the lessons as pages that need neither a kernel nor a network, in build/course
	HF_HUB_OFFLINE=1 TQDM_DISABLE=1 $(BIN)/python -m notebooks.course

# From scratch each time: what a page shows is run, and the code it runs may have changed. One thread: its models are small.
docs: setup ## the documentation in build/docs, strict: a broken link or an undocumented name fails
	rm -rf build/docs docs/api/generated
	HF_HUB_OFFLINE=1 TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -E -W --keep-going -q -d build/doctrees docs build/docs
	@echo "open build/docs/index.html"

test: lint types js-tests python-tests browser-tests ## every check there is

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd js && $(NPM) run --silent lint

types: setup
	$(BIN)/mypy
	cd js && $(NPM) run --silent typecheck

python-tests: setup
	$(BIN)/python -m pytest --ignore=tests/browser --ignore=tests/hosts

# Not part of `make test`: what passes here may fail tomorrow, on versions that are not ours. The summary at the end names them.
test-oldest: RESOLUTION := lowest-direct
test-oldest: ## the Python tests on the oldest versions that pyproject.toml allows
test-newest: RESOLUTION := highest
test-newest: ## the Python tests on the newest versions there are today
test-oldest test-newest: test-%: attnwidget/static/explorer.js $(UV)
	$(UV) pip compile pyproject.toml --extra test --python $(PYTHON) --resolution $(RESOLUTION) --upgrade --quiet -o build/$*.txt
	test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet -r build/$*.txt
	.venv-$*/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	.venv-$*/bin/python -m pytest --ignore=tests/browser --ignore=tests/hosts

# Not part of `make test` either: marimo, Voila and the others are an environment of their own (2.7 GB).
test-hosts: .venv-hosts/.installed attnwidget/static/explorer.js chromium firefox ## the Explorer in hosts beside JupyterLab, without a network
	.venv-hosts/bin/python -m pytest tests/hosts

.venv-hosts/.installed: pyproject.toml hatch_build.py tests/hosts/requirements.txt | attnwidget/static/explorer.js
	test -x .venv-hosts/bin/python || $(PYTHON) -m venv .venv-hosts
	.venv-hosts/bin/python -m pip install --quiet -r tests/hosts/requirements.txt
	.venv-hosts/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

js-tests: setup chromium
	cd js && $(NPM) test --silent

browser-tests: setup chromium
	$(BIN)/python -m pytest tests/browser

bench: setup chromium ## speed and memory, as a table and in build/bench.json
	$(BIN)/python -m tests.benchmarks

chromium:
	@sh tests/browser/chromium.sh

firefox:
	@sh tests/hosts/firefox.sh

screenshots: setup chromium ## the README's pictures again
	$(BIN)/python -m tests.browser.screenshots

train: setup ## train the models of attnwidget.demo again
	$(BIN)/python -m attnwidget.demo.train storyteller
	$(BIN)/python -m attnwidget.demo.train reader
	$(BIN)/python -m attnwidget.demo.train translator
	$(BIN)/python -m attnwidget.demo.train digits

wheel: setup ## a wheel in dist/, which needs no Node
	$(BIN)/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist .

clean: ## what was built; keeps .venv, .venv-oldest, .venv-newest and .venv-hosts
	rm -rf build dist attnwidget/static js/node_modules
