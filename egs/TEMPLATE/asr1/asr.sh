#!/usr/bin/env bash
# Train, decode and score a recogniser: the stages, options and folders of ESPnet's
# egs2/TEMPLATE/asr1/asr.sh, from pip packages alone. ./asr.sh --help lists the options.
# shellcheck disable=SC2034  # the stages in utils/ use the options
set -euo pipefail

# >>> options
## Stages: 1 data, 2 speed, 3 format, 4 length filter, 5 tokens, 6-8 language model,
## 9 n-gram, 10 statistics, 11 training, 12 decoding, 13 scoring, 14 packing;
## with --biasing true 15 lists of names, 16 adapter, 17 decoding and 18 scoring with them
stage=1                     # first stage to run
stop_stage=10000            # last stage to run
skip_stages=                # stages to leave out, such as "2 9"
skip_data_prep=false        # leave out stages 1 to 5
skip_train=false            # leave out stages 6 to 11, and 16
skip_eval=false             # leave out stages 12 and 13, 17 and 18

## Machine
ngpu=auto                   # GPUs a node, 0 for the CPU; auto: 1 where one is visible
num_nodes=1                 # nodes of the training
nj=auto                     # parallel jobs; auto: the number of cores
inference_nj=auto           # parallel jobs of decoding; auto: the number of cores
gpu_inference=false         # decode on GPUs
dumpdir=dump                # folder of the formatted data
expdir=exp                  # folder of the experiments
python=python3              # command that runs Python

## Data
train_set=                  # name of the training set below data/ (required)
valid_set=                  # name of the validation set (required)
test_sets=                  # names of the test sets (required)
lang=noinfo                 # language, part of folder names
local_data_opts=            # options for local/data.sh
allow_empty_text=false      # accept empty transcripts, which stage 4 then removes
speed_perturb_factors=      # such as "0.9 1.0 1.1"
feats_type=raw              # raw: recordings; extracted: features, data/*/feats.scp
frames_per_second=100       # of extracted features
audio_format=flac           # flac or wav
fs=16k                      # sampling rate in Hz
resample=false              # resample recordings of another rate
min_wav_duration=0.1        # seconds; shorter utterances are not trained on
max_wav_duration=20         # seconds; longer utterances are not trained on

## Tokens
token_type=bpe              # bpe, char or word
nbpe=30                     # number of BPE pieces
bpemode=unigram             # unigram or bpe
bpe_train_text=             # text to learn the tokens from; empty: the training set's
bpe_input_sentence_size=100000000  # sentences that sentencepiece reads at most
bpe_nlsyms=                 # symbols that stay whole, comma between them
bpe_char_cover=1.0          # part of the characters that pieces cover
word_vocab_size=10000       # words in the list of token_type word
nlsyms_txt=none             # file of non-linguistic symbols, not scored
cleaner=none                # ESPnet's text cleaner for transcripts

## Language models
use_lm=false                # train a neural language model and decode with it
lm_tag=                     # name of its experiment; empty: from lm_config and lm_args
lm_exp=                     # its folder, in place of lm_tag
lm_stats_dir=               # folder of its statistics
lm_config=                  # its configuration
lm_args=                    # its further arguments, such as "--max_epoch 10"
lm_train_text=              # its training text; empty: the training set's
lm_dev_text=                # its validation text; empty: the validation set's
lm_test_text=               # text of the perplexity; empty: the first test set's
lm_fold_length=150          # tokens after which batches get smaller (batch_type folded)
use_ngram=false             # train an n-gram with KenLM and decode with it
ngram_exp=                  # folder of the n-gram
ngram_num=3                 # its order
ngram_unit=token            # token: for ESPnet's search; word: for --decoding ctc_beam

## Model
asr_tag=                    # name of the experiment; empty: from asr_config and asr_args
asr_exp=                    # its folder, in place of asr_tag
asr_stats_dir=              # folder of the statistics
asr_config=                 # configuration
asr_args=                   # further arguments, such as "--max_epoch 10"
pretrained_model=           # checkpoint to start from, for --init_param
ignore_init_mismatch=false  # leave out parameters of another shape
feats_normalize=global_mvn  # global_mvn or utterance_mvn
asr_speech_fold_length=800  # frames after which batches get smaller (batch_type folded)
asr_text_fold_length=150    # tokens after which batches get smaller (batch_type folded)

## Decoding and scoring
batch_size=1                # utterances at a time; only 1: inference_nj makes it faster
inference_tag=              # name of the folder; empty: from the options
inference_config=           # configuration of decoding
inference_args=             # further arguments, such as "--beam_size 10"
inference_asr_model=        # checkpoint; empty: valid.{acc,loss,cer_ctc}.ave.pth, the first
inference_lm=valid.loss.ave.pth  # checkpoint of the language model
inference_ngram=            # n-gram file; empty: <n>gram.bin, else <n>gram.arpa
use_streaming=false         # decode packet by packet, and measure how late the text is
                            # packets: --inference_args "--sim_chunk_length 2560" (samples)
                            # and --biasing_args with the same, for stage 17
