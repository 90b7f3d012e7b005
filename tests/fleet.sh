#!/usr/bin/env bash
# A fleet on this machine: an S3 server (tests/s3.sh), a scheduler and three executors on loopback. Brings a generated
# marketplace into the bucket, runs the nightly job on the fleet and then in one process, and compares the two.
#
#   tests/fleet.sh            everything ends with the script, also on Ctrl-C
#   tests/fleet.sh --keep     the fleet stays, with what is needed to use it, until Ctrl-C
#
#   LAKECAST_BIN_DIR       folder of lakecast, lakecast-scheduler and lakecast-executor; default: cargo builds them
#   LAKECAST_FLEET_PORT    first of thirteen ports in a row on 127.0.0.1, 18300 by default
#
# Exit code 0 if both runs published the same rows. Exit codes of lakecast are passed on.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
say() { echo "fleet.sh: $*" >&2; exit 1; }
case "$*" in '') keep=no ;; --keep) keep=yes ;; *) echo "usage: tests/fleet.sh [--keep]" >&2; exit 2 ;; esac
executors=3 port=${LAKECAST_FLEET_PORT:-18300} bin=${LAKECAST_BIN_DIR:-}
ports=$((4 + 3 * executors))
[[ $port =~ ^[0-9]+$ ]] && ((port > 0 && port + ports <= 65536)) || say "bad LAKECAST_FLEET_PORT: given=$port"
if [ -z "$bin" ]; then
  (cd "$repo" && cargo build --quiet --workspace --bins)
  bin=${CARGO_TARGET_DIR:-target}
  # Relative folders are cargo's: below the workspace.
  bin=$(cd "$repo" && cd "$bin" && pwd)/debug
fi
for name in lakecast lakecast-scheduler lakecast-executor; do [ -x "$bin/$name" ] || say "no $name in $bin"; done
PATH=$(cd "$bin" && pwd):$PATH

