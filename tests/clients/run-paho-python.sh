#!/bin/bash
# Eclipse Paho for Python, from PyPI by hash, in an environment of its own.
cd "$(dirname "$0")/../.." || exit 1
. tests/clients/lib.sh
env=build/clients/paho-python
if ! cmp -s tests/clients/requirements.txt "$env/requirements.txt"; then
	rm -rf "$env"
	python3 -m venv "$env" &&
		"$env/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r tests/clients/requirements.txt &&
		cp tests/clients/requirements.txt "$env/requirements.txt"
	result "paho-python install" $?
fi
show paho-python "4 5" "$env/bin/python3" tests/clients/paho_python.py
finish
