#!/bin/bash
# run.sh [TEXT] - measures this build beside mosquitto and the disk; prints tables
#
# Only rows whose name contains TEXT, if given. BUILD names the folder of the build, DURATION the
# seconds of each measurement; TMPDIR has to be on the disk that durable rows are about. Every cell
# has a broker of its own, freshly started on a free loopback port, and the brokers take turns, so
# that what else the machine does hits them alike.
# Status 1: a broker lost, repeated or spoilt something, or did not start.
set -u
cd "$(dirname "$0")/../.." || exit 1

BUILD=${BUILD:-build}
DURATION=${DURATION:-2}
PATH=$PATH:/usr/sbin:/usr/local/sbin
dir=$(mktemp -d) || exit 1
kind=            # of the broker that runs: tbmq, mosquitto or none
pid=             # its first process
started=()       # how ours was
settings=()      # of ours, beside those of all rows
lines=()         # of mosquitto's configuration, likewise
alone=           # not empty: mosquitto is left out
for_mosquitto=() # options of a mode that only mosquitto gets
json=            # what was measured last
batch=1          # that ours reached then
table=           # the one whose rows are being printed
status=0

ctl() {
	"$BUILD/bin/tbmqctl" --dir "$dir/tbmq" "$@"
}

# The value of "key": in the JSON on stdin.
value() {
	tr -d ' \n' | sed -n "s/.*\"$1\":\([-0-9.a-z]*\).*/\1/p"
}

# The one that runs; pid stays empty if none does.
find_tbmq() {
	local broker
	broker=$(ctl --json status | tr -d '\n' | sed 's/.*"broker": *{\([^}]*\)}.*/\1/')
	pid=$(value pid <<<"$broker")
	port=$(value port <<<"$broker")
}

stop() {
	case $kind in
	tbmq)
		if ! ctl stop >/dev/null 2>&1; then
			find_tbmq 2>/dev/null
			[[ -z $pid ]] || kill "$pid"
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
start_tbmq() { # workers, settings...
	local setting
	rm -rf "$dir/tbmq"
	mkdir "$dir/tbmq"
	kind=tbmq
	started=(--workers "$1")
	for setting in inflight_max=65535 queue_max_messages=0 queue_max_bytes=0 \
		max_subscriptions=0 "${@:2}"; do
		started+=(--set "$setting")
	done
	ctl start --port 0 "${started[@]}" >"$dir/log" 2>&1 && find_tbmq
}

start_mosquitto() { # lines of its configuration...
	kind=mosquitto
	rm -rf "$dir/mosquitto"
	mkdir "$dir/mosquitto"
	for port in $(shuf -n 10 -i 10000-30000); do
		(: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
		printf '%s\n' "listener $port 127.0.0.1" 'allow_anonymous true' 'log_type none' \
			'max_inflight_messages 0' 'max_queued_messages 0' 'set_tcp_nodelay true' \
			"user $(id -un)" "$@" >"$dir/mosquitto.conf"
		mosquitto -c "$dir/mosquitto.conf" >"$dir/log" 2>&1 &
		pid=$!
		answers "$port" && return 0
		stop
	done
	return 1
}

start() { # broker
	case $1 in
	mosquitto) start_mosquitto 'persistence false' "${lines[@]}" ;;
	mosquitto-durable)
		start_mosquitto 'persistence true' "persistence_location $dir/mosquitto/" \
			'autosave_on_changes true' 'autosave_interval 1'
		;;
	*) start_tbmq "${1%%-*}" durability="${1##*-}" "${settings[@]}" ;;
	esac
}

# For a shell: kills all processes of our broker at once and starts it again. Death takes a moment.
restart_command() {
	local pids
	pids=$(ctl --json status | grep -o '"pid": *[0-9]*' | cut -d: -f2 | sort -u)
	printf 'kill -9 %s; n=0; until %q --dir %q start --port %s %s; do n=$((n+1)); ' \
		"${pids//$'\n'/ }" "$BUILD/bin/tbmqctl" "$dir/tbmq" "$port" "${started[*]}"
	echo '[ $n -lt 500 ] || exit 1; sleep 0.01; done'
}

bench() { # mode and options...
	timeout -k 5 300 "$BUILD/bin/tbmq-bench" "$@" --seconds "$DURATION" --json 2>"$dir/err"
}

# Leaves figures in json, which is empty when there are none.
measure() { # broker, mode and options...
	local broker=$1 again=()
	shift
	json=
	if [[ $broker == mosquitto* ]] && { [[ -n $alone ]] || ! command -v mosquitto >/dev/null; }; then
		return
	fi
	if start "$broker"; then
		[[ $1 == restart ]] && again=(--restart "$(restart_command)")
		if ! json=$(bench "$@" "${again[@]}" --port "$port" --pid "$pid" --leave); then
			echo "run.sh: $broker: $*: $(<"$dir/err") $json" >&2
			json=BAD
			status=1
		fi
		[[ $kind == tbmq ]] && batch=$(batch_reached)
	else
		echo "run.sh: $broker did not start: $(<"$dir/log")" >&2
		json=BAD
		status=1
	fi
	stop
}

