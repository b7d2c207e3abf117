# What a developer runs. `make` alone lists the targets.

GO        ?= go
FUZZTIME  ?= 60s
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOLS     := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rapport
LINT      := $(TOOLS)/bin/golangci-lint
LINT_VERSION := v2.15.0

# The packages that share memory between goroutines. `make race RACE=./...` takes them all.
RACE ?= ./streams/... ./engine/... ./rules/... ./recommender/...

# How long and how hard `make torture` is; SEED 0 takes a new one, and prints it.
KILLS  ?= 200
FAULTS ?= kill=50,zombie=20,broker=20,redis=20,rolling=10,rollback=5,slowredis=5,slowbroker=5,cutredis=5,cutbroker=5,join=5
SEED   ?= 0
RATE   ?= 300
# How many random sets of rules the engine is held to the model of bench/reference with.
RULESETS ?= 10000

# How long `make soak` loads a server.
SOAK ?= 10m

.DEFAULT_GOAL := help
.PHONY: help build test race cover lint fmt vet fuzz bench bench-smoke soak integration torture clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./rapport, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.release=$(VERSION)" -o rapport ./cmd/rapport

test: ## run the tests; needs nothing but Go
	$(GO) test ./...

race: ## run the tests of RACE under the race detector
	$(GO) test -race $(RACE)

cover: ## write coverage.out and print the coverage of each package
	$(GO) test -coverprofile=coverage.out -coverpkg=./... ./...
	$(GO) tool cover -func=coverage.out | tail -n 1

fmt: ## fail if gofmt would change a file
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

vet: ## run go vet, the integration tests included
	$(GO) vet ./...
	$(GO) vet -tags integration ./...

lint: $(LINT) fmt vet ## run the linters of .golangci.yml
	$(LINT) run ./...

$(LINT):
	GOBIN=$(TOOLS)/bin GOFLAGS=-mod=mod $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

fuzz: ## fuzz every FuzzXxx of the tree for FUZZTIME each
	.ci/fuzz $(FUZZTIME)

bench: ## run the Go benchmarks briefly; `rapport bench` measures the whole
	$(GO) test -run '^$$' -bench . -benchtime 200ms -benchmem ./...

bench-smoke: ## fail when a benchmark allocates more than .ci/allocations records
	GO=$(GO) .ci/bench-smoke

soak: ## load a server for SOAK, half of what it can do, and check that nothing grows
	$(GO) run ./cmd/rapport bench soak --duration $(SOAK)

integration: ## test against real Kafka, Redis and tracking clients; what is missing is skipped
	.ci/integration

torture: ## kill, stop and cut what runs under load, and compare with models: KILLS, FAULTS, SEED, RATE
	$(GO) test -tags integration -count=1 -v -timeout 24h ./bench/torture -run 'TestEmbedded|TestDiskFull|TestCluster' \
		-args -kills $(KILLS) -faults $(FAULTS) -seed $(SEED) -rate $(RATE)
	$(GO) test -count=1 -timeout 4h ./bench/reference -args -whole -rulesets $(RULESETS)

clean: ## remove what the targets leave in the tree
	rm -f rapport coverage.out
