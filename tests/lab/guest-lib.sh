# SPDX-License-Identifier: GPL-2.0-or-later
# Functions that run inside the guest: what an administrator types, made repeatable. Sent in front of a case's own script.
# shellcheck shell=bash
set -euo pipefail

IQN=iqn.2026-01.org.example:lab
INITIATOR=iqn.2026-01.org.example:initiator
LOOP_WWN=naa.5001405000000001
VHOST_WWN=naa.5001405000000002

die() {
	echo "FAILED: $*" >&2
	exit 1
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < until)) || die "waited in vain for: $*"
		sleep 0.3
	done
}

# the PCI address of g1 (megasas), g2 (megasas-gen2) or v1 (virtio-scsi), or of one that hba-emu serves: m1 (SAS2108),
# f1 (SAS3108), a1, a2 (AME), v2 (virtio-scsi)
hba_pci() {
	case $1 in
	g1) lspci -D -d 1000:0060 ;;
	g2 | m1) lspci -D -d 1000:0079 ;;
	f1) lspci -D -d 1000:005d ;;
	a1) lspci -D -d 14d6:6262 ;;
	a2) lspci -D -d 14d6:626f ;;
	v1 | v2) lspci -D -d 1af4:1048 ;;
	esac | awk '{ print $1; exit }'
}

# the kernel's driver for it; nothing: the kernel has none
kernel_driver() {
	case $1 in
	v1 | v2) echo virtio-pci ;;
	a?) ;;
	*) echo megaraid_sas ;;
	esac
}

# how many disks are behind it
hba_disks() {
	if [[ $1 == g2 ]]; then echo 5; else echo 3; fi
}

# unit_of INSTANCE N: the name of its N-th unit
unit_of() {
	case $1 in
	v1) echo "t$2l0" ;;
	v2) echo "t0l$2" ;;
	a?) echo "lun$2" ;;
	*) echo "ld$2" ;;
	esac
}

# own_naa INSTANCE: what the first unit calls itself
own_naa() {
	case $1 in
	g1) echo 0x5000c5000001d000 ;;
	g2) echo 0x5000c5000002d000 ;;
	v1) echo 0x5000c5000009d000 ;;
	m1) echo 0x600605b001000000 ;;
	f1) echo 0x600605b002000000 ;;
	a1) echo 0x600605b003000000 ;;
	a2) echo 0x600605b004000000 ;;
	v2) echo 0x600605b005000000 ;;
	esac
}

# attach_hba INSTANCE: attaches it. The kernel's disks appear one after the other, and udev opens each to look at it, as it
# does when somebody who could have written closes it; meanwhile hbactl refuses.
attach_hba() {
	local until=$((SECONDS + 60))
	until hbactl attach "$(hba_pci "$1")" --name "$1" 2>/tmp/attach.refused; do
		cat /tmp/attach.refused >&2
		grep -q 'udev-worker\|has just opened' /tmp/attach.refused || return 1
		((SECONDS < until)) || return 1
		udevadm settle
		sleep 0.3
	done
	cat /tmp/attach.refused >&2
}

# set_io_threads INSTANCE: as many as this run wants; without a wish it stays as it is
set_io_threads() {
	local conf=/etc/hbad/$1.conf
	[[ ${IO_THREADS:-} ]] && ! grep -qx "io_threads=$IO_THREADS" "$conf" || return 0
	sed -i "/^io_threads=/d; /^\[controller\]/a io_threads=$IO_THREADS" "$conf"
	systemctl restart "hbad@$1"
}

# Attaches controllers unless they are. The lab's kernel has them at boot.
need_attached() {
	local g
	for g in "$@"; do
		[[ -e /etc/hbad/$g.conf ]] || attach_hba "$g"
		set_io_threads "$g"
		systemctl is-active -q "hbad@$g" || systemctl start "hbad@$g"
	done
}

# LIO keeps persistent reservations that outlive it (APTPL) there, and refuses such registrations when it is missing:
# NOT READY, LOGICAL UNIT COMMUNICATION FAILURE. No Debian package makes it.
need_aptpl_directory() {
	modprobe target_core_mod
	mkdir -p "$(cat /sys/kernel/config/target/dbroot)/pr"
}

