#!/bin/bash
# Eclipse Paho for Go, from the Go modules that go.sum pins.
cd "$(dirname "$0")/../../.." || exit 1
. tests/clients/lib.sh
program=$PWD/build/clients/paho-go
(cd tests/clients/go && go build -mod=readonly -o "$program" .)
result "paho-go build" $?
show paho-go 5 "$program"
finish
