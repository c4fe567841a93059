# SPDX-License-Identifier: GPL-2.0-or-later
# Runs case scripts one after the other, with a deadline each, and looks at the guest's kernel after each.
# shellcheck shell=bash

CASE_DEADLINE=240

# What a healthy kernel never prints.
KERNEL_TROUBLE='BUG:|BUG at|Oops|WARNING:|Call Trace|general protection|hung task|blocked for more than|Kernel panic'
# What stock parts print all the same, one pattern a line with its reason; nothing so far.
KERNEL_NOISE='^$'

list_cases() {
	local file
	for file in "$LAB"/cases/[0-9]*; do
		printf '%-24s %s%s\n' "${file##*/}" "$(is_full "$file" && echo '[every] ')" "$(sed -n '3s/^# //p' "$file")"
	done
}

# Takes long, and is left out of 'all'.
is_full() {
	grep -q '^case_full$' "$1"
}

# find_cases PATTERN...: files, in order, each once. all: but for those that take long; every: those, too.
find_cases() {
	local pattern file found all
	for pattern; do
		found='' all=no
		[[ $pattern == all ]] && all=yes
		[[ $pattern == all || $pattern == every ]] && pattern=
		for file in "$LAB"/cases/[0-9]*"$pattern"* "$LAB/cases/$pattern"*; do
			[[ -f $file && ${file##*/} == [0-9]* ]] || continue
			[[ $all == yes ]] && is_full "$file" && continue
			found=yes
			printf '%s\n' "$file"
		done
		[[ $found ]] || die "no case matches '$pattern' (lab cases)"
	done | sort -u
}

# Deadlines are there to end what hangs, on a machine that boots the guest in 30 s. One that was slower at that gets as
# much more, since nobody knows beforehand what an emulation costs there. LAB_PATIENCE says it by hand.
patience() {
	local boot=0
	[[ -f $RUN/boot-seconds ]] && boot=$(cat "$RUN/boot-seconds")
	printf '%s\n' "${LAB_PATIENCE:-$((1 + boot / 30))}"
}

deadline_of() {
	local seconds
	seconds=$(sed -n 's/^case_deadline \([0-9]*\)$/\1/p' "$1" | head -n 1)
	printf '%s\n' $((${seconds:-$CASE_DEADLINE} * $(patience)))
}

# The console rather than dmesg: it outlasts a reboot, and a guest that answers no more.
console_size() {
	stat -c %s "$RUN/console.log"
}

# Under TCG a stock kernel was seen to die in its first seconds, before any process of ours, at the int3 of a jump label
# that is being patched (in sched_clock_cpu), and to boot again; most likely a race of the emulator's threads. Leaves out that report; any other, and any later one, stays.
without_boot_race() {
	if [[ $(cat "$RUN/accel") == tcg ]]; then
		awk '/^\[ +[0-9]\.[0-9]+\] Oops: int3/ { skip = 1 }
			!skip { print }
			/Kernel panic/ { skip = 0 }'
	else
		cat
	fi
}

# Of an iSCSI logout that overtakes a disk's runtime power management, the kernel says once that one of its work queues is
# flagged wrongly. The trace has scsi_transport_iscsi and the power management's work queue only, nothing of a target; it
# was seen once, with our LUNs.
without_flush_report() {
	awk '/WQ_MEM_RECLAIM iscsi_ctrl_.*__iscsi_unbind_session.* is flushing !WQ_MEM_RECLAIM pm:pm_runtime_work/ { skip = 1 }
		!skip { print }
		/---\[ end trace/ { skip = 0 }'
}

kernel_trouble() {
	tail -c "+$(($1 + 1))" "$RUN/console.log" | without_boot_race | without_flush_report | grep -aE "$KERNEL_TROUBLE" | grep -avE "$KERNEL_NOISE"
}

# collect FILE: what somebody wants to see who was not there
collect() {
	# shellcheck disable=SC2016,SC2153 # expanded in the guest; vm_use sets NAME
	timeout 60 "$LAB/lab" run --name "$NAME" '
		echo "== services"; systemctl --no-pager --failed
		echo "== journal"; journalctl -b --no-pager -o short-monotonic -n 500 \
			-u "hbad@*" -u tcmu-runner -u rtslib-fb-targetctl -u target
		echo "== dmesg"; dmesg | tail -n 100
		echo "== tasks in D state"; ps -eo state,pid,comm,wchan:32 | grep "^D"
		echo "== configfs"; find /sys/kernel/config/target/core -name info -exec cat {} +
		echo "== disks"; lsscsi -g' </dev/null >"$1" 2>&1 || echo "(the guest did not answer)" >>"$1"
}

# The next case must not suffer from this one: it gets a new guest.
renew() {
	local -a options
	note "starting a new guest after a failure"
	mapfile -d '' options <"$RUN/options"
	"$LAB/lab" down --name "$NAME" || true
	"$LAB/lab" up --name "$NAME" "${options[@]}" && "$LAB/lab" install --name "$NAME"
}

# run_script FILE LOG: the case's exit status; 124 or 137 when its time was up
run_script() {
	local deadline status=0
	local -a command
	deadline=$(deadline_of "$1")
	command=(env LAB_NAME="$NAME" timeout --kill-after=10 "$deadline" bash "$1")
	if [[ $VERBOSE == yes ]]; then
		"${command[@]}" </dev/null 2>&1 | tee "$2" >&2 || status=$?
	else
		"${command[@]}" </dev/null >"$2" 2>&1 || status=$?
	fi
	((status == 124 || status == 137)) && echo "FAILED: not done within $deadline s" >>"$2"
	return "$status"
}

report_failure() {
	local log=$1 tail=30
	collect "$log.guest"
	[[ $VERBOSE == yes ]] && tail=3
	tail -n "$tail" "$log" | sed 's/^/     | /'
	printf '     | (all of it: %s, the guest: %s)\n' "$log" "$log.guest"
}

# run_case FILE: counts and prints one result; status 1 for a failure
run_case() {
	local name=${1##*/} log start=$SECONDS before status=0 trouble verdict
	log=$RUN/cases/$name.log
	before=$(console_size)
	run_script "$1" "$log" || status=$?
	# Nothing to compare with when the case replaced the console's file.
	(($(console_size) >= before)) || before=0
	if trouble=$(kernel_trouble "$before"); then
		printf 'FAILED: the guest kernel says:\n%s\n' "$trouble" >>"$log"
		status=1
	fi
	if trouble=$(emu_wrong); then
		printf 'FAILED: an emulated controller says:\n%s\n' "$trouble" >>"$log"
		status=1
	fi
	case $status in
	0) verdict=PASS PASSED=$((PASSED + 1)) ;;
	77) verdict=SKIP SKIPPED=$((SKIPPED + 1)) ;;
	*) verdict=FAIL FAILED=$((FAILED + 1)) ;;
	esac
	printf '%s %s (%d s)\n' "$verdict" "$name" $((SECONDS - start))
	[[ $verdict == SKIP ]] && sed -n 's/^SKIPPED: /     | /p' "$log"
	[[ $verdict == FAIL ]] || return 0
	report_failure "$log"
	return 1
}

run_cases() {
	local file renew=no
	local -a files
	VERBOSE=no PASSED=0 FAILED=0 SKIPPED=0
	if [[ ${1:-} == -v ]]; then
		VERBOSE=yes
		shift
	fi
	(($#)) || die "which case? (lab cases; or all)"
	mapfile -t files < <(find_cases "$@")
	((${#files[@]})) || exit 1
	mkdir -p "$RUN/cases"
	for file in "${files[@]}"; do
		[[ $renew == no ]] || renew || die "no guest to go on with"
		# After the last one, the guest stays as it is, to be looked at.
		if run_case "$file"; then renew=no; else renew=yes; fi
	done
	printf '%d passed, %d failed, %d skipped\n' "$PASSED" "$FAILED" "$SKIPPED"
	((FAILED == 0))
}
