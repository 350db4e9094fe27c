#!/bin/bash
# mosquitto.sh PORT VERSION - shows with mosquitto_pub and mosquitto_sub what README.md lists. What their library is told but they
# don't print can't be shown: the reason in words of a CONNACK that refuses. They don't tell whether there is a session: it shows by
# what still arrives.
set -u
port=$1
version=$2
v=$version
[[ $v == 4 ]] && v=311
broker=(-h localhost -p "$port" -V "$v")
[[ $TRANSPORT == tls ]] && broker+=(--cafile "$CAFILE")
dir=$(mktemp -d)
subs=()
trap 'kill -9 "${subs[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
deadline=60
messages=20
large=1000000
quiet_s=9 # the shortest keep alive they take is 5 s, and the broker waits half as long again

fail() {
	echo "mosquitto.sh:${BASH_LINENO[0]}: $*"
	tail -n 20 "$dir"/*
	exit 1
}

# wait_for FILE REGEX [COUNT]: until so many lines of a growing file match.
wait_for() {
	local i
	for ((i = 0; i < deadline * 20; i++)); do
		[[ $(grep -cE "$2" "$1" 2>/dev/null) -ge ${3:-1} ]] && return
		sleep 0.05
	done
	fail "no $2 in $1"
}

# is FILE WHAT...: the lines of a subscriber that has ended, less what -d adds.
is() {
	local got
	got=$(grep -vE '^(Client|Subscribed)' "$1")
	shift
	[[ $got == "$(printf '%s\n' "$@")" ]] || fail "got: $got"
}

name() { echo "mosquitto/$version/$TRANSPORT/$1"; }
id() { echo "mosquitto-$version-$TRANSPORT-$1"; }
shown() { echo "shown $1"; }

pub() { mosquitto_pub "${broker[@]}" "$@" || fail "mosquitto_pub $*"; }

# sub FILE args...: a subscriber in the background, known to be subscribed; its process is in $last.
sub() {
	local file=$dir/$1
	shift
	rm -f "$file" # of the one before: the next begins some time after this line
	stdbuf -oL mosquitto_sub "${broker[@]}" -W "$deadline" -d "$@" >"$file" 2>&1 &
	last=$!
	subs+=("$last")
	wait_for "$file" Subscribed
}

# Takes part of a session for as long as args say.
session() { mosquitto_sub "${broker[@]}" -W "$deadline" -q 2 "$@"; }

ended() { wait "$1" || fail "status $?"; }

kept=(-c)
[[ $version == 5 ]] && kept+=(-x 1000)

# What takes time begins before the rest.
sub quiet -i "$(id quiet)" -k "$([[ $version == 5 ]] && echo 60 || echo 5)" -t "$(name quiet)" -q 1 -C 1
quiet=$last
if [[ $version == 5 ]]; then
	session -i "$(id brief)" -c -x 1 -t "$(name brief)" -E
	pub -t "$(name brief)" -q 1 -m no
	# Its will tells when it is away for the broker too: what it has begun to deliver doesn't expire.
	sub left -t "$(name left)" -q 1 -C 1
	left=$last
	sub away -i "$(id away)" "${kept[@]}" -t "$(name away)" -q 1 --will-topic "$(name left)" --will-payload gone --will-qos 1
	{ kill -9 "$last" && wait "$last"; } 2>/dev/null
	ended "$left"
	pub -t "$(name away)" -q 1 -m short -D publish message-expiry-interval 1
	pub -t "$(name away)" -q 1 -m long -D publish message-expiry-interval 1000
fi
slow_begin=$SECONDS

mapfile -t numbers < <(seq "$messages")
for q in 0 1 2; do
	sub got -t "$(name "qos$q")" -q "$q" -C "$messages" -F '%t %q %r %p'
	printf '%s\n' "${numbers[@]}" | pub -t "$(name "qos$q")" -q "$q" -l
	ended "$last"
	is "$dir/got" "${numbers[@]/#/$(name "qos$q") $q 0 }"
	shown "qos$q"
done
shown connect

sub got -t "$(name f/+/c)" -t "$(name g/#)" -q 1 -C 3 -F '%p'
pub -t "$(name f/b/d)" -q 1 -m no
pub -t "$(name f/b/b/c)" -q 1 -m no
for rest in f/b/c g g/x/y; do
	pub -t "$(name $rest)" -q 1 -m $rest
done
ended "$last"
is "$dir/got" f/b/c g g/x/y
shown wildcards

sub got -t "$(name f/+/c)" -t "$(name g/#)" -U "$(name g/#)" -q 1 -C 1 -F '%p'
wait_for "$dir/got" 'received UNSUBACK'
pub -t "$(name g/x)" -q 1 -m no
pub -t "$(name f/b/c)" -q 1 -m after
ended "$last"
is "$dir/got" after
shown unsubscribe

pub -t "$(name kept)" -q 1 -r -m kept
[[ $(session -t "$(name kept)" -C 1 -F '%r %p') == "1 kept" ]] || fail "not retained"
pub -t "$(name kept)" -q 1 -r -n
sub got -t "$(name kept)" -q 1 -C 1 -F '%r %p'
pub -t "$(name kept)" -q 1 -m plain
ended "$last"
is "$dir/got" "0 plain"
shown retained

sub got -t "$(name will)" -q 1 -C 1 -F '%p'
heir=$last
sub victim -t "$(name nothing)" --will-topic "$(name will)" --will-payload gone --will-qos 1
{ kill -9 "$last" && wait "$last"; } 2>/dev/null
ended "$heir"
is "$dir/got" gone
shown will

# In MQTT 3 who lost its connection makes another, and takes over in turn: so both are ended as soon as it is seen.
sub older -i "$(id same)" -t "$(name nothing)"
older=$last
sub newer -i "$(id same)" -t "$(name nothing)"
if [[ $version == 5 ]]; then
	wait_for "$dir/older" 'Received DISCONNECT \(142\)'
	shown takeover-reason
else
	wait_for "$dir/older" 'sending CONNECT' 2
fi
{ kill -9 "$older" "$last" && wait "$older" "$last"; } 2>/dev/null
shown takeover

session -i "$(id keeper)" "${kept[@]}" -t "$(name queue)" -E
printf '%s\n' "${numbers[@]:0:10}" | pub -t "$(name queue)" -q 1 -l
printf '%s\n' "${numbers[@]:10}" | pub -t "$(name queue)" -q 2 -l
session -i "$(id keeper)" "${kept[@]}" -t "$(name queue)" -C "$messages" -F '%q %p' >"$dir/got"
one=("${numbers[@]:0:10}")
two=("${numbers[@]:10}")
is "$dir/got" "${one[@]/#/1 }" "${two[@]/#/2 }"
sub got -i "$(id keeper)" -t "$(name fresh)" -q 1 -C 1 -F '%p'
pub -t "$(name queue)" -q 1 -m no
pub -t "$(name fresh)" -q 1 -m yes
ended "$last"
is "$dir/got" yes
shown resume

for i in 0 1; do
	sub "member$i" -t "\$share/g/$(name shared)" -t "$(name end)" -q 1
	members[i]=$last
done
printf '%s\n' "${numbers[@]}" | pub -t "$(name shared)" -q 1 -l
pub -t "$(name end)" -q 1 -m end
for i in 0 1; do
	wait_for "$dir/member$i" '^end$'
	grep -qE '^[0-9]+$' "$dir/member$i" || fail "nothing for member$i"
done
kill "${members[@]}"
wait "${members[@]}"
[[ $(grep -hE '^[0-9]+$' "$dir/member0" "$dir/member1" | sort -n) == "$(printf '%s\n' "${numbers[@]}")" ]] || fail "not each once"
shown shared

head -c "$large" /dev/urandom >"$dir/sent"
session -i "$(id large)" "${kept[@]}" -t "$(name large)" -E
pub -t "$(name large)" -q 1 -f "$dir/sent"
session -i "$(id large)" "${kept[@]}" -t "$(name large)" -C 1 -N >"$dir/received"
cmp "$dir/sent" "$dir/received" || fail "not as it was"
shown large

long=$(printf 'x%.0s' {1..300})
deep=$(printf '/%.0s' {1..300}) # more levels than max_topic_levels
mosquitto_pub "${broker[@]}" -d -i "$long" -t "$(name nothing)" -m no >"$dir/refused" 2>&1 && fail "not refused"
grep -qE "received CONNACK \($([[ $version == 5 ]] && echo 133 || echo 2)\)" "$dir/refused" || fail "not as it should"
mosquitto_sub "${broker[@]}" -d -W "$deadline" -t "$deep" >"$dir/refused" 2>&1
grep -qE "Subscribed \(mid: 1\): $([[ $version == 5 ]] && echo 143 || echo 128)" "$dir/refused" || fail "not refused"
if [[ $version == 5 ]]; then
	pub -d -t "$(name nobody)" -q 1 -m '?' >"$dir/nobody"
	grep -q 'received PUBACK (Mid: 1, RC:16)' "$dir/nobody" || fail "not told"
fi
shown refused

if [[ $version == 5 ]]; then
	sub got -t "$(name properties)" -q 2 -C 3 -F '%F|%C|%R|%D|%P|%q'
	for q in 0 1 2; do
		pub -t "$(name properties)" -q "$q" -m text -D publish payload-format-indicator 1 -D publish content-type text/plain \
			-D publish response-topic answer/here -D publish correlation-data data \
			-D publish user-property a 1 -D publish user-property b 2 -D publish user-property a 3
	done
	ended "$last"
	is "$dir/got" "1|text/plain|answer/here|data|a:1 b:2 a:3|"{0,1,2}
	shown properties

	sub got -t "$(name id)" -D subscribe subscription-identifier 7 -q 1 -C 1 -F '%S %p'
	pub -t "$(name id)" -q 1 -m one
	ended "$last"
	is "$dir/got" "7 one"
	shown subscription-id

	sub got -t "$(name alias)" -q 1 -C 3 -F '%t %p'
	printf '%s\n' 1 2 3 | pub -t "$(name alias)" -q 1 -l -D publish topic-alias 2
	ended "$last"
	is "$dir/got" "$(name alias) "{1,2,3}
	shown alias-out

	sub got -t "$(name nothing)" -C 1
	grep -qE '^Client auto-[^ ]* received CONNACK' "$dir/got" || fail "no identifier"
	kill "$last"
	wait "$last"
	shown assigned-id
fi

if [[ $TRANSPORT == tls ]]; then
	ours=${CAFILE%/*}
	mutual=(-h localhost -p "$MUTUAL_TLS_PORT" -V "$v" --cafile "$CAFILE" -t "$(name certified)" -q 1 -m x)
	timeout "$deadline" mosquitto_pub "${mutual[@]}" --cert "$ours/alice.crt" --key "$ours/alice.key" || fail "alice stays out"
	for who in stranger revoked expired self; do
		! timeout "$deadline" mosquitto_pub "${mutual[@]}" --cert "$ours/$who.crt" --key "$ours/$who.key" 2>/dev/null || fail "$who comes in"
	done
	! timeout "$deadline" mosquitto_pub "${mutual[@]}" 2>/dev/null || fail "nobody comes in"
	shown tls-certificate
fi

sleep $((slow_begin + quiet_s > SECONDS ? slow_begin + quiet_s - SECONDS : 0))
pub -t "$(name quiet)" -q 1 -m 'still here'
ended "$quiet"
is "$dir/quiet" 'still here'
[[ $(grep -c 'sending CONNECT' "$dir/quiet") -eq 1 ]] || fail "connected again"
shown keepalive
[[ $version == 5 ]] || exit 0
shown server-keepalive

sub got -i "$(id brief)" -c -x 1 -t "$(name fresh)" -q 1 -C 1 -F '%p'
pub -t "$(name brief)" -q 1 -m no
pub -t "$(name fresh)" -q 1 -m yes
ended "$last"
is "$dir/got" yes
shown session-expiry

session -i "$(id away)" "${kept[@]}" -t "$(name away)" -C 1 -F '%p %E' >"$dir/got"
read -r text left <"$dir/got"
[[ $text == long && $left -gt 0 && $left -le $((1000 - quiet_s + 1)) ]] || fail "$text $left"
shown message-expiry
