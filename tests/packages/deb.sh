#!/bin/bash
# deb.sh - Debian's packages: built twice, looked at, and lived with (deb_life.sh, deb_service.sh). Ends with "N passed, N failed"
#
# They are installed in a root of their own, a debootstrap of this machine's release from its own mirror. It is on a tmpfs
# in namespaces of this script: however that ends, mounts and processes end with it. Needs root, or sudo.
set -u
cd "$(dirname "$0")/../.." || exit 1

if [[ ${1:-} != within ]]; then
	[[ $(id -u) -eq 0 ]] || exec sudo -E "$0"
	contrib/install-deps build deb packages || exit 1
	exec unshare --mount --pid --fork --kill-child --mount-proc "$0" within
fi

. tests/packages/lib.sh
work=$PWD/build/packages
root=$work/root
log=$work/bootstrap.log
mkdir -p "$work"
mount -t tmpfs -o mode=755,size=2g tmpfs "$work" || exit 1

# The mirror that has this machine's release, as apt has it.
mirror() {
	apt-get indextargets --format "\$(CODENAME) \$(COMPONENT) \$(REPO_URI)" 'Created-By: Packages' |
		awk -v release="$(release)" '$1 == release && $2 == "main" { print $3; exit }'
}

release() {
	. /etc/os-release && echo "$VERSION_CODENAME"
}

# What the package needs is there already when apt installs it; of alternatives the first.
needs() { # package
	dpkg-deb -f "$1" Depends | tr , '\n' | sed 's/^ *//; s/ .*//' | sort -u | paste -sd,
}

bootstrap() {
	debootstrap --variant=minbase --include="$(needs "$package")" "$(release)" "$root" "$(mirror)" >"$log" 2>&1
}

# The same source in another place, by somebody with other habits, later.
build_elsewhere() {
	local there=$work/another/place/with-a-longer-path
	mkdir -p "$there"
	cp -R GNUmakefile LICENSE README.md contrib etc master shared worker "$there"
	(
		cd "$there" || exit 1
		umask 077
		export LC_ALL=C.UTF-8 TZ=Asia/Kathmandu HOME=/nonexistent USER=nobody
		make deb
	) || return 1
	other=$there/build/deb
}

both_are_the_same() {
	local deb
	for deb in build/deb/*.deb; do
		cmp "$deb" "$other/${deb##*/}" || return 1
	done
}

# Every file has a line with its mode, and every line a file.
files_are_as_listed() {
	local mode path bad=0 line n listed
	while read -r mode path; do
		[[ $mode != \#* ]] || continue
		listed+=("$mode $path")
	done <tests/packages/deb.files
	rm -rf "$work/content"
	dpkg-deb -x "$package" "$work/content"
	while read -r line; do
		n=0
		for path in "${listed[@]}"; do
			# shellcheck disable=SC2053 # it is a pattern
			[[ $line == $path ]] && n=1
		done
		[[ $n -eq 1 ]] || { echo "not in the list: $line"; bad=1; }
	done < <(cd "$work/content" && find . ! -type d -printf '%m %p\n')
	for path in "${listed[@]}"; do
		compgen -G "$work/content/${path#* }" >/dev/null || { echo "missing: $path"; bad=1; }
	done
	(cd "$work/content" && find . -type d ! -perm 755 -o ! -user root -o ! -group root) | grep . && bad=1
	return $bad
}

# Debian adds flags of its own, so what `make` alone has made is looked at, too.
programs() {
	printf '%s\n' "$work"/content/usr/{sbin/tbmqd,bin/tbmqctl,libexec/tbmq/*} build/bin/tbmq{d,ctl,-mqtt,-persist,-auth}
}

# No path of the machine that built it, neither in the programs nor in what belongs to them.
no_trace_of_the_place() {
	local deb
	for deb in build/deb/*.deb; do
		rm -rf "$work/look"
		dpkg-deb -x "$deb" "$work/look"
		! grep -rlF "$PWD" "$work/look" || return 1
	done
	# shellcheck disable=SC2046 # no blanks in there
	! grep -lF "$PWD" $(programs)
}

overrides_are_explained() {
	local file
	for file in contrib/debian/*lintian-overrides; do
		awk '/^#/ { told = 1; next } /./ && !told { print; bad = 1 } { told = 0 } END { exit bad }' "$file" || return 1
	done
}

lintian_is_content() {
	lintian --allow-root --display-info --pedantic --fail-on error,warning,info,pedantic build/deb/*.changes
}

# As the machine will read them, without any of them running here.
services_are_well_formed() {
	apparmor_parser --skip-kernel-load --skip-cache "$work/content/etc/apparmor.d/tbmqd" || return 1
	python3 - "$work/content" <<-'END' || return 1
		import configparser, sys, xml.dom.minidom
		xml.dom.minidom.parse(sys.argv[1] + "/usr/lib/firewalld/services/tbmq.xml")
		ufw = configparser.ConfigParser()
		ufw.read(sys.argv[1] + "/etc/ufw/applications.d/tbmq")
		assert ufw.sections() and all(set(ufw[s]) == {"title", "description", "ports"} for s in ufw.sections())
	END
	shellcheck -s sh "$work/content/etc/init.d/tbmq" contrib/debian/tbmq.{postinst,prerm,postrm}
}

# A unit that grew laxer shows.
unit_is_hardened() {
	local unit=$work/content/lib/systemd/system/tbmq.service score
	score=$(systemd-analyze security --offline=true --no-pager "$unit" | sed -n 's/.*exposure level[^:]*: \([0-9.]*\).*/\1/p')
	echo "exposure: $score"
	[[ $score ]] && awk -v s="$score" 'BEGIN { exit !(s <= 3.1) }'
}

versions_agree() {
	same "$(dpkg-deb -f "$package" Version)" "$("$work/content/usr/sbin/tbmqd" --version | cut -d' ' -f2)"
}

check 'make deb makes packages' make deb
package=$(echo build/deb/tbmq_*.deb)
if [[ ! -f $package ]]; then
	finish
	exit 1
fi
bootstrap &
bootstrap=$!
check 'files are as listed, with modes and owners' files_are_as_listed
check 'the version is that of the programs' versions_agree
# shellcheck disable=SC2046 # no blanks in there
check 'programs are hardened' programs_are_hardened $(programs)
check 'no path of the machine is in there' no_trace_of_the_place
check 'what other services read is well formed' services_are_well_formed
check 'the unit is as hardened as it was' unit_is_hardened
check 'lintian is content' lintian_is_content
check 'overrides are explained' overrides_are_explained
if build_elsewhere >"$work/elsewhere.log" 2>&1; then
	check 'the same source elsewhere makes the same bytes' both_are_the_same
else
	check 'make deb makes packages elsewhere' cat "$work/elsewhere.log" /dev/null/none
fi
if wait "$bootstrap"; then
	for life in life service; do
		unshare --net "tests/packages/deb_$life.sh" "$root" "$package" | tee "$work/$life.log"
		add "$work/$life.log" "${PIPESTATUS[0]}"
	done
else
	check 'there is a root to install into' tail -n 40 "$log" /dev/null/none
fi
finish
