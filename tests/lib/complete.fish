# complete.fish QUERIES ANSWERS - what fish completes command lines to, see complete.zsh
#
# XDG_DATA_DIRS has fish/vendor_completions.d/tbmqctl.fish.
while read -l line
    set -l found (complete -C $line | string split -f 1 \t)
    echo $line\t"$found"
end <$argv[1] >$argv[2]
