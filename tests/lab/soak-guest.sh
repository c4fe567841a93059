# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's part of tests/lab/soak, behind guest-lib.sh: event_NAME is what happens.
# shellcheck shell=bash

SOAK_DISKS=/run/soak.disks
# pid, descriptors and locked KiB of each process of ours, as they were first and last seen
SOAK_USAGE=/run/soak.usage
# unit and process of each of ours after the last event, and when that was
SOAK_PROCESSES=/run/soak.processes

# renewed UNIT PID: its main process is another one, and ready
renewed() {
	local pid
	pid=$(main_pid "$1")
	[[ $pid != 0 && $pid != "$2" ]] && systemctl is-active -q "$1"
}

# another_main UNIT PID: it has a main process again, ready or not
another_main() {
	local pid
	pid=$(main_pid "$1")
	[[ $pid != 0 && $pid != "$2" ]]
}

# The next one is killed as well when there is a second word, so many tenths of a second after it began: while it starts its
# controller, or takes rings over.
event_kill() {
	local old
	wait_for 90 has_main "hbad@$1"
	old=$(main_pid "hbad@$1")
	kill -KILL "$old"
	if ((${2:-0})); then
		wait_for 90 another_main "hbad@$1" "$old"
		old=$(main_pid "hbad@$1")
		[[ $old != 0 ]] || die "the next hbad@$1 has ended by itself"
		sleep "$(($2 / 10)).$(($2 % 10))"
		kill -KILL "$old" 2>/dev/null || true
	fi
	wait_for 90 renewed "hbad@$1" "$old"
}

# The watchdog ends it after 15 s; what is left of it later gets its SIGCONT all the same.
event_stop() {
	local old until=$((SECONDS + $2))
	wait_for 90 has_main "hbad@$1"
	old=$(main_pid "hbad@$1")
	kill -STOP "$old"
	while ((SECONDS < until)) && ! renewed "hbad@$1" "$old"; do
		sleep 0.5
	done
	kill -CONT "$old" 2>/dev/null || true
	wait_for 90 has_main "hbad@$1"
}

# Who was about to end it may do so yet: its threads look dead until they move, and the next look comes after 4 s.
after_stop() {
	sleep 6
	wait_for 90 has_main "hbad@$1"
	wait_for 90 systemctl is-active -q "hbad@$1"
}

event_restart() {
	systemctl restart "hbad@$1"
}

# unless_reset COMMAND...: refused while the controller is being reset, and tried again then
unless_reset() {
	local until=$((SECONDS + 120))
	until "$@" 2>/tmp/refused; do
		grep -q 'the controller is not ready' /tmp/refused && ((SECONDS < until)) || { cat /tmp/refused >&2 && die "$*"; }
		sleep 0.3
	done
}

# With a second word it may be started anew.
event_upgrade() {
	unless_reset hbactl upgrade "$1" --json >/tmp/upgrade.json
	# virtio and AME are started anew.
	[[ $1 == [va]* || ${2:-} ]] || jq -e .in_place /tmp/upgrade.json >/dev/null || { cat /tmp/upgrade.json && die "not in place"; }
}

# systemd does not start tcmu-runner again by itself everywhere: the administrator does.
# With a word: once more, so many tenths of a second after that, while it takes its devices over.
event_runner_kill() {
	kill_main tcmu-runner
	sleep 1
	systemctl start tcmu-runner
	if ((${1:-0})); then
		sleep "$(($1 / 10)).$(($1 % 10))"
		kill_main tcmu-runner
		sleep 1
		systemctl start tcmu-runner
	fi
}

event_runner_restart() {
	systemctl restart tcmu-runner
}

event_runner_away() {
	systemctl stop tcmu-runner
	sleep "$1"
	systemctl start tcmu-runner
}