local_score_opts=           # options for local/score.sh

## Names: stages 15 to 18
biasing=false               # make lists of names, train an adapter, decode and score
biasing_sets=               # sets to do this with; empty: test_sets
biasing_list_opts=          # what is a name: options of local/biasing_lists.sh, and of
                            # espnet_dynlook.recipe.set_lists, such as "--max_count 0"
biasing_sizes="0 100 500 1000 2000"  # distractors in a list; 0: what is said alone
biasing_without="100 1000"  # distractors in lists without anything that is said
biasing_seeds=              # of the distractors; several are scored together; empty: 0
biasing_dir=                # folder of the lists; empty: data/biasing and, behind it, what
                            # biasing_list_opts add to its name
adapter_config=             # configuration of an adapter; empty: none is trained
adapter_tag=                # name of its experiment; empty: from its configuration
adapter_exp=                # its folder, in place of adapter_tag
adapter_train_set=          # what it is trained on, best a set whose names its base has
                            # never heard, made by stage 1 as train_set is (not speed
                            # perturbed); empty: what the base is trained on
adapter_args=               # further arguments of its training
inference_adapter_model=valid.loss.ave.pth  # its checkpoint
adapter_scale=1.0           # what its bias is multiplied by
biasing_decoding=ctc_beam   # ctc_beam, ctc_greedy or espnet
biasing_techniques=         # YAML file of techniques for ctc_beam; empty: boosting alone
biasing_systems=            # of: base techniques adapter both; empty: all that can be
biasing_args=               # further arguments of decoding, such as "--beam_size 50"
biasing_tag=                # name of the folder; empty: from the options
# <<< options

utils=$(dirname "${BASH_SOURCE[0]}")/utils
for file in parse_options jobs data_stages lm_stages asr_stages eval_stages names_stages; do
    # shellcheck source=/dev/null
    . "${utils}/${file}.sh"
done
run_command=$(quote_words "./${0##*/}" "$@")
parse_options "$@"
log "${run_command}"
# shellcheck source=/dev/null
. ./path.sh
# shellcheck source=/dev/null
. ./cmd.sh

one_of() {  # option, values...
    local name=$1 value=${!1}
    shift
    [[ " $* " == *" ${value} "* ]] || die "--${name} ${value}: must be one of: $*"
}
for name in train_set valid_set test_sets; do
    [ -n "${!name}" ] || die "--${name} is required; see $0 --help"
done
one_of feats_type raw extracted
one_of audio_format flac wav
one_of token_type bpe char word
one_of bpemode unigram bpe
one_of feats_normalize global_mvn utterance_mvn
one_of ngram_unit token word
for name in asr_config lm_config inference_config; do
    [ -z "${!name}" ] || [ -e "${!name}" ] || die "--${name} ${!name}: no such file"
done
cores=$(getconf _NPROCESSORS_ONLN)
[ "${nj}" != auto ] || nj=${cores}
[ "${inference_nj}" != auto ] || inference_nj=${cores}
if [ "${ngpu}" = auto ]; then
    ngpu=0
    if nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then ngpu=1; fi
fi
for name in nj inference_nj num_nodes; do
    [[ "${!name}" =~ ^[1-9][0-9]*$ ]] || die "--${name} ${!name}: must be 1 or more"
done
[ "${batch_size}" = 1 ] ||
    die "--batch_size ${batch_size}: utterances are decoded one at a time, so that their" \
        "results do not depend on padding; for more speed, raise --inference_nj"
[[ "${ngpu}" =~ ^[0-9]+$ ]] || die "--ngpu ${ngpu}: must be auto, 0 or more"

# tag_of ARGUMENTS: what arguments add to a name, as in ESPnet.
tag_of() {
    echo "$1" | sed -e 's/--/_/g' -e 's/[ |=/]//g'
}
data_sets="${train_set} ${valid_set} ${adapter_train_set} ${test_sets}" # what local/data.sh makes
[ -z "${speed_perturb_factors}" ] || train_set="${train_set}_sp"
# shellcheck disable=SC2086
all_sets=$(printf '%s\n' "${train_set}" "${valid_set}" ${adapter_train_set} ${test_sets} | awk '!seen[$0]++')

data_feats="${dumpdir}/${feats_type}"
# What stages read an utterance from, ESPnet's type of it, and its units a second.
speech_scp=wav.scp speech_type=sound speech_rate=${fs}
if [ "${feats_type}" = extracted ]; then
    [ -z "${speed_perturb_factors}" ] ||
        die "--speed_perturb_factors ${speed_perturb_factors}: only recordings have a" \
            "speed to change, and --feats_type is extracted; leave it empty"
    speech_scp=feats.scp speech_type=npy speech_rate=${frames_per_second}
fi
train_dir="${data_feats}/${train_set}"
valid_dir="${data_feats}/${valid_set}"
: "${bpe_train_text:=${train_dir}/text}" "${lm_train_text:=${train_dir}/text}"
: "${lm_dev_text:=${valid_dir}/text}" "${lm_test_text:=${data_feats}/${test_sets%% *}/text}"

