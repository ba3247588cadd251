#!/usr/bin/env bash
# Stage 15: lists of a set. Options: those of espnet_dynlook.recipe.set_lists, and
#
#   --kind KIND   names (the default) or words
#   --lists DIR   the folder of the three corpora, whose own lists of the test sets are
#                 taken where they are (default: --speech of --local_data_opts, else
#                 $DYNLOOK_DATA):
#                 LibriSpeech/test-other.biasing_100.tsv,
#                 so762_adults/biasing_100.test.tsv, and of kathleen
#                 arctic_kathleen/biasing_names.test.tsv or, of kind words,
#                 arctic_kathleen/biasing_100.test.tsv
#
# data/tune_names has its own names, which local/prepare.py held out of training; its
# distractors are other names. In other sets, true are words (names, where transcripts
# are known as written) that training never says.
set -euo pipefail
. ./path.sh
# shellcheck source=/dev/null
. utils/list_options.sh

kind=names lists=""
own_options="kind lists"
read_list_options "$@"
[[ "${kind}" == names || "${kind}" == words ]] ||
    { echo "$0: --kind ${kind}: must be names or words" >&2; exit 2; }

of_corpora="LibriSpeech/test-other.biasing_100.tsv so762_adults/biasing_100.test.tsv
    arctic_kathleen/biasing_names.test.tsv arctic_kathleen/biasing_100.test.tsv"
if [ -n "${lists}" ]; then
    found=""
    for path in ${of_corpora}; do found+=$(ls "${lists}/${path}" 2>/dev/null || true); done
    # shellcheck disable=SC2086  # several paths
    [ -n "${found}" ] || {
        echo "$0: --lists ${lists}: none of the corpora's lists is there:" ${of_corpora} >&2
        exit 1
    }
fi
lists=${lists:-$(data_option speech)}
lists=${lists:-${DYNLOOK_DATA:-}}

published=""
case "${set_name}-${kind}" in
    test_kathleen-names) published=arctic_kathleen/biasing_names.test.tsv ;;
    test_kathleen-words) published=arctic_kathleen/biasing_100.test.tsv ;;
    test_so762-*) published=so762_adults/biasing_100.test.tsv ;;
    test_other-*) published=LibriSpeech/test-other.biasing_100.tsv ;;
esac
options=(--max_count 0)
if [ -n "${published}" ] && [ -n "${lists}" ] && [ -e "${lists}/${published}" ]; then
    options=(--published "${lists}/${published}")
elif [ "${kind}" = names ] && [ -e "data/${set_name}/names" ]; then
    options=(--phrases "data/${set_name}/names" --pool data/local/names)
elif [ "${kind}" = names ] && [ -e "data/${set_name}/text_cased" ]; then
    options+=(--cased_text "data/${set_name}/text_cased")
fi
make_set_lists "${options[@]}"
