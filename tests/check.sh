#!/bin/bash
# check.sh PART... - runs built tests and ends with "N passed, N failed"
#
# Parts: unit, replay (fuzz corpora), scenario. The environment says more: BUILD, the folder of the
# build; T, only tests whose name contains it; SCALE, for scenarios: how much of everything.
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
T=${T:-}
export BUILD T SCALE="${SCALE:-1}"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$PWD/tests/scenario/lsan.supp:print_suppressions=0}
logs=$BUILD/log
passed=0
failed=0

# The last line "N passed, N failed" of a log counts. No such line, or a bad end without a failed
# test, is one more failure: a test that crashed can't count itself.
count() { # name log status
	local line p f
	line=$(grep -aEo '[0-9]+ passed, [0-9]+ failed' "$2" | tail -n 1)
	read -r p _ f _ <<<"${line:-0 passed, 0 failed}"
	if [[ ($3 -ne 0 || $p -eq 0) && $f -eq 0 ]]; then
		f=1
	fi
	passed=$((passed + p))
	failed=$((failed + f))
	if [[ $f -eq 0 ]]; then
		echo "ok      $1: $p"
	else
		echo "FAILED  $1: status $3, whole log in $2"
	fi
	return "$f"
}

names=()

# Two at a time; finish() counts them.
begin() { # name command...
	local name=$1 log=$logs/$1.log
	shift
	mkdir -p "$(dirname "$log")"
	while [[ $(jobs -rp | wc -l) -ge 2 ]]; do
		wait -n
	done
	(
		timeout -k 5 900 "$@" >"$log" 2>&1 </dev/null
		echo $? >"$log.status"
	) &
	names+=("$name")
}

finish() {
	local name log
	wait
	for name in "${names[@]}"; do
		log=$logs/$name.log
		count "$name" "$log" "$(<"$log.status")" || tail -n 60 "$log"
	done
	names=()
}

for part in "$@"; do
	case $part in
	unit)
		while read -r test; do
			begin "unit/$test" "$BUILD/unit/$test"
		done < <(cd tests/unit && find . -name '*_test.c' -printf '%P\n' | sed 's/\.c$//' |
			grep -F -- "$T" | sort)
		finish
		;;
	replay)
		while read -r fuzz; do
			begin "replay/$fuzz" "$BUILD/replay/$fuzz" "tests/fuzz/corpus/$fuzz"
		done < <(cd tests/fuzz && find . -name '*_fuzz.c' -printf '%P\n' |
			sed 's/_fuzz\.c$//' | grep -F -- "$T" | sort)
		finish
		;;
	scenario)
		[[ -x tests/scenario/run.sh ]] || continue
		mkdir -p "$logs"
		tests/scenario/run.sh 2>&1 | tee "$logs/scenario.log"
		status=${PIPESTATUS[0]}
		# Nothing to do is fine when T= meant another test.
		if [[ $status -ne 0 || -z $T ]] || grep -q '[1-9][0-9]* passed' "$logs/scenario.log"; then
			count scenario "$logs/scenario.log" "$status"
		fi
		;;
	*)
		echo "check.sh: what is $part?" >&2
		exit 2
		;;
	esac
done

echo
if [[ $((passed + failed)) -eq 0 ]]; then
	echo "check.sh: no test has \"$T\" in its name" >&2
	exit 1
fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
