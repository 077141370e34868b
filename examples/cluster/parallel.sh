#!/bin/bash
# A study with GNU parallel, on this machine or, with --sshlogin, on others that see the same folder: parallel.sh PLAN OUT [WORKERS]
set -euo pipefail
plan=$1 out=$2 workers=${3:-2} program=${CARDIOGRAD:-cardiograd}
# Every worker takes whatever nobody else does, and is started again up to three times if it is killed.
seq "$workers" | parallel --jobs "$workers" --retries 3 "$program run $plan --threads 1 --quiet #" {}
exec "$program" merge "$plan" -o "$out"
