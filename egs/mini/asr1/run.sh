#!/usr/bin/env bash
# The demonstration: makes its own corpus with synthetic voices (espeak-ng), trains a
# recogniser that never waits (causal) and one that hears the whole utterance (full)
# side by side, decodes and scores both, and prints one table. Needs no data. Since the
# voices are synthetic, the error rates say nothing about human speech.
#
#   ./run.sh                        everything: about 10 minutes on two cores
#   ./run.sh --stage 12             decoding and scoring again
#   ./run.sh --asr_config FILE      one system of your own on this corpus
#
# The options are those of asr.sh. With --asr_config, --asr_tag or --asr_exp this is one
# plain run of asr.sh on the corpus, without the comparison.
set -euo pipefail
export python=python3 # exported, so that local/data.sh sees what --python says

# shellcheck source=/dev/null
. utils/recipe_options.sh

systems="causal full"
most_wer=15 # percent; a run with more ends with an error

first=1
last=14
expdir=exp
own_system=false
options=("$@")
rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --stage=* | --stop_stage=* | --expdir=* | --python=*)
            set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --stage) first=${2:?--stage needs a number}; shift 2 ;;
        --stop_stage) last=${2:?--stop_stage needs a number}; shift 2 ;;
        --expdir) expdir=${2:?--expdir needs a folder}; shift 2 ;;
        --python) python=${2:?--python needs a command}; shift 2 ;;
        --help | -h) usage; exit ;;
        *)
            case "$1" in --asr_config* | --asr_tag* | --asr_exp*)
                own_system=true ;; esac
            rest+=("$1"); shift ;;
    esac
done

common=(
    --lang en
    --train_set train
    --valid_set valid
    --test_sets test
    --token_type bpe
    --bpemode bpe
    --nbpe 80
    --use_lm false
    --inference_config conf/decode_ctc_greedy.yaml
    --inference_tag ctc_greedy
)
if "${own_system}"; then
    exec ./asr.sh "${common[@]}" "${options[@]}"
fi
common+=(--expdir "${expdir}" --python "${python}" "${rest[@]}")

start=${SECONDS}
# Data, tokens and statistics are the same for both systems.
if [ "${first}" -le 10 ]; then
    stop=$((last < 10 ? last : 10))
    ./asr.sh "${common[@]}" --asr_config conf/train_asr_causal.yaml \
        --asr_tag causal --stage "${first}" --stop_stage "${stop}"
fi
[ "${last}" -ge 11 ] || exit 0

declare -A pids
for system in ${systems}; do
    ./asr.sh "${common[@]}" --asr_config "conf/train_asr_${system}.yaml" \
        --asr_tag "${system}" --inference_nj 1 \
        --stage $((first > 11 ? first : 11)) --stop_stage "${last}" \
        > >(sed -u "s/^/[${system}] /") 2>&1 &
    pids[${system}]=$!
done
failed=""
for system in ${systems}; do
    wait "${pids[${system}]}" || failed+=" ${system}"
done
if [ -n "${failed}" ]; then
    echo "run.sh:${failed} failed, see above" >&2
    exit 1
fi
[ "${last}" -ge 13 ] || exit 0

. ./path.sh
# shellcheck disable=SC2086
${python} local/compare.py --most_wer "${most_wer}" --seconds $((SECONDS - start)) \
    $(for system in ${systems}; do
        echo "${system}=${expdir}/asr_${system}/ctc_greedy/test"
    done)
