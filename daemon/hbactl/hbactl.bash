# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of hbactl(1)                                              -*- shell-script -*-

_hbactl_instances()
{
	local f
	for f in /etc/hbad/*.conf; do
		[[ -e $f ]] || continue
		f=${f##*/}
		printf '%s\n' "${f%.conf}"
	done
}

_hbactl_addresses()
{
	# Asked of the program, which knows what an HBA is.
	hbactl candidates --json 2>/dev/null | sed -n 's/^.*"address" : "\([0-9a-f:.]*\)".*$/\1/p'
}

_hbactl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local commands='candidates attach detach list show units rescan monitor upgrade probe bind guard help'
	local line i cmd='' start=0

	# A PCI address has colons, at which readline parts words: put the current word together again.
	line=${COMP_LINE:0:COMP_POINT}
	[[ $line == *[[:space:]] ]] && cur='' || cur=${line##*[[:space:]]}
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ " $commands " == *" ${COMP_WORDS[i]} "* ]]; then
			cmd=${COMP_WORDS[i]}
			start=$i
			break
		fi
	done
	if [[ -z $cmd ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$cur")
		return
	fi
	case $prev in
	--as)
		mapfile -t COMPREPLY < <(compgen -W 'sas1078 sas2108 sas2008 sas3108 ame ame-341 virtio' -- "$cur")
		return
		;;
	--capture)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--user | -u)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	--name | -n | --queue-depth | -q | --wait | -w)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		local options='--help'
		case $cmd in
		monitor) options+=' --all --json' ;;
		candidates | list | show | units | rescan | upgrade) options+=' --json' ;;
		attach) options+=' --name --queue-depth --no-start --json' ;;
		detach) options+=' --force --json' ;;
		probe) options+=' --as --capture --json' ;;
		bind) options+=' --wait --user' ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		return
	fi
	case $cmd in
	attach | probe)
		mapfile -t COMPREPLY < <(compgen -W "$(_hbactl_addresses)" -- "$cur")
		# readline replaces only what follows the last colon
		if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
			COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
		fi
		;;
	detach | show | units | rescan | monitor | upgrade | bind | guard)
		((start == COMP_CWORD - 1)) && mapfile -t COMPREPLY < <(compgen -W "$(_hbactl_instances)" -- "$cur")
		;;
	help)
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
		;;
	esac
}

complete -F _hbactl hbactl
