# What a person types: `make demo` and `make test` install what is missing (as root, or as an
# ordinary user with sudo) and then do the job; `make uninstall` takes back what was installed.
PREFIX ?= /usr/local
export PREFIX

PYTHON := .venv/bin/python
PYTEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_STEPS ?= 100000
FUZZ_ARGS ?=
CONTAINER := tests/scenarios/test_surroundings.py
STOCK_TESTS ?= tests/unit/probes tests/unit/observe $(CONTAINER)::test_inside_of_pid_namespaces \
    $(CONTAINER)::test_services_socket_in_a_container

.PHONY: help install dev demo test test-slow test-stress test-fuzz test-stock-kernel lint bench bench-everyday bench-reference bench-full wheel sdist deb uninstall clean

help:
	@echo 'make demo       install what is missing, then trace and replay the build of a real C project'
	@echo 'make test       install what is missing, then run lint and the test suite'
	@echo 'make test-slow  the tests that take minutes'
	@echo 'make test-stress  Ctrl-C, kill -9, damage and starts at once, by the hundred, in an hour'
	@echo 'make test-fuzz  random projects, $(FUZZ_STEPS) runs compared with plain ones, in some hours'
	@echo 'make test-stock-kernel  some of the tests on Debian 12 with its own kernel, emulated'
	@echo 'make install    only install: the pcache command for everybody, below $(PREFIX)'
	@echo 'make lint       ruff and mypy'
	@echo 'make bench      what recording costs and replay saves, in a few minutes'
	@echo 'make bench-everyday  what comes back of commands that people really run, in half an hour'
	@echo 'make bench-reference  all that has a goal, for bench/reference/, in 40 minutes'
	@echo 'make bench-full all workloads, tools and phases, in some hours'
	@echo 'make wheel sdist deb  what is handed out of a release, in dist/'
	@echo 'make uninstall  take back what was put outside of this directory'
	@echo 'make clean      remove what was made inside of this directory'

install:
	@tools/install run

# For work on pcache itself: the packages that the tests run on, linters, test runner.
dev:
	@tools/install run demo test

demo:
	@tools/install run demo
	@$(PYTHON) -B -m demo.run

test: dev lint
	@tools/test $(PYTEST_ARGS)

test-slow: dev
	@tools/install run slow
	@$(PYTHON) -m pytest -m slow $(PYTEST_ARGS)

# 2,400 Ctrl-C, 782 kills that met pcache, 420 damaged stores, 200 times three starts at once.
test-stress: dev
	@$(PYTHON) -m pytest -m rounds --stress --timeout=0 $(PYTEST_ARGS)

# To go on after seed 41, for an hour: FUZZ_ARGS='--seed 42 --minutes 60'.
test-fuzz: dev
	@$(PYTHON) -m tests.fuzz --steps $(FUZZ_STEPS) $(FUZZ_ARGS)

# As root.  Others than the recorder's: STOCK_TESTS='tests/unit tests/scenarios/test_run.py'.
test-stock-kernel: dev
	@tools/install machine
	vagrant/stock-kernel .venv/bin/python -m pytest -W ignore $(STOCK_TESTS) $(PYTEST_ARGS)

lint: dev
	@tools/step ruff $(PYTHON) -m ruff check .
	@tools/step mypy $(PYTHON) -m mypy

bench: dev
	$(PYTHON) -m bench run --install $(BENCH_ARGS)

bench-everyday: dev
	$(PYTHON) -m bench run --install --plan everyday $(BENCH_ARGS)

bench-full: dev
	$(PYTHON) -m bench run --install --plan full $(BENCH_ARGS)

# The results of a release: committed, so that any two can be compared.
bench-reference: dev
	version=$$($(PYTHON) -c 'import pcache; print(pcache.__version__)') && \
	$(PYTHON) -m bench run --install --plan reference \
	    --json bench/reference/$$version.json $(BENCH_ARGS)

# What is handed out of a release.
wheel sdist: dev
	$(PYTHON) -m hatchling build --target $@

deb:
	@tools/deb

uninstall:
	@tools/uninstall

clean:
	rm -rf .venv build dist demo-work .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
