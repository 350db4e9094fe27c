#!/bin/bash
# deb_life.sh ROOT PACKAGE - the life of a package in a root that has all it needs: installed, used, upgraded, removed, purged
#
# Called by deb.sh in namespaces that have no other network than a loopback of their own, and no other processes. No
# service manager runs in there. Ends with "N passed, N failed".
set -u
. tests/packages/lib.sh
root=$1
package=$2
. tests/packages/life.sh
newer=$out/tbmq_newer.deb

places_are_as_documented() {
	is_there '755 root root /etc/tbmq' '644 root root /etc/tbmq/tbmq.conf' '750 tbmq tbmq /var/lib/tbmq' \
		'2750 root adm /var/log/tbmq' &&
		in_root getent passwd tbmq | grep -E ':/var/lib/tbmq:.*/nologin$'
}

wrong_file_changes_nothing() {
	local good bad=0
	good=$(cat "$root/etc/tbmq/tbmq.conf")
	echo 'inflight_mix = 3;' >>"$root/etc/tbmq/tbmq.conf"
	ctl reload && bad=1
	in_root /etc/init.d/tbmq restart && bad=1
	printf '%s\n' "$good" >"$root/etc/tbmq/tbmq.conf"
	same 1 "$(stays_connects)" && return $bad
}

upgrade() {
	# shellcheck disable=SC2016 # it is dpkg's
	upgrade_while_used install_package "$newer" &&
		same "$(dpkg-deb -f "$newer" Version)" "$(in_root dpkg-query -Wf '${Version}' tbmq)"
}

init_script_works() {
	local init=/etc/init.d/tbmq bad=0
	in_root $init status >/dev/null || bad=1
	in_root $init start || bad=1
	in_root $init reload || bad=1
	in_root $init stop || bad=1
	in_root $init stop || bad=1
	in_root $init status >/dev/null
	same 3 $? || bad=1
	in_root $init reload
	same 7 $? || bad=1
	in_root $init try-restart || bad=1
	is_gone /run/tbmq/tbmqd.pid || bad=1
	in_root $init start && in_root $init restart && in_root $init status >/dev/null || bad=1
	in_root $init nonsense 2>/dev/null
	same 2 $? && return $bad
}

removal() {
	apt_get remove tbmq && none_runs && is_gone /usr/sbin/tbmqd /usr/bin/tbmqctl /usr/libexec/tbmq &&
		is_there '644 root root /etc/tbmq/tbmq.conf' '750 tbmq tbmq /var/lib/tbmq' '600 tbmq tbmq /var/lib/tbmq/queue.db'
}

purge_keeps_the_store() {
	touch "$root/var/lib/tbmq/keep"
	apt_get purge tbmq && is_gone /etc/tbmq /var/log/tbmq /etc/default/tbmq &&
		is_there '600 tbmq tbmq /var/lib/tbmq/queue.db'
}

comes_again() {
	install_package "$newer" && ctl start
}

purge_takes_what_is_ours() {
	rm "$root/var/lib/tbmq/keep"
	ctl store backup /var/lib/tbmq/backup && ctl block add --client nobody && ctl acl add 'deny client nobody all #' || return 1
	echo 'a key' >"$root/etc/tbmq/server.key"
	apt_get purge tbmq && none_runs &&
		is_gone /etc/tbmq/tbmq.conf{,.blocks,.rules} /var/lib/tbmq/queue.db /var/log/tbmq /run/tbmq /etc/init.d/tbmq \
			/etc/apparmor.d/tbmqd /lib/systemd/system/tbmq.service &&
		is_there '644 root root /etc/tbmq/server.key' '600 tbmq tbmq /var/lib/tbmq/backup/queue.db'
}

check 'apt installs it' install_package "$package"
check 'user and places are as documented' places_are_as_documented
check 'tbmqctl starts it' ctl start
check 'it listens on loopback only' listens_on_loopback_only
check 'the master is root, its children are user tbmq' processes_are_the_users
check 'messages pass' message_passes
# It is connected as long as the broker is there, and comes again.
mosquitto_sub -d -i stays -c -q 1 -t 'stays/#' >"$out/stays" 2>&1 &
stays=$!
check 'a client with a session is there' await "$WAIT" subscribed 'stays/#'
check 'a reload disconnects nobody' reload_disconnects_nobody
check 'a wrong file changes nothing' wrong_file_changes_nothing
check 'its log is rotated' log_is_rotated
check 'a session of QoS 1 sleeps' sleeps sleeper-1 1
check 'a session of QoS 2 sleeps' sleeps sleeper-2 2
check 'messages of QoS 1 wait' queue 1
check 'messages of QoS 2 wait' queue 2
check 'there is a newer package' make_newer "$package" "$newer"
check 'an upgrade restarts what nobody else would' upgrade
check 'the configuration is kept' configuration_is_kept
check 'who was connected goes on without loss' client_went_on
check 'what waited comes once and in order, QoS 1' woken sleeper-1 1
check 'what waited comes once and in order, QoS 2' woken sleeper-2 2
kill "$stays"
wait "$stays" 2>/dev/null
check 'the script for machines without systemd works' init_script_works
check 'another session of QoS 1 sleeps' sleeps sleeper-3 1
check 'messages wait once more' queue 1
check 'removal stops it and leaves what is not a program' removal
check 'it comes again' comes_again
check 'what waited before the removal is there' woken sleeper-3 1
check 'purge leaves a store that is to be kept' purge_keeps_the_store
check 'it comes again over the store that was kept' comes_again
check 'purge takes what the broker made, and nothing else' purge_takes_what_is_ours
finish
