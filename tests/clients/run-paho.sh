#!/bin/bash
# Eclipse Paho for Python, from PyPI by hash, in an environment of its own.
cd "$(dirname "$0")/../.." || exit 1
. tests/clients/lib.sh
env=build/clients/paho
if [[ ! -x $env/bin/python3 ]] || ! cmp -s tests/clients/requirements.txt "$env/requirements.txt"; then
	rm -rf "$env"
	python3 -m venv "$env" &&
		"$env/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r tests/clients/requirements.txt &&
		cp tests/clients/requirements.txt "$env/requirements.txt"
	result "paho install" $?
fi
for v in 4 5; do
	timeout 120 "$env/bin/python3" tests/clients/paho_client.py "$port" "$v"
	result "paho v$v" $?
done
finish
