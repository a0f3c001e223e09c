#!/bin/sh
# Runs every fuzz target, one after another, for the time given: sh hack/fuzz.sh 5m
set -eu
go=${GO:-go}
fuzztime=${1:?usage: fuzz.sh TIME, such as 5m}

find . -name '*_test.go' -not -path './.git/*' -exec grep -l '^func Fuzz' {} + | sort |
	while read -r file; do
		for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
			echo "== $target in ${file%/*} for $fuzztime"
			$go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "${file%/*}" </dev/null
		done
	done
