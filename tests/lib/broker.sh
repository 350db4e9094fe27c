# broker.sh - for scripts: a broker of this build in a directory of its own, that ends with the script
#
# To be sourced at the top of the tree, with BUILD set. Sets dir, which is removed in the end; the
# port is a free one.
# shellcheck shell=bash

dir=$(mktemp -d) || exit 1

ctl() {
	"$BUILD/bin/tbmqctl" --dir "$dir" "$@"
}
trap 'ctl stop >/dev/null 2>&1; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# False, and why: it does not start.
broker_start() { # workers, options...
	rm -rf "${dir:?}"/*
	ctl start --port 0 --workers "$@" >"$dir/err" 2>&1 && return
	cat "$dir/err"
	return 1
}

broker_port() {
	ctl --json status | tr -d ' \n' | sed 's/.*"broker":{[^}]*"port":\([0-9]*\).*/\1/'
}

# False, and why: it has lost a process, or printed a failed must() or a sanitizer's report.
broker_stop() {
	local bad=0
	ctl --json status >"$dir/status" 2>&1 && ctl stop >>"$dir/err" 2>&1 || bad=1
	if grep -o '"restarts": *[0-9]*' "$dir/status" | grep -qv ': *0$'; then
		echo "a process of the broker was restarted"
		bad=1
	fi
	if grep -aqE 'must\(|Sanitizer|runtime error:' "$dir/log/tbmq.log" "$dir/err"; then
		bad=1
	fi
	[[ $bad -eq 0 ]] || tail -n 60 "$dir/log/tbmq.log" "$dir/err"
	return $bad
}
