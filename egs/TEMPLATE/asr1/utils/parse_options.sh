# Options of a script: `parse_options "$@"` reads --name value and --name=value.
#
# The options are the assignments of the calling script between the lines
# "# >>> options" and "# <<< options": each is declared, defaulted and documented there
# and nowhere else. A default of true or false, or a number, is also the option's type.

log() {
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (${0##*/}) $*"
}

die() {
    echo "${0##*/}: error: $*" >&2
    exit 2
}

# quote_words WORD...: the words as one would type them, a space after each.
quote_words() {
    local word
    for word in "$@"; do
        if [[ "${word}" =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]]; then
            printf '%s ' "${word}"
        else
            printf "'%s' " "${word//\'/\'\\\'\'}"
        fi
    done
}

_option_block() {
    sed -n '/^# >>> options/,/^# <<< options/p' "$0"
}

option_names() {
    _option_block | sed -n 's/^\([a-z][a-z0-9_]*\)=.*/\1/p'
}

# The text of --help: every option with its default and its comment.
usage() {
    echo "Usage: $0 [--option value | --option=value] ..."
    _option_block | awk '
        /^## /      { if (!heading) print ""; print substr($0, 4); heading = 1; next }
        { heading = 0 }
        /^[a-z][a-z0-9_]*=/ {
            split($0, part, /[ ]+# /)
            name = part[1]; sub(/=.*/, "", name)
            value = part[1]; sub(/^[^=]*=/, "", value); gsub(/"/, "", value)
            printf "  --%-24s %s (default: %s)\n", name, part[2], \
                value == "" ? "none" : value
            next
        }
        /^ +# /     { sub(/^ +# /, ""); printf "    %-24s %s\n", "", $0 }'
}

# Known options, nearest first by edit distance, to the unknown one.
_nearest_option() {
    option_names | awk -v wanted="$1" '
        function least(a, b) { return a < b ? a : b }
        function distance(s, t,    i, j, n, m, d) {
            n = length(s); m = length(t)
            for (i = 0; i <= n; i++) d[i, 0] = i
            for (j = 0; j <= m; j++) d[0, j] = j
            for (i = 1; i <= n; i++)
                for (j = 1; j <= m; j++)
                    d[i, j] = least(least(d[i-1, j] + 1, d[i, j-1] + 1), \
                        d[i-1, j-1] + (substr(s, i, 1) != substr(t, j, 1)))
            return d[n, m]
        }
        { x = distance(wanted, $0); if (best == "" || x < low) { low = x; best = $0 } }
        END { print best }'
}

_check_option() {  # name, default, new value
    case "$2" in
        true | false)
            [[ "$3" =~ ^(true|false)$ ]] || die "--$1 $3: must be true or false"
            ;;
        *)
            if [[ "$2" =~ ^[0-9]+([.][0-9]+)?$ && ! "$3" =~ ^[0-9]+([.][0-9]+)?$ ]]
            then
                die "--$1 $3: must be a number, such as $2"
            fi
            ;;
    esac
}

parse_options() {
    local known name value default
    known=" $(option_names | tr '\n' ' ')"
    for name in ${known}; do local "_default_${name}=${!name}"; done
    while [ $# -gt 0 ]; do
        case "$1" in
            -h | --help)
                usage
                exit 0
                ;;
            --*=*)
                name=${1%%=*}
                value=${1#*=}
                shift
                ;;
            --*)
                [ $# -ge 2 ] || die "option $1 has no value; see $0 --help"
                name=$1
                value=$2
                shift 2
                ;;
            *)
                die "unexpected argument '$1': options are --name value; see $0 --help"
                ;;
        esac
        name=${name#--}
        name=${name//-/_}
        if [[ "${known}" != *" ${name} "* ]]; then
            die "unknown option --${name}; the nearest is --$(_nearest_option "${name}");" \
                "see $0 --help"
        fi
        default=_default_${name}
        _check_option "${name}" "${!default}" "${value}"
        printf -v "${name}" '%s' "${value}"
    done
}
