# A thin front for scripts/ and `swift build`: whatever is done here can be done without make.
.DEFAULT_GOAL := help
.PHONY: test-examples bench-library test-clients help up build test test-cluster simulate bench fix verify

MEMBERS ?= 3
SEED ?= 1
SEEDS ?= 1000
BENCH ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## install what is missing, build, run a cluster in this terminal (MEMBERS=3)
	@scripts/up $(MEMBERS)

build: ## the release build of the server, .build/release/martlet
	@scripts/setup build
	swift build -c release --product martlet

test: ## everything that continuous integration checks
	@scripts/test

test-clients: ## stock clients, random requests beside etcd, bad input: against live members
	@scripts/test-clients

test-cluster: ## real processes, killed under load
	@scripts/test-cluster

test-examples: ## the examples of the library, built and tested
	@scripts/test-examples

simulate: ## whole clusters in virtual time, one a seed (SEED=1 SEEDS=1000)
	@scripts/simulate --seed $(SEED) --seeds $(SEEDS)

bench: build ## side by side with etcd 3.5.1, about twelve minutes (BENCH=--quick for four)
	@scripts/setup bench
	@scripts/bench $(BENCH)

bench-library: ## the library by itself: proposals a second, and what each costs
	@scripts/bench-library $(BENCH)

fix: ## format the sources
	@scripts/fix

verify: ## the quick check before a commit
	@scripts/verify
