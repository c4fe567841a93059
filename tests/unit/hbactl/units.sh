#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The shipped units as systemd reads them: no unknown setting, no ordering cycle, with tcmu-runner and both names of
# the service that restores LIO's configuration. Also: who is started after whom (H13), and that nobody is torn
# along; memory that may be locked (H20).
# Usage: units.sh GENERATED-UNIT SOURCE-FOLDER. Exit 77: skipped.
set -eu

generated=$1 source=$2
host=/usr/lib/systemd/system
[ -d "$host" ] || host=/lib/systemd/system
if ! command -v systemd-analyze >/dev/null || [ ! -e "$host/multi-user.target" ]; then
	echo "skipped: systemd-analyze or systemd's own units are not installed"
	exit 77
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
units=$root/usr/lib/systemd/system
units_in_root=/usr/lib/systemd/system
mkdir -p "$units" "$root/usr/bin" "$root/usr/sbin"
cp -a "$host/." "$units/"
rm -rf "$units"/hbad* "$units"/tcmu-runner.service* "$units"/rtslib-fb-targetctl.service* "$units"/target.service*
mkdir -p "$units/hbad.target.wants" "$units/multi-user.target.wants"

binding=${generated%/*}/hbad-bind@.service
cp "$generated" "$binding" "$source/hbad-bind@.path" "$source/hbad.target" "$units/"
for prog in $(sed -n 's/^Exec[A-Za-z]*=+\{0,1\}\([^ ]*\).*/\1/p' "$generated" "$binding") /usr/bin/true; do
	mkdir -p "$root${prog%/*}"
	printf '#!/bin/sh\n' >"$root$prog"
	chmod 755 "$root$prog"
done
# What matters of Debian's units: their ordering.
printf '[Unit]\nAfter=network.target\n[Service]\nType=dbus\nBusName=org.kernel.TCMUService1\nExecStart=/usr/bin/true\n' \
	>"$units/tcmu-runner.service"
for s in rtslib-fb-targetctl target; do
	printf '[Unit]\nAfter=network.target local-fs.target\n[Service]\nType=oneshot\nExecStart=/usr/bin/true\n' \
		>"$units/$s.service"
	mkdir "$units/$s.service.d"
	cp "$source/restore.conf" "$units/$s.service.d/10-hbad.conf"
	ln -s "../$s.service" "$units/multi-user.target.wants/$s.service"
done
mkdir "$units/tcmu-runner.service.d"
cp "$source/tcmu-runner.conf" "$units/tcmu-runner.service.d/10-hbad.conf"
ln -s ../tcmu-runner.service "$units/multi-user.target.wants/tcmu-runner.service"
for wants in hbad.target multi-user.target; do
	ln -s ../hbad@.service "$units/$wants.wants/hbad@g2.service"
done

complaints=$(systemd-analyze --root="$root" --man=no verify hbad@g2.service hbad-bind@g2.path hbad-bind@g2.service hbad.target tcmu-runner.service \
	rtslib-fb-targetctl.service target.service multi-user.target 2>&1) || {
	echo "systemd-analyze verify failed: $complaints"
	exit 1
}
ours=$(printf '%s\n' "$complaints" | grep -E 'hbad|tcmu|target(ctl)?\.service|cycle' || true)
if [ -n "$ours" ]; then
	printf '%s\n' "$ours"
	exit 1
fi

# An hbad that restarts must not take tcmu-runner with it, nor the restore service: that would clear every LUN.
if grep -rE '^(Requires|BindsTo|Requisite|PartOf|Upholds|Conflicts)=' "$source/tcmu-runner.conf" "$source/restore.conf"; then
	echo "a drop-in ties other services to hbad"
	exit 1
fi
# A create whose tcmu-runner dies waits for the next one, where no signal reaches it (H5).
grep -q '^Restart=on-failure$' "$source/tcmu-runner.conf"
grep -q '^StartLimitBurst=60$' "$source/tcmu-runner.conf"
grep -q '^WatchdogSignal=SIGKILL$' "$generated"
grep -q '^StartLimitIntervalSec=0$' "$generated"
grep -q '^ExecStopPost=+.*hbactl guard %i$' "$generated"
grep -q '^LimitMEMLOCK=infinity$' "$generated"
# The first return after any number of attempts that came to nothing must be served, and root binds by the same command as at
# the start.
grep -q '^StartLimitIntervalSec=0$' "$binding"
grep -q '^StartLimitIntervalSec=0$' "$source/hbad-bind@.path"
grep -q '^TriggerLimitIntervalSec=0$' "$source/hbad-bind@.path"
grep -q '^Wants=hbad-bind@%i.path$' "$generated"
# A binding that goes on after a stop would take what "hbactl detach" gives back.
grep -q '^PartOf=hbad@%i.service$' "$source/hbad-bind@.path"
grep -q '^StopPropagatedFrom=hbad@%i.service$' "$binding"
[ "$(sed -n 's/^ExecStartPre=+//p' "$generated")" = "$(sed -n 's/^ExecStart=//p' "$binding")" ]
if grep -E '^(PrivateDevices|PrivateUsers)=' "$generated"; then
	echo "this setting takes /dev/vfio or PR_SET_IO_FLUSHER away from hbad"
	exit 1
fi
# systemd-analyze counts to 10.0; older ones cannot read a unit that is not installed.
if systemd-analyze security --help 2>&1 | grep -q -- --threshold; then
	systemd-analyze security --offline=yes --threshold=20 --no-pager "$root$units_in_root/hbad@.service" >"$root/score" || {
		grep -v '✓' "$root/score"
		echo "the sandbox has become wider"
		exit 1
	}
fi
echo "units are fine"
