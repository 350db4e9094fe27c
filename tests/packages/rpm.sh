#!/bin/bash
# rpm.sh - RPM packages: built twice, looked at, and lived with (rpm_life.sh). Ends with "N passed, N failed"
#
# They are installed with rpm --root in a bare tree that has a shell, what makes users, and this machine's libraries. It is
# on a tmpfs in namespaces of this script: however that ends, mounts and processes end with it. Needs root, or sudo.
set -u
cd "$(dirname "$0")/../.." || exit 1

if [[ ${1:-} != within ]]; then
	[[ $(id -u) -eq 0 ]] || exec sudo -E "$0"
	contrib/install-deps build rpm packages || exit 1
	exec unshare --mount --pid --fork --kill-child --mount-proc "$0" within
fi

. tests/packages/lib.sh
work=$PWD/build/packages
root=$work/root
there=$work/another_place/with_a_longer_path
mkdir -p "$work"
mount -t tmpfs -o mode=755,size=2g tmpfs "$work" || exit 1

# The same source in another place, by somebody with other habits. What is packed stays there, for a newer package.
build_elsewhere() {
	mkdir -p "$there"
	cp -R GNUmakefile LICENSE README.md contrib etc master shared worker "$there" || return 1
	(
		cd "$there" || exit 1
		umask 077
		export LC_ALL=C.UTF-8 TZ=Asia/Kathmandu HOME=/nonexistent USER=nobody
		make rpm RPM_OPTIONS=--noclean
	)
}

# The same programs with a higher release, and another file of configuration than its predecessor's.
pack_newer() {
	local tree=("$there"/build/rpm/BUILDROOT/*)
	echo '# Of the newer package.' >>"${tree[0]}/etc/tbmq/tbmq.conf"
	sed -i 's/^Release: .*/Release: 2/' "$there/build/rpm/SOURCES/tbmq.spec"
	rpmbuild -bb --short-circuit --nodeps --noclean --define "_topdir $there/build/rpm" --buildroot "${tree[0]}" \
		"$there/build/rpm/SOURCES/tbmq.spec"
}

packages() {
	echo build/rpm/RPMS/*/*.rpm build/rpm/SRPMS/*.rpm
}

both_are_the_same() {
	local rpm bad=0
	for rpm in $(packages); do
		cmp "$rpm" "$there/$rpm" || bad=1
	done
	return $bad
}

digests_are_good() {
	local rpm
	for rpm in $(packages); do
		rpm -K "$rpm" || return 1
	done
}

# Every file has a line, and every line a file.
files_are_as_listed() {
	local bad=0 line n pattern rpm format
	grep -v '^#' tests/packages/rpm.files >"$work/listed"
	format='[%{=NAME} %{FILEMODES:octal} %{FILEUSERNAME} %{FILEGROUPNAME} -%{FILEFLAGS:fflags} %{FILENAMES}\n]'
	for rpm in build/rpm/RPMS/*/*.rpm; do
		rpm -qp --qf "$format" "$rpm"
	done | sed -E 's/^([^ ]+) [0-9]*([0-9]{4}) /\1 \2 /; s/^([^ ]+) 0/\1 /; s/ -([a-z]+) / \1 /' >"$work/files"
	while read -r line; do
		n=0
		while read -r pattern; do
			# shellcheck disable=SC2053 # it is a pattern
			[[ $line == $pattern ]] && n=1
		done <"$work/listed"
		[[ $n -eq 1 ]] || { echo "not in the list: $line"; bad=1; }
	done <"$work/files"
	while read -r pattern; do
		n=0
		while read -r line; do
			# shellcheck disable=SC2053
			[[ $line == $pattern ]] && n=1
		done <"$work/files"
		[[ $n -eq 1 ]] || { echo "missing: $pattern"; bad=1; }
	done <"$work/listed"
	return $bad
}

unpack() {
	local rpm
	mkdir -p "$work/content" && for rpm in build/rpm/RPMS/*/*.rpm; do
		rpm2cpio "$rpm" | cpio -idm --quiet -D "$work/content" || return 1
	done
}

no_trace_of_the_place() {
	! grep -rlF "$PWD" "$work/content"
}

# Of each program, by its build ID, with the sources that gdb shows.
debug_information_is_apart() {
	local program id debug bad=0
	for program in "$work"/content/usr/{sbin/tbmqd,bin/tbmqctl,libexec/tbmq/*}; do
		id=$(readelf -n "$program" | sed -n 's/.*Build ID: \(..\)\(.*\)/\1\/\2/p')
		debug=$work/content/usr/lib/debug/.build-id/$id.debug
		if readelf -S "$program" | grep -q debug_info || ! readelf -S "$debug" | grep -q debug_info; then
			echo "$program: $debug"
			bad=1
		fi
	done
	[[ -f $(echo "$work"/content/usr/src/debug/tbmq-*/master/main.c) ]] && return $bad
}

