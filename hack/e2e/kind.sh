#!/bin/sh
# make kind: a cluster of three nodes to play with, which has the images, and what to do next. KIND, HELM, MAKE: of the Makefile.
set -eu
: "${MAKE:=make}" "${KIND:?}" "${HELM:?}"
CLUSTER=hookbay
export CLUSTER KIND
if ! docker info >/dev/null 2>&1; then
	echo 'kind makes nodes of Docker containers: start Docker.' >&2
	exit 1
fi
"$MAKE" --no-print-directory "$KIND" "$HELM"
"$KIND" get clusters 2>/dev/null | grep -qx "$CLUSTER" || "$KIND" create cluster --name "$CLUSTER" --config hack/e2e/kind.yaml --wait 5m
"$MAKE" --no-print-directory images
sh hack/e2e/kind-load.sh dist/images/hookbay.tar dist/images/receiver.tar
cat <<END

The cluster is there, and has the images. Next:

  $HELM install hookbay charts/hookbay -n hookbay-system --create-namespace
  kubectl create namespace shop && kubectl apply -k config/samples
  kubectl get whe -n shop -w

Remove it with: $KIND delete cluster --name $CLUSTER
END
