#!/bin/bash
# Eclipse Paho for C, from Debian.
cd "$(dirname "$0")/../.." || exit 1
. tests/clients/lib.sh
show paho-c "4 5" "$BUILD/bin/client-paho-c"
finish
