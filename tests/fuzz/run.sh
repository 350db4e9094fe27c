#!/bin/bash
# run.sh TARGET... - runs libFuzzer targets for FUZZ_SECONDS each; T picks by name
#
# With FUZZ_QUIET each one goes on until it has seen no new edge for that many seconds of its CPU
# time. New inputs of interest stay in build/fuzz/corpus, beside the committed ones in
# tests/fuzz/corpus; what made a target fail is kept in build/fuzz/found.
set -u
cd "$(dirname "$0")/../.." || exit 1

INTERRUPTED=72 # how libFuzzer ends when it is told to

# CPU time of a process in seconds; false when it is gone. No name of a target has a space.
cpu_of() { # pid
	local stat
	read -ra stat <"/proc/$1/stat" && echo $(((stat[13] + stat[14]) / $(getconf CLK_TCK)))
} 2>/dev/null

# What it prints goes to a log: each new edge has a line there, with "cov:" and how many they are.
until_quiet() { # name command...
	local log=build/fuzz/log/$1 name=$1 pid line now edges=0 cpu=0 since=0 status
	shift
	"$@" >"$log" 2>&1 &
	pid=$!
	trap 'kill $pid' EXIT
	trap 'exit 130' INT TERM
	while sleep 2 && now=$(cpu_of $pid) && kill -0 $pid 2>/dev/null; do
		cpu=$now
		line=$(grep -aoE 'cov: [0-9]+' "$log" | tail -n 1)
		if [[ ${line:-cov: 0} != "cov: $edges" ]]; then
			edges=${line#cov: }
			since=$cpu
		fi
		[[ $((cpu - since)) -lt $FUZZ_QUIET ]] || kill $pid
	done
	trap - EXIT INT TERM
	wait $pid
	status=$?
	echo "$name: $edges edges, the last one after $since s CPU of $cpu s"
	[[ $status -eq $INTERRUPTED ]] || tail -n 60 "$log"
	[[ $status -eq $INTERRUPTED ]]
}

passed=0
failed=0
mkdir -p build/fuzz/found build/fuzz/log
for target in "$@"; do
	name=$(basename "$target" _fuzz)
	[[ $name == *"${T:-}"* ]] || continue
	mkdir -p "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"
	if [[ ${FUZZ_QUIET:-} ]]; then
		run=(until_quiet "$name" "$target")
	else
		run=("$target" -max_total_time="${FUZZ_SECONDS:-60}")
	fi
	echo "== $name"
	if "${run[@]}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="build/fuzz/found/$name-" \
		"build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
