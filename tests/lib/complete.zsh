# complete.zsh SHARE QUERIES ANSWERS - what an interactive zsh completes command lines to
#
# SHARE has zsh/site-functions/_tbmqctl. A line of ANSWERS is a line of QUERIES with a tab and the candidates behind
# it. zsh completes in its line editor only: one runs at a pseudo terminal, reads this file too, and writes down
# candidates on their way to it.
if [[ ! -o interactive ]]; then
	zmodload zsh/zpty
	export SHARE=$1 QUERIES=$2 ANSWERS=$3
	zpty shell zsh -f -i
	zpty -w shell "source ${(q)0:A}"
	while zpty -r shell line; do :; done # until it ends
	return
fi

fpath=($SHARE/zsh/site-functions $fpath)
LISTMAX=100000
autoload -Uz compinit && compinit -D -u

compadd() {
	local -a found
	if [[ ${argv[1,(i)(-|--)]} != *-[AOD]* ]]; then
		builtin compadd -O found "$@"
		candidates+=($found)
	fi
	builtin compadd "$@"
}

zle-line-init() {
	local line
	for line in "${(@f)$(<$QUERIES)}"; do
		candidates=()
		BUFFER=$line CURSOR=$#line
		zle list-choices
		print -r -- "$line"$'\t'"$candidates" >>$ANSWERS
	done
	exit
}
zle -N zle-line-init
