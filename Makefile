# Two commands: `make demo` and `make test`. Each makes .venv first when it is missing.

COLLECTION = data
NETWORKS = auto
INDEX = annoy
PYTHON = python3
WORKERS = 2

VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
REPAINTED := data/repainted/works.csv
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-quality style no-caches lab app evaluate bench-extract bench-index
.PHONY: browser clean
.NOTPARALLEL:

help:   ## list these commands
	@sed -n 's/^\([a-z-]*\): [^#]*## /  make \1\t/p' Makefile | expand -t 14
	@echo
	@echo '  make demo COLLECTION=/a/folder/of/images      your own works, with or without a works.csv'
	@echo '  make demo NETWORKS=resnet50,vgg16             other networks'
	@echo '  make demo INDEX=auto                          the index that measures best'

demo: $(INSTALLED)   ## collection, features, index, executed notebooks and a page to open
	@$(PY) -m artsearch demo --collection "$(COLLECTION)" --networks "$(NETWORKS)" \
		--index "$(INDEX)" --out build

lab: $(INSTALLED) $(REPAINTED)   ## open JupyterLab on the notebooks
	@$(PY) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

app: $(INSTALLED) $(REPAINTED)   ## open the gallery alone, as an app in the browser
	@$(PY) -m artsearch.app notebooks/04_compare_networks.ipynb \
		-p COLLECTION "$(COLLECTION)" -p NETWORKS "$(NETWORKS)" -p INDEX "$(INDEX)"

evaluate: $(INSTALLED)   ## measure what networks and descriptors find: build/evaluate/report.html
	@$(PY) -m artsearch evaluate "$(COLLECTION)" --networks "$(NETWORKS)" --out build/evaluate \
		$(EVALUATE)

# What comes out must not depend on what the user has downloaded before, or on the internet.
TEST := env -u ARTSEARCH_WEIGHTS ARTSEARCH_OFFLINE=1 \
	TORCH_HOME="$(CURDIR)/build/no-caches/torch" \
	HF_HOME="$(CURDIR)/build/no-caches/huggingface" \
	IPYTHONDIR="$(CURDIR)/build/no-caches/ipython" \
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup --durations=15

test: $(INSTALLED) $(REPAINTED) browser style no-caches   ## all that CI runs: style, unit tests, the notebooks as committed
	$(TEST)

test-all: $(INSTALLED) $(REPAINTED) browser style no-caches   ## every test there is, with more examples: hours
	HYPOTHESIS_PROFILE=long $(TEST) -m ''

test-quality: $(INSTALLED) $(REPAINTED) no-caches   ## the figures alone: how well networks find what they should
	$(TEST) -m quality

style: $(INSTALLED)
	$(PY) -m ruff check artsearch tests notebooks
	$(PY) -m ruff format --check artsearch tests notebooks
	$(PY) -m nbstripout --verify --keep-output --keep-count --keep-id $(NOTEBOOKS) </dev/null

no-caches:
	@rm -rf build/no-caches && mkdir -p build/no-caches/torch build/no-caches/huggingface

bench-extract: $(INSTALLED) $(REPAINTED)   ## measure extraction beside the article's loop and other projects
	@$(PY) tests/bench/extract.py --collection "$(COLLECTION)" --networks "$(NETWORKS)" $(BENCH)

bench-index: $(INSTALLED) $(REPAINTED)   ## measure kinds of index side by side: recall, time, memory
	@$(PY) tests/bench/index.py --collection "$(COLLECTION)" $(BENCH)

# The gallery is tested in a real browser: Debian's, since playwright's own is a separate download.
# Without one those tests say so and are skipped; where CI is set they fail.
browser:
	@[ -x /usr/bin/chromium ] || ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ] || { \
		echo 'Installing from Debian: chromium, for the tests of the gallery'; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; }

clean:   ## remove what was made: build, data/repainted and caches (not .venv)
	rm -rf build data/repainted .pytest_cache .ruff_cache .hypothesis *.egg-info
	find artsearch tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) \
		-prune -exec rm -rf {} +

$(REPAINTED): data/paintings/works.csv artsearch/repaint.py | $(INSTALLED)
	@echo 'Repainting: 21 paintings, each in the manner of each (about half a minute, once)'
	@$(PY) -m artsearch.repaint
	@touch $@

# annoy comes as source: it wants a C++ compiler and Python's headers. Debian keeps these two, and
# venv, in packages of their own. Tried, not asked for by name: Pythons not from Debian bring theirs.
READY := $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && \
	echo '\#include <Python.h>' | c++ -x c++ -fsyntax-only - 2>/dev/null \
	-I"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')"
DEBIAN := g++ python3-dev python3-venv
PIP := $(PY) -m pip --disable-pip-version-check install --progress-bar off -c constraints.txt

# A stopped installation leaves .installing behind, and is started afresh: half of a package cannot
# be told from a whole one. Only what was begun here is removed.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'artsearch wants Python 3.11 or newer as $(PYTHON); name another: make PYTHON=python3.11'; \
		exit 1; }
	@$(READY) || ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ] || { \
		echo 'Installing from Debian: $(DEBIAN)'; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq install -y --no-install-recommends $(DEBIAN) >/dev/null; }
	@$(READY) || { \
		echo 'artsearch wants a C++ compiler and the headers and venv of $(PYTHON).'; \
		echo 'On Debian and Ubuntu, as root: apt-get install $(DEBIAN)'; \
		exit 1; }
	@if [ -e $(VENV)/.installing ]; then rm -rf $(VENV); fi
	@if [ -x $(PY) ]; then echo 'Bringing .venv up to date with pyproject.toml and constraints.txt'; \
		else echo 'Setting up .venv with all packages: about 3 minutes and 8 GB, once'; fi
	@mkdir -p $(VENV) build && touch $(VENV)/.installing
	@[ -x $(PY) ] || $(PYTHON) -m venv $(VENV)
	@{ $(PIP) pip && $(PIP) --build-constraint constraints.txt --editable '.[app,evaluate,fetch,map,scale,test]'; } \
		>build/install.log 2>&1 || { [ ! -e $@ ] || rm $(VENV)/.installing; \
		tail -n 40 build/install.log; \
		echo 'The installation failed; all that pip said is in build/install.log'; exit 1; }
	@mv $(VENV)/.installing $@ && touch $@
