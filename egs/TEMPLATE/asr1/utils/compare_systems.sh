#!/usr/bin/env bash
# Train, decode and score several systems over several seeds, and compare them.
#
#   utils/compare_systems.sh [--jobs 2] [--seeds "1 2 3"] [--asr_args "--max_epoch 5"]
#       [--inference_tag TAG] [--output RESULTS.md] [--title TEXT]
#       SYSTEM [SYSTEM...] -- ./run.sh [options of the recipe]
#
# A system is a configuration conf/train_asr_<system>.yaml; its experiments are
# exp/asr_<system>_seed<n> (--expdir among the recipe's options is another folder than
# exp). Data, tokens and statistics are made once. A run that was broken off goes on
# where it stopped: what is trained and scored is left alone, and where it was made with
# other settings the comparison stops. The page has a table of error rates for each test
# set, every system compared with the first.
set -euo pipefail

jobs=2
seeds="1 2 3"
asr_args=""
inference_tag=compare
output=RESULTS.md
title="Systems compared"
command=$(printf '%q ' "utils/compare_systems.sh" "$@")
# The page should be read on other machines too.
[ -z "${DYNLOOK_DATA:-}" ] || command=${command//"${DYNLOOK_DATA}"/'$DYNLOOK_DATA'}

systems=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$1" in
        --jobs | --seeds | --asr_args | --inference_tag | --output | --title)
            printf -v "${1#--}" '%s' "${2?$1 needs a value}"; shift 2 ;;
        -*) echo "$0: unknown option $1" >&2; exit 1 ;;
        *)
            [ -e "conf/train_asr_$1.yaml" ] ||
                { echo "$0: no conf/train_asr_$1.yaml for the system $1" >&2; exit 1; }
            systems+=("$1"); shift ;;
    esac
