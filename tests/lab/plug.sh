# SPDX-License-Identifier: GPL-2.0-or-later
# Pulls the gen2 controller out of the running guest and plugs it in again. Behind case.sh.
# shellcheck shell=bash

# QEMU's id of the controller, and of the root port that is its slot (vm.sh)
PLUG_CARD=hba2
PLUG_SLOT=rp1

is_plugged() {
	# No pipe: grep would leave before all is written.
	[[ $(qmp hmp info qtree) == *"id \"$PLUG_CARD\""* ]]
}

# unplug: asked of the guest, and over when that has let go of it. Its disks' images are closed then.
unplug() {
	local deadline=$((SECONDS + 120))
	qmp device_del id=$PLUG_CARD >/dev/null
	while is_plugged; do
		((SECONDS < deadline)) || fail "the guest does not let go of the controller"
		sleep 0.3
	done
}

# plug_disk N FORMAT OPTION...: as vm.sh does at the start. The drive went with its disk.
plug_disk() {
	local drive=g2d$1
	qmp hmp "drive_del $drive" >/dev/null || true
	qmp hmp "drive_add 0 if=none,id=$drive,file=$RUN/$drive.img,format=$2,cache=writeback,aio=threads" >/dev/null
	qmp device_add driver=scsi-hd id=disk-"$drive" bus=$PLUG_CARD.0 drive="$drive" scsi-id="$1" serial="G2D${1}SERIAL" "${@:3}" >/dev/null
}

# plug [SERIAL]: with all of its disks, since the guest does not run meanwhile
plug() {
	qmp stop >/dev/null
	qmp device_add driver=megasas-gen2 id=$PLUG_CARD bus=$PLUG_SLOT sas_address=$((0x5000c50000020000)) \
		hba_serial="${1:-LABGEN2}" >/dev/null
	plug_disk 0 raw wwn=$((0x5000c5000002d000))
	plug_disk 1 raw
	plug_disk 2 raw
	plug_disk 3 raw logical_block_size=4096 physical_block_size=4096
	plug_disk 4 qcow2
	qmp cont >/dev/null
}
