# Two commands: `make demo` and `make test`. Each first installs into .venv what it wants.

COLLECTION = data
NETWORKS = auto
INDEX = annoy
NOTEBOOKS = 1-5
SETS = all
PYTHON = python3
WORKERS = 2
BROWSERS = browser

PY := .venv/bin/python
REPAINTED := data/repainted/works.csv
NOTEBOOK_FILES := $(sort $(wildcard notebooks/*.ipynb))
# Where have-SET stands before a colon's end, tools/install.py sees to that set of packages.
INSTALLED := have-all

.DEFAULT_GOAL := help
.PHONY: help book install demo test test-all test-quality prepared types style pages no-caches lab app evaluate bench-extract
.PHONY: bench-index bench-identify bench-page browser firefox clean
.NOTPARALLEL:

help:   ## list these commands
	@sed -n 's/^\([a-z-]*\): [^#]*## /  make \1\t/p' Makefile | expand -t 14
	@echo
	@echo '  make demo COLLECTION=/a/folder/of/images      your own works, with or without a works.csv'
	@echo '  make demo NETWORKS=resnet50,vgg16             other networks'
	@echo '  make demo INDEX=auto                          the index that measures best'
	@echo '  make demo NOTEBOOKS=all                       all notebooks, not only 1 to 5'
	@echo '  make install SETS="demo map"                  only some sets of packages'

install:   ## install what all commands want (each of them installs its own when it is missing)
	@$(PYTHON) tools/install.py $(SETS)

have-%:
	@$(PYTHON) tools/install.py $*

# Notebooks 8, 10 and 11 want a set more each; the first five want none.
demo: have-demo $(if $(filter-out 1-5 none,$(NOTEBOOKS)),have-map have-text have-identify)   ## collection, features, index, a page to open, executed notebooks
	@$(PY) -m artsearch demo --collection "$(COLLECTION)" --networks "$(NETWORKS)" \
		--index "$(INDEX)" --notebooks "$(NOTEBOOKS)" --out build

lab: have-lab $(REPAINTED)   ## open JupyterLab on the notebooks
	@$(PY) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

book: have-lab have-map $(REPAINTED)   ## the notebooks as a small site that needs no kernel: build/book/index.html
	@$(PY) -m artsearch book build/book --collection "$(COLLECTION)" --networks "$(NETWORKS)" --out build

app: have-app $(REPAINTED)   ## open the gallery alone, as an app in the browser
	@$(PY) -m artsearch app notebooks/04_compare_networks.ipynb \
		-p COLLECTION "$(COLLECTION)" -p NETWORKS "$(NETWORKS)" -p INDEX "$(INDEX)"

evaluate: have-demo $(if $(filter --identify --motifs,$(EVALUATE)),have-identify)   ## measure what networks and descriptors find: build/evaluate/report.html
	@$(PY) -m artsearch evaluate "$(COLLECTION)" --networks "$(NETWORKS)" --out build/evaluate \
		$(EVALUATE)

# What comes out must not depend on what the user has downloaded before, or on the internet.
BARE := env -u ARTSEARCH_WEIGHTS ARTSEARCH_OFFLINE=1 \
	TORCH_HOME="$(CURDIR)/build/no-caches/torch" \
	HF_HOME="$(CURDIR)/build/no-caches/huggingface" \
	IPYTHONDIR="$(CURDIR)/build/no-caches/ipython"
# Workers and kernels with a thread for each core would wait for each other more than they compute. The
# notebooks, which take longest, come first: one that began last would leave a worker idle.
TEST := $(BARE) OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile \
	--no-loadscope-reorder --durations=15

test: prepared   ## all that CI runs: style, unit tests, the notebooks as committed
	$(TEST)

test-all: BROWSERS = firefox
test-all: prepared   ## every test there is, with more examples: hours
	HYPOTHESIS_PROFILE=long $(TEST) -m ''

# What waits for other machines, and what looks at files only, goes on beside what computes.
prepared: $(INSTALLED)
	@$(MAKE) --no-print-directory $(BROWSERS) types style & beside=$$!; \
		$(MAKE) --no-print-directory $(REPAINTED) pages; failed=$$?; wait $$beside && exit $$failed

test-quality: $(INSTALLED) $(REPAINTED) no-caches   ## the figures alone: how well networks find what they should
	$(TEST) -m quality

# The types of the page's scripts are checked where Node is there; without it that test says so.
types: tests/node_modules
tests/node_modules: tests/package.json
	@! command -v npm >/dev/null || npm install --prefix tests --no-package-lock --no-audit --no-fund \
		--silent || echo 'No TypeScript could be had: the types of the scripts are not checked'

style: $(INSTALLED)
	$(PY) -m ruff check artsearch tests tools notebooks
	$(PY) -m ruff format --check artsearch tests tools notebooks
	.venv/bin/lint-imports --no-cache
	$(PY) -m nbstripout --verify --keep-output --keep-count --keep-id $(NOTEBOOK_FILES) </dev/null

# Notebooks that all want the same features at once would wait for the first of them.
pages: no-caches
	@$(BARE) $(PY) -m artsearch demo --notebooks none --out build

no-caches:
	@rm -rf build/no-caches && mkdir -p build/no-caches/torch build/no-caches/huggingface

bench-extract: $(INSTALLED) $(REPAINTED)   ## measure extraction beside the article's loop and other projects
	@$(PY) tests/bench/extract.py --collection "$(COLLECTION)" --networks "$(NETWORKS)" $(BENCH)

bench-index: $(INSTALLED) $(REPAINTED)   ## measure kinds of index side by side: recall, time, memory
	@$(PY) tests/bench/index.py --collection "$(COLLECTION)" $(BENCH)

bench-identify: $(INSTALLED) $(REPAINTED)   ## measure how a work is known again: share, time, memory
	@$(PY) tests/bench/identify.py --collection "$(COLLECTION)" $(BENCH)

bench-page: $(INSTALLED) browser   ## measure the page that answers by itself: sizes, times, recall, and what it sees of pictures
	@$(PY) tests/bench/page.py --collection "$(COLLECTION)" $(BENCH)
	@$(PY) tests/bench/page_network.py --collection "$(COLLECTION)"

# The gallery is tested in a real browser: Debian's, since playwright's own is a separate download.
# Without one those tests say so and are skipped; where CI is set they fail. Firefox is for test-all.
debian = [ -x /usr/bin/$(1) ] || ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ] || { \
	echo 'Installing from Debian: $(1), for the tests of the gallery'; \
	apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
		apt-get -qq install -y --no-install-recommends $(1) $(2) >/dev/null; }

browser:
	@$(call debian,chromium,fonts-dejavu-core)

firefox: browser
	@$(call debian,firefox-esr)

clean:   ## remove what was made: build, data/repainted and caches (not .venv)
	rm -rf build data/repainted .pytest_cache .ruff_cache .hypothesis *.egg-info
	find artsearch tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) \
		-prune -exec rm -rf {} +

$(REPAINTED): data/paintings/works.csv artsearch/evaluate/repaint.py | have-demo
	@echo 'Repainting: 21 paintings, each in the manner of each (about half a minute, once)'
	@$(PY) -m artsearch.evaluate.repaint
	@touch $@
