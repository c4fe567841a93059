#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/lab/campaign in a checkout whose lab boots nothing: what is run, in what order, what is run again, what is said.
# Usage: campaign.sh TOP. Exit 77: skipped.
set -u

for program in python3 git; do
	command -v $program >/dev/null || { echo "skipped: no $program" && exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
top=$work/top
calls=$work/calls
list=$work/list
mkdir -p "$top/tests/lab/campaigns" "$top/tests/fuzz"
cp "$1/tests/lab/campaign" "$top/tests/lab/"
cp "$1"/tests/lab/campaigns/* "$top/tests/lab/campaigns/"
for program in lab/lab lab/soak lab/judge fuzz/run; do
	cat >"$top/tests/$program" <<'FAKE'
#!/bin/sh
echo "${0##*/} $* [${LAB_QEMU_ARGS-none}]" >>"$CALLS"
echo "$LAB_NAME" >>"$CALLS.names"
case "$*" in
case*) echo '2 passed, 0 failed, 0 skipped' ;;
*seed*) echo '7 events in 3 s, 0 wrong' && echo 'again: soak' ;;
down) echo 'powered off' ;;
esac
case "$*" in *bad*) exit 1 ;; esac
FAKE
	chmod +x "$top/tests/$program"
done
export CALLS="$calls" XDG_CACHE_HOME="$work/cache" HOME="$work" GIT_CONFIG_NOSYSTEM=1
unset LAB_QEMU_ARGS
commit() {
	git -C "$top" add -A && git -C "$top" -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m "$1"
}
git -C "$top" -c init.defaultBranch=main init -q && commit first || exit 1

complain() {
	echo "$*"
	cat "$work/out" "$calls" 2>/dev/null
	failed=1
}

# campaign STATUS ARGUMENT...: with the list; what it prints is in $work/out, what it called in $calls
campaign() {
	wanted=$1 status=0
	shift
	: >"$calls"
	"$top/tests/lab/campaign" "$list" --out "$work/state" "$@" >"$work/out" 2>&1 || status=$?
	[ "$status" -eq "$wanted" ] || complain "campaign $*: status $status, not $wanted"
}

# says WORDS...: a line each that is to be in what it printed
says() {
	for words; do
		tr -s ' ' <"$work/out" | grep -qF -e "$words" || complain "it does not say: $words"
	done
}

called() {
	[ "$(cat "$calls")" = "$1" ] || complain "it has not called: $1"
}

# What a list may not have, by line.
bad() {
	printf 'good - - command true\n\n%s\n' "$1" >"$list"
	campaign 1
	says "$list:3: $2"
	called ''
}
bad 'x sas3108 -' 'a job has'
bad 'x sas3108 nonsense case 1' 'not a setting: nonsense'
bad 'x sas3108 - nonsense 1' 'not a thing to run: nonsense'
bad 'x sas3108 A=1 alone' 'not a thing to run: nothing'
bad 'x/y sas3108 - case 1' 'not a name'
bad 'x a/b - case 1' 'not a list of controllers'
bad 'x - - case 1' 'case takes controllers'
bad 'x gen1 - judge' 'judge takes no controllers'
bad 'x gen1 - case' 'case: which?'
bad 'good - - command true' 'a second job good'
bad "x - A='1 command true" 'No closing quotation'
: >"$list"
campaign 1
says 'no jobs'

# In the order of the list, but what runs alone comes last.
cat >"$list" <<'EOS'
# a comment
alone    sas3108     alone          case 440
cases    ame         A=1 B='2 3'    case -v 010 020   # another
hours    gen1,gen2   -              soak --seed 3
judge    -           -              judge bad
inputs   -           -              fuzz ame
words    -           B='2 3'        command sh -c 'echo "B is $B"; test "$B" = "2 3"'
skips    -           -              command echo '0 passed, 0 failed, 1 skipped'
EOS
campaign 0 --list
says 'alone sas3108 alone case 440' 'cases ame case -v 010 020'
campaign 1 --only none
says 'has no job none'
campaign 1 --status
says 'cases - ' '0 passed, 0 failed, 7 to run'
called ''
campaign 1
called "lab down [none]
lab up --hba ame [none]
lab install [none]
lab case -v 010 020 [none]
lab down [none]
lab down [none]
soak --hba gen1,gen2 --seed 3 [none]
lab down [none]
judge --logs $work/state/judge.logs bad [none]
run ame [none]
lab down [none]
lab up --hba sas3108 [none]
lab install [none]
lab case 440 [none]
lab down [none]"
says '2 passed, 0 failed, 0 skipped' '7 events in 3 s, 0 wrong' 'B is 2 3' '5 passed, 2 failed, 0 to run'
[ "$(sort -u "$calls.names" | grep -c '^campaign-[0-9a-f]\{6\}-')" -eq 5 ] || complain "guests do not have names of their own"
grep -q 'case -v 010 020' "$work/state/cases.log" || complain "no log"