# Messages that ours has brought to the disk at once, on average.
batch_reached() {
	{
		ctl status --counters
		ctl store status
	} 2>/dev/null | awk '$1 == "stores" { n = $2 } $1 == "syncs" { syncs = $2 }
		END { print (syncs && n > syncs ? int(n / syncs + 0.5) : 1) }'
}

# What a cell says.
shown() { # key, JSON
	if [[ $1 == - || -z $2 ]]; then
		echo -
	elif [[ $2 == BAD ]]; then
		echo BAD
	else
		value "$1" <<<"$2"
	fi
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { if (a + 0 && b + 0) printf "%.2f", a / b; else print "-" }'
}

begin_table() { # columns
	[[ $table == "$1" ]] && return
	table=$1
	echo
	echo "$table"
	sed 's/[^|]\{1,\}/ ---: /g; s/---:/---/' <<<"$table"
}

is_picked() { # name
	[[ $1 == *"$pick"* ]]
}

# A load on mosquitto and on ours, with one worker and two; one of its figures.
row() { # name, key, mode and options...
	local name=$1 key=$2 broker cells=()
	shift 2
	is_picked "$name" || return 0
	begin_table '| | mosquitto | 1 worker | ratio | 2 workers | ratio |'
	for broker in mosquitto 1-power 2-power; do
		measure "$broker" "$@"
		cells+=("$(shown "$key" "$json")")
	done
	echo "| $name | ${cells[0]} | ${cells[1]} | $(ratio "${cells[1]}" "${cells[0]}") |" \
		"${cells[2]} | $(ratio "${cells[2]}" "${cells[0]}") |"
}

# A load on durable sessions. Each line of figures makes a row: a key, the key of the disk that it
# compares with or -, and what it is.
durable() { # name, brokers, figures, mode and options...
	local name=$1 brokers=$2 figures=$3 reached=1 broker key of_disk what cells floor
	local -A got=()
	shift 3
	is_picked "$name" || return 0
	begin_table "| | mosquitto | memory | process | power | ÷ mosquitto | ÷ memory | disk | ÷ disk | 2 workers |"
	for broker in $brokers; do
		if [[ $broker == mosquitto* ]]; then
			measure "$broker" "$@" "${for_mosquitto[@]}"
		else
			measure "$broker" "$@"
		fi
		got[$broker]=$json
		[[ $broker == 1-power ]] && reached=$batch
	done
	if [[ $figures == *records_per_s* ]]; then
		floor=(sync-floor --batch "$reached" --warmup 0)
		if [[ $1 == drain ]]; then
			floor=(read-floor -n 100 -m 2000)
		else
			name+=", $reached a sync"
		fi
		if ! json=$(bench "${floor[@]}" --dir "$dir" -s 256); then
			echo "run.sh: $(<"$dir/err")" >&2
			json=BAD
			status=1
		fi
		got[disk]=$json
	fi
	while read -r key of_disk what; do
		cells=()
		for broker in mosquitto-durable 1-memory 1-process 1-power 2-power; do
			cells+=("$(shown "$key" "${got[$broker]-}")")
		done
		cells+=("$(shown "$of_disk" "${got[disk]-}")")
		echo "| $name: $what | ${cells[0]} | ${cells[1]} | ${cells[2]} | ${cells[3]} |" \
			"$(ratio "${cells[3]}" "${cells[0]}") | $(ratio "${cells[3]}" "${cells[1]}") |" \
			"${cells[5]} | $(ratio "${cells[3]}" "${cells[5]}") | ${cells[4]} |"
	done <<<"$figures"
}

# With what `openssl speed` says of the same machine: a full handshake has a signature and two of the other (a key, and what both make of them).
tls_rows() { # names: full handshakes, resumed ones, memory
	local ca=$dir/ca
	is_picked "$1" || is_picked "$2" || is_picked "$3" || return 0
	tests/lib/ca.sh "$ca" >/dev/null || exit 1
	settings=(listener.default.type=tls listener.default.certificate="$ca/server.crt"
		listener.default.certificate_key="$ca/server.key")
	lines=("certfile $ca/server.crt" "keyfile $ca/server.key")
	row "$1" connects_per_broker_s connect --tls "$ca/ca.crt"
	row "$2" connects_per_broker_s connect --tls "$ca/ca.crt" --resume
	row "$3" bytes_per_client idle -n 2000 --tls "$ca/ca.crt"
	settings=()
	lines=()
	openssl speed -seconds 1 ecdsap256 ecdhx25519 2>/dev/null |
		awk '/nistp256/ { sign = $(NF - 1) } /X25519/ { derive = $NF }
			END { printf "\nopenssl speed: %d signatures (P-256), %d key exchanges (X25519) a second.\n", sign, derive }'
	table=
}

