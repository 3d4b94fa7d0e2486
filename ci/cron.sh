#!/usr/bin/env bash
# Characterize a device every night from cron or a systemd timer:
#
#     0 2 * * *  BACKEND=provider:my_lab.backends:chip LAB=/srv/qthreshold /srv/qthreshold/cron.sh
#
# Runs, checks against the last good night, keeps the history, and publishes pages. Exit code: that of the check; 2 or 4 where no run could
# be begun. One night at a time: a run that still goes on is left alone. A run that was interrupted is finished, checked and kept first,
# since its jobs may have been paid for.
set -euo pipefail

: "${BACKEND:?what to measure, such as exact:tiny-5}"
lab=${LAB:-$HOME/qthreshold}
recipe=${RECIPE:-default}
export QTHRESHOLD_HISTORY=${QTHRESHOLD_HISTORY:-$lab/history.db}

mkdir -p "$lab/runs"
exec 9>"$lab/.lock"
flock -n 9 || { echo "qthreshold: another night still goes on" >&2; exit 0; }
exec >>"$lab/nightly.log" 2>&1

gate=()
[ ! -e "$lab/gate.toml" ] || gate=(--gate "$lab/gate.toml")
check() {
  qthreshold check "$1" ${gate[@]+"${gate[@]}"} --baseline last-good --record --format junit,"prometheus=$lab/qthreshold.prom"
}

for open in "$lab"/runs/*/run.json; do
  directory=$(dirname "$open")
  if [ -e "$open" ] && [ ! -e "$directory/check.json" ]; then
    echo "== $directory, which was interrupted"
    [ -e "$directory/summary.json" ] || qthreshold resume "$directory" --no-progress --quiet ${CAP:+--max-qpu-seconds "$CAP"} || continue
    check "$directory" || true
  fi
done

run=$lab/runs/$(date -u +%Y-%m-%dT%H%M%SZ)
echo "== $run"
qthreshold run --backend "$BACKEND" --recipe "$recipe" --out "$run" --no-progress --quiet ${CAP:+--max-qpu-seconds "$CAP"} \
  || { code=$?; [ -e "$run/run.json" ] || exit "$code"; }

code=0
check "$run" || code=$?
qthreshold report "$run" --history "$QTHRESHOLD_HISTORY" --quiet || true
qthreshold history site --out "$lab/pages" || true
exit "$code"
