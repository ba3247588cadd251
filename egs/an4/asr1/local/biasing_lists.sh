#!/usr/bin/env bash
# Lists of one set: local/biasing_lists.sh SET --text TEXT --train_text TEXT
# --prefix PREFIX, and other options of espnet_dynlook.recipe.biasing_sets.
#
# Most of AN4's words are in hundreds of utterances. True are those that training says
# 30 times at most; distractors come from CMUdict where AN4 has too few words.
set -euo pipefail
. ./path.sh
shift # all sets alike
# shellcheck disable=SC2086  # --python may be a command with arguments
exec ${python:-python3} -m espnet_dynlook.recipe.biasing_sets --max_count 30 "$@"
