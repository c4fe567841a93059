# SPDX-License-Identifier: GPL-2.0-or-later
# Four ways to export an equal disk, and libiscsi's suites against them. Sourced on the host, behind case.sh.
# shellcheck shell=bash
# shellcheck disable=SC2016 # the scripts in single quotes are expanded in the guest

# Runs in the guest behind guest-lib.sh: what each target is made of.
CONF_GUEST='
# The two names that the tool goes by.
initiators="iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test-2"
path_of() {
	case $1 in
	hbad) echo /backstores/user:hba/conf-hbad ;;
	iblock) echo /backstores/block/conf-iblock ;;
	tcmu) echo /backstores/user:qcow/conf-tcmu ;;
	pscsi) echo /backstores/pscsi/conf-pscsi ;;
	esac
}
create() {
	case $1 in
	hbad) echo "name=conf-hbad $(backstore_words g2 ld0)" ;;
	iblock) echo "name=conf-iblock dev=$(disk_of kernel V1D0SERIAL)" ;;
	tcmu)
		# Debian packages no handler for plain files but this one, which takes what is no qcow image as it is.
		if ! mountpoint -q /mnt/conf; then
			disk=$(disk_of kernel V1D1SERIAL)
			mkfs.ext4 -q -F "$disk"
			mkdir -p /mnt/conf && mount "$disk" /mnt/conf
			truncate -s 1800M /mnt/conf/image
		fi
		echo "name=conf-tcmu size=1800M cfgstring=/mnt/conf/image" ;;
	pscsi) echo "name=conf-pscsi dev=$(disk_of kernel V1D2SERIAL)" ;;
	esac
}
iscsi_export() {
	local iqn=iqn.2026-01.org.example:$1
	echo "/iscsi create $iqn"
	echo "/iscsi/$iqn/tpg1 set attribute authentication=1 generate_node_acls=0"
	echo "/iscsi/$iqn/tpg1/portals create 127.0.0.1 3261"
	echo "/iscsi/$iqn/tpg1/luns create $(path_of "$1")"
	for initiator in $initiators; do
		echo "/iscsi/$iqn/tpg1/acls create $initiator"
		echo "/iscsi/$iqn/tpg1/acls/$initiator set auth userid=lab password=labsecret1234"
	done
}
loop_export() {
	[[ -d /sys/kernel/config/target/loopback/$LOOP_WWN ]] || echo "/loopback create $LOOP_WWN"
	echo "/loopback/$LOOP_WWN/luns create $(path_of "$1")"
}
targetcli_do() {
	targetcli </tmp/conf.commands >/tmp/conf.log 2>&1 || { cat /tmp/conf.log; die targetcli; }
}
# The disk on loopback: LIO names its own backends by the backstore, hbad shows the unit.
loop_disk() {
	local model
	[[ $1 != hbad ]] || { find_disk loop G2D0SERIAL; return; }
	for model in /sys/devices/tcm_loop_0/tcm_loop_adapter_*/host*/target*/*/model; do
		[[ $(cat "$model") == "conf-$1"* ]] && { echo "/dev/$(ls "${model%/*}/block")"; return; }
	done
	return 1
}
'

conf_guest() {
	{ printf '%s\n' "$CONF_GUEST" && cat; } | guest_script "$@"
}

# conf_setup TARGET...: backstores conf-TARGET, each behind an iSCSI target of its own with two portals, CHAP and
# explicit ACLs. hbad has g2d0, the others, with lab up --hba gen2,virtio, the disks of virtio-scsi.
conf_setup() {
	guest_put "$LAB/conformance-suites" /usr/local/bin/conformance-suites
	conf_guest "$@" <<'EOF'
need_attached g2
need_aptpl_directory
clear_target
for target; do
	backstore=$(path_of "$target")
	echo "${backstore%/*} create $(create "$target")"
	iscsi_export "$target"
done >/tmp/conf.commands
targetcli_do
for target; do
	[[ -e $(echo /sys/kernel/config/target/iscsi/*:$target/tpgt_1/acls/*test/lun_0) ]] ||
		{ cat /tmp/conf.log; die "$target was not set up"; }
done
EOF
}

# conf_loop TARGET...: on loopback, too
conf_loop() {
	conf_guest "$@" <<'EOF'
for target; do
	loop_export "$target"
done | awk '!seen[$0]++' >/tmp/conf.commands
targetcli_do
for target; do
	wait_for 30 loop_disk "$target"
done
udevadm settle
EOF
}

# conf_url TARGET PORT
conf_url() {
	printf 'iscsi://lab%%labsecret1234@127.0.0.1:%s/iqn.2026-01.org.example:%s/0\n' "$2" "$1"
}

# conf_run TARGET FILE [OPTION...]: over iSCSI; options are those of conformance-suites
conf_run() {
	local target=$1 file=$2
	shift 2
	guest conformance-suites --label "$target" --second "$(conf_url "$target" 3261)" "$@" "$(conf_url "$target" 3260)" >"$file"
}

# conf_run_sg TARGET FILE [OPTION...]: over loopback, through /dev/sgX
conf_run_sg() {
	local target=$1 file=$2 sg
	shift 2
	sg=$(conf_guest "$target" <<<'sg_of "$(loop_disk "$1")"')
	guest conformance-suites --label "$target sg" --family LINUX "$@" "$sg" >"$file"
}

# conf_report DIR [--complete] FILE...
conf_report() {
	local dir=$1
	shift
	"$LAB/conformance-report" --skips "$LAB/conformance.skips" --out "$dir" "$@"
}
