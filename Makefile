# make demo    set up and run the demonstration recipe (needs no data)
# make test    set up and run lint, types, tests and a smoke of a recipe
# make host    set up and run only the tests that every supported ESPnet must pass
#
# PYTHON chooses the interpreter, VENV where its environment is made.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

BIN := $(abspath $(VENV))/bin
# More threads than free cores stall torch: one a test worker.
export OMP_NUM_THREADS ?= 1
# ESPnet imports three times faster with its bytecode kept, whatever the caller set.
unexport PYTHONDONTWRITEBYTECODE

PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -p no:cacheprovider

.PHONY: demo test lint host clean

demo: $(VENV)/.complete
	cd egs/mini/asr1 && PATH="$(BIN):$$PATH" ./run.sh

test: $(VENV)/.complete lint
	$(PYTEST) -m "not recipe"
	$(PYTEST) -m recipe

lint: $(VENV)/.complete
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

host: $(VENV)/.complete
	$(PYTEST) -m host

# Made whole or made again: the mark is written last.
$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet uv
	UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet \
	    --python $(BIN)/python --constraint constraints.txt --editable '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) .venv-* build *.egg-info
