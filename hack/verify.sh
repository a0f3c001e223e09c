#!/bin/sh
# Checks what a compiler does not: formatting, the go.mod files, that what make generate wrote is what is committed, and that the chart
# installs what the kustomize folders do (HELM, KUSTOMIZE: the programs).
set -eu
go=${GO:-go}
status=0

unformatted=$(find . -name '*.go' -not -path './.git/*' -exec gofmt -l {} +)
if [ -n "$unformatted" ]; then
	printf 'Not formatted; run gofmt -w on:\n%s\n' "$unformatted"
	status=1
fi

for dir in . hack/tools hack/tools/chart hack/envtest hack/release hack/bench; do
	if ! (cd "$dir" && $go mod tidy -diff); then
		echo "$dir/go.mod is not tidy; run: cd $dir && go mod tidy"
		status=1
	fi
done

# Only the folders that make generate writes: a developer's other edits are none of its business.
stale=$(git status --porcelain -- api config charts)
if [ -n "$stale" ]; then
	git --no-pager diff -- api config charts
	printf 'Changed or new after make generate; look at it and commit it:\n%s\n' "$stale"
	status=1
fi

if ! $go run ./hack/install -helm "${HELM:-helm}" -kustomize "${KUSTOMIZE:-kustomize}"; then
	echo 'The chart and the kustomize folders must install the same; see above.'
	status=1
fi
exit $status
