#!/usr/bin/env bash
# CMU ARCTIC-style corpora: one or more voices reading the ARCTIC prompts.
#
#   ./run.sh            fetch voices from festvox.org, then everything
#
# Options of this recipe:
#   --voices NAMES      CMU voices to fetch, such as "bdl slt awb" (default: "bdl slt")
#   --arctic DIR        a local copy: DIR/etc/txt.done.data and DIR/wav, a folder of such
#                       folders, or DIR/metadata.tsv and DIR/ogg; nothing is fetched
#
# Every other option goes to asr.sh, for instance
#   --stage 11 --asr_config conf/train_asr_dynlook_causal.yaml --asr_tag causal_seed1
set -euo pipefail
export python=python3 # exported, so that local/data.sh sees what --python says

# shellcheck source=/dev/null
. utils/recipe_options.sh

local_data_opts=""
rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --arctic=* | --voices=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --help | -h) usage; exit ;;
        --arctic)
            one_word "$1" "${2:?--arctic needs a folder}"
            local_data_opts+=" --arctic $2"
            shift 2 ;;
        --voices) local_data_opts+=" --voices ${2:?--voices needs names}"; shift 2 ;;
        *) rest+=("$1"); shift ;;
    esac
done

exec ./asr.sh \
    --lang en \
    --train_set train \
    --valid_set valid \
    --test_sets test \
    --token_type char \
    --use_lm false \
    --asr_config conf/train_asr_dynlook_causal.yaml \
    --inference_config conf/decode_ctc_greedy.yaml \
    --local_data_opts "${local_data_opts# }" \
    "${rest[@]}"
