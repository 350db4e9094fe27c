#!/bin/bash
# MQTT.js, from npm by its lock file.
cd "$(dirname "$0")/../.." || exit 1
. tests/clients/lib.sh
env=build/clients/mqttjs
if ! cmp -s tests/clients/package-lock.json "$env/package-lock.json"; then
	rm -rf "$env"
	mkdir -p "$env"
	cp tests/clients/package.json tests/clients/package-lock.json "$env"
	(cd "$env" && npm ci --silent --no-audit --no-fund >/dev/null) || rm -rf "$env"
	[[ -d $env ]]
	result "mqttjs install" $?
fi
NODE_PATH=$env/node_modules show mqttjs "4 5" node tests/clients/mqttjs.js
finish
