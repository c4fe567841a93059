# SPDX-License-Identifier: GPL-2.0-or-later
# One run of the guest: QEMU's command line, its life, and the ways into it.
# shellcheck shell=bash

# A run lives in $RUN; its sockets are elsewhere, since a socket's path has at most 108 bytes.
vm_use() {
	[[ $1 =~ ^[A-Za-z0-9._-]+$ ]] || die "not a name for a run: $1"
	NAME=$1
	RUN=$CACHE/run/$NAME
	SOCKETS=${XDG_RUNTIME_DIR:-/tmp}/hbad-lab.$UID/$NAME
	# One that is up was perhaps started from another environment.
	if [[ -f $RUN/sockets ]] && vm_pid >/dev/null; then
		SOCKETS=$(cat "$RUN/sockets")
	fi
	local base=${SOCKETS%/*}
	mkdir -m 700 "$base" 2>/dev/null || true
	[[ -O $base && ! -L $base ]] || die "$base belongs to somebody else"
	export NAME RUN SOCKETS
}

vm_pid() {
	local pid
	pid=$(cat "$RUN/pid" 2>/dev/null) || return 1
	# The number may have been reused since: only a QEMU that wrote it there is ours.
	tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "-pidfile $RUN/pid " || return 1
	printf '%s\n' "$pid"
}

need_vm() {
	vm_pid >/dev/null || die "run '$NAME' is not up (lab up --name $NAME)"
}

vm_accel() {
	if [[ $1 != auto ]]; then
		printf '%s\n' "$1"
	elif grep -qwE 'vmx|svm' /proc/cpuinfo && (: <>/dev/kvm) 2>/dev/null; then
		echo kvm
	else
		# A /dev/kvm without these CPU flags has been seen to hang a stock guest.
		echo tcg
	fi
}

# shellcheck disable=SC2054
# vm_disks HBA PREFIX: three disks; the first has a WWN of its own, the others only serial numbers
vm_disks() {
	local hba=$1 g=$2 digit n wwn
	case $g in
	v1) digit=9 ;;
	*) digit=${g#g} ;;
	esac
	for n in 0 1 2; do
		wwn=
		((n == 0)) && wwn=",wwn=0x5000c500000${digit}d000"
		[[ -f $RUN/${g}d$n.img ]] || truncate -s 2G "$RUN/${g}d$n.img"
		vm_disk "$hba" "${g}d$n" raw "scsi-id=$n,serial=${g^^}D${n}SERIAL$wwn"
	done
}

# shellcheck disable=SC2054
# vm_disk HBA DRIVE FORMAT OPTIONS
vm_disk() {
	QEMU+=(-drive "if=none,id=$2,file=$RUN/$2.img,format=$3,cache=writeback,aio=threads"
		-device "scsi-hd,id=disk-$2,bus=$1.0,drive=$2,$4")
}

# Two more of the second generation: 4096-byte blocks; 20 TiB, which is more than many file systems let a file be.
vm_odd_disks() {
	[[ -f $RUN/g2d3.img ]] || truncate -s 2G "$RUN/g2d3.img"
	[[ -f $RUN/g2d4.img ]] || qemu-img create -q -f qcow2 -o cluster_size=2M "$RUN/g2d4.img" 20T
	vm_disk hba2 g2d3 raw "scsi-id=3,serial=G2D3SERIAL,logical_block_size=4096,physical_block_size=4096"
	vm_disk hba2 g2d4 qcow2 "scsi-id=4,serial=G2D4SERIAL"
}

# shellcheck disable=SC2054
# vm_gen2 SERIAL [PORT]: the controller of the second generation with all of its disks, at the start and when it is plugged in
# again, be it in another slot
vm_gen2() {
	QEMU+=(-device "megasas-gen2,id=hba2,bus=${2:-rp1},sas_address=0x5000c50000020000,hba_serial=$1")
	vm_disks hba2 g2
	vm_odd_disks
}

# emu_hba MODEL NUMBER: a controller that hba-emu serves
emu_hba() {
	local g
	g=$(emu_prefix "$1") || return 1
	# emu.sh starts them, and QEMU connects at its start.
	EMULATED+=("$g")
	QEMU+=(-device "pcie-root-port,id=rpe$2,chassis=$((16 + $2)),slot=$((16 + $2)),addr=$(printf 0x%x $((0x10 + $2)))"
		-device "{\"driver\":\"vfio-user-pci\",\"id\":\"hba$g\",\"bus\":\"rpe$2\",\"socket\":{\"type\":\"unix\",\"path\":\"$SOCKETS/$g\"}}")
	INSTANCES+=("$g")
}

# gen2, virtio and emulated ones are PCI Express devices behind root ports; gen1 a conventional one, alone in its slot on the root
# complex
vm_hbas() {
	local generation slot1=9 slot2=8 slotv=0xa
	EMULATED=() INSTANCES=()
	if [[ $MOVED == yes ]]; then
		slot1=0xb slot2=0xc slotv=0xd
		# One more bridge in front gives the bus behind the next one another number.
		QEMU+=(-device "pcie-root-port,id=rp0,chassis=2,slot=2,addr=7")
	fi
	for generation; do
		case $generation in
		gen2)
			# The spare slot is the last one: its bus takes no number from others.
			QEMU+=(-device "pcie-root-port,id=rp1,chassis=1,slot=1,addr=$slot2"
				-device "pcie-root-port,id=spare,chassis=4,slot=4,addr=0x1c")
			vm_gen2 LABGEN2
			INSTANCES+=(g2)
			;;
		virtio)
			# iommu_platform: its DMA goes through the IOMMU, as that of real hardware does.
			QEMU+=(-device "pcie-root-port,id=rp2,chassis=3,slot=3,addr=$slotv"
				-device "virtio-scsi-pci,id=hbav,bus=rp2,iommu_platform=on,disable-legacy=on,num_queues=1,romfile=")
			vm_disks hbav v1
			INSTANCES+=(v1)
			;;
		gen1)
			QEMU+=(-device "megasas,id=hba1,bus=pcie.0,addr=$slot1,sas_address=0x5000c50000010000,hba_serial=LABGEN1")
			vm_disks hba1 g1
			INSTANCES+=(g1)
			;;
		*)
			emu_hba "$generation" "${#EMULATED[@]}" ||
				die "unknown HBA: $generation (gen1, gen2, virtio, sas2108, sas3108, ame, ame-626f, virtio-emu)"
			;;
		esac
	done
}

# shellcheck disable=SC2054 # the commas are QEMU's
vm_command() {
	local accel=$1 image=$2 hbas=$3
	local cpu=max
	if [[ $accel == tcg ]]; then
		accel=tcg,thread=multi
		# Emulated, the "fast" string instructions go byte by byte.
		cpu=max,erms=off,fsrm=off
	fi
	QEMU=(-name "hbad-lab-$NAME" -nodefaults -display none
		-machine q35,kernel-irqchip=split -accel "$accel" -cpu "$cpu" -smp 2 -m 4G
		-device intel-iommu,intremap=on,caching-mode=on
		-kernel "$image/vmlinuz" -initrd "$image/initrd"
		-append "root=/dev/vda rw console=ttyS0 intel_iommu=on iommu=pt net.ifnames=0 mitigations=off quiet loglevel=5 panic=-1 ${LAB_APPEND:-}"
		-drive "if=none,id=root,file=$RUN/root.qcow2,format=qcow2,cache=unsafe,discard=unmap"
		-device virtio-blk-pci,drive=root,addr=2 -device virtio-rng-pci,addr=3
		-netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"
		-device virtio-net-pci,netdev=net,addr=4,romfile=
		-qmp "unix:$SOCKETS/qmp,server=on,wait=off"
		-serial "file:$RUN/console.log" -daemonize -pidfile "$RUN/pid")
	local -a list
	IFS=, read -ra list <<<"$hbas"
	vm_hbas "${list[@]}"
	vm_program
	# Experiments: more devices or options than the lab knows.
	local -a extra
	read -ra extra <<<"${LAB_QEMU_ARGS:-}"
	QEMU+=("${extra[@]}")
}

# Only emulated controllers ask for the newer QEMU, and for memory that another process can map.
# shellcheck disable=SC2054 # the commas are QEMU's
vm_program() {
	local -a QEMU_PROGRAM=(qemu-system-x86_64)
	if ((${#EMULATED[@]})); then
		[[ " ${INSTANCES[*]} " != *" g2 "*" m1 "* && " ${INSTANCES[*]} " != *" m1 "*" g2 "* ]] ||
			die "gen2 and sas2108 are the same controller by its PCI id: one of them"
		[[ " ${INSTANCES[*]} " != *" v1 "*" v2 "* && " ${INSTANCES[*]} " != *" v2 "*" v1 "* ]] ||
			die "virtio and virtio-emu are the same host by its PCI id: one of them"
		emu_qemu
		emu_build
		QEMU+=(-object memory-backend-memfd,id=mem,size=4G,share=on -machine memory-backend=mem)
	fi
	QEMU=("${QEMU_PROGRAM[@]}" "${QEMU[@]}")
}

# vm_files IMAGE KEEP: the run's directory, with new disks unless the old ones are to be kept
vm_files() {
	local image=$1 keep=$2
	mkdir -p "$RUN"
	rm -rf "$SOCKETS"
	mkdir "$SOCKETS"
	if [[ $keep == yes && -f $RUN/root.qcow2 ]]; then
		image=$(cat "$RUN/image")
	else
		# The cases' logs tell of guests that were replaced.
		find "$RUN" -mindepth 1 -maxdepth 1 ! -name cases -exec rm -rf {} +
		qemu-img create -q -f qcow2 -F raw -b "$image/root.img" "$RUN/root.qcow2"
	fi
	rm -f "$RUN/console.log"
	printf '%s\n' "$image" >"$RUN/image"
	printf '%s\n' "$SOCKETS" >"$RUN/sockets"
}

vm_up() {
	local release=$1 accel hbas=$3 keep=$4 image hba
	vm_pid >/dev/null && die "run '$NAME' is up already (lab down --name $NAME)"
	accel=$(vm_accel "$2")
	image=$(image_dir "$release")
	vm_files "$image" "$keep"
	image=$(cat "$RUN/image")
	printf '%s\n' "$release" >"$RUN/release"
	printf '%s\n' "$accel" >"$RUN/accel"
	emu_stop_all
	rm -f "$RUN"/emu-*.pid
	vm_command "$accel" "$image" "$hbas"
	printf '%s\n' "${INSTANCES[*]}" >"$RUN/instances"
	for hba in "${EMULATED[@]}"; do
		emu_start "$hba"
	done
	printf '%q ' "${QEMU[@]}" >"$RUN/command"
	# QEMU must not inherit a lock that its starter holds.
	"${QEMU[@]}" </dev/null 8>&- 9>&- || { emu_stop_all && die "QEMU did not start"; }
	qmp hmp info usernet | awk '/HOST_FORWARD/ { print $4; exit }' >"$RUN/port"
}

qmp() {
	"$LAB/qmp" "$SOCKETS/qmp" "$@"
}

vm_flushes() {
	# Of an emulated controller's drive: flushes that its own cache has seen, and those of the whole controller.
	if emu_pid "${1%d*}" >/dev/null; then
		emu_unit_stat "${1%d*}" "ld${1##*d}" syncs
		return
	fi
	qmp query-blockstats | python3 -c '
import json, sys
found = [d["stats"]["flush_operations"] for d in json.load(sys.stdin) if d.get("device") == sys.argv[1]]
print(found[0]) if found else sys.exit("no such drive: " + sys.argv[1])' "$1"
}

ssh_options() {
	SSH=(-F /dev/null -i "$CACHE/ssh/id" -o "Port=$(cat "$RUN/port")" -o User=root -o BatchMode=yes
		-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
		-o ConnectTimeout=10 -o ServerAliveInterval=15 -o ServerAliveCountMax=8
		-o "ControlPath=$SOCKETS/ssh" -o ControlMaster=no)
}

# One connection for all calls: a new one costs a second in an emulated guest.
ssh_master() {
	[[ -S $SOCKETS/ssh ]] && return 0
	(
		exec 7>"$SOCKETS/ssh.lock"
		flock 7
		[[ -S $SOCKETS/ssh ]] && exit 0
		# It stays behind, so it must not hold the caller's pipes and locks.
		ssh -o ControlMaster=yes "${SSH[@]}" -fN 127.0.0.1 </dev/null >/dev/null 2>&1 7>&- 8>&- 9>&-
	)
}

ssh_close() {
	[[ -S $SOCKETS/ssh ]] || return 0
	ssh "${SSH[@]}" -O exit 127.0.0.1 >/dev/null 2>&1 || true
	rm -f "$SOCKETS/ssh"
}

# guest_run COMMAND [ARG...]: one word is a shell command line, several are the command's words as they are
guest_run() {
	local line=$1
	(($# > 1)) && line=$(printf '%q ' "$@")
	ssh_options
	ssh_master || true
	# shellcheck disable=SC2029 # it is meant to be expanded here
	ssh "${SSH[@]}" 127.0.0.1 "$line"
}

guest_put() {
	ssh_options
	ssh_master || true
	scp -q -p -r "${SSH[@]}" "$1" "127.0.0.1:$2"
}

guest_get() {
	ssh_options
	ssh_master || true
	scp -q -p -r "${SSH[@]}" "127.0.0.1:$1" "$2"
}

boot_id() {
	ssh_options
	ssh "${SSH[@]}" 127.0.0.1 cat /proc/sys/kernel/random/boot_id 2>/dev/null </dev/null
}

# vm_wait_boot [OLD-BOOT-ID]: until the guest's start-up jobs are done
vm_wait_boot() {
	local old=${1:-} deadline=$((SECONDS + 240 * ${LAB_PATIENCE:-1})) id=
	while :; do
		vm_pid >/dev/null || { tail -n 20 "$RUN/console.log" >&2; die "QEMU is gone"; }
		id=$(boot_id) && [[ -n $id && $id != "$old" ]] && break
		((SECONDS < deadline)) || { tail -n 20 "$RUN/console.log" >&2; die "no ssh in time"; }
		sleep 0.5
	done
	# "degraded" is for the caller to judge; a job that never ends is not.
	guest_run 'timeout 120 systemctl is-system-running --wait' </dev/null >"$RUN/state" ||
		grep -q degraded "$RUN/state" || die "the guest did not finish its start: $(cat "$RUN/state")"
}

vm_reboot() {
	local old
	old=$(boot_id) || die "the guest does not answer"
	guest_run 'systemctl reboot' </dev/null || true
	ssh_close
	vm_wait_boot "$old"
}

wait_gone() {
	local deadline=$((SECONDS + $1))
	while vm_pid >/dev/null; do
		((SECONDS < deadline)) || return 1
		sleep 0.3
	done
}

vm_down() {
	local pid
	pid=$(vm_pid) || { emu_stop_all && return 0; }
	ssh_options
	timeout 20 "$LAB/lab" run --name "$NAME" 'systemctl poweroff' </dev/null >/dev/null 2>&1 || true
	ssh_close
	wait_gone "$1" || {
		note "the guest did not power off within $1 s: killed"
		kill "$pid" 2>/dev/null || true
		wait_gone 10 || kill -KILL "$pid" 2>/dev/null || true
	}
	emu_wrong >&2 || true
	emu_stop_all
	rm -rf "$SOCKETS"
}
