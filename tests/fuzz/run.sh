#!/bin/bash
# run.sh TARGET... - runs libFuzzer targets for FUZZ_SECONDS each; T picks by name
#
# New inputs of interest stay in build/fuzz/corpus, beside the committed ones in tests/fuzz/corpus;
# what made a target fail is kept in build/fuzz/found.
set -u
cd "$(dirname "$0")/../.." || exit 1

passed=0
failed=0
mkdir -p build/fuzz/found
for target in "$@"; do
	name=$(basename "$target" _fuzz)
	[[ $name == *"${T:-}"* ]] || continue
	mkdir -p "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"
	echo "== $name"
	if "$target" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="build/fuzz/found/$name-" \
		"build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
