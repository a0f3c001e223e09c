#!/bin/sh
# Prints a folder that holds kube-apiserver, etcd and kubectl, for tests against a real API server (KUBEBUILDER_ASSETS). It is, in this
# order: what KUBEBUILDER_ASSETS names already, what was built here before, what setup-envtest has or downloads, and what is built from
# the Go modules pinned in go.mod beside this file. Progress goes to stderr, so that $(sh hack/envtest/assets.sh) is the folder.
set -eu
go=${GO:-go}
here=$(cd "$(dirname "$0")" && pwd)
programs='kube-apiserver etcd kubectl'
setup_envtest=sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1

say() { printf 'envtest: %s\n' "$*" >&2; }

complete() { # DIR
	for program in $programs; do
		[ -x "$1/$program" ] || return 1
	done
}

found() { # DIR
	cd "$1" && pwd # absolute: go test runs each package in its own folder
	exit 0
}

# Runs a command for SECONDS at most and says every minute that it still runs. A watcher in the background, because POSIX has no
# timeout; it ends by itself with the command and keeps no hold of stdout, which our caller waits for.
limited() { # SECONDS WHAT COMMAND...
	limit=$1 what=$2
	shift 2
	"$@" &
	child=$!
	(
		waited=0
		while sleep 1 && kill -0 "$child" 2>/dev/null; do
			waited=$((waited + 1))
			[ "$waited" -lt "$limit" ] || kill "$child" 2>/dev/null || :
			[ $((waited % 60)) -ne 0 ] || say "still $what, since $((waited / 60)) min"
		done
	) >/dev/null &
	status=0
	wait "$child" || status=$?
	child=
	return "$status"
}

child='' unfinished=''
cleanup() {
	[ -z "$child" ] || kill "$child" 2>/dev/null || :
	[ -z "$unfinished" ] || rm -rf "$unfinished"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	if complete "$KUBEBUILDER_ASSETS"; then
		found "$KUBEBUILDER_ASSETS"
	fi
	say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS does not hold all of $programs: looking elsewhere"
fi

version() { $go -C "$here" list -m -f '{{.Version}}' "$1"; } # MODULE
kubernetes=$(version k8s.io/kubernetes)
etcd=$(version go.etcd.io/etcd/server/v3)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hookbay/envtest/kubernetes-$kubernetes-etcd-$etcd-$($go env GOOS)-$($go env GOARCH)
if complete "$cache"; then
	found "$cache"
fi
mkdir -p "$cache"

# Ready-made programs need the internet beyond the Go modules. Without it setup-envtest fails within seconds; its words about that
# would only alarm, since there is another way. Any patch version is as good as the pinned one.
minor=${kubernetes#v}
minor=${minor%.*}
unfinished=$cache/download.$$
say "looking for a ready-made API server with setup-envtest"
if limited 180 "building setup-envtest" env GOBIN="$unfinished" $go install "$setup_envtest" >/dev/null 2>&1 &&
	limited 20 "asking which versions there are" "$unfinished/setup-envtest" list "$minor.x" >/dev/null 2>&1; then
	say "getting Kubernetes $minor"
	limited 600 "downloading" "$unfinished/setup-envtest" use -p path "$minor.x" >"$unfinished/path" 2>"$unfinished/error" ||
		say "$(cat "$unfinished/error")"
	ready=$(cat "$unfinished/path")
	if [ -n "$ready" ] && complete "$ready"; then
		rm -rf "$unfinished"
		found "$ready"
	fi
fi
rm -rf "$unfinished"

# Each program is put in place by a rename, so whoever finds all of them finds them whole, and two that build at once do not disturb
# each other.
build() { # PROGRAM PACKAGE LDFLAGS
	[ ! -x "$cache/$1" ] || return 0
	say "building $1"
	began=$(date +%s)
	unfinished=$cache/$1.$$
	limited 7200 "building $1" \
		env CGO_ENABLED=0 $go -C "$here" build -trimpath -ldflags "$3" -o "$unfinished" "$2"
	mv -f "$unfinished" "$cache/$1"
	say "built $1 in $(($(date +%s) - began)) s"
}

say "none to be had: building Kubernetes $kubernetes and etcd $etcd from their Go modules into $cache"
say "this is done once and takes about 10 minutes on two cores"
stamp=k8s.io/component-base/version # where Kubernetes keeps what kubectl version shows
stamp="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=${minor%.*} -X $stamp.gitMinor=${minor#*.}"
build etcd go.etcd.io/etcd/server/v3 '-s -w'
build kubectl k8s.io/kubernetes/cmd/kubectl "$stamp"
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "$stamp"
found "$cache"
