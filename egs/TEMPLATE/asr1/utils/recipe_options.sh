# What every recipe's run.sh does with its options; sourced by it.

# usage: print the comment at the head of run.sh, and the options of asr.sh.
usage() {
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    printf '\n%s\n' "Options of asr.sh:"
    ./asr.sh --help
}

# one_word OPTION FOLDER: stop where the name of the folder is not one word, as asr.sh
# hands options to local/data.sh as words.
one_word() {
    case "$2" in
        *[[:space:]*?[]*)
            echo "run.sh: $1 '$2': no spaces, * ? or [ in the name of the folder," \
                "please: give a symbolic link to it" >&2
            exit 2 ;;
    esac
}
