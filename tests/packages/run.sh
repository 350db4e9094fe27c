#!/bin/bash
# run.sh - the tests of all packages that can be made here. Ends with "N passed, N failed"
#
# T picks deb or rpm.
set -u
cd "$(dirname "$0")/../.." || exit 1

. tests/packages/lib.sh
mkdir -p build
for kind in deb rpm; do
	test=tests/packages/$kind.sh
	[[ -e $test && $kind == *${T:-}* ]] || continue
	[[ $kind != deb ]] || command -v apt-get >/dev/null || continue # Fedora's root has no apt
	"$test" 2>&1 | tee "build/packages-$kind.log"
	add "build/packages-$kind.log" "${PIPESTATUS[0]}"
done
finish
