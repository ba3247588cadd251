# What every recipe's local/biasing_lists.sh does with its options; sourced by it.
# shellcheck disable=SC2034  # the scripts use what is read here

# read_list_options "$@": options named in own_options become variables of their names.
# set_name is the set whose text is in --text, rest what goes on to the command.
read_list_options() {
    local name
    rest=() set_name=""
    while [ $# -gt 0 ]; do
        if [[ "$1" == --*=* ]]; then set -- "${1%%=*}" "${1#*=}" "${@:2}"; fi
        name=${1#--}
        if [[ " ${own_options} " == *" ${name} "* ]]; then
            printf -v "${name}" %s "${2:?$1 needs a value}"
            shift 2
            continue
        fi
        [ "$1" != --text ] || set_name=$(basename "$(dirname "${2:?--text needs a file}")")
        rest+=("$1")
        shift
    done
    [ -n "${set_name}" ] || {
        echo "$0: --text SET/text is needed, the transcripts to make lists for" >&2
        exit 2
    }
}

# data_option NAME: what --NAME is in the options of local/data.sh, which the driver
# hands on as local_data_opts: where data came from, its lists may be, too.
data_option() {
    [[ ! " ${local_data_opts:-} " =~ " --$1"[\ =]+([^\ ]+) ]] || echo "${BASH_REMATCH[1]}"
}

# make_set_lists OPTION...: make the lists; where the user says what is true, without
# the options of the recipe.
make_set_lists() {
    if [[ " ${rest[*]} " =~ " --"(phrases|common|cased_text|published)" " ]]; then set --; fi
    # shellcheck disable=SC2086  # --python may be a command with arguments
    exec ${python:-python3} -m espnet_dynlook.recipe.set_lists "$@" "${rest[@]}"
}
