#!/bin/bash
# run.sh [TEXT] - measures this build, with one worker and two, beside mosquitto; prints a table
#
# Only rows whose name contains TEXT, if given. BUILD names the folder of the build, DURATION the
# seconds of each measurement. Every cell has a broker of its own, freshly started on a free
# loopback port, and the brokers take turns, so that what else the machine does hits them alike.
# Status 1: a broker lost, repeated or spoilt something, or did not start.
set -u
cd "$(dirname "$0")/../.." || exit 1

BUILD=${BUILD:-build}
DURATION=${DURATION:-3}
PATH=$PATH:/usr/sbin:/usr/local/sbin
dir=$(mktemp -d) || exit 1
kind= # of the broker that runs: tbmq, mosquitto or none
pid=
status=0

ctl() {
	"$BUILD/bin/tbmqctl" --dir "$dir/tbmq" "$@"
}

# The value of "key": in the JSON on stdin.
value() {
	tr -d ' \n' | sed -n "s/.*\"$1\":\([-0-9.a-z]*\).*/\1/p"
}

stop() {
	case $kind in
	tbmq)
		if ! ctl stop >/dev/null 2>&1 && [[ -n $pid ]]; then
			kill "$pid" 2>/dev/null
		fi
		;;
	mosquitto)
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
		;;
	esac
	kind=
	pid=
}
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# Until something listens on the port; false when the broker ended instead.
answers() {
	local until=$((SECONDS + 10))
	while ! (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
		if ! kill -0 "$pid" 2>/dev/null || ((SECONDS > until)); then
			return 1
		fi
		sleep 0.02
	done
	kill -0 "$pid" 2>/dev/null
}

# Neither broker is to throttle or drop: no limit on what is under way or queued.
start_tbmq() { # workers
	local broker
	rm -rf "$dir/tbmq"
	mkdir "$dir/tbmq"
	kind=tbmq
	ctl start --port 0 --workers "$1" --set inflight_max=65535 --set queue_max_messages=0 \
		--set queue_max_bytes=0 --set max_subscriptions=0 >"$dir/log" 2>&1 || return 1
	broker=$(ctl --json status | tr -d '\n' | sed 's/.*"broker": *{\([^}]*\)}.*/\1/')
	pid=$(value pid <<<"$broker")
	port=$(value port <<<"$broker")
}

start_mosquitto() {
	kind=mosquitto
	for port in $(shuf -n 10 -i 10000-30000); do
		(: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
		printf '%s\n' "listener $port 127.0.0.1" 'allow_anonymous true' \
			'persistence false' 'log_type none' 'max_inflight_messages 0' \
			'max_queued_messages 0' 'set_tcp_nodelay true' >"$dir/mosquitto.conf"
		mosquitto -c "$dir/mosquitto.conf" >"$dir/log" 2>&1 &
		pid=$!
		answers "$port" && return 0
		stop
	done
	return 1
}

start() { # workers, 0: mosquitto
	if [[ $1 -eq 0 ]]; then
		start_mosquitto
	else
		start_tbmq "$1"
	fi
}

measure() { # key, mode and options...
	local key=$1 json
	shift
	if json=$(timeout -k 5 300 "$BUILD/bin/tbmq-bench" "$@" --port "$port" --pid "$pid" \
		--seconds "$DURATION" --json 2>"$dir/err"); then
		value "$key" <<<"$json"
	else
		echo "run.sh: $*: $(cat "$dir/err") $json" >&2
		echo BAD
	fi
}

cell() { # workers, key, mode and options...
	local workers=$1 got=BAD
	shift
	if [[ $workers -eq 0 ]] && ! command -v mosquitto >/dev/null; then
		cells+=(-)
		return
	fi
	if start "$workers"; then
		got=$(measure "$@")
	else
		echo "run.sh: the broker did not start: $(<"$dir/log")" >&2
	fi
	stop
	[[ $got != BAD ]] || status=1
	cells+=("$got")
}

# Ours divided by mosquitto's.
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { if (a + 0 && b + 0) printf "%.2f", a / b; else print "-" }'
}

row() { # name key, mode and options...
	local name=$1 workers
	shift
	[[ $name == *"$pick"* ]] || return 0
	cells=()
	for workers in 0 1 2; do
		cell "$workers" "$@"
	done
	echo "| $name | ${cells[0]} | ${cells[1]} | $(ratio "${cells[1]}" "${cells[0]}") |" \
		"${cells[2]} | $(ratio "${cells[2]}" "${cells[0]}") |"
}

pick=${1:-}
us=broker_us_per_delivery
echo "$(nproc) processors, $(uname -sr), $(mosquitto -h 2>/dev/null | head -n 1)"
echo
echo '| | mosquitto | 1 worker | ratio | 2 workers | ratio |'
echo '| --- | ---: | ---: | ---: | ---: | ---: |'
for q in 0 1 2; do
	row "fan-out 1→100, QoS $q, µs" $us fanout -n 100 -q $q
	row "fan-out 1→1000, QoS $q, µs" $us fanout -n 1000 -q $q
	row "fan-in 100→1, QoS $q, µs" $us fanin -n 100 -q $q
	row "p2p 100→100, QoS $q, µs" $us p2p -n 100 -q $q
	row "p2p 1000→1000, QoS $q, µs" $us p2p -n 1000 -q $q
	row "p2p 100→100, 10,000/s, QoS $q, µs" $us p2p -n 100 -q $q --rate 10000
done
row 'connects per CPU second' connects_per_broker_s connect
row 'idle client, B' bytes_per_client idle -n 9000
row 'idle client with a subscription, B' bytes_per_client idle -n 9000 --subscribe
for n in 1 10000 1000000; do
	row "p2p 100→100, $n subscriptions held, µs" $us subs --subscriptions $n
done
row 'subscription, B' bytes_per_subscription subs --subscriptions 1000000
exit $status
