# Everything a contributor types. Each target sets up what it needs by itself; a second run finds it done.
# JSON=FILE makes the measuring targets also write their figures there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

RUN := scripts/uv run --locked
JSON_FLAG = $(if $(JSON),--json $(JSON))
# Passed on to pytest, for example: make test-unit ARGS="-k plan"
ARGS ?=

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z0-9-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ See it run
.PHONY: demo demo-down
demo: setup-cluster ## Cluster, operator, Redis, a pool and load, watched live; ends by itself (JSON=FILE)
	$(RUN) python -m e2e.demo $(JSON_FLAG)

demo-down: setup-python ## Remove everything that `make demo` started
	$(RUN) python -m e2e.demo --down

##@ Test
.PHONY: test test-unit coverage test-component test-rules test-dashboards test-docs test-hostile test-adapters e2e e2e-core
test: ## Unit, component and core e2e tests, set-up and clean-up included
	scripts/test.sh unit component core

test-unit: ## Pure logic, in seconds
	scripts/test.sh unit -- $(ARGS)

coverage: setup-python ## Unit tests with coverage; the pure decisions have to be covered to the last branch
	$(RUN) pytest tests/unit --quiet --cov --cov-report=
	$(RUN) coverage report --include='*/workerpool_operator/domain/*' --fail-under=100

test-component: ## Against a real broker and a real API server
	scripts/test.sh component -- $(ARGS)

test-rules: setup-python ## The alerts by promtool: loaded, firing and silent as they should (part of test-component)
	scripts/setup.sh promtool
	$(RUN) pytest tests/component/alerts --quiet $(ARGS)

test-dashboards: setup-python ## Every panel of the dashboards has data, asked of a real Prometheus (part of test-component)
	scripts/setup.sh promtool
	$(RUN) pytest tests/unit/house/test_dashboards.py tests/component/dashboards --quiet $(ARGS)

test-docs: setup-python ## The commands of the pages for users, typed as a reader would (part of test-component)
	scripts/setup.sh redis
	$(RUN) pytest tests/component/docs --quiet $(ARGS)

test-hostile: setup ## Hostile resources and requests, each refused (JSON=FILE; part of test-unit and test-component)
	$(RUN) pytest tests -m attack --quiet $(if $(JSON),--attacks $(JSON)) $(ARGS)

test-adapters: setup-python ## Apps of Celery and other libraries, adapted by two lines, as workers of a pool (JSON=FILE; needs PyPI)
	scripts/setup.sh redis
	$(RUN) python -m e2e.adapters $(JSON_FLAG)
	$(RUN) pytest e2e/test_adapters.py -k page --quiet

e2e: ## Every end-to-end test, on real pods; before them the alerts, the dashboards and the attacks
	scripts/test.sh shipped e2e -- $(ARGS)

e2e-core: ## The end-to-end tests that are part of `make test`
	scripts/test.sh core -- $(ARGS)

.PHONY: e2e-canary e2e-chart e2e-hpa e2e-ui e2e-failover test-tutorial
e2e-canary: setup-cluster ## Good and bad versions on real pods: verdict, seconds to it, jobs lost (JSON=FILE)
	$(RUN) python -m e2e.canary $(JSON_FLAG)

e2e-chart: setup-cluster ## The chart by the real Helm: from an earlier release up, back, up and away, under load
	$(RUN) pytest e2e/test_chart.py --quiet -rP $(ARGS)

e2e-hpa: setup-cluster ## Every scenario of mode hpa, with what was expected and observed (JSON=FILE)
	$(RUN) python -m e2e.hpa $(JSON_FLAG)

e2e-ui: setup-python ## The page in a real Chromium: axe, keyboard, 1,000 pools (JSON=FILE)
	scripts/setup.sh chromium go
	$(if $(JSON),E2E_UI_JSON=$(JSON)) $(RUN) pytest tests/component/ui -m browser --quiet -rP $(ARGS)

test-tutorial: setup-cluster ## The commands of the tutorial and of the game day, typed on the real cluster
	$(RUN) pytest e2e/test_tutorial.py --quiet $(ARGS)

e2e-failover: setup-cluster ## A node lost with workers, leader and a collector on it: seconds, jobs lost (JSON=FILE)
	$(RUN) python -m e2e.failover $(JSON_FLAG) $(ARGS)

##@ Work on it
.PHONY: lint format generate docs setup setup-python setup-cluster clean
lint: setup-python ## Style, types, layers, generated files, chart
	scripts/lint.sh

