#!/usr/bin/env bash
# LibriSpeech, or any subset of its parts.
#
#   ./run.sh                          fetch train-clean-100 and all dev and test parts
#   ./run.sh --train_set train-960    all of it (60 GB)
#   ./run.sh --librispeech DIR --train_set train-clean-100 --test_sets test-other
#
# Options of this recipe:
#   --librispeech DIR   a local copy of some parts, DIR/train-clean-100 and so on; nothing
#                       is fetched
#   --train_set PARTS   one or more parts, or train-960 (default: train-clean-100)
#   --test_sets PARTS   one or more parts (default: "test-clean test-other")
#
# Data directories have ESPnet's names (train_clean_100, dev, test_other). Without a dev
# part, data/dev is held out of training: see local/prepare.py --help.
# Every other option goes to asr.sh.
set -euo pipefail
export python=python3 # exported, so that local/data.sh sees what --python says

# shellcheck source=/dev/null
. utils/recipe_options.sh

train_set="train-clean-100"
test_sets="test-clean test-other"
local_data_opts=""
rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --librispeech=* | --train_set=* | --test_sets=*)
            set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --help | -h) usage; exit ;;
        --librispeech)
            one_word "$1" "${2:?--librispeech needs a folder}"
            local_data_opts="--librispeech $2"
            shift 2 ;;
        --train_set) train_set=${2:?--train_set needs a name}; shift 2 ;;
        --test_sets) test_sets=${2:?--test_sets needs names}; shift 2 ;;
        *) rest+=("$1"); shift ;;
    esac
done
local_data_opts+=" --train_set ${train_set} --test_sets ${test_sets}"
train_set=${train_set// /_}

exec ./asr.sh \
    --lang en \
    --train_set "${train_set//-/_}" \
    --valid_set dev \
    --test_sets "${test_sets//-/_}" \
    --token_type bpe \
    --nbpe 500 \
    --use_lm false \
    --asr_config conf/train_asr_dynlook_960h.yaml \
    --inference_config conf/decode_ctc_greedy.yaml \
    --local_data_opts "${local_data_opts# }" \
    "${rest[@]}"
