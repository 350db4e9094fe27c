#!/bin/bash
# all.sh - every client against brokers with 1, 2 and 4 workers, two clients at a time; T= picks by name. Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
logs=build/log/clients
mkdir -p "$logs"
for WORKERS in 1 2 4; do
	export WORKERS
	echo "== $WORKERS workers"
	printf '%s\n' tests/clients/run-*.sh tests/clients/*/run.sh | grep -F -- "${T:-}" |
		xargs -P 2 -I{} bash -c 'log=$1/$(basename "$(dirname "$2")")-$(basename "$2" .sh)-$WORKERS
			timeout -k 5 1200 "$2" >"$log" 2>&1 </dev/null || echo "FAILED  $2 ended badly" >>"$log"
			cat "$log"' _ "$logs" {}
done | grep -vE '^[0-9]+ passed, [0-9]+ failed$' | tee "$logs/all"
p=$(grep -ac '^ok ' "$logs/all")
f=$(grep -ac '^FAILED ' "$logs/all")
echo "$p passed, $f failed"
[[ $p -gt 0 && $f -eq 0 ]]