suffix="_${lang}"
[ "${lang}" != noinfo ] || suffix=
token_dir="data/${lang}_token_list"
[ "${lang}" != noinfo ] || token_dir=data/token_list
bpemodel=none
suffix+="_${token_type}"
case "${token_type}" in
    bpe)
        token_dir+="/bpe_${bpemode}${nbpe}"
        bpemodel="${token_dir}/bpe.model"
        suffix+="${nbpe}"
        ;;
    *) token_dir+="/${token_type}" ;;
esac
token_list="${token_dir}/tokens.txt"

# tag_from CONFIG ARGUMENTS: the name of an experiment.
tag_from() {
    local tag=train
    [ -z "$1" ] || tag=$(basename "$1" .yaml)
    echo "${tag}$3${suffix}$(tag_of "$2")"
}
speed=
[ -z "${speed_perturb_factors}" ] || speed=_sp
: "${asr_tag:=$(tag_from "${asr_config}" "${asr_args}" "_${feats_type}")${speed}}"
: "${lm_tag:=$(tag_from "${lm_config}" "${lm_args}" "")}"
: "${asr_exp:=${expdir}/asr_${asr_tag}}" "${lm_exp:=${expdir}/lm_${lm_tag}}"
: "${asr_stats_dir:=${expdir}/asr_stats_${feats_type}${suffix}${speed}}"
: "${lm_stats_dir:=${expdir}/lm_stats${suffix}}"
ngram_folder=ngram
[ "${ngram_unit}" = token ] || ngram_folder=ngram_word
: "${ngram_exp:=${expdir}/${ngram_folder}}"
: "${biasing_sets:=${test_sets}}" "${biasing_seeds:=0}"
: "${biasing_dir:=data/biasing$(short_tag_of "${biasing_list_opts}")}"
if [ -n "${adapter_config}${adapter_tag}" ]; then
    # An adapter is of its base: its name has the base's.
    : "${adapter_tag:=$(basename "${adapter_config}" .yaml)$(tag_of "${adapter_args}")}"
    : "${adapter_exp:=${asr_exp}_${adapter_tag}}"
fi

in_range() {
    [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ]
}

# run_stage N TITLE: run stage_N if the options select it.
run_stage() {
    local n=$1
    in_range "${n}" || return 0
    [ "${n}" -lt 15 ] || "${biasing}" || return 0
    if [[ " ${skip_stages} " == *" ${n} "* ]] ||
        { "${skip_data_prep}" && [ "${n}" -le 5 ]; } ||
        { "${skip_train}" && [[ "${n}" =~ ^([6-9]|10|11|16)$ ]]; } ||
        { "${skip_eval}" && [[ "${n}" =~ ^(12|13|17|18)$ ]]; }; then
        log "Stage ${n}: $2: skipped"
        return 0
    fi
    case "${n}" in
        6 | 7 | 8) "${use_lm}" || return 0 ;;
        9) "${use_ngram}" || return 0 ;;
    esac
    log "Stage ${n}: $2"
    "stage_${n}"
}

# Told now, not after hours of work.
if "${use_ngram}"; then
    if ! "${skip_train}" && in_range 9 && ! find_lmplz; then
        die "stage 9 needs KenLM's lmplz on PATH: build it with ${python} -m" \
            "espnet_dynlook.recipe.kenlm (cmake, Boost), or set --use_ngram false"
    fi
    # shellcheck disable=SC2086
    if ! "${skip_eval}" && in_range 12 && [ "${ngram_unit}" = token ] &&
        ! ${python} -c "import kenlm" 2>/dev/null; then
        die "decoding with an n-gram needs the Python package kenlm: pip install kenlm," \
            "or set --use_ngram false"
    fi
fi

if { "${use_lm}" || "${use_ngram}"; } && ! "${skip_eval}" && ! "${use_streaming}" &&
    in_range 12 && [[ " ${skip_stages} " != *" 12 "* ]]; then
    check_language_models
fi

! "${biasing}" || check_names_options

SECONDS=0
run_stage 1 "Data preparation"
run_stage 2 "Speed perturbation"
run_stage 3 "Format: ${data_feats}/org"
run_stage 4 "Length filter: ${data_feats}"
run_stage 5 "Tokens: ${token_list}"
run_stage 6 "Language model statistics: ${lm_stats_dir}"
run_stage 7 "Language model training: ${lm_exp}"
run_stage 8 "Language model perplexity"
run_stage 9 "N-gram: ${ngram_exp}"
run_stage 10 "Statistics: ${asr_stats_dir}"
run_stage 11 "Training: ${asr_exp}"
run_stage 12 "Decoding: ${asr_exp}"
run_stage 13 "Scoring: ${asr_exp}"
run_stage 14 "Packing: ${asr_exp}"
run_stage 15 "Lists of names: ${biasing_dir}"
run_stage 16 "Adapter: ${adapter_exp:-none}"
run_stage 17 "Decoding with names: ${asr_exp}"
run_stage 18 "Scoring with names: ${asr_exp}"
log "Finished after ${SECONDS} s"
