#!/usr/bin/env bash
# Lists of one set: local/biasing_lists.sh [--kind names|words] SET --text TEXT
# --train_text TEXT --prefix PREFIX, and other options of
# espnet_dynlook.recipe.biasing_sets.
#
# names (the default): words with a capital inside sentences of the prompts;
# words: all words. In both, those that training never says. Distractors come from
# CMUdict where the corpus has too few.
set -euo pipefail
. ./path.sh

kind=names
if [ "$1" = --kind ]; then
    kind=${2:?--kind needs names or words}
    shift 2
fi
set_name=$1
shift
options=(--max_count 0)
case "${kind}" in
    names) options+=(--cased_text "data/${set_name}/text_cased") ;;
    words) ;;
    *) echo "$0: --kind ${kind}: must be names or words" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086  # --python may be a command with arguments
exec ${python:-python3} -m espnet_dynlook.recipe.biasing_sets "${options[@]}" "$@"
