# lib.sh - for the clients' scripts: a broker of their own with two workers, and counting. Sourced with the top of the tree as directory.
# shellcheck shell=bash
set -u
BUILD=${BUILD:-build}
dir=$(mktemp -d)
passed=0
failed=0

finish() {
	"$BUILD/bin/tbmqctl" --dir "$dir" stop >/dev/null 2>&1 || failed=$((failed + 1))
	if grep -qE 'must\(|AddressSanitizer|runtime error:| died ' "$dir/log/tbmq.log" "$dir/err" 2>/dev/null; then
		echo "FAILED clients: the broker's log in $dir"
		failed=$((failed + 1))
	fi
	[[ $failed -gt 0 ]] && tail -n 20 "$dir/log/tbmq.log" || rm -rf "$dir"
	echo "$passed passed, $failed failed"
	[[ $failed -eq 0 ]]
}

# result NAME STATUS
result() {
	if [[ $2 -eq 0 ]]; then
		echo "ok      clients/$1"
		passed=$((passed + 1))
	else
		echo "FAILED  clients/$1"
		failed=$((failed + 1))
	fi
}

"$BUILD/bin/tbmqctl" --dir "$dir" start --port 0 --workers 2 >"$dir/out" 2>"$dir/err" || {
	cat "$dir/err"
	echo "FAILED clients: no broker"
	echo "0 passed, 1 failed"
	exit 1
}
port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$dir/out")
