# Everything that developing Hookbay takes. Only Go, make and a POSIX shell are assumed: the tools are Go modules, pinned in
# hack/tools/go.mod and built on first use.

.DEFAULT_GOAL := help

GO   ?= go
TOOL := $(GO) tool -modfile=hack/tools/go.mod

# The version is the chart's, so that programs, images and chart name each other; commit and date tell two builds of it apart.
VERSION ?= $(shell sed -n 's/^appVersion: *//p' charts/hookbay/Chart.yaml)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE    ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
ifeq ($(shell printf %s '$(subst ','"'"',$(VERSION))' | grep -cE '^[0-9A-Za-z][0-9A-Za-z.+_-]*$$'),0)
$(error VERSION must be a version such as v0.1.0, not "$(VERSION)")
endif
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

# helm-unittest cannot be installed by its version alone, because of a replacement in its go.mod.
UNITTEST  := $(GO) tool -modfile=hack/tools/chart/go.mod helm-unittest
# Programs that charts, manifests and clusters take: built into bin/tools on first use.
TOOLS     := $(CURDIR)/bin/tools
HELM      := $(TOOLS)/helm-v4.3.1
KUSTOMIZE := $(TOOLS)/kustomize-v5.8.1
HELM_DOCS := $(TOOLS)/helm-docs-v1.14.2
KIND      := $(TOOLS)/kind-v0.33.0

HELM_DOCS_FLAGS := --chart-search-root charts --sort-values-order file --log-level warning

# make run
LISTEN   ?= 127.0.0.1:8080
ADMIN    ?= 127.0.0.1:9090
DATA_DIR ?= .hookbay
SAMPLES  ?= config/samples

# make fuzz
FUZZTIME ?= 5m

# make bench
BENCH = bin/bench

# make microbench
COUNT ?= 6
BASE  ?=

# make images, make docker: for which platforms, and what the images' names start with.
PLATFORM  ?= linux/$(shell $(GO) env GOARCH)
PLATFORMS ?= $(PLATFORM)
PUSH      ?=
REGISTRY  ?= ghcr.io/hookbay
IMAGES    ?= dist/images

# make release
RELEASED := linux_amd64 linux_arm64 darwin_amd64 darwin_arm64 windows_amd64 windows_arm64
RELEASE   = bin/release
STAMP     = -version '$(VERSION)' -commit '$(COMMIT)' -date '$(DATE)' -registry '$(REGISTRY)'

# The race detector needs cgo and a C compiler. A machine that has only Go tests without it; CI tests with it.
RACE = $$($(GO) build -race runtime/cgo >/dev/null 2>&1 && echo -race || echo 'No working C compiler: testing without the race detector.' >&2)

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z][a-z0-9-]*:.*## / {printf "  %-15s %s\n", $$1, $$2}' Makefile

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
	@race=$(RACE); packages=$$($(GO) list ./... | grep -vE '/hack/e2e/(local|cluster)$$') && \
	  KUBEBUILDER_ASSETS=$$(GO='$(GO)' sh hack/envtest/assets.sh) && export KUBEBUILDER_ASSETS && \
	  set -x && $(GO) test $$race $$packages && (cd hack/release && $(GO) test $$race ./...) && cd hack/bench && $(GO) test $$race ./...

.PHONY: envtest
envtest: ## Get the API server that tests run against: KUBEBUILDER_ASSETS, a download, or built once from Go modules.
	@GO='$(GO)' sh hack/envtest/assets.sh

.PHONY: e2e-local
e2e-local: ## Run the end-to-end tests on this machine: the real programs, killed, starved and reconfigured. E2E_FLAGS=.
	@race=$(RACE); set -x; $(GO) test $$race -count=1 -timeout 20m ./hack/e2e/local/... $(E2E_FLAGS)

.PHONY: e2e
e2e: $(HELM) ## Test in the cluster of KUBECONFIG, else in one of kind: load, upgrades, drains, kills. E2E_FLAGS=. See docs/testing.md.
	@MAKE='$(MAKE)' GO='$(GO)' KIND='$(KIND)' HELM='$(HELM)' VERSION='$(VERSION)' sh hack/e2e/run.sh $(E2E_FLAGS)

.PHONY: kind
kind: ## Make a cluster of three nodes with kind and Docker, to play with; it has the images, and says what to do next.
	@MAKE='$(MAKE)' KIND='$(KIND)' HELM='$(HELM)' sh hack/e2e/kind.sh

# Traefik's entry point for HTTPS is at 8443 in its pods, where it looks for the listeners of a Gateway, and at 443 of its Service.
TRAEFIK ?= traefik.traefik.svc:443

.PHONY: e2e-nightly
e2e-nightly: ## The same where Traefik serves Ingresses and the Gateway API, at TRAEFIK=, and with the target away for ten minutes.
	@$(MAKE) e2e E2E_FLAGS='-e2e.away=10m -e2e.ingress-class=traefik -e2e.ingress-address=$(TRAEFIK) \
	  -e2e.gateway-class=traefik -e2e.gateway-address=$(TRAEFIK) -e2e.gateway-port=8443 $(E2E_FLAGS)'

# The images of the tests' counterpart in the cluster, and of nats-server, of the version in go.mod.
.PHONY: image-e2e
image-e2e: $(RELEASE)
	CGO_ENABLED=0 GOOS=linux GOARCH=$(notdir $(PLATFORM)) $(GO) build -trimpath -ldflags '-s -w' -o bin/e2e ./hack/e2e/counterpart
	CGO_ENABLED=0 GOOS=linux GOARCH=$(notdir $(PLATFORM)) $(GO) build -trimpath -ldflags '-s -w' -o bin/nats github.com/nats-io/nats-server/v2
	$(RELEASE) images $(STAMP) -out $(IMAGES) -image e2e=bin/e2e -image nats=bin/nats

.PHONY: lint
lint: ## Check the code against the house rules.
	$(TOOL) golangci-lint run
	cd hack/release && $(GO) tool -modfile=../tools/go.mod golangci-lint run
	cd hack/bench && $(GO) tool -modfile=../tools/go.mod golangci-lint run

.PHONY: generate
generate: ## Write the deep copies of api/, the CRD in config/crd/bases and the roles in config/rbac, and the chart's copies of both.
	$(TOOL) controller-gen object paths=./api/...
	$(TOOL) controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(TOOL) controller-gen rbac:roleName=hookbay-manager paths=./controllers/... output:rbac:dir=config/rbac
	cp config/crd/bases/*.yaml config/rbac/role.yaml charts/hookbay/files/

.PHONY: verify
verify: generate $(HELM) $(KUSTOMIZE) ## Check generated files, formatting and go.mod, and that the chart installs what config/ does.
	@GO='$(GO)' HELM='$(HELM)' KUSTOMIZE='$(KUSTOMIZE)' sh hack/verify.sh

.PHONY: chart
chart: $(HELM) $(HELM_DOCS) ## Check the Helm chart: lint, unit tests, and that its README is up to date.
	$(HELM) lint --strict charts/hookbay
	$(UNITTEST) --strict charts/hookbay
	@$(HELM_DOCS) $(HELM_DOCS_FLAGS) --dry-run 2>/dev/null | diff -u charts/hookbay/README.md - || \
	  { echo 'charts/hookbay/README.md is not up to date; run: make chart-docs' >&2; exit 1; }

.PHONY: chart-docs
chart-docs: $(HELM_DOCS) ## Write the chart's README from README.md.gotmpl and the comments in values.yaml.
	$(HELM_DOCS) $(HELM_DOCS_FLAGS)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (5m).
	@sh hack/fuzz.sh '$(FUZZTIME)'

.PHONY: $(BENCH)
$(BENCH):
	@$(GO) build -C hack/bench -o $(CURDIR)/$(BENCH) . && $(GO) build -C hack/bench -o $(CURDIR)/$(BENCH)-manager ./manager

.PHONY: chaos
chaos: ## Tell 1,000 seeded stories of crashes, failing disks, damage and swaps, and check that nothing is lost. CHAOS_FLAGS=. See docs/chaos.md.
	@mkdir -p bin
	$(GO) build -o bin/chaos ./hack/chaos
	bin/chaos $(CHAOS_FLAGS)

# The storm of chaos-jetstream: how long, and how many callbacks a second.
STORM      ?= 5m
STORM_RATE ?= 500

.PHONY: chaos-jetstream
chaos-jetstream: ## Kill and cut off three receivers and three NATS servers in turn for STORM (5m), at STORM_RATE (500) callbacks a second.
	$(GO) test -count=1 -timeout 60m -v -run '^TestJetStreamStorm$$' ./hack/e2e/local -args \
	  -e2e.storm=$(STORM) -e2e.storm-rate=$(STORM_RATE) -e2e.storm-subjects=1000 -e2e.storm-hold=10s

KAFKA_IMAGE ?= apache/kafka:4.1.1
KAFKA_TESTS  = -count=1 -v -run 'TestKafka' ./hack/e2e/local

.PHONY: test-kafka
test-kafka: ## Test the Kafka target against Apache Kafka in Docker, or against the broker of HOOKBAY_TEST_KAFKA=host:port.
	@set -e; if [ -n "$${HOOKBAY_TEST_KAFKA:-}" ]; then exec $(GO) test $(KAFKA_TESTS); fi; \
	  id=$$(docker run --detach --rm --publish 127.0.0.1:9092:9092 $(KAFKA_IMAGE)); trap "docker kill $$id >/dev/null" EXIT; \
	  tries=60; until docker logs $$id 2>&1 | grep -q 'Kafka Server started'; do \
	    tries=$$((tries - 1)); [ $$tries -gt 0 ] || { docker logs $$id; exit 1; }; sleep 1; done; \
	  HOOKBAY_TEST_KAFKA=127.0.0.1:9092 $(GO) test $(KAFKA_TESTS)

.PHONY: bench
bench: build $(BENCH) ## Measure everything beside its baselines and write docs/benchmarks.md. BENCH_FLAGS='-sections answers': a part; see -help.
	GO='$(GO)' $(BENCH) $(BENCH_FLAGS)

.PHONY: bench-manager
bench-manager: build $(BENCH) ## Measure the manager only, with 1 to 5,000 endpoints. BENCH_FLAGS='-endpoints 1000'.
	@KUBEBUILDER_ASSETS=$$(GO='$(GO)' sh hack/envtest/assets.sh) && export KUBEBUILDER_ASSETS && \
	  set -x && $(BENCH)-manager -manager bin/hookbay $(BENCH_FLAGS)

.PHONY: microbench
microbench: ## Run the benchmarks of the packages COUNT (6) times into bin/bench.txt. BASE=FILE compares with an earlier result.
	@mkdir -p bin
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./receiver/... | tee bin/bench.txt
	$(TOOL) benchstat $(BASE) bin/bench.txt

##@ Ship

# Static programs of which the same sources and the same Go make the same bytes, wherever they are built.
programs-%:
	CGO_ENABLED=0 GOOS=$(firstword $(subst _, ,$*)) GOARCH=$(lastword $(subst _, ,$*)) \
	  $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/$*/ . ./receiver

.PHONY: $(RELEASE)
$(RELEASE):
	@$(GO) build -C hack/release -o $(CURDIR)/$(RELEASE) .

.PHONY: images
images: programs-$(subst /,_,$(PLATFORM)) $(RELEASE) ## Write dist/images/hookbay.tar and receiver.tar, for a cluster or engine to import. PLATFORM=.
	$(RELEASE) images $(STAMP) -out $(IMAGES) \
	  -image hookbay=bin/$(subst /,_,$(PLATFORM))/hookbay -image receiver=bin/$(subst /,_,$(PLATFORM))/receiver

.PHONY: docker
docker: ## Build the same images with docker buildx. PLATFORMS=linux/amd64,linux/arm64 PUSH=1 publishes them for both, REGISTRY= elsewhere.
	for image in manager=hookbay receiver=receiver; do \
	  docker buildx build --target $${image%=*} --tag $(REGISTRY)/$${image#*=}:$(VERSION) --platform $(PLATFORMS) \
	    --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) --build-arg DATE=$(DATE) \
	    --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(if $(PUSH),--push,--load) . || exit 1; \
	done

.PHONY: committed
committed:
	@test -z "$$(git status --porcelain)" || { git status --short; echo 'Commit first: a release names the commit that it is made of.'; exit 1; } >&2

.PHONY: release
release: committed $(RELEASED:%=programs-%) $(RELEASE) manifests $(HELM) ## Write all that a release consists of to dist/VERSION: see docs/releasing.md.
	rm -rf dist/$(VERSION)
	$(RELEASE) archives $(STAMP) -out dist/$(VERSION) $(RELEASED:%=bin/%)
	cp dist/install.yaml dist/$(VERSION)
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && cp -R charts/hookbay "$$copy" && find "$$copy" -exec touch -d '$(DATE)' {} + && \
	  $(HELM) package "$$copy/hookbay" --version $(VERSION:v%=%) --app-version $(VERSION) --destination dist/$(VERSION)
	$(RELEASE) sums dist/$(VERSION)

.PHONY: manifests
manifests: $(KUSTOMIZE) ## Write dist/install.yaml, the installation of VERSION as one file for kubectl apply.
	@mkdir -p dist; copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && cp -R config "$$copy" && \
	  (cd "$$copy/config/manager" && $(KUSTOMIZE) edit set image ghcr.io/hookbay/hookbay:$(VERSION)) && \
	  $(KUSTOMIZE) build -o dist/install.yaml "$$copy/config/default"

$(HELM): MODULE := helm.sh/helm/v4/cmd/helm
$(KUSTOMIZE): MODULE := sigs.k8s.io/kustomize/kustomize/v5
$(HELM_DOCS): MODULE := github.com/norwoodj/helm-docs/cmd/helm-docs
$(KIND): MODULE := sigs.k8s.io/kind
$(HELM) $(KUSTOMIZE) $(HELM_DOCS) $(KIND):
	@echo "Building $(notdir $@), once."
	@GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install -trimpath -ldflags '-s -w' $(MODULE)@v$(lastword $(subst -v, ,$(notdir $@)))
	@mv $(TOOLS)/$(notdir $(patsubst %/v5,%,$(MODULE))) $@

.PHONY: clean
clean: ## Remove what was built and what make run stored.
	rm -rf bin dist .hookbay
