#!/bin/bash
# mosquitto_pub and mosquitto_sub, from Debian.
cd "$(dirname "$0")/../.." || exit 1
. tests/clients/lib.sh
show mosquitto "4 5" tests/clients/mosquitto.sh
finish
