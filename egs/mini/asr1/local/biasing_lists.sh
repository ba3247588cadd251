#!/usr/bin/env bash
# Stage 15: lists of a set. Options: those of espnet_dynlook.recipe.set_lists.
#
# Of the names corpus, true is what its grammar filled in as names; distractors are other
# names of the set and names that nobody says. Of the demonstration, true are words that
# training never says.
set -euo pipefail
. ./path.sh
# shellcheck source=/dev/null
. utils/list_options.sh

own_options=""
read_list_options "$@"
names="data/${set_name}/names"
options=(--max_count 0)
[ ! -e "${names}" ] ||
    options=(--phrases "${names}" --pool "${names}" --pool data/local/never_said)
make_set_lists "${options[@]}"