# unit_field INSTANCE UNIT FIELD, from hbactl's JSON
unit_field() {
	hbactl units "$1" --json | jq -r --arg u "$2" --arg f "$3" '.units[] | select(.name == $u) | .[$f]'
}

# backstore_words INSTANCE UNIT: what targetcli's create wants for it, but for the name. Both limits are counted in blocks,
# and LIO takes 512 bytes for granted.
backstore_words() {
	local block
	block=$(unit_field "$1" "$2" block_size)
	echo "size=$(unit_field "$1" "$2" size_bytes) cfgstring=$1/$2 hw_max_sectors=$((4194304 / block))" \
		"$( ((block == 512)) || echo "control=hw_block_size=$block")"
}

# lun_create INSTANCE UNIT [NAME]: a backstore of the unit's true size, named by default like the unit: g2-ld0
lun_create() {
	local name=${3:-$1-$2}
	[[ -d $(echo /sys/kernel/config/target/core/user_*/"$name") ]] && return 0
	# shellcheck disable=SC2046 # words
	targetcli /backstores/user:hba create "name=$name" $(backstore_words "$1" "$2")
}

lun_delete() {
	local name
	for name; do
		targetcli /backstores/user:hba delete "$name"
	done
}

# The fabric's objects, as targetcli commands on standard output.
loop_commands() {
	[[ -d /sys/kernel/config/target/loopback/$LOOP_WWN ]] || echo "/loopback create $LOOP_WWN"
	echo "/loopback/$LOOP_WWN/luns create /backstores/user:hba/$1"
}

# loop_link NAME: a loopback LUN of this backstore, without targetcli: that takes seconds. loop_unlink: away with it
loop_link() {
	local tpg=/sys/kernel/config/target/loopback/$LOOP_WWN/tpgt_1
	modprobe tcm_loop
	mkdir -p "$tpg/lun/lun_0"
	echo naa.5001405000000003 >"$tpg/nexus"
	ln -s /sys/kernel/config/target/core/user_*/"$1" "$tpg/lun/lun_0/lab"
}

loop_unlink() {
	local tpg=/sys/kernel/config/target/loopback/$LOOP_WWN/tpgt_1
	rm "$tpg/lun/lun_0/lab"
	rmdir "$tpg/lun/lun_0" "$tpg" "${tpg%/*}"
}

iscsi_commands() {
	if [[ ! -d /sys/kernel/config/target/iscsi/$IQN ]]; then
		echo "/iscsi create $IQN"
		echo "/iscsi/$IQN/tpg1 set attribute authentication=1 generate_node_acls=0"
		echo "/iscsi/$IQN/tpg1/acls create $INITIATOR"
		echo "/iscsi/$IQN/tpg1/acls/$INITIATOR set auth userid=lab password=labsecret1234"
	fi
	echo "/iscsi/$IQN/tpg1/luns create /backstores/user:hba/$1"
}

# tcm_fc's target is the port of v0, its initiator that of v1: fc_up comes first.
fc_commands() {
	local target initiator
	target=naa.$(fc_wwpn v0)
	initiator=naa.$(fc_wwpn v1)
	# configfs has it with colons
	if [[ ! -d /sys/kernel/config/target/fc/$(fc_wwpn v0 | sed 's/..\B/&:/g') ]]; then
		echo "/tcm_fc create $target"
		echo "/tcm_fc/$target/acls create $initiator"
	fi
	echo "/tcm_fc/$target/luns create /backstores/user:hba/$1"
}

vhost_commands() {
	[[ -d /sys/kernel/config/target/vhost/$VHOST_WWN ]] || echo "/vhost create $VHOST_WWN"
	echo "/vhost/$VHOST_WWN/tpg1/luns create /backstores/user:hba/$1"
}

