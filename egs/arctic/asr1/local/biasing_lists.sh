#!/usr/bin/env bash
# Stage 15: lists of a set. Options: those of espnet_dynlook.recipe.set_lists, and
#
#   --kind KIND   names (the default): words with a capital inside sentences of the
#                 prompts; words: all words
#
# In both, those that training never says. Distractors come from CMUdict where the
# corpus has too few.
set -euo pipefail
. ./path.sh
# shellcheck source=/dev/null
. utils/list_options.sh

kind=names
own_options="kind"
read_list_options "$@"
options=(--max_count 0)
case "${kind}" in
    names) options+=(--cased_text "data/${set_name}/text_cased") ;;
    words) ;;
    *) echo "$0: --kind ${kind}: must be names or words" >&2; exit 2 ;;
esac
make_set_lists "${options[@]}"
