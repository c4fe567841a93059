# SPDX-License-Identifier: GPL-2.0-or-later
# Controllers that QEMU has no model of: hba-emu serves them, and QEMU 10.1 or later puts them into the guest.
# shellcheck shell=bash
#
# In the guest they are PCI Express devices behind root ports. Their drives are files, as those of QEMU's controllers.

# emu_prefix MODEL: the instance's name in the cases; the drives are called after it
emu_prefix() {
	case $1 in
	sas2108) echo m1 ;;
	sas3108) echo f1 ;;
	ame) echo a1 ;;
	ame-626f) echo a2 ;;
	virtio-emu) echo v2 ;;
	*) return 1 ;;
	esac
}

emu_model() {
	case $1 in
	m1) echo sas2108 ;;
	f1) echo sas3108 ;;
	a1) echo ame-6262 ;;
	a2) echo ame-626f ;;
	v2) echo virtio ;;
	esac
}

# --- QEMU ---

# qemu_tree: a directory tree with Debian's newest QEMU for its stable release, made once
qemu_tree() {
	printf '%s/qemu/trixie-backports-1\n' "$CACHE"
}

qemu_tree_build() {
	local dir work start=$SECONDS
	dir=$(qemu_tree)
	[[ -d $dir ]] && return 0
	mkdir -p "$CACHE/qemu"
	(
		exec 8>"$CACHE/qemu/lock"
		flock 8
		[[ -d $dir ]] && exit 0
		rm -rf "$CACHE"/qemu/new.*
		work=$(mktemp -d "$CACHE/qemu/new.XXXXXX")
		{ debootstrap_to "$work/tree" trixie qemu-system-x86 -- --aptopt='APT::Default-Release "trixie-backports"' \
			"$(backports trixie)" \
			>"$CACHE/qemu/build.log" 2>&1 8>&- && rm -rf "$work/tree/var/"{cache,lib}/apt/*; } || {
			tail -n 20 "$CACHE/qemu/build.log" >&2
			rm -rf "$work"
			die "no QEMU 10.1 or later on this machine, and its tree could not be made"
		}
		mv "$work/tree" "$dir"
		rm -rf "$work"
		note "made a tree with QEMU of trixie-backports in $((SECONDS - start)) s"
	)
}

# emu_qemu: sets QEMU_PROGRAM to one that knows vfio-user-pci: this machine's, or that of the tree, which runs without
# root or chroot by its own loader and libraries
# shellcheck disable=SC2034 # vm.sh reads it
emu_qemu() {
	local dir lib
	if qemu-system-x86_64 -device help 2>/dev/null | grep -q '"vfio-user-pci"'; then
		QEMU_PROGRAM=(qemu-system-x86_64)
		return 0
	fi
	qemu_tree_build
	dir=$(qemu_tree)
	lib=$dir/usr/lib/x86_64-linux-gnu
	QEMU_PROGRAM=(env "QEMU_MODULE_DIR=$lib/qemu" "$dir/usr/lib64/ld-linux-x86-64.so.2" --library-path "$lib"
		"$dir/usr/bin/qemu-system-x86_64" -L "$dir/usr/share/qemu" -L "$dir/usr/share/seabios")
}

# --- hba-emu ---

# emu_build: HBA_EMU, built from this checkout unless it is set already
emu_build() {
	local build
	[[ ${HBA_EMU:-} ]] && return 0
	build=$(build_dir emu)
	need_packages build
	mkdir -p "$build"
	(
		exec 8>"$build.lock"
		flock 8
		cmake -S "$TOP" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=ON &&
			cmake --build "$build" --target hba-emu
	) </dev/null >"$build.log" 2>&1 || {
		tail -n 40 "$build.log" >&2
		die "hba-emu does not build (all of it: $build.log)"
	}
	HBA_EMU=$build/tests/emu/hba-emu
}

# emu_units PREFIX: --unit options; each has an identity of its own
emu_units() {
	local g=$1 n box
	case $g in
	m1) box=01 ;;
	f1) box=02 ;;
	a1) box=03 ;;
	a2) box=04 ;;
	v2) box=05 ;;
	esac
	for n in 0 1 2; do
		[[ -f $RUN/${g}d$n.img ]] || truncate -s 2G "$RUN/${g}d$n.img"
		printf '%s\n' --unit \
			"ld$n,size=2G,file=$RUN/${g}d$n.img,serial=${g^^}D${n}SERIAL,naa=0x600605b0${box}00000$n"
	done
}

emu_pid() {
	local pid
	pid=$(cat "$RUN/emu-$1.pid" 2>/dev/null) || return 1
	tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "--socket $SOCKETS/$1 " || return 1
	printf '%s\n' "$pid"
}

# emu_start PREFIX: serves it at $SOCKETS/PREFIX, with commands at $SOCKETS/PREFIX.ctl
emu_start() {
	local g=$1 deadline=$((SECONDS + 60)) pid
	local -a units extra
	mapfile -t units < <(emu_units "$g")
	# Experiments: faults, other caches.
	read -ra extra <<<"${LAB_EMU_ARGS:-}"
	setsid "$HBA_EMU" --socket "$SOCKETS/$g" --control "$SOCKETS/$g.ctl" --model "$(emu_model "$g")" "${units[@]}" \
		"${extra[@]}" </dev/null >"$RUN/emu-$g.log" 2>&1 7>&- 8>&- 9>&- &
	pid=$!
	echo "$pid" >"$RUN/emu-$g.pid"
	until [[ -S $SOCKETS/$g.ctl && -S $SOCKETS/$g ]]; do
		kill -0 "$pid" 2>/dev/null || { cat "$RUN/emu-$g.log" >&2; die "hba-emu did not start"; }
		((SECONDS < deadline)) || { kill "$pid"; die "hba-emu does not serve its socket"; }
		sleep 0.2
	done
}

# emu_command PREFIX WORD...: one command of the control socket; prints its answer, status 1 when that is an error
emu_command() {
	local g=$1
	shift
	emu_pid "$g" >/dev/null || die "no emulated controller $g in run '$NAME'"
	python3 -c '
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(sys.argv[1])
s.sendall((" ".join(sys.argv[2:]) + "\n").encode())
line = s.makefile().readline()
sys.stdout.write(line)
sys.exit(not json.loads(line)["ok"])' "$SOCKETS/$g.ctl" "$@"
}

# emu_stat PREFIX NAME: one counter
emu_stat() {
	emu_command "$1" stats | jq_number "$2"
}

# emu_unit_stat PREFIX UNIT NAME
emu_unit_stat() {
	emu_command "$1" status | python3 -c '
import json, sys
print(next(u for u in json.load(sys.stdin)["units"] if u["name"] == sys.argv[1])[sys.argv[2]])' "$2" "$3"
}

jq_number() {
	python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

# emu_list: the prefixes of this run
emu_list() {
	local file
	for file in "$RUN"/emu-*.pid; do
		[[ -f $file ]] || continue
		file=${file##*/emu-}
		printf '%s\n' "${file%.pid}"
	done
}

# emu_wrong: says what was wrong with the DMA of this run's controllers, or with what was said to them; status 1 when nothing was
emu_wrong() {
	local g what wrong found=1
	for g in $(emu_list); do
		emu_pid "$g" >/dev/null || { echo "hba-emu of $g is gone: $(tail -n 3 "$RUN/emu-$g.log")" && found=0 && continue; }
		for what in wrong_dma protocol_errors bad_messages; do
			wrong=$(emu_stat "$g" "$what") || { echo "hba-emu of $g does not tell its $what" && found=0 && continue; }
			((wrong == 0)) || { echo "$g: $what, $wrong times: $(grep -vE ': client [0-9]+: (connected|closed, it left)' \
				"$RUN/emu-$g.log" | tail -n 5)" && found=0; }
		done
	done
	return "$found"
}

emu_stop_all() {
	local g pid
	for g in $(emu_list); do
		pid=$(emu_pid "$g") || continue
		kill "$pid" 2>/dev/null || true
	done
}
