# Helpers of the stages around jobs.

# min N...: the smallest.
min() {
    local least=$1 n
    for n in "$@"; do
        [ "${n}" -ge "${least}" ] || least=${n}
    done
    echo "${least}"
}

count_lines() {
    wc -l <"$1" | tr -d ' '
}

# split_scp FILE N PREFIX: cut FILE into PREFIX.1.scp ... PREFIX.N.scp, in order, as
# evenly as lines allow.
split_scp() {
    local file=$1 n=$2 prefix=$3
    mkdir -p "$(dirname "${prefix}")"
    awk -v n="${n}" -v total="$(count_lines "${file}")" -v prefix="${prefix}" '
        { print > (prefix "." (int((NR - 1) * n / total) + 1) ".scp") }' "${file}"
}

# rotate_log FILE: keep earlier logs as FILE.1.log, the newest, FILE.2.log, ...
rotate_log() {
    local stem=${1%.log} n=1
    [ -e "$1" ] || return 0
    while [ -e "${stem}.${n}.log" ]; do n=$((n + 1)); done
    while [ "${n}" -gt 1 ]; do
        mv "${stem}.$((n - 1)).log" "${stem}.${n}.log"
        n=$((n - 1))
    done
    mv "$1" "${stem}.1.log"
}

# write_run_script FOLDER STAGE: FOLDER/run.sh repeats this command from STAGE.
write_run_script() {
    mkdir -p "$1"
    {
        echo "#!/usr/bin/env bash"
        printf 'cd %q || exit 1\n' "$(pwd)"
        printf 'exec %s--stage %s "$@"\n' "${run_command}" "$2"
    } >"$1/run.sh.new"
    chmod +x "$1/run.sh.new"
    mv "$1/run.sh.new" "$1/run.sh"
    log "To resume from stage $2: $1/run.sh"
}

# stop_if_live FOLDER: two runs in one folder would overwrite each other's checkpoints.
stop_if_live() {
    # shellcheck disable=SC2086
    ${python} -c '
import sys
from espnet_dynlook.training.lock import FolderInUse, FolderLock
try:
    with FolderLock(sys.argv[1]):
        pass
except FolderInUse as error:
    sys.exit(f"asr.sh: error: {error}")
' "$1"
}

# recipe_job LOG MODULE ARGUMENT...: a module of the recipe as one job of nj threads.
recipe_job() {
    local log_file=$1 module=$2
    shift 2
    # shellcheck disable=SC2086
    ${train_cmd} --num_threads "${nj}" "${log_file}" \
        ${python} -m "espnet_dynlook.recipe.${module}" "$@"
    grep -v '^#' "${log_file}" || true
}