# What has passed stays; the rest is run again.
campaign 1 --json
sed -n '/^{/,$p' "$work/out" >"$work/json"
called "judge --logs $work/state/judge.logs bad [none]"
python3 -c '
import json, sys
jobs = {j["name"]: j for j in json.load(open(sys.argv[1]))["jobs"]}
assert len(jobs) == 7, jobs
assert {n for n, j in jobs.items() if j["verdict"] == "PASS"} == {"alone", "cases", "hours", "inputs", "words"}, jobs
assert jobs["skips"]["verdict"] == jobs["judge"]["verdict"] == "FAIL", jobs
assert jobs["hours"]["said"] == "7 events in 3 s, 0 wrong" and jobs["hours"]["seconds"] >= 0, jobs
' "$work/json" 2>"$work/out" || complain "--json"
campaign 0 --only cases alone
called ''

# Another line of the list, another file, another commit: what has passed has to pass again.
sed -i 's/020/030/' "$list"
campaign 1 --status
says 'cases old '
called ''
campaign 0 --only cases
grep -q 'case -v 010 030' "$calls" || complain "a changed line was not run"
echo '# changed' >>"$top/tests/lab/soak"
campaign 1 --status --only words
says 'words old '
campaign 0 --only words
commit second
campaign 1 --status --only words
says 'words old ' 'PASS, of another checkout'
campaign 0 --only words
campaign 0 --only words --status

# Two at once are guests of one processor; what runs alone is not, nor what has settings of its own.
cat >"$list" <<'EOS'
alone  -    alone              command sh -c 'echo alone $LAB_QEMU_ARGS >>$CALLS'
one    -    -                  command sh -c 'touch $CALLS.one; until [ -e $CALLS.two ]; do sleep 0.1; done; echo $LAB_QEMU_ARGS >>$CALLS'
two    -    LAB_QEMU_ARGS=two  command sh -c 'touch $CALLS.two; until [ -e $CALLS.one ]; do sleep 0.1; done; sleep 1; echo $LAB_QEMU_ARGS >>$CALLS'
EOS
campaign 0 --guests 2
called '-smp 1
two
alone'

# Whoever ends it ends its jobs, whatever groups they are in, and can go on.
cat >"$list" <<'EOS'
short  -       -  command true
long   sas3108 -  command timeout 300 sh -c 'echo $$ >$CALLS.pid; sleep 300'
later  -       -  command true
EOS
rm -f "$calls.pid"
: >"$calls"
"$top/tests/lab/campaign" "$list" --out "$work/state" >"$work/out" 2>&1 &
pid=$!
until [ -s "$calls.pid" ]; do sleep 0.1; done
if "$top/tests/lab/campaign" "$list" --out "$work/state" >"$work/second" 2>&1 || ! grep -q 'another campaign' "$work/second"; then
	complain "two at once in one directory"
fi
kill -TERM $pid
! wait $pid || complain "status 0 of one that was ended"
if kill -0 "$(cat "$calls.pid")" 2>/dev/null; then complain "a job goes on"; fi
[ "$(tail -n 1 "$calls")" = 'lab down [none]' ] || complain "the guest was left"
says 'long: stopped' '1 passed, 0 failed, 2 to run'
campaign 1 --status
says 'short PASS' 'long - ' 'later - '

# The lists that are shipped.
for file in "$1"/tests/lab/campaigns/*; do
	list=${file##*/}
	campaign 0 --list
done
exit $failed
