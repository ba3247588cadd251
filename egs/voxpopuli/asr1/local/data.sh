#!/usr/bin/env bash
# Stage 1: data/train, data/dev and data/test. Options: local/prepare.py --help
set -euo pipefail
. ./path.sh
# shellcheck disable=SC2086  # --python may be a command with arguments
exec ${python:-python3} local/prepare.py "$@"
