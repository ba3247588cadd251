#!/usr/bin/env bash
# Stage 1: speak a corpus, then write data/ of its sets. Options:
#   --corpus mini | names   which one (the first word, if at all; default: mini)
# and those of local/make_corpus.py or local/make_names_corpus.py (--help)
set -euo pipefail
. ./path.sh
corpus=mini make=make_corpus.py prepare=prepare.py
if [ "${1:-}" = --corpus ]; then
    corpus=${2:?--corpus needs mini or names}
    shift 2
fi
case "${corpus}" in
    mini) ;;
    names) make=make_names_corpus.py prepare=prepare_names.py ;;
    *) echo "$0: --corpus ${corpus}: must be mini or names" >&2; exit 2 ;;
esac
echo "The voices of this corpus are synthetic (espeak-ng): it shows that everything" \
    "works, and says nothing about error rates on human speech."
# shellcheck disable=SC2086  # --python may be a command with arguments
${python:-python3} "local/${make}" "$@" "downloads/${corpus}"
# shellcheck disable=SC2086
exec ${python:-python3} "local/${prepare}" "downloads/${corpus}"
