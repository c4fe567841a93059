# SPDX-License-Identifier: GPL-2.0-or-later
# What a case sources: it runs on the host, against the run that `lab case` names, in order of its file name.
# shellcheck shell=bash
#
# A case is a script that ends with status 0 (pass), 77 (skip) or any other (fail). What it leaves in the guest, the
# next one finds. Everything that it prints goes to the run's directory, and to the terminal with `lab case -v`.
set -euo pipefail

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lib.sh
. "$LAB/../lib.sh"
# shellcheck source=tests/lab/emu.sh
. "$LAB/emu.sh"
# shellcheck source=tests/lab/vm.sh
. "$LAB/vm.sh"
vm_use "${LAB_NAME:-lab}"
need_vm

# The controllers that cases are about: those of this run, but virtio only where it is alone (beside others it has its
# case). MAIN is what most is tried with, OTHERS are the rest. $LAB_CONTROLLERS names some of them instead, MAIN first.
# shellcheck disable=SC2034 # cases read them
case_controllers() {
	local g all
	if [[ ${LAB_CONTROLLERS:-} ]]; then
		read -ra CONTROLLERS <<<"$LAB_CONTROLLERS"
		MAIN=${CONTROLLERS[0]} OTHERS=("${CONTROLLERS[@]:1}")
		return
	fi
	all=$(cat "$RUN/instances" 2>/dev/null || echo g2 g1)
	CONTROLLERS=() OTHERS=() MAIN=
	for g in $(tr ' ' '\n' <<<"$all" | sort); do
		[[ $g != v1 || $all == v1 ]] || continue
		CONTROLLERS+=("$g")
		[[ $MAIN == g2 ]] || MAIN=$g
	done
	for g in "${CONTROLLERS[@]}"; do
		[[ $g == "$MAIN" ]] || OTHERS+=("$g")
	done
}
case_controllers

# case_deadline SECONDS: for `lab case`, which looks for this line; 240 without it
case_deadline() {
	:
}

# case_full: for `lab case` and tests/check, which look for this line; not a case of every run
case_full() {
	:
}

step() {
	printf -- '-- %3d s: %s\n' "$SECONDS" "$*"
}

fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}

skip() {
	printf 'SKIPPED: %s\n' "$*"
	exit 77
}

# guest COMMAND [ARG...]: without standard input, so that it can stand in a loop that reads
guest() {
	guest_run "$@" </dev/null
}

# guest_script [ARG...]: standard input is a script for the guest, run behind guest-lib.sh, with the names of the
# controllers. It is copied there first:
# a command in it that reads its standard input would swallow the rest of the script.
guest_script() {
	local words
	words=$(printf '%q ' "$@")
	# shellcheck disable=SC2016 # expanded in the guest
	{ printf '%s\n' "CONTROLLERS='${CONTROLLERS[*]}' MAIN=$MAIN OTHERS='${OTHERS[*]}' IO_THREADS=${LAB_IO_THREADS:-}" && cat "$LAB/guest-lib.sh" - ; } | guest_run 'script=$(mktemp /run/case.XXXXXX) && cat >"$script" &&
		{ bash "$script" '"$words"' </dev/null; status=$?; rm -f "$script"; exit $status; }'
}

# flushes DRIVE: how many flushes QEMU has done for g2d0, g1d2...
flushes() {
	vm_flushes "$1"
}

# luns_everywhere: two LUNs of MAIN, over loopback and iSCSI, and one of each other controller. Sets DISKS: their names, as
# words of a script for the guest.
luns_everywhere() {
	local g
	guest_script <<'EOF'
need_attached $CONTROLLERS
clear_target
lio_setup loop:$MAIN/$(unit_of $MAIN 0) iscsi:$MAIN/$(unit_of $MAIN 1) \
	$(for g in $OTHERS; do echo "loop:$g/$(unit_of $g 0)"; done)
iscsi_login
EOF
	DISKS="\"\$(disk_of loop ${MAIN^^}D0SERIAL)\" \"\$(disk_of iscsi ${MAIN^^}D1SERIAL)\""
	for g in "${OTHERS[@]}"; do
		DISKS+=" \"\$(disk_of loop ${g^^}D0SERIAL)\""
	done
}

install_genload() {
	guest_put "$LAB/genload" /usr/local/bin/genload
	guest_put "$LAB/caw-counter" /usr/local/bin/caw-counter
}