versions_agree() {
	same "$(rpm -qp --qf '%{VERSION}' "$package")" "$("$work/content/usr/sbin/tbmqd" --version | cut -d' ' -f2)"
}

rpmlint_is_content() {
	local said
	# shellcheck disable=SC2046
	said=$(rpmlint -c contrib/rpm/rpmlint.toml $(packages) build/rpm/SOURCES/tbmq.spec 2>&1)
	echo "$said"
	grep -q ' 0 errors, 0 warnings' <<<"$said"
}

# A comment each.
filters_are_explained() {
	awk '/^Filters/ { inside = 1; next } /^]/ { inside = 0 } !inside { next } / #/ { told = 1; next }
		{ if (!told) { print; bad = 1 } told = 0 } END { exit bad }' contrib/rpm/rpmlint.toml
}

# What is there for Fedora only can't be built here, but read.
fedora_reads_it() {
	local read
	read=$(rpmspec --parse --define 'fedora 42' --define 'dist .fc42' --define 'systemd_post() fedora: %1' \
		--define 'selinux_modules_install(s:) load %{-s*} %*' --undefine debug_package build/rpm/SOURCES/tbmq.spec) &&
		grep -qx 'fedora: tbmq.service' <<<"$read" && grep -q '^Release: *1.fc42' <<<"$read" &&
		grep -q '^load targeted .*/tbmq.pp.bz2$' <<<"$read" && grep -q '^BuildRequires: *selinux-policy-devel' <<<"$read"
}

policy_compiles() {
	cp -R contrib/selinux "$work" && make -C "$work/selinux" -f /usr/share/selinux/devel/Makefile tbmq.pp &&
		[[ -s $work/selinux/tbmq.pp ]]
}

# A shell, what makes users, and the libraries of these and of the programs in the package.
make_root() {
	local tool lib tools=(sh env cat getent groupadd useradd rm mkdir id kill stat)
	mkdir -p "$root"/{dev,etc,proc,run,tmp,usr/bin,usr/sbin,usr/lib,usr/lib64,var/lib/rpm,var/log} &&
		ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root" || return 1
	for tool in "${tools[@]}"; do
		cp -L "$(type -P "$tool")" "$root/usr/bin/" || return 1
	done
	ldd "$root"/usr/bin/* "$work"/content/usr/{sbin/tbmqd,bin/tbmqctl,libexec/tbmq/*} |
		grep -o '/[^ ]*' | grep -v ':$' | sort -u |
		while read -r lib; do
			mkdir -p "$root${lib%/*}" && cp -L "$lib" "$root$lib" || return 1
		done
	echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"
	printf 'root:x:0:\nadm:x:4:\n' >"$root/etc/group"
	echo 'hosts: files' >"$root/etc/nsswitch.conf"
	cp /etc/login.defs "$root/etc/" 2>/dev/null
	cp /etc/ld.so.conf "$root/etc/" && cp -R /etc/ld.so.conf.d "$root/etc/" && ldconfig -r "$root" &&
		mknod -m 666 "$root/dev/null" c 1 3 && mknod -m 666 "$root/dev/urandom" c 1 9
}

check 'make rpm makes packages' make rpm
package=$(echo build/rpm/RPMS/*/tbmq-[0-9]*.rpm)
if [[ ! -f $package ]]; then
	finish
	exit 1
fi
check 'rpm -K finds them whole' digests_are_good
check 'they can be unpacked' unpack
check 'files are as listed, with modes and owners' files_are_as_listed
check 'the version is that of the programs' versions_agree
check 'programs are hardened' programs_are_hardened "$work"/content/usr/{sbin/tbmqd,bin/tbmqctl,libexec/tbmq/*}
check 'no path of the machine is in there' no_trace_of_the_place
check 'debug information is apart' debug_information_is_apart
check 'rpmlint is content' rpmlint_is_content
check 'filters are explained' filters_are_explained
check 'Fedora reads what is for it' fedora_reads_it
check 'the policy for SELinux compiles' policy_compiles
check 'make rpm makes packages elsewhere' build_elsewhere
check 'the same source elsewhere makes the same bytes' both_are_the_same
check 'there is a newer package' pack_newer
check 'there is a root to install into' make_root
newer=$(echo "$there"/build/rpm/RPMS/*/tbmq-[0-9]*-2*.rpm)
unshare --net tests/packages/rpm_life.sh "$root" "$package" "$newer" | tee "$work/life.log"
add "$work/life.log" "${PIPESTATUS[0]}"
finish