# A broker on which only 500 users may connect, each with a password of its own, of which none is remembered.
start_with_users() { # broker
	local users=$dir/users
	lines=("password_file $users.mosquitto" 'allow_anonymous false')
	settings=(authentication=basic listener.default.allow_anonymous=false auth_cache=0)
	seq 0 499 | sed 's/.*/u&:p&/' >"$users.mosquitto"
	seq 0 499 | sed '1i name,user_name,password
		s/.*/u&,u&,p&/' >"$users.csv"
	[[ $1 != mosquitto ]] || mosquitto_passwd -U "$users.mosquitto"
	start "$1" && { [[ $1 == mosquitto ]] || ctl auth import "$users.csv" >/dev/null; }
}

# What others feel while 64 clients come in over and over, by 500 passwords.
storm_rows() { # name
	local broker storm calm=() stormy=()
	local load=(p2p -n 10 --rate 1000 --users 500 -q 1)
	is_picked "$1" || return 0
	for broker in mosquitto 1-power 2-power; do
		if ! start_with_users "$broker"; then
			echo "run.sh: $broker did not start: $(<"$dir/log")" >&2
			status=1
		fi
		calm+=("$(shown latency_p99_us "$(bench "${load[@]}" --port "$port")")")
		"$BUILD/bin/tbmq-bench" connect -n 64 --users 500 --port "$port" -d 600 >/dev/null 2>&1 &
		storm=$!
		stormy+=("$(shown latency_p99_us "$(bench "${load[@]}" --port "$port")")")
		kill "$storm" 2>/dev/null
		wait "$storm" 2>/dev/null
		stop
	done
	settings=()
	lines=()
	begin_table '| | mosquitto | 1 worker | 2 workers |'
	echo "| $1: before it, µs | ${calm[0]} | ${calm[1]} | ${calm[2]} |"
	echo "| $1: in it, µs | ${stormy[0]} | ${stormy[1]} | ${stormy[2]} |"
	table=
}

pick=${1:-}
us=broker_us_per_delivery
echo "$(nproc) processors, $(uname -sr), $(mosquitto -h 2>/dev/null | head -n 1)"
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
# Rules of which most say nothing of the topics in use. The last but one denies a part of what is subscribed to with a wildcard, so each of its messages
# is checked. Mosquitto takes minutes to start with so many.
for n in 0 100 100000; do
	{
		seq -f 'topic write other/%.0f/x/#' "$n"
		printf 'topic deny bench/+/never\ntopic readwrite bench/#\n'
	} >"$dir/acl"
	if [[ $n != 0 ]]; then
		settings=(acl_file="$dir/acl" acl_format=mosquitto)
		lines=("acl_file $dir/acl")
	fi
	[[ $n -lt 1000 ]] || alone=1
	for q in 0 1; do
		row "p2p 100→100, $n rules, QoS $q, µs" $us p2p -n 100 -q $q
		row "fan-in 100→1, $n rules, QoS $q, µs" $us fanin -n 100 -q $q
	done
done
alone=
settings=()
lines=()

tls_rows 'full TLS handshakes per CPU second' 'resumed TLS handshakes per CPU second' 'idle TLS client, B'

storm_rows 'p2p 10→10, 1,000/s, QoS 1, 99 % and a storm of passwords'

row 'subscription, B' bytes_per_subscription subs --subscriptions 1000000

some='mosquitto-durable 1-memory 1-power'
all="$some 1-process 2-power"
work='acknowledged_per_s records_per_s published/s
broker_us_per_message own_us_per_record CPU, µs'
# Under load a message waits for others more than for the disk, so that has nothing to compare.
load="$work
ack_p50_us - acknowledged after, median, µs
ack_p99_us - acknowledged after, 99 %, µs"
durable 'durable 1→1, one under way' "$some" "$work
ack_p50_us sync_p50_us acknowledged after, median, µs
ack_p99_us sync_p99_us acknowledged after, 99 %, µs" durable -n 1 --inflight 1 -s 256
durable 'durable 1→1' "$some" "$load" durable -n 1 -s 256
durable 'durable 10→10' "$some" "$load" durable -n 10 -s 256
durable 'durable 100→100' "$all" "$load" durable -n 100 -s 256
durable 'durable 1000→1000' "$all" "$load" durable -n 1000 -s 256
durable 'durable 100→100, QoS 2' "$some" "$load" durable -n 100 -s 256 -q 2
durable 'durable 100→100, offline' "$some" "$load" durable -n 100 -s 256 --offline
durable 'durable 1000→1000, offline' "$some" "$load" durable -n 1000 -s 256 --offline

# What is queued costs mosquitto a file with all of it, again and again.
for_mosquitto=(-m 100)
durable 'durable drain, 100 sessions' "$all" 'drained_per_s records_per_s taken/s
broker_us_per_delivery own_us_per_record CPU, µs' drain -n 100 -m 2000 -s 256 -V 5 --receive-max 1000
for_mosquitto=()

# What caches hold has a limit of its own, so they are small here.
settings=(store_cache=1MiB store_journal=4MiB)
durable 'durable session' 'mosquitto-durable 1-power' 'bytes_per_session - B' sessions -n 10000
settings=()
durable 'durable restart, 100,000 sessions, 1,000,000 messages' 1-power \
	'restart_s - seconds without service' \
	restart -n 100 -m 10000 -s 256 -V 5 --receive-max 1000 --sessions 100000
exit $status
