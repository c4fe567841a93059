#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Each hazard of owning a TCMU ring (README.md) has its line in tests/hazards: a test that is there and says the hazard's
# number, or the reason why it needs none. Usage: hazards.sh TOP
set -eu

cd "$1"
list=tests/hazards
count=27
bad=0

complain() {
	echo "$list: $*"
	bad=1
}

# says NUMBER FILE [TEST]: the comment right above that test, or at the head of the file, has the number
says() {
	# shellcheck disable=SC2016 # awk's own
	awk -v number="$1" -v test="${3:-}" '
		function has(text) { return text ~ "(^|[^A-Za-z0-9_])" number "([^0-9]|$)" }
		test == "" { found = found || has($0); next }
		NR < 12 && !ended { head = head "\n" $0; ended = /^#include/ }
		/^$/ { above = "" }
		{ above = above "\n" $0 }
		index($0, "START_TEST(" test ")") == 1 { found = has(above) || has(head) }
		END { exit !found }' "$2"
}

check() {
	file=${2%%:*}
	test=
	case $2 in *:*) test=${2#*:} ;; esac
	if [ "$2" = - ]; then
		[ "$3" ] || complain "$1: no reason"
	elif [ ! -f "$file" ]; then
		complain "$1: there is no $file"
	elif [ ! "$test" ] && grep -q '^START_TEST(' "$file"; then
		complain "$1: which test of $file?"
	elif [ "$test" ] && ! grep -q "^START_TEST($test)" "$file"; then
		complain "$1: $file has no test $test"
	elif [ "$test" ] && [ "$(grep -cw "$test" "$file")" -lt 2 ]; then
		complain "$1: $file does not run $test"
	elif ! says "$1" "$file" "$test"; then
		complain "$1: $2 does not say so"
	elif [ ! "$3" ]; then
		complain "$1: what does $2 show?"
	fi
}

n=0
while read -r hazard where what; do
	case $hazard in '' | '#'*) continue ;; esac
	n=$((n + 1))
	number=${hazard#H}
	case $number in
	"$hazard" | '' | *[!0-9]* | 0*) complain "not a hazard: $hazard" && continue ;;
	esac
	[ "$number" -le "$count" ] || complain "there is no $hazard"
	check "$hazard" "$where" "$what"
done <"$list"

for number in $(seq $count); do
	grep -q "^H$number " "$list" || complain "nothing about H$number"
	grep -q "^| H$number |" README.md || complain "README.md does not tell what H$number is"
done

# And the other way round: what a test says that it is about, people look for here.
while IFS=: read -r file number; do
	grep -q -e "^$number ${file}:" -e "^$number $file " "$list" || complain "$file names $number and is not here with it"
done <<END
$(grep -rowE 'H[0-9]+' tests/unit tests/integration tests/soak tests/fuzz tests/lab/cases --include='test_*.c' --include='fuzz_*.c' --include='[0-9][0-9][0-9]-*')
END
[ $bad = 0 ] || exit 1
echo "$n lines, $count hazards"
