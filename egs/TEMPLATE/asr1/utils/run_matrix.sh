#!/usr/bin/env bash
# Train, evaluate and compare the systems of a matrix over several seeds.
#
#   utils/run_matrix.sh --matrix conf/matrix.yaml [--jobs 2] [--seeds "1 2 3"]
#       [--systems "causal full"] [--from_scratch true] [--asr_args "--max_epoch 1"]
#       [--output RESULTS.md] -- ./run.sh [options of the recipe]
#
# The matrix file names a parent, systems and sets. For every seed the parent is trained
# and every system fine-tuned from it, with the same epochs and the same order of the
# data; then all are evaluated on the same sets. With --from_scratch true each system is
# trained on its own, for the epochs of both. Experiments are exp/<matrix>/<system>_seed<n>
# (--expdir among the recipe's options is another folder than exp). A run that was broken
# off goes on where it stopped; what was made with other settings stops it.
#
# The tables go to the page, results.json and the trade-off picture to
# results/<matrix> beside it.
set -euo pipefail
# shellcheck source=/dev/null
. ./path.sh
exec python3 -m espnet_dynlook.recipe.matrix "$@"
