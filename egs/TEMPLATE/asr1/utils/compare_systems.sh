#!/usr/bin/env bash
# Train, decode and score several systems over several seeds, and compare them.
#
#   utils/compare_systems.sh [--jobs 2] [--seeds "1 2 3"] [--asr_args "--max_epoch 5"]
#       [--inference_tag TAG] [--output RESULTS.md] [--title TEXT]
#       SYSTEM [SYSTEM...] -- ./run.sh [options of the recipe]
#
# A system is a configuration conf/train_asr_<system>.yaml; its experiments are
# exp/asr_<system>_seed<n>. Data, tokens and statistics are made once. A run that was
# broken off goes on where it stopped: what is trained and scored is left alone. The page
# has a table of error rates for each test set, every system compared with the first.
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

# shellcheck source=/dev/null
. ./path.sh
"${run[@]}" --stage 1 --stop_stage 10 --asr_config "conf/train_asr_${systems[0]}.yaml"

# one SYSTEM SEED: the later stages of one experiment.
one() {
    local tag="$1_seed$2"
    [ -e "exp/asr_${tag}/.compared" ] && return
    mkdir -p "exp/asr_${tag}"
    "${run[@]}" --stage 11 --stop_stage 13 --inference_nj 1 \
        --asr_config "conf/train_asr_$1.yaml" --asr_tag "${tag}" \
        --asr_args "--seed $2 ${asr_args}" --inference_tag "${inference_tag}" \
        > "exp/asr_${tag}/compare.log" 2>&1 ||
        { tail -n 20 "exp/asr_${tag}/compare.log" >&2
          echo "$0: ${tag} failed, see exp/asr_${tag}/compare.log" >&2; return 1; }
    touch "exp/asr_${tag}/.compared"
    echo "$0: ${tag} done"
}

failed=0
for seed in ${seeds}; do
    for system in "${systems[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "${jobs}" ]; do wait -n || failed=1; done
        one "${system}" "${seed}" &
    done
done
while [ -n "$(jobs -rp)" ]; do wait -n || failed=1; done
[ "${failed}" = 0 ] || exit 1

# The page is written whole: first beside it, then in its place.
{
    printf '# %s\n\n```sh\n%s\n```\n' "${title}" "${command% }"
    first="exp/asr_${systems[0]}_seed${seeds%% *}"
    for set in "${first}/${inference_tag}"/*/; do
        set=$(basename "${set}")
        arguments=()
        for system in "${systems[@]}"; do
            folders=""
            for seed in ${seeds}; do
                folders+=",exp/asr_${system}_seed${seed}/${inference_tag}/${set}"
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
