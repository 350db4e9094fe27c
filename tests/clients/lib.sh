# lib.sh - for the clients' scripts: a broker of their own with WORKERS=2, and counting. Sourced with the top of the tree as directory.
# shellcheck shell=bash
set -u
BUILD=${BUILD:-build}
WORKERS=${WORKERS:-2}
list=tests/clients/README.md
dir=$(mktemp -d)
passed=0
failed=0

finish() {
	"$BUILD/bin/tbmqctl" --dir "$dir" stop >/dev/null 2>&1 || failed=$((failed + 1))
	if grep -qE 'must\(|AddressSanitizer|runtime error:| died ' "$dir/log/tbmq.log" "$dir/err" 2>/dev/null; then
		echo "FAILED clients: the broker's log in $dir"
		failed=$((failed + 1))
	fi
	if [[ $failed -gt 0 ]]; then
		tail -n 20 "$dir/log/tbmq.log"
	else
		rm -rf "$dir"
	fi
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

# What a client has to show in a version: the rows of the table that neither are another version's nor say that it can't. Those of TLS are due there only.
due() { # client version transport
	awk -F ' *[|] *' -v client="$1" -v version="$2" -v transport="$3" '
		/^## What each shows/ { rows = 1 }
		$2 ~ /^tls-/ && transport != "tls" && transport != "wss" { next }
		rows && $3 ~ "(^| )" version "( |$)" && ", " $5 "," !~ ", " client "( " version ")?," { print $2 }' "$list"
}

# What it is run over, by the table of clients.
over() { # client
	awk -F ' *[|] *' -v client="$1" '$2 == client { gsub(",", "", $5); print $5 }' "$list"
}

# Runs a client's program with port and version added, once a version and transport, at the same time; each row of the table is a result.
show() { # client versions command...
	local client=$1 versions=$2 version transport row out name pids=()
	shift 2
	for transport in $(over "$client"); do
		for version in $versions; do
			TRANSPORT=$transport timeout -k 5 240 "$@" "$(port_of "$transport")" "$version" >"$dir/$client-$version-$transport" 2>&1 &
			pids+=($!)
		done
	done
	for transport in $(over "$client"); do
		for version in $versions; do
			out=$dir/$client-$version-$transport
			name="$client v$version $transport"
			wait "${pids[0]}" || echo "status $?" >>"$out"
			pids=("${pids[@]:1}")
			for row in $(due "$client" "$version" "$transport"); do
				grep -qx "shown $row" "$out"
				result "$name $row" $?
			done
			if ! diff <(sed -n 's/^shown //p' "$out" | sort) <(due "$client" "$version" "$transport" | sort) >"$out.diff" || grep -q '^status ' "$out"; then
				result "$name is what the table says" 1
				cat "$out.diff"
				grep -v '^shown ' "$out" | tail -n 60
			fi
		done
	done
}

no_broker() {
	cat "$dir/err"
	echo "FAILED clients: no broker"
	echo "0 passed, 1 failed"
	exit 1
}

port_of() { # transport
	"$BUILD/bin/tbmqctl" --dir "$dir" --json status | python3 -c '
import json, sys
print(next(l["port"] for l in json.load(sys.stdin)["listeners"] if l["name"] == sys.argv[1]))' "${1/tcp/default}"
}

tests/lib/ca.sh "$dir/ca" >/dev/null || exit 1
export CAFILE=$dir/ca/ca.crt
# A keep alive short enough to outlive in a test, aliases for those who take them, and SCRAM; strangers may come in all the same.
"$BUILD/bin/tbmqctl" --dir "$dir" start --port 0 --workers "$WORKERS" --set max_keepalive=4 --set topic_alias_max_out=4 --set authentication=scram >"$dir/out" 2>"$dir/err" || no_broker
export SCRAM_USER=scram SCRAM_PASSWORD="not a secret"
"$BUILD/bin/tbmqctl" --dir "$dir" auth add "$SCRAM_USER" --scram <<<"$SCRAM_PASSWORD" >"$dir/out" 2>"$dir/err" || no_broker
# The file's last line is ");".
sed -i '$ d' "$dir/tbmq.conf"
sed 's/PAIR/certificate = "CA.crt"; certificate_key = "CA.key";/; s/MUTUAL/client_certificate = "required"; client_authorities = "OURS"; client_revocations = "LIST";/
	s|"CA|"'"$dir"'/ca/server|g; s|OURS|'"$dir"'/ca/ca.crt|; s|LIST|'"$dir"'/ca/crl.pem|' >>"$dir/tbmq.conf" <<-END
	, { name = "tls"; type = "tls"; port = 0; PAIR },
	{ name = "ws"; type = "ws"; port = 0; },
	{ name = "wss"; type = "wss"; port = 0; PAIR },
	{ name = "mutual-tls"; type = "tls"; port = 0; PAIR MUTUAL },
	{ name = "mutual-wss"; type = "wss"; port = 0; PAIR MUTUAL }
	);
END
"$BUILD/bin/tbmqctl" --dir "$dir" reload >"$dir/out" 2>"$dir/err" || no_broker
MUTUAL_TLS_PORT=$(port_of mutual-tls)
MUTUAL_WSS_PORT=$(port_of mutual-wss)
export MUTUAL_TLS_PORT MUTUAL_WSS_PORT
