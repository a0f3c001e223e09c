#!/bin/sh
# make e2e: builds the images and tests them in the cluster that KUBECONFIG names, or in one that kind makes for it and removes at the end.
#
# KUBECONFIG: the cluster; it needs two nodes, better three, and a default StorageClass. It must have no use but tests: a node is drained.
# E2E_LOAD_IMAGE: a command that is called with image archives and brings them to every node. By default kind's, if it is a cluster of kind.
# E2E_KILL_NODE: a command that is called with a node's name and ends that node for good. Without it, that is not tested.
# MAKE, GO, KIND, HELM, VERSION: of the Makefile. The arguments are flags of hack/e2e/cluster.
set -eu
: "${MAKE:=make}" "${GO:=go}" "${KIND:?}" "${HELM:?}" "${VERSION:?}"
images=$PWD/dist/e2e

# kind_cluster prints the name of the cluster of kind that is the current context, if it is one.
kind_cluster() {
	sed -n 's/^current-context: *"\{0,1\}kind-\([^"]*\)"\{0,1\} *$/\1/p' "${KUBECONFIG%%:*}"
}

if [ -z "${KUBECONFIG:-}" ]; then
	if ! docker info >/dev/null 2>&1; then
		echo 'There is no cluster to test in: set KUBECONFIG and E2E_LOAD_IMAGE (see docs/testing.md), or start Docker, for kind.' >&2
		exit 1
	fi
	"$MAKE" --no-print-directory "$KIND"
	scratch=$(mktemp -d)
	KUBECONFIG=$scratch/kubeconfig
	export KUBECONFIG
	trap '"$KIND" delete cluster --name hookbay-e2e; rm -rf "$scratch"' EXIT
	"$KIND" create cluster --name hookbay-e2e --config hack/e2e/kind.yaml --wait 5m
	: "${E2E_KILL_NODE:=docker kill}"
	export E2E_KILL_NODE
fi

if [ -z "${E2E_LOAD_IMAGE:-}" ]; then
	CLUSTER=$(kind_cluster)
	if [ -z "$CLUSTER" ]; then
		echo 'Set E2E_LOAD_IMAGE to a command that is called with image archives and brings them to every node of the cluster.' >&2
		exit 1
	fi
	"$MAKE" --no-print-directory "$KIND"
	E2E_LOAD_IMAGE="sh $PWD/hack/e2e/kind-load.sh"
	export E2E_LOAD_IMAGE CLUSTER KIND
fi

rm -rf "$images"
"$MAKE" --no-print-directory images IMAGES="$images/next" VERSION="$VERSION-next"
"$MAKE" --no-print-directory images IMAGES="$images" VERSION="$VERSION"
"$MAKE" --no-print-directory image-e2e IMAGES="$images" VERSION="$VERSION"

# No time limit of go test: each wait has its own.
set -x
"$GO" test -v -count=1 -timeout 0 ./hack/e2e/cluster -args \
	-e2e.images="$images" -e2e.version="$VERSION" -e2e.next="$VERSION-next" -e2e.helm="$HELM" "$@"