# lio_setup FABRIC:INSTANCE/UNIT...: backstores of the units' true sizes, named like g2-ld0, exported over loop,
# iscsi, fc or vhost.
# In one targetcli, because each start of it takes seconds in an emulated guest; it goes on after errors, so that what
# came out is looked at.
lio_setup() {
	local what fabric unit name
	for what; do
		fabric=${what%%:*} unit=${what#*:}
		name=${unit/\//-}
		echo "/backstores/user:hba create name=$name $(backstore_words "${unit%/*}" "${unit#*/}")"
		"${fabric}_commands" "$name"
	done | awk '!seen[$0]++' >/tmp/lio.commands
	targetcli </tmp/lio.commands >/tmp/lio.log 2>&1 || { cat /tmp/lio.log; die "targetcli"; }
	for what; do
		unit=${what#*:}
		name=${unit/\//-}
		exported "$name" || { cat /tmp/lio.log && die "$what was not set up"; }
	done
}

# saved_config: the file that targetcli saves to
saved_config() {
	local file=/etc/rtslib-fb-target/saveconfig.json
	[[ -e $file ]] || file=/etc/target/saveconfig.json
	echo "$file"
}

# save_target: the configuration for the next boot, and what is_restored compares with
save_target() {
	targetcli saveconfig >/dev/null
	saved_luns <"$(saved_config)" >/var/tmp/luns.saved
	# The distribution's own restore; enabled where it is not by default.
	systemctl enable rtslib-fb-targetctl.service 2>/dev/null || systemctl enable target.service
}

# saved_luns: of a saveconfig.json, each backstore and each LUN, a line each
saved_luns() {
	jq -r '(.storage_objects[] | "\(.plugin) \(.name) \(.config) \(.size)"),
		(.targets[] | .fabric as $f | .tpgs[].luns[] | "\($f) \(.index) \(.storage_object)")' | sort
}

# is_restored: all of what save_target has saved, and nothing was left out on the way
is_restored() {
	targetcli saveconfig /tmp/saveconfig.now >/dev/null
	saved_luns </tmp/saveconfig.now | diff /var/tmp/luns.saved - || die "not what was saved"
	saved_luns <"$(saved_config)" | cmp /var/tmp/luns.saved - || die "somebody has saved less"
	! journalctl -b -q -o cat -u rtslib-fb-targetctl -u target | grep -i 'skip\|could not\|error' || die "the restore had trouble"
}

# Does a LUN of any fabric point at the backstore?
exported() {
	# Fabrics that nothing loaded yet have no folder, and find fails for them.
	[[ $(find /sys/kernel/config/target/{loopback,iscsi,fc,vhost} -type l -lname "*/user_*/$1" 2>/dev/null) ]]
}

# iscsi_login [PORTAL...]: one session for each, 127.0.0.1 by default
iscsi_login() {
	local portal
	(($#)) || set -- 127.0.0.1
	echo "InitiatorName=$INITIATOR" >/etc/iscsi/initiatorname.iscsi
	systemctl restart iscsid
	iscsiadm -m discovery -t st -p "$1" >/dev/null
	for portal; do
		iscsiadm -m node -T "$IQN" -p "$portal" -o update -n node.session.auth.authmethod -v CHAP
		iscsiadm -m node -T "$IQN" -p "$portal" -o update -n node.session.auth.username -v lab
		iscsiadm -m node -T "$IQN" -p "$portal" -o update -n node.session.auth.password -v labsecret1234
		iscsiadm -m node -T "$IQN" -p "$portal" --login >/dev/null
	done
	udevadm settle
}

iscsi_logout() {
	iscsiadm -m node -T "$IQN" --logout >/dev/null 2>&1 || true
	iscsiadm -m node -T "$IQN" -o delete >/dev/null 2>&1 || true
}

# Everything of LIO away, however the case before ended.
clear_target() {
	iscsi_logout
	targetcli clearconfig confirm=True >/dev/null
	wait_for 20 no_lio_disks
}

no_lio_disks() {
	! grep -qs . /sys/devices/tcm_loop_0/tcm_loop_adapter_*/host*/target*/*/model
}

# fc_up: two Fibre Channel ports, FCoE in VN2VN mode, on the ends v0 (target) and v1 (initiator) of a virtual cable.
# They stay off until fc_enable, so that the target is there when the initiator looks for it.
fc_up() {
	local port ctlr
	modprobe -a fcoe tcm_fc
	ip link add v0 mtu 2500 type veth peer name v1 mtu 2500
	for port in v0 v1; do
		ip link set "$port" up
		echo "$port" >/sys/bus/fcoe/ctlr_create
	done
	for ctlr in /sys/bus/fcoe/devices/ctlr_*; do
		echo VN2VN >"$ctlr/mode"
	done
}

fc_enable() {
	local ctlr
	for ctlr in /sys/bus/fcoe/devices/ctlr_*; do
		echo "$1" >"$ctlr/enabled"
	done
}

fc_down() {
	local port
	fc_enable 0
	for port in v1 v0; do
		echo "$port" >/sys/bus/fcoe/ctlr_destroy
	done
	ip link delete v0
	udevadm settle
}

# fc_host NETDEV: its SCSI host, like host5
fc_host() {
	local host
	for host in /sys/class/fc_host/host*; do
		[[ $(readlink -f "$host") == */net/"$1"/* ]] && echo "${host##*/}" && return 0
	done
	return 1
}

# fc_wwpn NETDEV: 16 hexadecimal digits
fc_wwpn() {
	sed 's/^0x//' "/sys/class/fc_host/$(fc_host "$1")/port_name"
}

# find_disk loop|iscsi|fc|kernel SERIAL: its name in /dev; the unit's serial number comes through as it is
find_disk() {
	local dev path serial
	for dev in /sys/block/sd*; do
		path=$(readlink -f "$dev/device")
		case $1:$path in
		loop:*/tcm_loop_*) ;;
		iscsi:*/session*) ;;
		fc:*/rport-*) ;;
		kernel:*/tcm_loop_* | kernel:*/session* | kernel:*/rport-*) continue ;;
		kernel:*) ;;
		*) continue ;;
		esac
		serial=$(sg_vpd -p sn "/dev/${dev##*/}" 2>/dev/null | sed -n 's/.*serial number: *\([^ ]*\) *$/\1/p')
		if [[ $serial == "$2" ]]; then
			echo "/dev/${dev##*/}"
			return 0
		fi
	done
	return 1
}

