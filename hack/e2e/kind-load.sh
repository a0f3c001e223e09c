#!/bin/sh
# Brings image archives to every node of a cluster of kind: KIND=kind CLUSTER=name kind-load.sh ARCHIVE...
for archive in "$@"; do
	"$KIND" load image-archive "$archive" --name "$CLUSTER" || exit 1
done