format: setup-python ## Apply the formatter and the safe fixes
	$(RUN) ruff check --fix-only --quiet .
	$(RUN) ruff format .

generate: setup-python ## Write the generated files anew: CRDs, chart copies, locked requirements
	$(RUN) python scripts/generate.py

docs: setup-python ## The documentation as a site in build/site, with its links checked
	$(RUN) --group docs python -m scripts.docsite $(ARGS)

setup: ## Install what is missing: uv, Python and Debian packages (root); check Go
	@scripts/setup.sh

setup-python:
	@scripts/setup.sh python

setup-cluster:
	@scripts/setup.sh python cluster

clean: ## Remove caches of tools from the checkout (not the cluster's binaries)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov dist build

##@ Measure
.PHONY: bench bench-canary bench-metrics-api bench-pools bench-predictive bench-reaction bench-reaction-smoke bench-scale
.PHONY: bench-workers chaos faults faults-f1 soak storm
bench: ## Every benchmark, one after the other
	$(MAKE) bench-reaction-smoke JSON=
	$(MAKE) bench-reaction JSON=
	$(MAKE) bench-scale JSON=
	$(MAKE) bench-pools JSON=
	$(MAKE) bench-metrics-api JSON=
	$(MAKE) bench-workers JSON=
	$(MAKE) bench-canary JSON=
	$(MAKE) bench-predictive JSON=

bench-reaction: setup-cluster ## Ours beside KEDA and an HPA on Prometheus: reaction, waste, interrupted jobs; 40 minutes (JSON=FILE)
	$(RUN) python -m bench.reaction $(JSON_FLAG) $(ARGS)

bench-reaction-smoke: setup-cluster ## Reaction times of modes direct and hpa alone, from enqueue to ready pods (JSON=FILE)
	$(RUN) python -m bench.reaction.smoke $(JSON_FLAG)

# ARGS="--pools 1,100 --system workerpool" measures a part, ARGS=--report writes docs/performance.md
bench-scale: setup ## From 1 to 5,000 pools with 20,000 pods, beside KEDA: hours (JSON=FILE)
	$(RUN) python -m bench.scale $(JSON_FLAG) $(ARGS)

# ARGS="--pools 100 --system keda" measures a part: python -m bench.pools --help
bench-pools: setup ## What 1,000 pools cost, in one namespace and in ten, beside KEDA: about an hour (JSON=FILE)
	$(RUN) python -m bench.pools $(JSON_FLAG) $(ARGS)

bench-metrics-api: setup ## Latency of the answers to HPAs, at rest and while the operator is busy (JSON=FILE)
	$(RUN) python -m bench.metrics_api $(JSON_FLAG)

bench-workers: setup-python ## Jobs per core-second of this worker and of other libraries', with redelivery proven (JSON=FILE)
	scripts/setup.sh redis
	$(RUN) python -m bench.peers $(JSON_FLAG)

bench-predictive: setup-python ## The floor by forecast on a working day, simulated: waits and pod-hours (JSON=FILE)
	$(RUN) python -m bench.predictive $(JSON_FLAG)

bench-canary: setup-python ## The judge of canaries: how often and how soon it is right, simulated (JSON=FILE)
	$(RUN) python -m bench.canary $(JSON_FLAG)

chaos: setup-cluster ## Every scenario of wpool chaos on real pods: expected, observed, recovery, jobs lost (JSON=FILE)
	scripts/setup.sh postgres
	$(RUN) python -m e2e.chaos $(JSON_FLAG) $(ARGS)

# ARGS="--only F2 F3", ARGS=--resume, ARGS=--pods (also what takes the cluster), ARGS=--report (into docs/reliability.md)
faults: setup ## The fault matrix F1 to F13, one row each: hours, and it can be resumed (JSON=FILE)
	scripts/setup.sh redis postgres rabbitmq kafka go
	$(RUN) python -m e2e.faults.matrix $(JSON_FLAG) $(ARGS)

faults-f1: setup ## Kill the operator after every single write of a reconcile (JSON=FILE)
	$(RUN) python -m e2e.faults.f1 $(JSON_FLAG)

# ARGS="--hours 0.5 --warm-up 0.1" for less
soak: setup ## Two hours of pools that come, change and go: what the operator has grown by then (JSON=FILE)
	$(RUN) python -m e2e.faults.soak $(JSON_FLAG) $(ARGS)

storm: setup-python ## Kill workers under load 200 times, and their broker: what is lost, what is done twice (JSON=FILE)
	scripts/setup.sh redis postgres rabbitmq kafka go
	$(RUN) python -m e2e.faults.storm $(JSON_FLAG)
