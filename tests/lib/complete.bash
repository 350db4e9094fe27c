# complete.bash SHARE QUERIES ANSWERS - what bash completes command lines to, see complete.zsh
#
# SHARE has bash-completion/completions/tbmqctl, which bash-completion finds and loads.
# shellcheck shell=bash disable=SC2034
XDG_DATA_DIRS=$1
# shellcheck disable=SC1091
source /usr/share/bash-completion/bash_completion
if type _comp_load >/dev/null 2>&1; then
	_comp_load tbmqctl
else
	_completion_loader tbmqctl
fi
set -u # as some have it
function=$(complete -p tbmqctl | sed 's/.*-F \([^ ]*\).*/\1/')
compopt() { :; } # is for completion that readline has asked for

while IFS= read -r COMP_LINE; do
	read -ra COMP_WORDS <<<"${COMP_LINE//=/ = }" # as readline parts them
	[[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	"$function" tbmqctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
	printf '%s\t%s\n' "$COMP_LINE" "${COMPREPLY[*]}"
done <"$2" >"$3"
