#!/usr/bin/env bash
# Lists of one set: local/biasing_lists.sh [--kind names|words] [--lists DIR] SET
# --text TEXT --train_text TEXT --prefix PREFIX, and other options of
# espnet_dynlook.recipe.biasing_sets.
#
# DIR (default: $DYNLOOK_DATA) is the folder of the three corpora, whose own lists of the
# test sets are taken where they are: LibriSpeech/test-other.biasing_100.tsv,
# so762_adults/biasing_100.test.tsv and arctic_kathleen/biasing_names.test.tsv, or, of
# kind words, arctic_kathleen/biasing_100.test.tsv. data/tune_names has its own names,
# which local/prepare.py held out of training; distractors are other names. In other
# sets, true are the words that training never says.
set -euo pipefail
. ./path.sh

kind=names lists=${DYNLOOK_DATA:-}
while [[ "$1" == --* ]]; do
    case "$1" in
        --kind) kind=${2:?--kind needs names or words} ;;
        --lists) lists=${2:?--lists needs a folder} ;;
        *) echo "$0: $1: the options before SET are --kind and --lists" >&2; exit 2 ;;
    esac
    shift 2
done
[[ "${kind}" == names || "${kind}" == words ]] ||
    { echo "$0: --kind ${kind}: must be names or words" >&2; exit 2; }
set_name=$1
shift

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
echo "Lists of ${set_name}: ${options[*]}"
# shellcheck disable=SC2086  # --python may be a command with arguments
exec ${python:-python3} -m espnet_dynlook.recipe.biasing_sets "${options[@]}" "$@"
