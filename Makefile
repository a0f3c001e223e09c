# Everything that developing Hookbay takes. Only Go, make and a POSIX shell are assumed: the tools are Go modules, pinned in
# hack/tools/go.mod and built on first use.

.DEFAULT_GOAL := help

GO   ?= go
TOOL := $(GO) tool -modfile=hack/tools/go.mod

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

# make run
LISTEN   ?= 127.0.0.1:8080
ADMIN    ?= 127.0.0.1:9090
DATA_DIR ?= .hookbay
SAMPLES  ?= config/samples

# make fuzz
FUZZTIME ?= 5m

# make microbench
COUNT ?= 6
BASE  ?=

# The race detector needs cgo and a C compiler. A machine that has only Go tests without it; CI tests with it.
RACE = $$($(GO) build -race runtime/cgo >/dev/null 2>&1 && echo -race || echo 'No working C compiler: testing without the race detector.' >&2)

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z][a-z0-9-]*:.*## / {printf "  %-13s %s\n", $$1, $$2}' Makefile

##@ Use

.PHONY: build
build: ## Build bin/hookbay and bin/receiver.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/hookbay .
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/receiver ./receiver

.PHONY: run
run: build ## Serve the sample endpoints, send each a signed callback, print what is delivered. LISTEN=, ADMIN=, DATA_DIR=.
	@LISTEN='$(LISTEN)' ADMIN='$(ADMIN)' DATA_DIR='$(DATA_DIR)' SAMPLES='$(SAMPLES)' sh hack/run.sh

##@ Develop

.PHONY: test
test: ## Run all tests but the end-to-end ones, some against a real API server (see envtest).
	@race=$(RACE); packages=$$($(GO) list ./... | grep -v '/hack/e2e') && \
	  KUBEBUILDER_ASSETS=$$(GO='$(GO)' sh hack/envtest/assets.sh) && export KUBEBUILDER_ASSETS && \
	  set -x && $(GO) test $$race $$packages

.PHONY: envtest
envtest: ## Get the API server that tests run against: KUBEBUILDER_ASSETS, a download, or built once from Go modules.
	@GO='$(GO)' sh hack/envtest/assets.sh

.PHONY: e2e
e2e: ## Run the end-to-end tests: the real programs, killed, starved and reconfigured. E2E_FLAGS=.
	@race=$(RACE); set -x; $(GO) test $$race -count=1 -timeout 20m ./hack/e2e/... $(E2E_FLAGS)

.PHONY: lint
lint: ## Check the code against the house rules.
	$(TOOL) golangci-lint run

.PHONY: generate
generate: ## Write the deep copies of api/, the CRD in config/crd/bases and the roles in config/rbac.
	$(TOOL) controller-gen object paths=./api/...
	$(TOOL) controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(TOOL) controller-gen rbac:roleName=hookbay-manager paths=./controllers/... output:rbac:dir=config/rbac

.PHONY: verify
verify: generate ## Check that generated files, formatting and go.mod are what they should be.
	@sh hack/verify.sh

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (5m).
	@sh hack/fuzz.sh '$(FUZZTIME)'

.PHONY: bench
bench: ## Measure acknowledgements a second and p99 beside a bare net/http handler, in one run. BENCH_FLAGS=.
	$(GO) run ./hack/bench $(BENCH_FLAGS)

.PHONY: bench-manager
bench-manager: ## Measure the manager with 1, 100 and 1,000 endpoints: time, requests, CPU, memory. BENCH_FLAGS='-endpoints 1000'.
	@KUBEBUILDER_ASSETS=$$(GO='$(GO)' sh hack/envtest/assets.sh) && export KUBEBUILDER_ASSETS && \
	  set -x && $(GO) run ./hack/bench/manager $(BENCH_FLAGS)

.PHONY: microbench
microbench: ## Run the benchmarks of the packages COUNT (6) times into bin/bench.txt. BASE=FILE compares with an earlier result.
	@mkdir -p bin
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./receiver/... | tee bin/bench.txt
	$(TOOL) benchstat $(BASE) bin/bench.txt

.PHONY: clean
clean: ## Remove what was built and what make run stored.
	rm -rf bin dist .hookbay
