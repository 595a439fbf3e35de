# Everything that is done here more than once. `make help` lists it.

PYTHON   ?= python3
FUNCTION ?= health
EVENT    ?= events/health-live.json
ARGS     ?=
OUT      ?= docs

# Queries are checked against .sqlx; a build needs no database.
export SQLX_OFFLINE = true
export SAM_CLI_TELEMETRY = 0
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)

STACK     := exec .venv/bin/python scripts/stack.py
FUNCTIONS := $(notdir $(wildcard functions/*))
BENCHED   := $(FUNCTIONS) floor-hello floor-select floor-hash bench
NEXTEST   := $(shell command -v cargo-nextest)
SQLX      := .tools/sqlx-cli-0.9.0
DENY      := .tools/cargo-deny-0.20.2
OIDC      := tests/oidc-provider/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help run test test-browser test-oidc soak check format generate sqlx-prepare bench migrate rotate-keys audit-checkpoint audit-verify build deploy invoke clean clean-data

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

# --- Work ---

run: .venv/installed ## Start everything on PORT (9000), with a demo tenant; Ctrl-C stops it
	@$(STACK) run

test: .venv/installed ## Run all tests against a Postgres of their own; ARGS= goes to the runner
	@echo "==> Tests"
	@$(STACK) with test -- cargo $(if $(NEXTEST),nextest run,test) --workspace --no-fail-fast $(ARGS)
	$(if $(NEXTEST),@cargo test --quiet --workspace --doc)

soak: .venv/installed ## Races and mutants by the thousand, some minutes; ARGS="--help" tells more
	@$(STACK) with soak -- scripts/soak.sh $(ARGS)

test-browser: .venv/installed ## Sign in with Chromium, from login to me (needs chromium and chromedriver)
	@$(STACK) with --functions test-browser -- .venv/bin/python tests/browser/sign_in.py $(ARGS)

test-oidc: .venv/installed $(OIDC) ## Sign in with a certified OpenID provider (needs Node 20 and npm)
	@$(STACK) with --functions test-oidc -- .venv/bin/python tests/oidc-provider/flow.py $(ARGS)

check: .venv/installed $(SQLX) $(DENY) ## Format, lints, queries, licences, docs, generated files, template
	@$(STACK) with check -- scripts/check.sh

format: ## Format the code
	cargo fmt --all

generate: ## Write the generated files anew
	@mkdir -p target $(OUT)
	@cargo run --quiet --package shared --example error-codes > target/generating && mv target/generating $(OUT)/ERROR_CODES.md
	@cargo run --quiet --package shared --example audit-events > target/generating && mv target/generating $(OUT)/AUDIT_EVENTS.md
	@cargo run --quiet --package shared --example permissions > target/generating && mv target/generating $(OUT)/PERMISSIONS.md

sqlx-prepare: .venv/installed $(SQLX) ## Refresh .sqlx after a query or a migration has changed
	@$(STACK) with check -- scripts/sqlx.sh

# One package at a time, as they are deployed: together they would share their features.
bench: .venv/installed ## Measure the release bootstraps; writes target/bench.json
	@for each in $(BENCHED); do echo "==> Building $$each" && cargo build --release --package $$each || exit 1; done
	@$(STACK) with bench -- scripts/bench.sh $(ARGS)

migrate: .venv/installed ## Migrate the running development stack, or the database that DATABASE_* names
	@$(if $(DATABASE_HOST),,$(STACK) exec --) cargo run --quiet --bin ops -- '{"action":"migrate"}'

rotate-keys: .venv/installed ## Do the next step of a rotation of the running stack's signing keys
	@$(STACK) exec -- cargo run --quiet --bin ops -- '{"action":"rotate_keys"}'

audit-checkpoint: .venv/installed ## Sign checkpoints of the running stack's audit trails, into .local/dev/checkpoints
	@$(STACK) exec -- cargo run --quiet --bin ops -- '{"action":"audit_checkpoint"}'

audit-verify: ## Hold an export of an audit trail against checkpoints: ARGS, or --help
	@cargo run --quiet --release --package audit-verify -- $(or $(ARGS),--help)

invoke: .venv/installed ## Send EVENT (events/*.json) to FUNCTION of the running stack
	@cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port $(or $(PORT),9000) $(FUNCTION) --data-file $(EVENT)

# --- Ship ---

build: .venv/installed ## Build every bootstrap and the template for deployment (.aws-sam)
	sam build

deploy: build ## Deploy to AWS, asking for what is not known yet
	sam deploy --guided

# --- Clean ---

clean: ## Remove what was built
	rm -rf target .aws-sam

clean-data: .venv/installed ## Drop the development stack's data
	@$(STACK) clean

# --- Tools ---

.venv/installed: requirements-dev.txt
	@echo "==> Installing the development tools into .venv (a minute, once)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: PYTHON= names it" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

# Without TLS and without optimization: they run on this machine, briefly.
$(SQLX):
	@echo "==> Building sqlx-cli (once)"
	@cargo install --quiet --locked --debug --root .tools sqlx-cli@0.9.0 --no-default-features --features postgres
	@touch $@

$(DENY):
	@echo "==> Building cargo-deny (once)"
	@cargo install --quiet --locked --debug --root .tools cargo-deny@0.20.2
	@touch $@

$(OIDC): tests/oidc-provider/package-lock.json
	@echo "==> Installing the certified OpenID provider into tests/oidc-provider/node_modules (once)"
	@command -v npm >/dev/null || { echo "error: npm is not installed: make test-oidc needs Node 20 or later" >&2; exit 1; }
	@npm ci --silent --no-audit --no-fund --prefix tests/oidc-provider
	@touch $@
