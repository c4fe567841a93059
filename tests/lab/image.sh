# SPDX-License-Identifier: GPL-2.0-or-later
# The guest image: stock Debian, made without mounts, cached by the hash of its recipe.
# shellcheck shell=bash

# The documentation is half of the files, and nobody reads it in the guest.
IMAGE_EXCLUDES=(/usr/share/man /usr/share/doc /usr/share/locale /usr/share/info /usr/share/i18n)

ssh_key() {
	local key=$CACHE/ssh/id
	(
		mkdir -p "$CACHE/ssh"
		exec 8>"$CACHE/ssh/lock"
		flock 8
		[[ -f $key ]] || ssh-keygen -q -t ed25519 -N '' -C hbad-lab -f "$key"
	)
	printf '%s\n' "$key"
}

# release_of IMAGE: the Debian release that it is made from. The image backports is trixie with the newest kernel that
# Debian has for it.
release_of() {
	if [[ $1 == backports ]]; then echo trixie; else printf '%s\n' "$1"; fi
}

# guest_packages IMAGE
guest_packages() {
	if [[ $1 == backports ]]; then
		packages_of guest guest-trixie | sed 's:^linux-image-amd64$:&/trixie-backports:'
	else
		packages_of guest "guest-$1"
	fi
}

# backports RELEASE: the option of mmdebstrap that adds its backports
backports() {
	printf '%s' "--setup-hook=echo 'deb ${HBAD_MIRROR:-http://deb.debian.org/debian} $1-backports main'" \
		" >\"\$1/etc/apt/sources.list.d/backports.list\""
}

image_key() {
	{
		printf '%s\n' "$1"
		guest_packages "$1"
		cat "$LAB/image.sh" "$LAB/guest-setup" "$(ssh_key).pub"
		(cd "$LAB/guest" && find . -type f -print -exec cat {} + | sort)
	} | sha256sum | cut -c1-12
}

image_dir() {
	printf '%s/image/%s-%s\n' "$CACHE" "$1" "$(image_key "$1")"
}

# debootstrap_to DIR RELEASE PACKAGE... [-- MMDEBSTRAP-OPTION...]
debootstrap_to() {
	local dir=$1 release=$2 path
	local -a options=() packages=()
	shift 2
	while (($#)) && [[ $1 != -- ]]; do
		packages+=("$1")
		shift
	done
	(($#)) && shift
	for path in "${IMAGE_EXCLUDES[@]}"; do
		options+=(--dpkgopt="path-exclude=$path/*")
	done
	# HBAD_MIRROR: a nearer mirror than the default one.
	mmdebstrap --quiet --variant=apt --format=directory --skip=check/qemu \
		--include="$(IFS=,; printf %s "${packages[*]}")" \
		--aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
		--dpkgopt=force-unsafe-io "${options[@]}" "$@" \
		"$release" "$dir" ${HBAD_MIRROR:+"$HBAD_MIRROR"}
}

# A chain, since errexit is off in a function that stands in a condition.
image_make() {
	local release work=$2 root=$2/root
	local -a packages sources=()
	release=$(release_of "$1")
	mapfile -t packages < <(guest_packages "$1")
	[[ $1 == "$release" ]] || sources=("$(backports "$release")")
	debootstrap_to "$root" "$release" "${packages[@]}" -- "${sources[@]}" \
		--essential-hook="cp -r '$LAB/guest/.' \"\$1\"" \
		--customize-hook="'$LAB/guest-setup' \"\$1\" '$(ssh_key).pub'" &&
		# A machine id that exists keeps systemd from taking each start for the first; mmdebstrap empties it.
		echo 68626164686261646862616468626164 >"$root/etc/machine-id" &&
		cp -L "$root"/boot/vmlinuz-* "$work/vmlinuz" &&
		cp -L "$root"/boot/initrd.img-* "$work/initrd" &&
		dpkg-query --admindir="$root/var/lib/dpkg" -W >"$work/versions" &&
		rm -rf "${root:?}"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* &&
		truncate -s 4G "$work/root.img" &&
		mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$work/root.img" &&
		rm -rf "$root"
}

# An old image stays while a run has its overlay on it.
image_prune() {
	local dir
	for dir in "$CACHE/image/$1"-*; do
		[[ $dir == "$2" || ! -d $dir ]] && continue
		grep -qsxF "$dir" "$CACHE"/run/*/image || rm -rf "$dir"
	done
}

# image_build RELEASE: leaves the image in image_dir; prints what it did on stderr
image_build() {
	local release=$1 dir work start=$SECONDS
	[[ $release =~ ^(bookworm|trixie|backports)$ ]] || die "unknown release: $release"
	dir=$(image_dir "$release")
	[[ -f $dir/root.img ]] && return 0
	mkdir -p "$CACHE/image"
	(
		exec 8>"$CACHE/image/$release.lock"
		flock 8
		# Somebody else may have built it meanwhile.
		[[ -f $dir/root.img ]] && exit 0
		rm -rf "$CACHE/image/new-$release".*
		work=$(mktemp -d "$CACHE/image/new-$release.XXXXXX")
		image_make "$release" "$work" >"$CACHE/image/$release.log" 2>&1 8>&- || {
			tail -n 20 "$CACHE/image/$release.log" >&2
			rm -rf "$work"
			die "the image of $release could not be made"
		}
		mv "$work" "$dir"
		image_prune "$release" "$dir"
		note "made the $release image in $((SECONDS - start)) s"
	)
}
