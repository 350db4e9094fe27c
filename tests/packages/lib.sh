# lib.sh - for scripts: checks that are counted, and waiting for what is to come
# shellcheck shell=bash
# shellcheck disable=SC2154 # root is the caller's

passed=0
failed=0

# One more that passed, or failed with what the command printed.
check() { # what-it-says command...
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then
		echo "ok      $what"
		passed=$((passed + 1))
	else
		echo "FAILED  $what"
		tail -n 60 <<<"$said" | sed 's/^/        /'
		failed=$((failed + 1))
	fi
}

# True once the command is.
await() { # seconds command...
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[[ $SECONDS -lt $until ]] || return 1
		sleep 0.05
	done
}

# Two texts are the same; what differs otherwise.
same() { # text text
	diff <(printf '%s\n' "$1") <(printf '%s\n' "$2")
}

# In the package's root, which the caller's in_root() enters. Of files that both sides have changed ours is kept.
apt_get() {
	in_root apt-get -qy --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@"
}

install_package() { # file
	mkdir -p "$root/packages"
	cp "$1" "$root/packages/" && apt_get install "/packages/${1##*/}"
}

# The same programs with a higher version, and another file of configuration than its predecessor's.
make_newer() { # package result
	local at
	at=$(mktemp -d) || return 1
	dpkg-deb -R "$1" "$at" && sed -i 's/^Version: .*/&+newer/' "$at/DEBIAN/control" &&
		echo '# Of the newer package.' >>"$at/etc/tbmq/tbmq.conf" && dpkg-deb --build "$at" "$2"
	rm -rf "$at"
}

programs_are_hardened() { # program...
	local program bad=0 want
	for program in "$@"; do
		want=(
			'-h.*Type: *DYN' '-d.*BIND_NOW' '-l.*GNU_RELRO' '-l.*GNU_STACK +(0x[0-9a-f]+ +){5}RW '
			'--dyn-syms.*__stack_chk_fail' '--dyn-syms.*__[a-z]*_chk@'
		)
		for w in "${want[@]}"; do
			readelf -W "${w%%.\**}" "$program" | tr '\n' ' ' | grep -qE -- "${w#*.\*}" ||
				{ echo "${program##*/}: no ${w#*.\*}"; bad=1; }
		done
		# The note that says so to the loader is lost where the C library's own start has none; a few are always there.
		[[ $(uname -m) != x86_64 || $(objdump -d "$program" | grep -c endbr64) -gt 100 ]] ||
			{ echo "${program##*/}: no -fcf-protection"; bad=1; }
	done
	return $bad
}

# What another script counted, whose output is in a file. One that came to no end has failed.
add() { # file status
	local p='' f=''
	read -r p _ f _ < <(tail -n 1 "$1" | grep -E '^[0-9]+ passed, [0-9]+ failed$')
	[[ $2 -eq 0 || ${f:-0} -gt 0 ]] || f=1
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1}))
}

# The last line; false if something failed.
finish() {
	echo "$passed passed, $failed failed"
	[[ $failed -eq 0 && $passed -gt 0 ]]
}
