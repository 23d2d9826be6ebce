# `make run` serves examples/thumbnails; `make test` proves everything. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests of one file share servers, so they stay together; what they start takes the CPUs too.
# What takes long comes first, which is not where many tests are. A script's job in the background
# ignores Ctrl-C, and so would all that the tests start and stop by it.
PYTEST := env --default-signal=INT,QUIT $(BIN)/python -m pytest -p no:cacheprovider -n auto \
	--maxprocesses 4 --dist loadfile --no-loadscope-reorder
EXAMPLES := examples/thumbnails examples/food-delivery examples/log-analytics
SETUP := $(VENV)/.ready $(EXAMPLES:%=%/.venv/.ready)
# What the tests run in other languages than Python.
LANGUAGES := tests/node/node_modules/.ready tests/java/jars/.ready \
	tests/java/project/target/.ready tests/custom/.venv/.ready dotnet \
	tests/frameworks/.venv/.ready tests/aws/.venv/.ready

.PHONY: run test check unit fuzz bench docs packages dotnet clean

run: $(VENV)/.ready examples/thumbnails/.venv/.ready
	$(BIN)/microfaas run examples/thumbnails

test: check $(SETUP)
	$(PYTEST) tests/faults tests/attacks tests/contract runtimes/conformance tests/e2e \
		tests/frameworks tests/custom

check: packages $(VENV)/.ready $(LANGUAGES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) tests/unit tests/fuzz

# Not part of the proof: it goes on finding for as long as it is let.
fuzz: $(VENV)/.ready
	$(BIN)/pip install -q --disable-pip-version-check -e '.[fuzz]'
	for target in frames lanes configuration archives signatures patterns; do \
		$(BIN)/python -m tests.fuzz $$target --seconds 60 || exit 1; \
	done

bench: $(VENV)/.ready
	$(BIN)/python -m bench

docs: $(VENV)/.ready
	$(BIN)/python -m docs.generate

# Debian's packages that tests use and that are not Python's.
packages:
	tests/packages.sh

$(VENV)/.ready: pyproject.toml
	tests/packages.sh venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@

%/.venv/.ready: %/requirements.txt $(VENV)/.ready
	$(PYTHON) -m venv $*/.venv
	$*/.venv/bin/pip install -q --disable-pip-version-check -r $*/requirements.txt
	touch $@

tests/node/node_modules/.ready: tests/node/package-lock.json | packages
	cd tests/node && npm install --silent --no-save --no-audit --no-fund
	touch $@

tests/java/jars/.ready: tests/java/pom.xml | packages
	cd tests/java && mvn -q -B dependency:copy-dependencies -DoutputDirectory=jars
	touch $@

tests/java/project/target/.ready: tests/java/project/pom.xml | packages
	cd tests/java/project && mvn -q -B package
	touch $@

# It asks for itself whether there is anything to do.
dotnet: packages $(VENV)/.ready
	tests/dotnet/host.sh

tests/custom/.venv/.ready: tests/custom/requirements.txt $(VENV)/.ready
	$(PYTHON) -m venv tests/custom/.venv
	tests/custom/.venv/bin/pip install -q --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf $(VENV) $(EXAMPLES:%=%/.venv) bench/.venvs
