#!/usr/bin/env bash
# Stage 15: lists of a set. Options: those of espnet_dynlook.recipe.set_lists.
#
# Most of AN4's words are in hundreds of utterances. True are those that training says
# 30 times at most; distractors come from CMUdict where AN4 has too few words.
set -euo pipefail
. ./path.sh
# shellcheck source=/dev/null
. utils/list_options.sh

own_options=""
read_list_options "$@"
make_set_lists --max_count 30
