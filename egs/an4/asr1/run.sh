#!/usr/bin/env bash
# CMU AN4: spelled names, addresses, numbers and dates; 0.7 h to train on.
#
#   ./run.sh              fetch CMU's recordings (64 MB), then everything
#
# Options of this recipe:
#   --an4 DIR   a local copy, nothing is fetched: CMU's recordings (DIR/etc and DIR/wav,
#               or an4/ in DIR), or its features as arrays (DIR/mfcc)
#   --fold K    for tuning, K from 0 to 4: train and validate on folds of the training
#               speakers, decode the validation fold, and keep all in exp/foldK
#
# Recordings and features give the same sets, configurations and models: features are
# trained on as they are (--feats_type extracted), and a model of theirs hears waveforms.
# Every other option goes to asr.sh, for instance
#   --stage 11 --asr_config conf/train_asr_dynlook_chunked.yaml --asr_tag chunked_seed1
set -euo pipefail
export python=python3 # exported, so that local/data.sh sees what --python says

# shellcheck source=/dev/null
. utils/recipe_options.sh

an4="" fold="" local_data_opts=""
rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --an4=* | --fold=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --help | -h) usage; exit ;;
        --an4)
            an4=${2:?--an4 needs a folder}
            one_word "$1" "${an4}"
            local_data_opts+=" --an4 ${an4}"
            shift 2 ;;
        --fold)
            fold=${2:?--fold needs a number from 0 to 4}
            [[ "${fold}" == [0-4] ]] || {
                echo "run.sh: --fold ${fold}: must be a number from 0 to 4" >&2
                exit 2
            }
            local_data_opts+=" --fold ${fold}"
            shift 2 ;;
        *) rest+=("$1"); shift ;;
    esac
done

train_set=train valid_set=valid test_sets=test expdir=exp
if [ -n "${fold}" ]; then
    train_set="train_fold${fold}" valid_set="valid_fold${fold}"
    test_sets=${valid_set} # tuning does not see the test set
    expdir="exp/fold${fold}"
fi

# Without --an4, what stage 1 made before says what there is.
feats_type=raw
if [ -n "${an4}" ]; then
    [ ! -d "${an4}/mfcc" ] || feats_type=extracted
elif [ -e "data/${train_set}/feats.scp" ] && [[ " ${rest[*]-} " =~ --stage[\ =]([2-9]|1[0-9]) ]]; then
    feats_type=extracted
fi

exec ./asr.sh \
    --lang en \
    --train_set "${train_set}" \
    --valid_set "${valid_set}" \
    --test_sets "${test_sets}" \
    --expdir "${expdir}" \
    --feats_type "${feats_type}" \
    --token_type char \
    --use_lm false \
    --asr_config conf/train_asr_dynlook_causal.yaml \
    --inference_config conf/decode_ctc_greedy.yaml \
    --local_data_opts "${local_data_opts# }" \
    ${rest[@]+"${rest[@]}"}
