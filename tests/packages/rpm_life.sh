#!/bin/bash
# rpm_life.sh ROOT PACKAGE NEWER - the life of a package in a bare root: installed, used, upgraded, removed
#
# Called by rpm.sh in namespaces that have no other network than a loopback of their own, and no other processes. No
# service manager runs in there. Ends with "N passed, N failed".
set -u
. tests/packages/lib.sh
root=$1
package=$2
newer=$3
. tests/packages/life.sh

# What scriptlets fail of is said, and not in the exit code.
rpm_() { # arguments of rpm...
	local said bad=0
	said=$(rpm --root "$root" --nodeps --nosignature "$@" 2>&1) || bad=1
	echo "$said"
	! grep -iE 'scriptlet failed|error:|^warning: (user|group)' <<<"$said" && return $bad
}

places_are_as_documented() {
	is_there '755 root root /etc/tbmq' '644 root root /etc/tbmq/tbmq.conf' '750 tbmq tbmq /var/lib/tbmq' \
		'2750 root adm /var/log/tbmq' &&
		in_root getent passwd tbmq | grep -E ':/var/lib/tbmq:.*/nologin$'
}

# The root is on a tmpfs, which is no place for a store.
doctor_finds_memory_only() {
	local problem='problem  file system: the store in /var/lib/tbmq is on tmpfs: '
	same "$problem" "$(ctl doctor --connections 1000 | grep ^problem | cut -c "-${#problem}")"
}

wrong_file_keeps_the_old_one_running() {
	local good before bad=0
	good=$(cat "$root/etc/tbmq/tbmq.conf")
	before=$(master_pid)
	echo 'inflight_mix = 3;' >>"$root/etc/tbmq/tbmq.conf"
	rpm_ -U --replacepkgs "$package" || bad=1
	same "$before" "$(master_pid)" && same 1 "$(stays_connects)" || bad=1
	printf '%s\n' "$good" >"$root/etc/tbmq/tbmq.conf"
	ctl reload && return $bad
}

upgrade() {
	upgrade_while_used rpm_ -U "$newer" && same 2 "$(rpm --root "$root" -q --qf '%{RELEASE}' tbmq)"
}

new_file_lies_beside() {
	configuration_is_kept && grep -qx '# Of the newer package.' "$root/etc/tbmq/tbmq.conf.rpmnew"
}

options_are_those_of_sysconfig() {
	echo 'TBMQ_OPTIONS="--set log_level=info --set max_qos=1"' >"$root/etc/sysconfig/tbmq"
	rpm_ -U --replacepkgs "$newer" && ctl config show | grep -E '^max_qos = 1 .*--set' &&
		: >"$root/etc/sysconfig/tbmq"
}

removal() {
	rpm_ -e tbmq && none_runs && is_gone /usr/sbin/tbmqd /usr/bin/tbmqctl /usr/libexec/tbmq \
		/usr/lib/systemd/system/tbmq.service &&
		is_there '644 root root /etc/tbmq/tbmq.conf.rpmsave' '750 tbmq tbmq /var/lib/tbmq' \
			'600 tbmq tbmq /var/lib/tbmq/queue.db'
}

comes_again() {
	rpm_ -i "$newer" && ctl start
}

check 'rpm installs it' rpm_ -i "$package"
check 'rpm finds it as it was packed' rpm_ -V tbmq
check 'user and places are as documented' places_are_as_documented
check 'tbmqctl starts it' ctl start
check 'it listens on loopback only' listens_on_loopback_only
check 'the master is root, its children are user tbmq' processes_are_the_users
check 'doctor finds where its store is' doctor_finds_memory_only
check 'messages pass' message_passes
# It is connected as long as the broker is there, and comes again.
mosquitto_sub -d -i stays -c -q 1 -t 'stays/#' >"$out/stays" 2>&1 &
stays=$!
check 'a client with a session is there' await "$WAIT" subscribed 'stays/#'
check 'a reload disconnects nobody' reload_disconnects_nobody
check 'with a wrong file what runs is left alone' wrong_file_keeps_the_old_one_running
check 'its log is rotated' log_is_rotated
check 'a session of QoS 1 sleeps' sleeps sleeper-1 1
check 'a session of QoS 2 sleeps' sleeps sleeper-2 2
check 'messages of QoS 1 wait' queue 1
check 'messages of QoS 2 wait' queue 2
check 'an upgrade restarts what nobody else would' upgrade
check 'the configuration is kept, and the new one lies beside' new_file_lies_beside
check 'who was connected goes on without loss' client_went_on
check 'what waited comes once and in order, QoS 1' woken sleeper-1 1
check 'what waited comes once and in order, QoS 2' woken sleeper-2 2
kill "$stays"
wait "$stays" 2>/dev/null
check 'another session of QoS 1 sleeps' sleeps sleeper-3 1
check 'messages wait once more' queue 1
check 'it is restarted with the options of sysconfig' options_are_those_of_sysconfig
check 'removal stops it and leaves what is not a program' removal
check 'it comes again over its store' comes_again
check 'what waited before the removal is there' woken sleeper-3 1
check 'it goes once more' rpm_ -e tbmq
finish
