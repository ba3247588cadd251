# make demo    set up and run the demonstration recipe (needs no data)
# make test    set up and run lint, types, tests and a smoke of a recipe
# make host    set up and run only the tests that every supported ESPnet must pass
# make models  set up and train the models that benchmarks and some tests use, on AN4 in
#              the folder DYNLOOK_DATA; left in egs/an4/asr1/exp/matrix/*_seed1. About 25
#              minutes on one core; what is there already is not trained again.
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

.PHONY: demo test lint host models clean

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

models: $(VENV)/.complete
	@test -d "$(DYNLOOK_DATA)/an4" || { echo "make models: DYNLOOK_DATA has to name a \
	folder with AN4 in an4/, and is '$(DYNLOOK_DATA)'" >&2; exit 1; }
	cd egs/an4/asr1 && PATH="$(BIN):$$PATH" utils/run_matrix.sh \
	    --matrix conf/matrix.yaml --seeds 1 --systems "dynamic_relative chunked4" \
	    --output exp/models.md -- ./run.sh --an4 "$(abspath $(DYNLOOK_DATA))/an4"

# Made whole or made again: the mark is written last.
$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet uv
	UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet \
	    --python $(BIN)/python --constraint constraints.txt --editable '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) .venv-* build *.egg-info
