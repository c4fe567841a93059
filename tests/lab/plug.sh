# SPDX-License-Identifier: GPL-2.0-or-later
# Pulls the gen2 controller out of the running guest and plugs it in again. Behind case.sh.
# shellcheck shell=bash

# QEMU's id of the controller (vm_gen2)
PLUG_CARD=hba2

is_plugged() {
	# No pipe: grep would leave before all is written.
	[[ $(qmp hmp info qtree) == *"id \"$PLUG_CARD\""* ]]
}

# unplug: asked of the guest, and over when that has let go of it. Its disks' images are closed then.
unplug() {
	local deadline=$((SECONDS + 120))
	qmp device_del id=$PLUG_CARD >/dev/null || fail "QEMU does not ask the guest to let go of the controller"
	while is_plugged; do
		((SECONDS < deadline)) || fail "the guest does not let go of the controller"
		sleep 0.3
	done
}

# plug_words OPTION WORDS: what stands on QEMU's command line, for one that runs. Its monitor has no status but its words.
plug_words() {
	local drive answer
	case $1 in
	-drive)
		drive=${2#*id=}
		# It went with its disk, or not yet.
		qmp hmp "drive_del ${drive%%,*}" >/dev/null || true
		answer=$(qmp hmp "drive_add 0 $2") || fail "no answer to drive_add"
		[[ $answer == *OK ]] || fail "drive_add $2: $answer"
		;;
	-device)
		answer=$(qmp hmp "device_add $2") || fail "no answer to device_add"
		[[ $answer != *Error:* ]] || fail "device_add $2: $answer"
		;;
	esac
}

# Serial number of the one that is in
PLUGGED=LABGEN2

# plug [SERIAL [PORT]]: with all of its disks, since the guest does not run meanwhile
plug() {
	local -a QEMU=()
	local i
	PLUGGED=${1:-LABGEN2}
	vm_gen2 "$PLUGGED" "${2:-}"
	qmp stop >/dev/null || fail "QEMU does not stop the guest"
	for ((i = 0; i < ${#QEMU[@]}; i += 2)); do
		plug_words "${QEMU[@]:i:2}"
	done
	qmp cont >/dev/null || fail "QEMU does not let the guest go on"
}
