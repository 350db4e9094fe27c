#!/bin/bash
# rumqttc, from the crates that Cargo.lock pins.
cd "$(dirname "$0")/../../.." || exit 1
. tests/clients/lib.sh
cargo build --quiet --locked --manifest-path tests/clients/rust/Cargo.toml --target-dir build/clients/rumqttc
result "rumqttc build" $?
RUST_BACKTRACE=0 show rumqttc "4 5" build/clients/rumqttc/debug/client-rumqttc
finish
