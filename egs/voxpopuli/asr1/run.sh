#!/usr/bin/env bash
# VoxPopuli, the transcribed English part: 543 hours of speeches in the European
# Parliament, whose names are hard.
#
#   ./run.sh                      fetch annotations and recordings of 2009 to 2020
#   ./run.sh --years "2019 2020"  less of it
#   ./run.sh --voxpopuli DIR      a local copy; nothing is fetched
#
# Options of this recipe:
#   --voxpopuli DIR     a local copy as Meta's scripts lay it out:
#                       DIR/transcribed_data/en/asr_en.tsv.gz and the recordings in
#                       DIR/raw_audios/original/YEAR
#   --years YEARS       such as "2019 2020" (default: all, or those of the copy)
#   --accented          decode the test set of accented English too
#
# Every other option goes to asr.sh.
set -euo pipefail
export python=python3 # exported, so that local/data.sh sees what --python says

# shellcheck source=/dev/null
. utils/recipe_options.sh

local_data_opts="" test_sets="dev test"
rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --voxpopuli=* | --years=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --help | -h) usage; exit ;;
        --voxpopuli)
            one_word "$1" "${2:?--voxpopuli needs a folder}"
            local_data_opts+=" --voxpopuli $2"
            shift 2 ;;
        --years) local_data_opts+=" --years ${2:?--years needs years}"; shift 2 ;;
        --accented)
            local_data_opts+=" --accented"
            test_sets+=" test_accented"
            shift ;;
        *) rest+=("$1"); shift ;;
    esac
done

exec ./asr.sh \
    --lang en \
    --train_set train \
    --valid_set dev \
    --test_sets "${test_sets}" \
    --token_type bpe \
    --nbpe 500 \
    --min_wav_duration 0.5 \
    --max_wav_duration 30 \
    --use_lm false \
    --asr_config conf/train_asr_conformer_interctc_phone.yaml \
    --inference_config conf/decode_ctc_greedy.yaml \
    --local_data_opts "${local_data_opts# }" \
    ${rest[@]+"${rest[@]}"}
