# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the test commands: places, messages, packages, locks.
# shellcheck shell=bash

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(dirname "$TESTS")
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/hbad
export TESTS TOP CACHE
mkdir -p "$CACHE"

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

note() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# packages_of GROUP...: names, one per line
packages_of() {
	local group
	for group; do
		sed -n "s/^$group://p" "$TESTS/packages"
	done | tr -s ' ' '\n' | sed '/^$/d'
}

missing_packages() {
	local name
	for name; do
		# Not ${Status}: a package that another one provides is good enough for apt, not for dpkg-query.
		dpkg-query -W -f='${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed ||
			printf '%s\n' "$name"
	done
}

# need_packages GROUP...: install what is missing; does not touch the network otherwise
need_packages() {
	local -a wanted missing
	mapfile -t wanted < <(packages_of "$@")
	mapfile -t missing < <(missing_packages "${wanted[@]}")
	((${#missing[@]})) || return 0
	((EUID == 0)) || die "install first (or run as root): apt-get install ${missing[*]}"
	(
		exec 8>"$CACHE/apt.lock"
		flock 8
		export DEBIAN_FRONTEND=noninteractive
		# Another process may hold dpkg's lock on a freshly booted machine.
		apt-get -q -o DPkg::Lock::Timeout=300 update
		apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
	) </dev/null >"$CACHE/apt.log" 2>&1 8>&- || {
		tail -n 20 "$CACHE/apt.log" >&2
		die "apt-get could not install: ${missing[*]}"
	}
}

# locked FILE COMMAND...: no two at once, whoever runs them
locked() (
	exec 8>"$1"
	flock 8
	"${@:2}" 8>&-
)

# Build directories live outside of the checkout, one set for each checkout.
build_dir() {
	printf '%s/build-%s-%s\n' "$CACHE" "$(printf %s "$TOP" | sha256sum | cut -c1-8)" "$1"
}
