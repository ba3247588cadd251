#!/usr/bin/env bash
# The names experiment: speaks a corpus of about ten hours with thousands of names
# (espeak-ng: the voices are synthetic), trains a base that streams and an adapter for
# names on it, makes lists of names, decodes with and without them, and scores. No name
# of the validation, tuning or test set occurs in training. Needs no data.
#
#   ./run_names.sh                    everything: some hours on a core
#   ./run_names.sh --stage 15         lists, adapter, decoding and scoring again
#
# Options of this recipe:
#   --medical FILE   a text: its medical terms, spoken, are a further test set
#   --corpus OPTIONS further options of local/make_names_corpus.py, such as "--train 500"
#
# Every other option goes to asr.sh, for instance
#   --biasing_sets tune_names --biasing_techniques FILE
set -euo pipefail
export python=python3 # exported, so that local/data.sh sees what --python says

# shellcheck source=/dev/null
. utils/recipe_options.sh

local_data_opts="--corpus names"
test_sets="tune_names test_names"
rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --medical=* | --corpus=* | --python=*)
            set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
    esac
    case "$1" in
        --medical)
            one_word "$1" "${2:?--medical needs a file}"
            local_data_opts+=" --medical $(realpath "$2")"
            test_sets+=" medical_names"
            shift 2 ;;
        --corpus) local_data_opts+=" ${2:?--corpus needs options}"; shift 2 ;;
        --python) python=${2:?--python needs a command}; rest+=("$1" "$2"); shift 2 ;;
        --help | -h) usage; exit ;;
        *) rest+=("$1"); shift ;;
    esac
done

exec ./asr.sh \
    --lang en \
    --train_set train_names \
    --valid_set valid_names \
    --test_sets "${test_sets}" \
    --token_type bpe \
    --nbpe 300 \
    --use_lm false \
    --asr_config conf/train_asr_names_base.yaml \
    --asr_tag names_base \
    --asr_stats_dir exp/asr_stats_names \
    --inference_config conf/decode_ctc_greedy.yaml \
    --inference_tag ctc_greedy \
    --local_data_opts "${local_data_opts}" \
    --biasing true \
    --adapter_train_set adapt_names \
    --adapter_config conf/train_adapter_names.yaml \
    --adapter_tag adapter \
    ${rest[@]+"${rest[@]}"}