# disk_of loop|iscsi|fc|kernel SERIAL: waits for it; a unit attention that LIO has pending is taken off, because the
# sg3_utils report it instead of doing what they were asked for
disk_of() {
	local disk
	wait_for 30 find_disk "$@" >/dev/null
	disk=$(find_disk "$@")
	for _ in 1 2 3; do
		# not sg_turs: that of Debian 13 sends nothing
		sg_raw "$disk" 00 00 00 00 00 00 >/dev/null 2>&1 && break
	done
	echo "$disk"
}

# sg_of /dev/sdX: its SCSI generic device
sg_of() {
	echo "/dev/$(ls "/sys/block/${1##*/}/device/scsi_generic")"
}

# verify_fio FILE NAME OPTIONS...: writes, reads back, compares crc32c of every block
verify_fio() {
	local file=$1 name=$2
	shift 2
	fio --name="$name" --filename="$file" --ioengine=libaio --direct=1 --verify=crc32c --do_verify=1 \
		--verify_fatal=1 --randrepeat=0 --group_reporting --output-format=terse --terse-version=3 \
		"$@" >"/tmp/fio.$name" 2>&1 || {
		cat "/tmp/fio.$name" >&2
		die "fio $name on $file"
	}
}

# verify_matrix DISK DISK: both at once; sizes and depths as the first issue names them
verify_matrix() {
	local disk job pids status=0
	pids=()
	for disk; do
		(
			name=$(basename "$disk")
			# offset: an odd sector, so that nothing is aligned to the drive's or the page's boundary
			verify_fio "$disk" "$name-512" --rw=randwrite --bs=512 --iodepth=64 --offset=3584 --size=1m
			verify_fio "$disk" "$name-4k" --rw=randwrite --bs=4k --iodepth=64 --offset=$((64 * 1024 * 1024 + 512)) --size=8m
			verify_fio "$disk" "$name-q1" --rw=randwrite --bs=4k --iodepth=1 --offset=$((96 * 1024 * 1024)) --size=1m
			verify_fio "$disk" "$name-mix" --rw=randwrite --bsrange=512-1m --blockalign=512 \
				--iodepth=16 --offset=$((128 * 1024 * 1024 + 1536)) --size=24m
			verify_fio "$disk" "$name-64k" --rw=write --bs=64k --iodepth=16 --offset=$((256 * 1024 * 1024 + 2560)) --size=32m
			verify_fio "$disk" "$name-1m" --rw=randwrite --bs=1m --iodepth=8 --offset=$((512 * 1024 * 1024 + 512)) --size=64m
			verify_fio "$disk" "$name-4m" --rw=write --bs=4m --iodepth=4 --offset=$((768 * 1024 * 1024 + 7680)) --size=64m
		) &
		pids+=($!)
	done
	for job in "${pids[@]}"; do
		wait "$job" || status=1
	done
	((status == 0)) || die "verify failed"
}

# load_start DISK...: generation load and fio verify on each, in the background, until load_stop. Not as fast as it
# goes: an emulated processor must have time left for what happens meanwhile. LOAD_THREADS and LOAD_PAUSE (ms) are for the
# first, LOAD_IOPS and LOAD_FSYNC (writes from flush to flush, 0: none; a word for each disk, the last one for the rest, too) for
# the second; LOAD_SEED makes it the same again. With LOAD_COUNTER=1 somebody counts by COMPARE AND WRITE as well, in a block of
# nobody else. Where the disk has gone, fio would make a file of its name, and no disk could have the name any more.
load_start() {
	local disk name n=0
	local -a fsync
	read -ra fsync <<<"${LOAD_FSYNC:-64}"
	rm -rf /tmp/load && mkdir /tmp/load
	for disk; do
		[[ -b $disk ]] || die "no disk to put load on: '$disk'"
		name=${disk##*/}
		n=$((n + 1))
		systemd-run -q --unit="load-gen-$name" -p StandardOutput=file:/tmp/load/gen.$name \
			-p StandardError=file:/tmp/load/gen.$name.err -p RemainAfterExit=yes \
			/usr/local/bin/genload "$disk" --until /tmp/load/stop --seed $((10#${LOAD_SEED:-$RANDOM} * 64 + n)) \
			--threads "${LOAD_THREADS:-8}" --pause-ms "${LOAD_PAUSE:-5}"
		systemd-run -q --unit="load-fio-$name" -p StandardOutput=file:/tmp/load/fio.$name \
			-p StandardError=file:/tmp/load/fio.$name.err -p RemainAfterExit=yes \
			/bin/sh -c "while [ ! -e /tmp/load/stop ]; do
				fio --name=load --filename=$disk --allow_file_create=0 --ioengine=libaio --direct=1 --rw=randwrite --bsrange=4k-64k \
				    --iodepth=16 --rate_iops=${LOAD_IOPS:-150} --fsync=${fsync[n - 1]:-${fsync[-1]}} --offset=64m --size=16m --verify=crc32c --verify_fatal=1 --randrepeat=0 || exit 1
				done"
		[[ ! ${LOAD_COUNTER:-} ]] || systemd-run -q --unit="load-caw-$name" -p StandardOutput=file:/tmp/load/caw.$name \
			-p StandardError=file:/tmp/load/caw.$name.err -p RemainAfterExit=yes \
			/usr/local/bin/caw-counter "$disk" --lba 200000 --until /tmp/load/stop --pause-ms "${LOAD_PAUSE:-5}"
	done
	sleep 3
}

# load_files: what the parts of the load print to, a line each
load_files() {
	find /tmp/load -name '*.*' ! -name '*.err' | sort
}

# main_pid UNIT: 0: none
main_pid() {
	systemctl show -p MainPID --value "$1"
}

# has_state INSTANCE STATE
has_state() {
	[[ $(hbactl show "$1" --json | jq -r .status.state) == "$2" ]]
}

# usage_of PID: descriptors, locked memory, resident memory in KiB
usage_of() {
	local fds
	fds=$(find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l)
	((fds)) || return 1
	echo "$fds $(awk '/^VmLck:/ { l = $2 } /^VmRSS:/ { r = $2 } END { print l + 0, r + 0 }' "/proc/$1/status")"
}

# all_locked PID: all of its memory that the kernel could take away is locked. Rings and registers can't be: they are the
# kernel's own (de, io, pf); and vsyscall is nobody's.
all_locked() {
	local left
	left=$(awk '/^[0-9a-f]+-/ { vma = $0 }
		/^VmFlags:/ && !/ lo( |$)/ && !/ (de|io|pf)( |$)/ && vma !~ /\[vsyscall\]/ { print vma }' "/proc/$1/smaps")
	[[ ! $left ]] || die "$1 has memory that is not locked: $left"
}

# all_flushers PID: each of its threads is an I/O flusher
all_flushers() {
	local task flags
	# PF_MEMALLOC_NOIO, include/linux/sched.h; what comes after the name's bracket begins with field 3
	for task in /proc/"$1"/task/*; do
		flags=$(sed 's/.*) //' "$task/stat" | cut -d' ' -f7)
		((flags & 0x80000)) || die "$(cat "$task/comm") of $1 is no I/O flusher"
	done
}

# kill_main UNIT...: kill -9 of their main processes, once all of them have one: a start takes its time on a slow machine
kill_main() {
	local unit
	for unit; do
		wait_for 90 has_main "$unit"
	done
	systemctl kill -s KILL --kill-whom=main "$@"
}

has_main() {
	[[ $(main_pid "$1") != 0 ]]
}

# completed DISK...: how many commands of each were completed, a line each. The other counters of stat grow while commands
# only wait.
completed() {
	local disk
	for disk; do
		awk '{ print $1 + $5 }' "/sys/block/${disk##*/}/stat"
	done
}

# load_progress DISK...: commands of each are being completed now
load_progress() {
	local i before after
	mapfile -t before < <(completed "$@")
	sleep 2
	mapfile -t after < <(completed "$@")
	# One that is not there has no line, and then it is not known whose the others are.
	(($# > 0 && ${#before[@]} == $# && ${#after[@]} == $#)) || return 1
	for i in "${!before[@]}"; do
		((after[i] > before[i])) || return 1
	done
}

# Ends a load whose disks have been taken away, whatever it says of that.
load_abandon() {
	local unit
	touch /tmp/load/stop
	# The session waits for its target for two minutes, and the load with it.
	iscsi_logout
	for unit in $(systemctl list-units --all --plain --no-legend 'load-*' | awk '{ print $1 }'); do
		systemctl stop "$unit" || true
		systemctl reset-failed "$unit" 2>/dev/null || true
	done
}

# load_stop: ends the load and fails if anything was wrong, stale, lost, or an error
load_stop() {
	local file unit status=0
	touch /tmp/load/stop
	for file in $(load_files); do
		unit=$(load_unit "$file")
		wait_for 150 unit_ended "$unit"
		if [[ $(systemctl show -p Result --value "$unit") != success ]]; then
			echo "$unit: $(systemctl show -p Result,ExecMainStatus "$unit" | tr '\n' ' ')" >&2
			tail -n 5 "$file.err" >&2
			status=1
		fi
		systemctl stop "$unit" 2>/dev/null || true
		systemctl reset-failed "$unit" 2>/dev/null || true
	done
	load_files | grep -v /fio | xargs cat
	grep -h 'err=\|verify:' /tmp/load/fio.* | sort | uniq -c || true
	((status == 0)) || die "the load saw an error or wrong data"
}

# load_unit FILE: the unit that writes /tmp/load/FILE
load_unit() {
	local unit=load-${1##*/}
	echo "${unit/./-}"
}

unit_ended() {
	[[ $(systemctl show -p SubState --value "$1") =~ ^(exited|failed|dead)$ ]]
}

# blocked_tasks: the pids in D state, one a line. A kworker that stays there is the kernel's to report.
blocked_tasks() {
	ps -eo state=,pid=,comm= | awk '$1 == "D" && $3 !~ /^kworker/ { print $2 }' | sort
}

# no_hung_tasks: fails when a task stays in D state. Whoever reads a disk is there for a moment, and udev reads each disk that
# a writer has closed, so the same task has to be seen there for 15 s.
no_hung_tasks() {
	local until=$((SECONDS + 15)) stuck
	stuck=$(blocked_tasks)
	while [[ $stuck ]]; do
		((SECONDS < until)) || { ps -o pid,comm,wchan:32,args -p "$(paste -sd, <<<"$stuck")" >&2 && die "tasks in D state for 15 s"; }
		sleep 0.5
		stuck=$(comm -12 <(echo "$stuck") <(blocked_tasks))
	done
}
