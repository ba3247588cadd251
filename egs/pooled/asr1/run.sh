#!/usr/bin/env bash
# Three corpora of read English as one: some of LibriSpeech, one ARCTIC voice, and adult
# speakers of speechocean762; 5.1 h to train on, and a test set of each.
#
#   ./run.sh --data DIR
#
# Options of this recipe:
#   --data DIR   the folder with LibriSpeech, arctic_kathleen and so762_adults (required
#                for stage 1; its layout: local/prepare.py --help)
#
# Every other option goes to asr.sh, for instance
#   --stage 11 --asr_config conf/train_asr_dynlook_chunked.yaml --asr_tag chunked_seed1
set -euo pipefail
export python=python3 # exported, so that local/data.sh sees what --python says

# shellcheck source=/dev/null
. utils/recipe_options.sh

local_data_opts=""
rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --data=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --help | -h) usage; exit ;;
        --data)
            one_word "$1" "${2:?--data needs a folder}"
            local_data_opts="--speech $2"
            shift 2 ;;
        *) rest+=("$1"); shift ;;
    esac
done

exec ./asr.sh \
    --lang en \
    --train_set train \
    --valid_set valid \
    --test_sets "test_other test_kathleen test_so762" \
    --token_type char \
    --use_lm false \
    --asr_config conf/train_asr_dynlook_causal.yaml \
    --inference_config conf/decode_ctc_greedy.yaml \
    --local_data_opts "${local_data_opts}" \
    ${rest[@]+"${rest[@]}"}
