# life.sh - for scripts: what a broker does that was installed by a package, in a root where no service manager runs
#
# To be sourced behind lib.sh, with root set, in namespaces that have no other processes and no other network than a
# loopback of their own. Sets out, a directory that is removed in the end.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root is the caller's

mkdir -p "$root/packages"
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT

WAIT=60 # s, for what should take less than one
QUEUED=50

ip link set lo up || exit 1
mount -t proc proc "$root/proc" || exit 1

in_root() {
	chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"
}

ctl() {
	in_root tbmqctl "$@"
}

pub() { # arguments of mosquitto_pub...
	timeout "$WAIT" mosquitto_pub -q 1 "$@"
}

master_pid() {
	cat "$root/run/tbmq/tbmqd.pid"
}

is_there() { # "mode owner group path"...
	local want bad=0
	for want in "$@"; do
		same "$want" "$(in_root stat -c '%a %U %G %n' "${want##* }" 2>&1)" || bad=1
	done
	return $bad
}

is_gone() { # path...
	local path bad=0
	for path in "$@"; do
		[[ ! -e $root$path ]] || { ls -ld "$root$path"; bad=1; }
	done
	return $bad
}

listens_on_loopback_only() {
	same '127.0.0.1:1883' "$(ss -Hltn | awk '{ print $4 }' | sort -u)"
}

# Of the master's children.
processes_are_the_users() {
	local users
	users=$(ps -o user= --ppid "$(master_pid)" | sort -u | tr -d ' ')
	same "$(in_root id -u tbmq)" "$(id -u "$users" 2>/dev/null || echo "$users")" &&
		same 0 "$(ps -o uid= -p "$(master_pid)" | tr -d ' ')"
}

message_passes() {
	timeout "$WAIT" mosquitto_sub -q 1 -t passes -C 1 -W "$WAIT" >"$out/passes" &
	await "$WAIT" subscribed passes && pub -t passes -m 'one of them' && wait $! && same 'one of them' "$(cat "$out/passes")"
}

subscribed() { # filter
	ctl subscription list | grep -qF "$1"
}

stays_connects() {
	grep -c 'sending CONNECT' "$out/stays"
}

stays_has() { # message
	grep -qx "$1" "$out/stays"
}

reload_disconnects_nobody() {
	echo 'inflight_max = 77;' >>"$root/etc/tbmq/tbmq.conf"
	ctl reload | grep 'inflight_max: 100 -> 77' &&
		pub -t stays/reload -m 'after the reload' && await "$WAIT" stays_has 'after the reload' &&
		same 1 "$(stays_connects)"
}

sleeps() { # id qos
	timeout "$WAIT" mosquitto_sub -i "$1" -c -q "$2" -t "sleeps/$2" -E
}

queue() { # qos
	seq "$QUEUED" | sed "s/^/message /" | pub -q "$1" -t "sleeps/$1" -l
}

# It leaves with the last message, maybe with more to read than that: what it has acknowledged may be lost with its
# connection then, and so no session is woken twice.
woken() { # id qos: gets what was queued, each once and in order
	same "$(seq "$QUEUED" | sed "s/^/message /")" \
		"$(timeout "$WAIT" mosquitto_sub -i "$1" -c -q "$2" -t "sleeps/$2" -C "$QUEUED" -W "$WAIT")"
}

# Those that were acknowledged are in a file; one that was not is sent again as long as it takes.
publishes() {
	local i=0
	while [[ ! -e $out/enough ]]; do
		pub -t stays/upgrade -m "during $i" 2>/dev/null && echo "during $i" >>"$out/acknowledged" && i=$((i + 1))
	done
}

has_all_acknowledged() {
	local message
	while read -r message; do
		stays_has "$message" || return 1
	done <"$out/acknowledged"
}

more_was_acknowledged() { # than a number
	[[ $(wc -l <"$out/acknowledged") -gt $1 ]]
}

upgrade_while_used() { # command...
	local before publisher status
	before=$(master_pid)
	: >"$out/acknowledged"
	publishes &
	publisher=$!
	await "$WAIT" more_was_acknowledged 3
	"$@"
	status=$?
	await "$WAIT" more_was_acknowledged "$(($(wc -l <"$out/acknowledged") + 3))"
	touch "$out/enough"
	wait "$publisher"
	[[ $status -eq 0 && $(master_pid) != "$before" && ! -e /proc/$before ]] && is_of_the_package
}

# What runs is what the package has put there.
is_of_the_package() {
	[[ /proc/$(master_pid)/exe -ef $root/usr/sbin/tbmqd ]]
}

client_went_on() {
	await "$WAIT" has_all_acknowledged || { diff "$out/acknowledged" <(grep '^during' "$out/stays"); return 1; }
	[[ $(stays_connects) -gt 1 ]]
}

configuration_is_kept() {
	grep -qx 'inflight_max = 77;' "$root/etc/tbmq/tbmq.conf" && ctl config show | grep -E '^inflight_max = 77'
}

# No time passes: tbmqctl and dpkg return when it is over.
none_runs() {
	! pgrep -l '^tbmq'
}

log_is_rotated() {
	local log=$root/var/log/tbmq/tbmq.log
	mv "$log" "$log.1"
	sed -n '/postrotate/,/endscript/{//!p}' "$root/etc/logrotate.d/tbmq" >"$root/packages/postrotate"
	in_root sh -e /packages/postrotate && await "$WAIT" test -e "$log" && is_there '640 root adm /var/log/tbmq/tbmq.log'
}