done
if [ ${#systems[@]} -lt 2 ] || [ $# -lt 2 ]; then
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 1
fi
shift
run=("$@")

die() {
    echo "$0: $*" >&2
    exit 1
}

# split_run: the recipe's expdir, and the run command without what has no influence on
# results, as one line.
split_run() {
    local i word skip=false
    expdir=exp
    run_settings=""
    for i in "${!run[@]}"; do
        word=${run[i]}
        if "${skip}"; then skip=false; continue; fi
        case "${word}" in
            --expdir) expdir=${run[i + 1]:?--expdir needs a folder} ;;
            --expdir=*) expdir=${word#*=} ;;
        esac
        case "${word}" in
            --expdir | --nj | --inference_nj | --ngpu | --num_nodes | --gpu_inference)
                skip=true ;;
            --expdir=* | --nj=* | --inference_nj=* | --ngpu=* | --num_nodes=*) ;;
            --gpu_inference=*) ;;
            *) run_settings+=" ${word}" ;;
        esac
    done
    run_settings=${run_settings# }
    if [ -n "${DYNLOOK_DATA:-}" ]; then
        run_settings=${run_settings//"${DYNLOOK_DATA}"/'$DYNLOOK_DATA'}
    fi
}

# settings SYSTEM: what results of a system depend on, "name: value" a line.
settings() {
    local sum
    sum=$(python3 -c '
import hashlib, json, sys
from espnet_dynlook.config import ConfigError, resolve
try:
    text = json.dumps(resolve(sys.argv[1]), sort_keys=True, default=str)
except ConfigError as error:
    sys.exit(str(error))
print(hashlib.sha256(text.encode()).hexdigest())
' "conf/train_asr_$1.yaml") || return
    echo "--asr_args: ${asr_args}"
    echo "--inference_tag: ${inference_tag}"
    echo "run command: ${run_settings}"
    echo "sha256 of the resolved conf/train_asr_$1.yaml: ${sum}"
}

# check_marks SYSTEM SEED: stop where an experiment was made with other settings. Its
# mark is .comparing while it is made and .compared when it is scored.
check_marks() {
    local exp="${expdir}/asr_$1_seed$2" mark line before
    for mark in "${exp}/.comparing" "${exp}/.compared"; do
        [ -e "${mark}" ] || continue
        if [ ! -s "${mark}" ]; then # made before marks had content
            [ -d "${exp}/${inference_tag}" ] ||
                die "${exp} was not decoded with --inference_tag ${inference_tag}:" \
                    "give the tag that it has, or remove ${exp}"
            printf '%s\n' "${now}" >"${mark}.new"
            mv "${mark}.new" "${mark}"
        fi
        while IFS= read -r line; do
            before=$(grep -F -m 1 -e "${line%%: *}: " "${mark}" || true)
            [ "${before}" = "${line}" ] ||
                die "${exp} was made with other settings, before: '${before}', now:" \
                    "'${line}'; remove ${exp}, or keep it and give the run command" \
                    "another --expdir"
        done <<<"${now}"
    done
}

# shellcheck source=/dev/null
. ./path.sh
split_run
# Told before any work.
for system in "${systems[@]}"; do
    now=$(settings "${system}")
    for seed in ${seeds}; do check_marks "${system}" "${seed}"; done
done
"${run[@]}" --stage 1 --stop_stage 10 --asr_config "conf/train_asr_${systems[0]}.yaml"

# one SYSTEM SEED: the later stages of one experiment.
one() {
    local tag="$1_seed$2" exp="${expdir}/asr_$1_seed$2"
    [ -e "${exp}/.compared" ] && return
    mkdir -p "${exp}"
    settings "$1" >"${exp}/.comparing.new"
    mv "${exp}/.comparing.new" "${exp}/.comparing"
    "${run[@]}" --stage 11 --stop_stage 13 --inference_nj 1 \
        --asr_config "conf/train_asr_$1.yaml" --asr_tag "${tag}" \
        --asr_args "--seed $2 ${asr_args}" --inference_tag "${inference_tag}" \
        > "${exp}/compare.log" 2>&1 ||
        { tail -n 20 "${exp}/compare.log" >&2
          echo "$0: ${tag} failed, see ${exp}/compare.log" >&2; return 1; }
    mv "${exp}/.comparing" "${exp}/.compared"
    echo "$0: ${tag} done"
}

# Which experiments failed is read from their marks at the end: `wait -n` can reap one
# without its status, and one that is killed says nothing.
for seed in ${seeds}; do
    for system in "${systems[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "${jobs}" ]; do wait -n || true; done
        one "${system}" "${seed}" &
    done
done
wait
failed=""
for seed in ${seeds}; do
    for system in "${systems[@]}"; do
        [ -e "${expdir}/asr_${system}_seed${seed}/.compared" ] ||
            failed+=" ${system}_seed${seed}"
    done
done
[ -z "${failed}" ] || die "not finished:${failed}"

first="${expdir}/asr_${systems[0]}_seed${seeds%% *}/${inference_tag}"
sets=()
for set in "${first}"/*/; do
    [ ! -d "${set}" ] || sets+=("$(basename "${set}")")
done
[ ${#sets[@]} -gt 0 ] ||
    die "no decoded set in ${first}: is --inference_tag ${inference_tag} right?"

# The page is written whole: first beside it, then in its place.
{
    printf '# %s\n\n```sh\n%s\n```\n' "${title}" "${command% }"
    for set in "${sets[@]}"; do
        arguments=()
        for system in "${systems[@]}"; do
            folders=""
            for seed in ${seeds}; do
                folders+=",${expdir}/asr_${system}_seed${seed}/${inference_tag}/${set}"
            done
            arguments+=("${system}=${folders#,}")
        done
        for unit in wer cer; do
            printf '\n## %s, %s\n\n' "${set}" "$(echo "${unit}" | tr '[:lower:]' '[:upper:]')"
            python3 -m espnet_dynlook.recipe.compare --unit "${unit}" "${arguments[@]}"
        done
    done
} > "${output}.part"
mv "${output}.part" "${output}"
cat "${output}"
