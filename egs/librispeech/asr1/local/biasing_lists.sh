#!/usr/bin/env bash
# Lists of one set: local/biasing_lists.sh [--lists DIR] SET --text TEXT
# --train_text TEXT --prefix PREFIX, and other options of
# espnet_dynlook.recipe.biasing_sets.
#
# DIR (default: $DYNLOOK_DATA/lists) has files of the public biasing benchmark
# (github.com/facebookresearch/fbai-speech, is21_deep_bias), in its folders words/ and
# ref/ or side by side with fbai_ before their names, packed with gzip or not. Lists that
# are published for the set are taken as they are, with rare words of the benchmark as
# further distractors. Without them, true are words that are not among its 5,000 common
# ones; without those, words that are not among the 5,000 of the training text.
set -euo pipefail
. ./path.sh

lists=${DYNLOOK_DATA:+${DYNLOOK_DATA}/lists}
if [ "$1" = --lists ]; then
    lists=${2:?--lists needs a folder}
    [ -d "${lists}" ] || { echo "$0: --lists ${lists}: no such folder" >&2; exit 1; }
    shift 2
fi
set_name=$1
shift

# find_list FOLDER NAME: the path of a file of the benchmark, or nothing.
find_list() {
    local path
    [ -n "${lists}" ] || return 0
    for path in "${lists}/$1/$2" "${lists}/fbai_$2"; do
        for path in "${path}" "${path}.gz"; do
            if [ -e "${path}" ]; then echo "${path}"; return 0; fi
        done
    done
}
published=$(find_list ref "${set_name//_/-}.biasing_100.tsv")
common=$(find_list words common_words_5k.txt)
rare=$(find_list words all_rare_words.txt)

options=()
if [ -n "${published}" ]; then
    options+=(--published "${published}")
elif [ -n "${common}" ]; then
    options+=(--common "${common}")
fi
if [ -n "${rare}" ] && [ ${#options[@]} -gt 0 ]; then options+=(--pool "${rare}"); fi
echo "Lists of ${set_name}: ${options[*]:-rare words of the training text}"
# shellcheck disable=SC2086
exec ${python:-python3} -m espnet_dynlook.recipe.biasing_sets \
    ${options[@]+"${options[@]}"} "$@"
