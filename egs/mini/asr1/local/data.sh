#!/usr/bin/env bash
# Stage 1: speak the corpus, then write data/train, data/valid and data/test.
# Options: local/make_corpus.py --help
set -euo pipefail
. ./path.sh
echo "The voices of this corpus are synthetic (espeak-ng): it shows that everything" \
    "works, and says nothing about error rates on human speech."
# shellcheck disable=SC2086
${python:-python3} local/make_corpus.py "$@" downloads/mini
# shellcheck disable=SC2086  # --python may be a command with arguments
exec ${python:-python3} local/prepare.py downloads/mini
