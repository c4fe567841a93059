#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# hbad's options and its exit statuses before it touches anything, as hbad(8) tells them. Usage: usage.sh HBAD MANUAL
set -u

failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect STATUS WORDS ARGUMENT...: WORDS are in what it prints
expect() {
	wanted=$1 words=$2
	shift 2
	status=0
	"$hbad" "$@" >"$work/out" 2>&1 || status=$?
	if [ "$status" -ne "$wanted" ] || ! grep -qF -e "$words" "$work/out"; then
		echo "hbad $*: status $status, not $wanted; or not \"$words\" in:"
		cat "$work/out"
		failed=1
	fi
}

hbad=$1 manual=$2
expect 0 '--capture' --help
expect 0 'hbad ' --version
expect 2 'Give --name'
expect 2 'hbad --help' --no-such-option
expect 2 'one word too many' --name g2 extra
expect 2 '--name' --name
expect 2 '"G2" cannot be an instance name' --name G2
expect 2 'has no name' --name ''
expect 2 'use error, warning, info or debug' --name g2 --log-level loud
expect 1 "$work/none.conf" --name g2 --config "$work/none.conf" --runtime-dir "$work"
printf '[controller]\nthing=1\n' >"$work/bad.conf"
expect 1 'line 2: [controller] has no key "thing"' --name g2 --config "$work/bad.conf" --runtime-dir "$work"

# The options of --help and those that the manual describes are the same.
"$hbad" --help | grep -oE -e '--[a-z]+(-[a-z]+)*' | sort -u >"$work/help"
sed -n '/^\.SH OPTIONS/,/^\.SH LIFE/p' "$manual" | sed 's/\\-/-/g' | sed -n '/^\.TP/{n;p;}' |
	grep -oE -e '--[a-z]+(-[a-z]+)*' | sort -u >"$work/manual"
if ! [ -s "$work/help" ] || ! diff "$work/help" "$work/manual"; then
	echo "hbad --help (<) and the options of hbad(8) (>) differ"
	failed=1
fi
exit "$failed"
