#!/bin/bash
# Debian's mosquitto_pub and mosquitto_sub, each version and QoS; retained, will, sessions, shared subscriptions.
cd "$(dirname "$0")/../.." || exit 1
. tests/clients/lib.sh

# A subscriber in the background that is known to be subscribed: -W ends it if nothing comes.
subscribe() { # file args...
	local file=$1
	shift
	rm -f "$file" # of the one before: the next begins some time after this line
	stdbuf -oL mosquitto_sub -p "$port" -W 60 -d "$@" >"$file" 2>&1 &
	sub=$!
	for _ in $(seq 600); do
		grep -qs 'Subscribed' "$file" && return
		sleep 0.1
	done
}

payloads() { grep -v -E '^(Client|Subscribed)' "$1"; }

for v in 311 5; do
	for q in 0 1 2; do
		subscribe "$dir/sub" -V "$v" -t "m/$v/#" -q "$q" -C 3 -F '%t %q %p'
		for i in 1 2 3; do
			mosquitto_pub -p "$port" -V "$v" -t "m/$v/$i" -q "$q" -m "payload $i" || echo "pub failed" >>"$dir/sub"
		done
		wait "$sub"
		[[ $(payloads "$dir/sub") == "$(printf "m/$v/%d $q payload %d\n" 1 1 2 2 3 3)" ]]
		result "mosquitto v$v qos$q" $?
	done
	mosquitto_pub -p "$port" -V "$v" -t "r/$v" -q 1 -r -m kept
	got=$(mosquitto_sub -p "$port" -V "$v" -t "r/+" -C 1 -W 60 -F '%r %p')
	mosquitto_pub -p "$port" -V "$v" -t "r/$v" -q 1 -r -n
	[[ $got == "1 kept" ]]
	result "mosquitto v$v retained" $?

	subscribe "$dir/sub" -V "$v" -t "w/$v" -C 1 -F '%p'
	watcher=$sub
	subscribe "$dir/victim" -V "$v" -t nothing --will-topic "w/$v" --will-payload gone --will-qos 1
	{ kill -9 "$sub"; wait "$sub"; } 2>/dev/null
	wait "$watcher"
	[[ $(payloads "$dir/sub") == gone ]]
	result "mosquitto v$v will" $?

	expiry=()
	[[ $v == 5 ]] && expiry=(-x 1000)
	mosquitto_sub -p "$port" -V "$v" -i "keeps$v" -c "${expiry[@]}" -t "s/$v" -q 1 -E
	mosquitto_pub -p "$port" -V "$v" -t "s/$v" -q 1 -m waited
	got=$(mosquitto_sub -p "$port" -V "$v" -i "keeps$v" -c "${expiry[@]}" -t "s/$v" -q 1 -C 1 -W 60)
	[[ $got == waited ]]
	result "mosquitto v$v session" $?

	subscribe "$dir/a" -V "$v" -t "\$share/g/sh/$v" -q 1
	a=$sub
	subscribe "$dir/b" -V "$v" -t "\$share/g/sh/$v" -q 1
	b=$sub
	for i in $(seq 20); do echo "$i"; done | mosquitto_pub -p "$port" -V "$v" -t "sh/$v" -q 1 -l
	for _ in $(seq 600); do
		n=$(cat "$dir/a" "$dir/b" | grep -cE '^[0-9]+$')
		[[ $n -ge 20 ]] && break
		sleep 0.1
	done
	kill "$a" "$b"
	wait "$a" "$b" 2>/dev/null
	[[ $(cat "$dir/a" "$dir/b" | grep -E '^[0-9]+$' | sort -n | uniq | wc -l) -eq 20 && $n -eq 20 ]]
	result "mosquitto v$v shared" $?
done
finish
