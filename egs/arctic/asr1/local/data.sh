#!/usr/bin/env bash
# Stage 1: data/train, data/valid and data/test. Options: local/prepare.py --help
set -euo pipefail
. ./path.sh
exec "${python:-python3}" local/prepare.py "$@"
