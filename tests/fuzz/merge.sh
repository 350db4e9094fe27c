#!/bin/bash
# merge.sh TARGET... - adds to tests/fuzz/corpus what run.sh has found and reaches edges that nothing there does; T picks by name
#
# Of inputs that reach the same, the smallest is taken. Ends with how many have come.
set -u
cd "$(dirname "$0")/../.." || exit 1

for target in "$@"; do
	name=$(basename "$target" _fuzz)
	[[ $name == *"${T:-}"* && -d build/fuzz/corpus/$name ]] || continue
	log=build/fuzz/log/$name-merge
	mkdir -p build/fuzz/log
	# Without counters an edge is an edge, however often it is taken.
	if ! "$target" -merge=1 -use_counters=0 "tests/fuzz/corpus/$name" \
		"build/fuzz/corpus/$name" >"$log" 2>&1; then
		tail -n 60 "$log"
		exit 1
	fi
	echo "$name: $(grep -o '[0-9]* new files .*' "$log")"
done
