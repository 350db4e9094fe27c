#!/bin/bash
# run.sh - all scenarios against a whole broker, two at a time; T= picks by name, BUILD= the build. Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
export TBMQ_BIN=$PWD/$BUILD/bin
work=$(mktemp -d)
longest=store/kills_under_full_load # beside it there is time for the others
trap 'rm -rf "$work"' EXIT

{ (cd tests/scenario && find . -name '*.c' -printf "$BUILD/scenario/%P\n" | sed 's/\.c$//')
	find tests/clients -name 'run-*.sh' 2>/dev/null
} | grep -F -- "${T:-}" | sort >"$work/names"
{ grep -F "$longest" "$work/names"; grep -vF "$longest" "$work/names"; } >"$work/list"
xargs -a "$work/list" -P 2 -I{} bash -c '
	out=$(mktemp -p "$1")
	timeout -k 5 $((1200 * ${SCALE:-1})) "$2" >"$out" 2>&1 </dev/null
	grep -qaE "[0-9]+ passed, [0-9]+ failed" "$out" || echo "FAILED $2
0 passed, 1 failed" >>"$out"
	cat "$out"' _ "$work" {} | grep -avE '^[0-9]+ passed, [0-9]+ failed$' | tee "$work/all"
p=$(grep -c '^ok ' "$work/all")
f=$(grep -c '^FAILED ' "$work/all")
echo "$p passed, $f failed"
[[ $f -eq 0 ]]
