#!/bin/bash
# sessions.sh - whole sessions at random against this build's broker with 4 workers, for FUZZ_SECONDS. Ends with "N passed, N failed"
#
# BUILD names the folder of the build; SEED, what is drawn, the time without.
set -u
cd "$(dirname "$0")/../.." || exit 1

BUILD=${BUILD:-build}
. tests/lib/broker.sh

passed=0
if broker_start 4 --set queue_max_messages=50; then
	"$BUILD/bin/tbmq-fuzz-sessions" --port "$(broker_port)" --seed "${SEED:-$(date +%s)}" \
		--seconds "${FUZZ_SECONDS:-60}" && passed=1
	broker_stop || passed=0
fi
echo "$passed passed, $((1 - passed)) failed"
[[ $passed -eq 1 ]]
