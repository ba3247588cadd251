#!/usr/bin/env bash
# Stage 15: lists of a set. Options: those of espnet_dynlook.recipe.set_lists, and
#
#   --kind KIND   names (the default): words and phrases with a capital inside
#                 sentences; words: all words; entities: what annotators of
#                 SLUE-VoxPopuli marked as a name
#   --slue DIR    the folder of their labels, slue-voxpopuli_*.tsv
#
# In all three, those that training says 5 times at most.
set -euo pipefail
. ./path.sh
# shellcheck source=/dev/null
. utils/list_options.sh

kind=names slue="" most=5
own_options="kind slue"
read_list_options "$@"
options=(--max_count "${most}")
case "${kind}" in
    words) ;;
    names) options+=(--cased_text "data/${set_name}/text_cased") ;;
    entities)
        [ -n "${slue}" ] || {
            echo "$0: --kind entities needs --slue, the folder of the labels" >&2
            exit 2
        }
        entities="data/local/entities_${set_name}"
        # shellcheck disable=SC2086  # --python may be a command with arguments
        ${python:-python3} local/slue.py --slue "${slue}" --set "${set_name}" \
            --train_text data/train/text --max_count "${most}" --output "${entities}"
        options=(--phrases "${entities}")
        ;;
    *) echo "$0: --kind ${kind}: must be names, words or entities" >&2; exit 2 ;;
esac
make_set_lists "${options[@]}"
