# What one does with this project; `make` alone lists it. `make ci` is what continuous integration runs.

# Image of the operator, for docker-build, docker-push and deploy.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
IMG ?= application-operator:$(VERSION)
# Or podman.
CONTAINER_TOOL ?= docker
KUBECTL ?= kubectl
# Further words, as in `make run ARGS=--log-level=debug`.
ARGS ?=
# How often bench-queues measures each queue, and how: `make measure` is in a hurry.
ROUNDS ?= 3
BRIEFLY := --warm-up-time 0.5 --measurement-time 1.5
# If not empty, a test that was left out is a failure: where nobody reads the end of the log.
REQUIRE_CLUSTER ?=

# The lock file says what is built, here as everywhere.
LOCKED := --locked
# The workspace has several programs.
OPERATOR := cargo run --quiet $(LOCKED) --package application-operator --
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The files of tests that a server can be chosen for, by TEST_SERVER.
ON_BOTH = $(addprefix --test ,$(sort $(basename $(notdir $(patsubst %/main.rs,%.rs,\
	$(shell grep -lE '^(mod support;|use testbed)' tests/*.rs tests/*/main.rs engine/tests/*.rs))))))
# What is built outside of the workspace.
PEERS := $(abspath $(TARGET))/peers

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
# A recipe is one script.
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: docs/demo.svg help demo test bench bench-queues bench-stores bench-peers bench-large peers scale measure plots manifests install uninstall kubectl-plugin run deploy undeploy docker-build docker-push bundle \
	cluster-up cluster-down ci

help: ## list the targets
	@sed -n 's/^\([a-z/.-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand --tabs=17

demo: ## see it work: an API server in memory, the operator, the sample, and what comes of trouble
	@code=0
	cargo build --quiet $(LOCKED) --bin application-operator --example demo
	# With job control, the demo has Ctrl-C for itself and ends well; else it would end make as well, as an error. The exit
	# keeps bash there for that: it would let its last command take its place.
	set -m
	cargo run --quiet $(LOCKED) --example demo -- $(ARGS) || code=$$?
	exit "$$code"

docs/demo.svg: ## draw the picture of a run anew
	@cargo build --quiet $(LOCKED) --bin application-operator --example demo
	cargo run --quiet $(LOCKED) --example demo -- --record $@

test: ## run all tests, on a real Kubernetes (needs Go, and minutes the first time) and on the simulator
	@loud() { printf '%s\n' '' '****' "$$@" '****' >&2; }
	code=0
	cargo run --quiet $(LOCKED) --package cluster -- build >/dev/null || code=$$?
	case $$code in
	0) ;;
	3) loud 'LEFT OUT: every test that needs a real Kubernetes: there is no Go to build it with.' ;;
	*) exit "$$code" ;;
	esac
	if [[ $$code != 0 && -n '$(REQUIRE_CLUSTER)' ]]; then exit 1; fi
	# Of a test that passes, the harness hides what it says, and so that it was left out. Here it goes to the log alone.
	quiet() { awk '/^successes:$$/ { hide = 1 } /^(failures|test result):/ { hide = 0 } !hide { print; fflush() }'; }
	logs=($(TARGET)/test.log $(TARGET)/test-simulator.log)
	said() { grep --no-filename --only-matching "$$1: .*" "$${logs[@]}" | sort --unique; }
	[[ ! -t 1 ]] || export CARGO_TERM_COLOR=always
	code=0
	cargo test --workspace $(LOCKED) -- --show-output 2>&1 | tee "$${logs[0]}" | quiet || code=$$?
	printf '\n== the same on the simulator\n' >&2
	TEST_SERVER=simulator cargo test --workspace $(LOCKED) $(ON_BOTH) -- --show-output 2>&1 | tee "$${logs[1]}" | quiet || code=$$?
	mapfile -t elsewhere < <(said 'NOT ON THE SIMULATOR')
	if (($${#elsewhere[@]})); then
		loud 'These tests, or parts of them, hold on a real server alone:' "$${elsewhere[@]}"
	fi
	mapfile -t left_out < <(said 'LEFT OUT')
	if (($${#left_out[@]})); then
		loud 'These tests were left out, and have neither passed nor failed:' "$${left_out[@]}"
		[[ -z '$(REQUIRE_CLUSTER)' ]] || exit 1
	fi
	exit "$$code"

bench: ## measure queue, decoding, cache, plan and status
	CRITERION_HOME=$$(realpath -m $(TARGET))/criterion cargo bench $(LOCKED) $(ARGS)

bench-queues: ## measure the queue beside client-go's and controller-runtime's, in turn (needs Go)
	@export CRITERION_HOME=$$(realpath -m $(TARGET))/criterion
	cargo bench --no-run $(LOCKED) --bench queue
	for ((round = 0; round < $(ROUNDS); round++)); do
		(cd benches/peers/queues && go test -run '^$$' -bench . -benchtime 0.5s .)
		cargo bench $(LOCKED) --bench queue -- $(ARGS)
	done | tee $(TARGET)/queues.log

bench-stores: ## measure decoding, cache and queue beside kube-rs' on the same data
	@export CRITERION_HOME=$$(realpath -m $(TARGET))/criterion
	cargo bench $(LOCKED) --manifest-path benches/peers/stores/Cargo.toml --target-dir $(PEERS) $(ARGS)

peers: # build what bench-peers starts
	@cargo run --quiet $(LOCKED) --package cluster -- build >/dev/null
	cargo build --release $(LOCKED) --bin application-operator
	(cd benches/peers/controller-runtime && go build -trimpath -ldflags '-s -w' -o $(PEERS)/controller-runtime .)
	cargo build --release $(LOCKED) --manifest-path benches/peers/kube/Cargo.toml --target-dir $(PEERS)
	cargo build --release $(LOCKED) --manifest-path benches/peers/runner/Cargo.toml --target-dir $(PEERS)

bench-peers: peers ## measure the operator beside others that do the same work, on a real API server (see benches/peers)
	@peers=$(PEERS)
	"$$peers/release/peers-runner" --raw $(TARGET)/peers.json --peer ours=$(TARGET)/release/application-operator \
		--peer controller-runtime="$$peers/controller-runtime" --peer kube="$$peers/release/kube-peer" $(ARGS)

measure: peers ## measure docs/performance.md, but for bench-large, on an idle machine, in an hour and a half, and draw it (needs Go)
	@cargo bench --no-run $(LOCKED)
	cargo bench --no-run $(LOCKED) --manifest-path benches/peers/stores/Cargo.toml --target-dir $(PEERS)
	cargo build --release --quiet $(LOCKED) --example scale --example plots
	part() { local from=$$SECONDS; $(MAKE) --no-print-directory "$$@"; printf '== %s: %d s\n' "$$1" "$$((SECONDS - from))" >&2; }
	part bench-queues ROUNDS=2 ARGS='$(BRIEFLY)'
	part bench ARGS='--bench application -- $(BRIEFLY)'
	part bench ARGS='--bench instructions'
	part bench-stores ARGS='-- $(BRIEFLY)'
	part scale
	part bench-peers ARGS='--applications 500,3000 --rounds 2,1'
	part plots ARGS=--collect

bench-large: peers ## measure the operator with 5,000 Applications on a real API server
	@peers=$(PEERS)
	"$$peers/release/peers-runner" --raw $(TARGET)/large.json --peer ours=$(TARGET)/release/application-operator \
		--brief --applications 5000 --rounds 1 $(ARGS)

scale: ## measure the operator with fleets of up to 20,000 Applications, and the queue with one noisy namespace
	@cargo build --release $(LOCKED) --bin application-operator
	for count in 1000 5000 20000; do
		cargo run --quiet --release $(LOCKED) --example scale -- $(TARGET)/release/application-operator "$$count"
	done | tee $(TARGET)/scale.json
	cargo run --quiet --release $(LOCKED) --example scale -- fairness | tee $(TARGET)/fairness.json

plots: ## draw docs/performance.md and its pictures (ARGS=--collect takes over what the benches have left first)
	cargo run --quiet $(LOCKED) --example plots -- $(ARGS)

manifests: ## generate crds/ and docs/reference.md anew
	$(OPERATOR) manifests --output-dir crds
	$(OPERATOR) manifests --reference > docs/reference.md

install: ## teach a cluster what an Application is, without the operator
	$(KUBECTL) apply -f crds/10-application.yaml

uninstall: ## let a cluster forget it, and with it every Application
	$(KUBECTL) delete --ignore-not-found -f crds/10-application.yaml

kubectl-plugin: ## install `kubectl application` for yourself, into cargo's folder of programs
	cargo install $(LOCKED) --path . --bin kubectl-application

run: ## run the operator on this machine, against the cluster of the current kubeconfig
	$(OPERATOR) run $(ARGS)

deploy: ## run the operator in a cluster, from image IMG
	$(OPERATOR) manifests --image '$(IMG)' | $(KUBECTL) apply -f -

undeploy: ## remove all that deploy made, and with it every Application
	$(OPERATOR) manifests --image '$(IMG)' | $(KUBECTL) delete --ignore-not-found -f -

docker-build: ## build image IMG
	$(CONTAINER_TOOL) build --tag '$(IMG)' .

docker-push: ## push image IMG
	$(CONTAINER_TOOL) push '$(IMG)'

bundle: ## not there yet: a bundle for the Operator Lifecycle Manager
	@echo 'make bundle is not there yet; crds/ is all that a cluster needs.' >&2
	exit 1

cluster-up: ## start a Kubernetes that stays: eval "$(make -s cluster-up)"
	@cargo run --quiet $(LOCKED) --package cluster -- up

cluster-down: ## stop it
	@cargo run --quiet $(LOCKED) --package cluster -- down

ci: ## all that has to hold: format, lints, documentation, tests, benches that build, licences
	@step() { printf '\n== %s\n' "$$*" >&2; "$$@"; }
	left_out=()
	step cargo fmt --all --check
	if command -v shellcheck >/dev/null; then
		step shellcheck cluster/build .ci/run
	else
		left_out+=('shellcheck: it is not installed')
	fi
	if ! cargo deny --version >/dev/null 2>&1; then
		left_out+=('cargo deny, which checks licences, sources and advisories: it is not installed')
	else
		step cargo deny --locked check --hide-inclusion-graph bans licenses sources
		if cargo deny --locked fetch db; then
			step cargo deny --locked --offline check advisories
		else
			left_out+=('cargo deny check advisories: their database is out of reach')
		fi
	fi
	# What lies outside of the workspace has lock files of its own, which a change of the engine's dependencies leaves behind.
	for lock in fuzz/Cargo.lock benches/peers/*/Cargo.lock; do
		step cargo update --quiet --workspace $(LOCKED) --manifest-path "$${lock%.lock}.toml"
	done
	step cargo clippy --workspace --all-targets $(LOCKED) -- -D warnings
	# The workspace has every feature that the operator has; the engine has none of them by itself.
	step cargo clippy --package engine $(LOCKED) -- -D warnings
	RUSTDOCFLAGS='-D warnings' step cargo doc --no-deps --workspace $(LOCKED)
	# New sequences for each commit, and the same ones for the same commit: who runs it again sees the same.
	export FIDELITY_SEED=$$((16#$$(git rev-parse --short=12 HEAD 2>/dev/null || echo 7)))
	step $(MAKE) --no-print-directory test
	step cargo bench --no-run $(LOCKED)
	step cargo bench --quiet $(LOCKED) --bench instructions
	for what in "$${left_out[@]}"; do
		printf '%s\n' '' '****' "LEFT OUT: $$what" '****' >&2
	done
