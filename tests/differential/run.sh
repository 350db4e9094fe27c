#!/bin/bash
# run.sh - the same sessions at this build's broker and at mosquitto, with 1, 2 and 4 workers. Ends with "N passed, N failed"
#
# BUILD names the folder of the build; T, a part of the scripts' names, all without; SEEDS, how many
# scripts are drawn, from SEED on.
set -u
cd "$(dirname "$0")/../.." || exit 1

BUILD=${BUILD:-build}
PATH=$PATH:/usr/sbin:/usr/local/sbin
passed=0
failed=0
settings=() # of the broker
. tests/lib/broker.sh

differential() { # options...
	"$BUILD/bin/tbmq-differential" --port "$(broker_port)" --jobs 24 "$@" >"$dir/out" 2>&1
}

compare() { # workers, options...
	local workers=$1 p f
	shift
	broker_start "$workers" "${settings[@]}" || return
	differential "$@"
	grep -avE '^[0-9]+ passed, [0-9]+ failed$' "$dir/out"
	read -r p _ f _ < <(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$dir/out")
	echo "with $workers workers: ${p:-0} passed, ${f:-1} failed"
	passed=$((passed + ${p:-0}))
	failed=$((failed + ${f:-1}))
	broker_stop
}

# Whoever finds nothing with this broker would find nothing at all.
find_what_is_there() {
	broker_start 2 --set max_qos=1 || return
	differential --only 4/qos-2/steps --patience 1
	grep -q '^FAILED' "$dir/out" || return
	passed=$((passed + 1))
	broker_stop
}

with_all() { # what it is about, options...
	local about=$1 workers
	shift
	for workers in 1 2 4; do
		if ! compare "$workers" "$@"; then
			echo "with $workers workers$about: the broker did not stay whole"
			failed=$((failed + 1))
		fi
	done
}

if [[ ${T:-rules/} == *rules/* ]]; then
	rules=$PWD/tests/differential/rules.acl
	settings=(--set "acl_file=$rules" --set acl_format=mosquitto)
	with_all " and rules" --acl "$rules" ${T:+--only "$T"}
	settings=()
fi
if [[ ${T:-} != *rules/* ]]; then
	what=(--seeds "${SEEDS:-100}" --seed "${SEED:-1}")
	[[ -z ${T:-} ]] || what=(--only "$T")
	with_all "" "${what[@]}"
fi
if ! find_what_is_there; then
	echo "a broker without QoS 2 was not found out"
	failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