event_both() {
	local old
	wait_for 90 has_main "hbad@$1"
	old=$(main_pid "hbad@$1")
	kill_main tcmu-runner "hbad@$1"
	sleep 1
	systemctl start tcmu-runner
	wait_for 90 renewed "hbad@$1" "$old"
}

# The first disk's: on loopback. LIO's iSCSI target loses a place in the session's window for each command that a LUN RESET
# ends (case 220).
event_lun_reset() {
	sg_reset -N -d "$(head -n 1 $SOAK_DISKS)" >/dev/null
}

event_rescan() {
	unless_reset hbactl rescan "$1" >/dev/null
}

# Nothing is left to do: the card is there, and whoever needs to be told is told by the kernel.
event_unplug() {
	wait_for 120 has_state g2 ready
}

# hba-emu was told; what comes of it may meet the next event.
event_fault() {
	:
}

# Commands wait for a controller that is unplugged; without the hold time they would fail, as they should.
soak_configure() {
	local g
	need_attached $CONTROLLERS
	for g in $CONTROLLERS; do
		sed -i '/^hold_s=/d; /^\[controller\]/a hold_s=120' "/etc/hbad/$g.conf"
		systemctl restart "hbad@$g"
		wait_for 60 systemctl is-active -q "hbad@$g"
	done
}

# soak_begin DISK...
soak_begin() {
	local disk
	printf '%s\n' "$@" >$SOAK_DISKS
	rm -f $SOAK_USAGE
	# Longer than any pause here: the initiator has to be content with waiting.
	for disk; do
		echo 300 >"/sys/block/${disk##*/}/device/timeout"
	done
	journalctl --rotate -q
	date +%s >/run/soak.since
	load_start "$@"
	load_progress "$@"
	usage_seen
	processes >$SOAK_PROCESSES
	date +%s >$SOAK_PROCESSES.since
}

processes() {
	local unit
	for unit in tcmu-runner $(for g in $CONTROLLERS; do echo "hbad@$g"; done); do
		echo "$unit $(main_pid "$unit")"
	done | sort
}

# nobody_else EVENT [INSTANCE]: who hangs is killed and replaced before anybody complains. So nobody may be another process but
# those that the event has ended, and nobody may have been killed for his silence but who was stopped.
nobody_else() {
	local may='^$' other
	case $1 in
	kill | stop | restart | upgrade) may="^hbad@$2\$" ;;
	runner-*) may='^tcmu-runner$' ;;
	both) may="^(tcmu-runner|hbad@$2)\$" ;;
	esac
	processes >$SOAK_PROCESSES.new
	other=$(comm -13 $SOAK_PROCESSES $SOAK_PROCESSES.new | awk -v may="$may" '$1 !~ may { print $1 }')
	mv $SOAK_PROCESSES.new $SOAK_PROCESSES
	[[ ! $other ]] || die "another process, and nobody has ended the one before: $other"
	journalctl --sync
	if [[ $1 != stop ]] && journalctl -q -o cat --since "@$(cat $SOAK_PROCESSES.since)" -u 'hbad@*' -u tcmu-runner |
		grep -E 'Watchdog timeout|: it is killed'; then
		die "somebody was killed for his silence"
	fi
	date +%s >$SOAK_PROCESSES.since
}

# happen EVENT PAUSE [WORD...]: after PAUSE tenths of a second. Prints after how many milliseconds all LUNs
# completed commands again.
happen() {
	local event=$1 start took
	local -a disks
	mapfile -t disks <$SOAK_DISKS
	sleep "$(($2 / 10)).$(($2 % 10))"
	shift 2
	start=${EPOCHREALTIME/./}
	"event_${event//-/_}" "$@"
	resumed 120 "${disks[@]}"
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	if [[ $event == stop ]]; then
		after_stop "$@"
		resumed 120 "${disks[@]}"
	fi
	load_lives
	nobody_else "$event" "$@"
	usage_seen
	echo "$took ms"
}

