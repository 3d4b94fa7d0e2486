#!/usr/bin/env bash
# Characterize a device every night from cron or a systemd timer:
#
#     0 2 * * *  BACKEND=provider:my_lab.backends:chip LAB=/srv/qthreshold /srv/qthreshold/cron.sh
#
# Runs, checks against the last good night, keeps the history, and publishes pages. Exit code: that of the check. One night at a time: a run
# that still goes on is left alone. A run that was interrupted is finished first, since its jobs may have been paid for.
set -euo pipefail

: "${BACKEND:?what to measure, such as exact:tiny-5}"
lab=${LAB:-$HOME/qthreshold}
recipe=${RECIPE:-default}
export QTHRESHOLD_HISTORY=${QTHRESHOLD_HISTORY:-$lab/history.db}

mkdir -p "$lab/runs"
exec 9>"$lab/.lock"
flock -n 9 || { echo "qthreshold: another night still goes on" >&2; exit 0; }
exec >>"$lab/nightly.log" 2>&1

for open in "$lab"/runs/*/run.json; do
  directory=$(dirname "$open")
  if [ -e "$open" ] && [ ! -e "$directory/summary.json" ]; then
    qthreshold resume "$directory" --no-progress ${CAP:+--max-qpu-seconds "$CAP"} || true
  fi
done

run=$lab/runs/$(date -u +%Y-%m-%dT%H%M%SZ)
echo "== $run"
qthreshold run --backend "$BACKEND" --recipe "$recipe" --out "$run" --no-progress --quiet ${CAP:+--max-qpu-seconds "$CAP"} || [ -e "$run/run.json" ]

code=0
gate=()
[ ! -e "$lab/gate.toml" ] || gate=(--gate "$lab/gate.toml")
qthreshold check "$run" "${gate[@]}" --baseline last-good --record --format junit,"prometheus=$lab/qthreshold.prom" || code=$?
qthreshold report "$run" --history "$QTHRESHOLD_HISTORY" --quiet || true
qthreshold history site --out "$lab/pages" || true
exit "$code"