# Nothing of the caller's settings leaks into the demonstration.
unset "${!LAKECAST_@}" "${!AWS_@}"
s3=127.0.0.1:$port scheduler=127.0.0.1:$((port + 2)) scheduler_health=127.0.0.1:$((port + 3))
export AWS_ACCESS_KEY_ID=fleet AWS_SECRET_ACCESS_KEY=fleet-on-loopback AWS_ENDPOINT=http://$s3 AWS_ALLOW_HTTP=true
export NO_PROXY=127.0.0.1
for ((p = port; p < port + ports; p++)); do
  ! (: </dev/tcp/127.0.0.1/$p) 2>/dev/null || say "port $p is in use: set LAKECAST_FLEET_PORT to the first of $ports free ports"
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/lakecast-fleet-XXXXXX")
services=() s3_script=
finish() {
  local code=$?
  trap '' INT TERM HUP
  if ((code != 0 && code < 128)); then
    for log in "$dir"/*.log; do [ ! -s "$log" ] || { echo "--- $(basename "$log"), its end:"; tail -n 5 "$log"; } >&2; done
  fi
  # SIGTERM drains; whoever still works after five seconds is killed.
  [ ${#services[@]} = 0 ] || kill "${services[@]}" 2>/dev/null || true
  for ((n = 0; n < 50; n++)); do kill -0 "${services[@]:-x}" 2>/dev/null || break; sleep 0.1; done
  [ ${#services[@]} = 0 ] || kill -9 "${services[@]}" 2>/dev/null || true
  # The S3 server ends when its standard input closes; one that is still starting, when it is told to.
  if [ -n "$s3_script" ]; then
    exec {s3_in}>&-
    kill "$s3_script" 2>/dev/null || true
  fi
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In a session of its own, so that Ctrl-C reaches only this script and the command in front; gone if this script is killed.
service() { local name=$1; shift; setsid setpriv --pdeathsig TERM "$@" >"$dir/$name.log" 2>&1 & services+=($!); }
wait_for() { local what=$1 url=$2 n; for ((n = 0; n < 300; n++)); do curl -sf -m 2 -o /dev/null "$url" && return; sleep 0.1; done; say "$what is not ready"; }
show() { printf '\n$ %s\n' "${*@Q}" | sed -E "s/'([A-Za-z0-9_.,:/=-]+)'/\1/g"; "$@"; }

echo "starting an S3 server, a scheduler and $executors executors, ports $port to $((port + ports - 1))"
coproc S3 { exec setsid "$repo/tests/s3.sh" "$dir/s3" "$port" lake; }
s3_script=$S3_PID s3_out=${S3[0]} s3_in=${S3[1]}
read -r -u "$s3_out" line && [ "$line" = ready ] || say "the S3 server did not start"
service scheduler lakecast-scheduler --bind $scheduler --health $scheduler_health --min-executors $executors --allow s3://lake/
for ((i = 1; i <= executors; i++)); do
  first=$((port + 1 + 3 * i))
  service executor-$i lakecast-executor --scheduler $scheduler --port $first --grpc-port $((first + 1)) \
    --health 127.0.0.1:$((first + 2)) --vcores 2 --memory 1GiB --work-dir "$dir/executor-$i" --allow s3://lake/
done
# Ready is who has all its executors.
wait_for "the scheduler with its executors" http://$scheduler_health/readyz

cd "$dir"
show lakecast generate --skus 500 --days 730 --baskets 20000 --seed 1 --out market | sed -n 1,2p
# The demo's job, with the marketplace and the tables in the bucket.
sed -e 's|location: market/|location: s3://lake/market/|' -e 's|location: lake/|location: ${lake}/|' \
  -e 's|^tables:|variables: { lake: s3://lake/fleet }\n&|' -e '/^# `lakecast demo`/d' "$repo/jobs/examples/nightly.yaml" >nightly.yaml
cat >market.yaml <<'YAML'
name: market
tables:
  sales:       { location: market/sales/ }
  order_lines: { location: market/order_lines/ }
outputs:
  sales:       { location: s3://lake/market/sales/,       sql: SELECT * FROM sales }
  order_lines: { location: s3://lake/market/order_lines/, sql: SELECT * FROM order_lines }
YAML
date=2026-11-22
show lakecast run market.yaml --run-date $date
show lakecast run nightly.yaml --run-date $date --scheduler http://$scheduler
show lakecast sql --scheduler http://$scheduler --table forecast=s3://lake/fleet/forecast/ -c \
  "SELECT sku, sum(yhat) AS units FROM forecast WHERE step <= 7 GROUP BY sku ORDER BY units DESC LIMIT 5"
show lakecast run nightly.yaml --run-date $date --set lake=s3://lake/here

# One line for each table and place: rows, a sum, and rows that the other place has not, floats compared bit for bit.
side() { echo "SELECT '$1' AS output, '$2' AS computed, count(*) AS rows, $4 AS checksum,
  (SELECT count(*) FROM (SELECT * FROM ${1}_$2 EXCEPT SELECT * FROM ${1}_$3)) AS differ FROM ${1}_$2"; }
forecast='sum(CAST(round(yhat * 1000) AS BIGINT))' rules='sum(n_both)'
query="$(side forecast fleet here "$forecast") UNION ALL $(side forecast here fleet "$forecast") UNION ALL
$(side rules fleet here "$rules") UNION ALL $(side rules here fleet "$rules") ORDER BY output, computed"
tables=()
for output in forecast rules; do for place in fleet here; do tables+=(--table "${output}_$place=s3://lake/$place/$output/"); done; done
printf '\nthe tables of the fleet beside those of one process:\n'
lakecast sql "${tables[@]}" -c "$query" --format csv --output compared.csv
column -s, -t compared.csv
awk -F, 'NR > 1 { n[$1 FS $3 FS $4]++; bad += $3 == 0 || $5 != 0 } END { for (k in n) bad += n[k] != 2; exit bad || NR != 5 }' compared.csv ||
  say "the fleet and one process differ"
echo "the same rows, bit for bit"
[ $keep = yes ] || exit 0

cat <<TEXT

The fleet stays until Ctrl-C. Logs are in $dir, probes and metrics at

  scheduler    http://$scheduler_health/metrics   pid ${services[0]}
$(for ((i = 1; i <= executors; i++)); do echo "  executor-$i   http://127.0.0.1:$((port + 3 + 3 * i))/metrics   pid ${services[$i]}"; done)

In another terminal:

  cd $dir
  export PATH=$(dirname "$(command -v lakecast)"):\$PATH LAKECAST_SCHEDULER=http://$scheduler
  export AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY AWS_ENDPOINT=$AWS_ENDPOINT AWS_ALLOW_HTTP=true
  lakecast plan nightly.yaml --run-date 2026-11-23
  lakecast run nightly.yaml --run-date 2026-11-23
TEXT
while sleep 1; do :; done