# resumed SECONDS DISK...: each has completed something since
resumed() {
	local until=$((SECONDS + $1)) i waiting=yes
	local -a before after
	shift
	mapfile -t before < <(completed "$@")
	while [[ $waiting ]]; do
		sleep 0.2
		waiting=
		mapfile -t after < <(completed "$@")
		for i in "${!before[@]}"; do
			((after[i] > before[i])) || waiting+=" ${*:i + 1:1}"
		done
		[[ ! $waiting ]] || ((SECONDS < until)) || die "nothing is completed on$waiting"
	done
}

# It ends by itself only when something is wrong.
load_lives() {
	local file unit
	for file in $(load_files); do
		unit=$(load_unit "$file")
		! unit_ended "$unit" || { cat "$file"* && die "$unit has ended"; }
	done
}

# usage_seen: notes what the processes use; a line for each process there ever was, with the first and the last figures
usage_seen() {
	local unit pid words
	for unit in tcmu-runner $(for g in $CONTROLLERS; do echo "hbad@$g"; done); do
		pid=$(main_pid "$unit")
		words=$(usage_of "$pid") || continue
		echo "$unit $pid $words" >>$SOAK_USAGE
	done
}

# grown: what a process of each unit uses more than when it was first seen, and the last generation of it more than the first:
# descriptors pass from one to the next. A start takes a moment to have all that it will have, so the second look at each is the
# first that counts. Of a ring's 8 MiB more pages are resident the longer it is used. Looks come after each event: one descriptor
# more for each is a leak also where they are few.
grown() {
	awk '
		{ key = $1 " " $2; seen[key]++ }
		seen[key] == 2 {
			fds[key] = $3; locked[key] = $4; resident[key] = $5
			if (!($1 in first)) first[$1] = $3
			later[$1] = $3 - first[$1]; generations[$1]++
		}
		seen[key] > 2 {
			more = $3 - fds[key]; lock = $4 - locked[key]
			if (more > most[$1]) most[$1] = more
			if (more >= 3 && more >= seen[key] - 2) each[$1] = more " in " seen[key] - 2 " events"
			if (lock > held[$1]) held[$1] = lock
			if ($5 - resident[key] > grew[$1]) grew[$1] = $5 - resident[key]
			if (seen[key] > looks[$1]) looks[$1] = seen[key]
		}
		END {
			for (unit in looks) {
				printf "%s: %d looks at one process; at most %d descriptors, %d KiB locked, %d KiB resident more than at first\n",
					unit, looks[unit], most[unit], held[unit], grew[unit]
				if (unit in each) printf "%s: more descriptors with each event, %s\n", unit, each[unit]
				if (most[unit] > 8 || held[unit] > 1024 || grew[unit] > 40960 || unit in each) bad = 1
			}
			for (unit in later) {
				printf "%s: %d processes; the last began with %d descriptors more than the first\n",
					unit, generations[unit], later[unit]
				if (later[unit] > 8) bad = 1
			}
			exit bad
		}' $SOAK_USAGE
}

# leftovers: tasks that hang, and ends of processes that nobody ordered
leftovers() {
	local words g
	no_hung_tasks
	for g in $CONTROLLERS; do
		words=$(systemctl show -p NFileDescriptorStore --value "hbad@$g")
		((words == 0)) || { echo "systemd keeps $words descriptors of $g" && return 1; }
	done
	words=$(journalctl -q -o cat --since "@$(cat /run/soak.since)" -u 'hbad@*' -u tcmu-runner |
		grep -E 'code=dumped|status=[0-9]+/(SEGV|ABRT|BUS|FPE|ILL|TRAP|SYS)|code=exited, status=[1-9]') &&
		{ echo "unexpected ends: $words" && return 1; }
	words=$(systemctl list-units --failed --no-legend --plain 'hbad@*' tcmu-runner.service)
	[[ ! $words ]] || { echo "failed units: $words" && return 1; }
}
