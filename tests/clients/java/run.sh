#!/bin/bash
# HiveMQ's client, from Maven by pom.xml.
cd "$(dirname "$0")/../../.." || exit 1
. tests/clients/lib.sh
env=build/clients/hivemq
if ! cmp -s tests/clients/java/pom.xml "$env/pom.xml"; then
	rm -rf "$env"
	mvn -q -B -f tests/clients/java dependency:copy-dependencies -DoutputDirectory="$PWD/$env/lib" >"$dir/mvn" 2>&1 &&
		cp tests/clients/java/pom.xml "$env/pom.xml"
	result "hivemq install" $?
	[[ -f $env/pom.xml ]] || cat "$dir/mvn"
fi
javac -Xlint:all -Werror -cp "$env/lib/*" -d "$env/classes" tests/clients/java/Client.java
result "hivemq build" $?
show hivemq "4 5" java -cp "$env/lib/*:$env/classes" Client
finish
