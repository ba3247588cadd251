#!/usr/bin/env bash
# Stage 15: lists of a set. Options: those of espnet_dynlook.recipe.set_lists, and
#
#   --lists DIR   files of the public biasing benchmark (github.com/facebookresearch/
#                 fbai-speech, is21_deep_bias): in its folders words/ and ref/, or side
#                 by side with fbai_ before their names; packed with gzip or not
#                 (default: $DYNLOOK_DATA/lists)
#
# Lists that are published for the set are taken as they are, with rare words of the
# benchmark as further distractors. Without them, true are words that are not among its
# 5,000 common ones; without those, words that are not among the 5,000 of the training
# text.
set -euo pipefail
. ./path.sh
# shellcheck source=/dev/null
. utils/list_options.sh

lists=""
own_options="lists"
read_list_options "$@"
given=${lists}
lists=${lists:-${DYNLOOK_DATA:+${DYNLOOK_DATA}/lists}}
[ -z "${lists}" ] || [ -d "${lists}" ] ||
    { echo "$0: --lists ${lists}: no such folder" >&2; exit 1; }

# find_list FOLDER NAME: the path of a file of the benchmark, or nothing.
find_list() {
    local path
    [ -n "${lists}" ] || return 0
    for path in "${lists}/$1/$2"{,.gz} "${lists}/fbai_$2"{,.gz}; do
        if [ -e "${path}" ]; then echo "${path}"; return 0; fi
    done
}
published=$(find_list ref "${set_name//_/-}.biasing_100.tsv")
common=$(find_list words common_words_5k.txt)
rare=$(find_list words all_rare_words.txt)
if [ -n "${given}" ] && [ -z "${published}${common}" ]; then
    echo "$0: --lists ${given}: it has neither lists of ${set_name} nor" \
        "common_words_5k.txt (of the benchmark: words/ and ref/, or fbai_*)" >&2
    exit 1
fi

options=()
if [ -n "${published}" ]; then
    options+=(--published "${published}")
elif [ -n "${common}" ]; then
    options+=(--common "${common}")
fi
if [ -n "${rare}" ] && [ ${#options[@]} -gt 0 ]; then options+=(--pool "${rare}"); fi
make_set_lists ${options[@]+"${options[@]}"}
