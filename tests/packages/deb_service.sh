#!/bin/bash
# deb_service.sh ROOT PACKAGE - the package where systemd runs the machine: the service does all that the broker can, with what its unit leaves it
#
# Called by deb.sh as deb_life.sh is. systemd is the first process of namespaces of its own, in a cgroup of its own. Ends
# with "N passed, N failed".
set -u
. tests/packages/lib.sh
root=$1
package=$2
WAIT=60 # s, for what should take less than one

if [[ ${3:-} == boot ]]; then # as the first process
	ip link set lo up &&
		mount --bind "$root" "$root" && cd "$root" &&
		mount -t proc proc proc && mount -t sysfs sysfs sys && mount -t cgroup2 none sys/fs/cgroup &&
		mount -t tmpfs tmpfs run && mkdir -p old && pivot_root . old && umount -l /old || exit 1
	exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=multi-user.target
fi

# Where systemd may make its own below.
cgroups=$(findmnt --types cgroup2 --noheadings --output TARGET --first-only)
if ! cgroup=$(mktemp -d "${cgroups:-/nonexistent}/tbmq-packages.XXXXXX" 2>/dev/null); then
	echo 'no cgroup for systemd here: the service is not tried'
	echo '0 passed, 0 failed'
	exit
fi
remove_cgroup() {
	find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
}
out=$(mktemp -d) || exit 1
newer=$out/tbmq_newer.deb
conf=$root/etc/tbmq/tbmq.conf

sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$cgroup" \
	unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child "$0" "$root" "$package" boot >"$out/boot" 2>&1 &
machine=$!
trap 'kill -KILL $machine; wait $machine 2>/dev/null; await 10 remove_cgroup; rm -rf "$out"' EXIT

in_root() {
	nsenter --target "$(pgrep -P "$machine")" --all -- \
		/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"
}

# With this machine's clients, there.
client() { # command...
	nsenter --target "$(pgrep -P "$machine")" --net -- timeout "$WAIT" "$@"
}

is_booted() {
	[[ $(in_root systemctl is-system-running 2>/dev/null) =~ running|degraded ]]
}

is_active() {
	in_root systemctl is-active tbmq
}

main_pid() {
	in_root systemctl show --property MainPID --value tbmq
}

pid_of() { # process
	in_root tbmqctl status | awk -v p="$1" '$1 == p && $2 == "ready" { print $3 }'
}

message_passes() {
	client mosquitto_pub -i passes -t passes -q 1 -r -m "$1" "${@:2}" &&
		same "$1" "$(client mosquitto_sub -t passes -C 1 -W "$WAIT")"
}

# Low ports, keys and sockets of another user, rules, credentials, names looked up for HTTP.
everything_is_allowed() {
	in_root useradd --system acme && mkdir -p "$root/etc/acme" &&
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
			-keyout "$root/etc/acme/key.pem" -out "$root/etc/acme/cert.pem" &&
		in_root chown -R acme /etc/acme && in_root chmod -R go= /etc/acme || return 1
	cat >"$conf" <<-'END'
		authentication = "basic, http";
		http_url = "http://localhost:9/";
		http_unavailable = "ignore";
		acl_file = "/etc/tbmq/acl";
		hang_timeout = 2;
		listeners = (
			{ name = "default"; },
			{ name = "low"; port = 883; type = "tls";
			  certificate = "/etc/acme/cert.pem"; certificate_key = "/etc/acme/key.pem"; },
			{ name = "unix"; type = "unix"; path = "/run/tbmq/mqtt.sock"; owner = "acme"; mode = "0600"; }
		);
	END
	echo 'allow all all #' >"$root/etc/tbmq/acl"
	in_root systemctl reload tbmq && echo secret | in_root tbmqctl auth add anna &&
		message_passes 'over TLS' -p 883 --cafile "$root/etc/acme/cert.pem" --insecure -u anna -P secret &&
		same 'srw------- acme' "$(in_root stat -c '%A %U' /run/tbmq/mqtt.sock)"
}

changes_are_taken_from_anywhere() {
	local place
	for place in /tmp /root /home; do
		{ cat "$conf" && echo "max_qos = 1;"; } >"$root$place/next.conf"
		in_root tbmqctl config apply "$place/next.conf" && in_root tbmqctl config rollback || return 1
	done
	in_root tbmqctl block add --client nobody && in_root tbmqctl acl add 'deny client nobody all #' && in_root tbmqctl store backup /var/lib/tbmq/from_service
}

wrong_file_is_told() {
	local was bad=0
	was=$(main_pid)
	echo 'nonsense = 1;' >>"$conf"
	in_root systemctl reload tbmq && bad=1
	sed -i '$d' "$conf"
	is_active && same "$was" "$(main_pid)" && return $bad
}

has_successor() { # process pid
	local now
	now=$(pid_of "$1")
	[[ $now && $now != "$2" ]]
}

worker_is_replaced() { # signal
	local was
	was=$(pid_of mqtt/0)
	in_root sh -c "kill -$1 $was"
	await "$WAIT" has_successor mqtt/0 "$was"
}

master_comes_again() {
	local was
	was=$(main_pid)
	in_root sh -c "kill -KILL $was"
	await "$WAIT" has_successor master "$was" && message_passes 'after all died' -u anna -P secret
}

tbmqctl_is_of_the_service() {
	in_root tbmqctl stop && ! is_active && in_root tbmqctl start && is_active
}

upgrade_restarts_it() {
	local was
	was=$(main_pid)
	install_package "$newer" && is_active && has_successor master "$was" &&
		same 'after all died' "$(client mosquitto_sub -t passes -C 1 -W "$WAIT")" && grep -q 'hang_timeout = 2' "$conf"
}

removal_stops_it() {
	apt_get remove tbmq
	! is_active && ! in_root sh -c 'ls -l /proc/[0-9]*/exe' | grep tbmq
}

check 'systemd runs the machine' await "$WAIT" is_booted
check 'there is a newer package' make_newer "$package" "$newer"
check 'apt installs it' install_package "$package"
check 'the service runs' is_active
check 'messages pass the service' message_passes 'as it came'
check 'the unit leaves it all that it can' everything_is_allowed
check 'files are taken from anywhere' changes_are_taken_from_anywhere
check 'a reload with a wrong file is told to who asked' wrong_file_is_told
check 'a worker that died has a successor' worker_is_replaced KILL
check 'a worker that hangs has a successor' worker_is_replaced STOP
check 'a master that was killed comes again' master_comes_again
check 'tbmqctl stops and starts the service' tbmqctl_is_of_the_service
check 'an upgrade restarts the service' upgrade_restarts_it
check 'removal stops the service' removal_stops_it
check 'purge is as without it' apt_get purge tbmq
finish
