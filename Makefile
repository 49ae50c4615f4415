# Everything a newcomer or CI does starts here; `make` alone lists it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCK   := uv pip compile pyproject.toml --group build --generate-hashes --no-header --no-annotate --universal --python-version 3.11 -q

.DEFAULT_GOAL := help
.PHONY: help demo test tests test-long lint types bench lock deb clean

help:                ## list the targets
	@grep -E '^[a-z-]+: *.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 20

$(VENV)/.runtime: requirements.lock pyproject.toml
	@deploy/bootstrap-venv $(PYTHON) $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@deploy/bootstrap-venv $(PYTHON) $(VENV) requirements-dev.lock
	@touch $@

demo: $(VENV)/.runtime  ## a failover of two reference Cores, seen from outside (ACT=1 plays the whole story)
	@$(BIN)/lbctl demo $(if $(ACT),--act)

test: $(VENV)/.dev   ## the whole suite, with the real servers it needs
	@deploy/test-servers
	@$(BIN)/ruff check .
	@$(MAKE) -s -j2 types tests

# Beside the types, for each begins with a time on one core alone. Real servers and hundreds of programs on few cores starve one another now and then:
# what failed beside the others is tried once more by itself, and the log shows both.
tests: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST) || { \
		echo "once more, each by itself, what failed beside the others:"; \
		$(BIN)/python -m pytest -n 0 --last-failed --last-failed-no-failures none $(PYTEST); }

test-long: $(VENV)/.dev  ## more seeds, more states, longer chaos
	@$(BIN)/python -m pytest -n auto --dist loadgroup -m 'slow or not slow' --long $(PYTEST)

lint: $(VENV)/.dev   ## style and formatting
	@$(BIN)/ruff check .

types: $(VENV)/.dev  ## strict types
	@$(BIN)/mypy

bench: $(VENV)/.dev  ## side by side with the peers, prints ratios
	@$(BIN)/python -m tests.bench

lock:                ## renew both lock files (names, versions, hashes; no address)
	$(LOCK) -o requirements.lock
	$(LOCK) --group dev -o requirements-dev.lock

deb: $(VENV)/.runtime  ## the Debian package, from the locked environment
	@$(BIN)/python deploy/debian/build.py dist

clean:               ## remove what the build made
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
