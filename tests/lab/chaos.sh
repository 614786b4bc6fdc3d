#!/bin/bash
# The chaos test at length: rounds of every kind of fault, one after the other, for CHAOS_SECONDS (600).
#   CHAOS_ROUND   seconds of one round (30)     CHAOS_PODS   places for pods (100)
#   CHAOS_RATE    actions a second (60)         CHAOS_KINDS  only these kinds
#   SEED          of the first round; each round says its own, and what it was made of
#   LAB_KEEP=1 LAB_DIR=...   keep logs and histories for a look
# FLATNET and FLATNET_BUILD are the program and the build folder, as for tests/run.
set -euo pipefail
home=$(cd "$(dirname "$0")/../.." && pwd)
: "${FLATNET_BUILD:=$home/build}" "${FLATNET:=$FLATNET_BUILD/bin/flatnet}"
: "${CHAOS_SECONDS:=600}" "${CHAOS_ROUND:=30}" "${SEED:=$((RANDOM * 32768 + RANDOM + 1))}" "${CHAOS_RATE:=60}"
export FLATNET
# shellcheck source=tests/lab/lab.bash
. "$home/tests/lab/lab.bash"
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"
# shellcheck source=tests/lab/chaos.bash
. "$LAB_HOME/chaos.bash"

trap lab_cleanup EXIT
lab_init "$$"
echo "seed $SEED, $CHAOS_SECONDS s"
chaos_start "$FLATNET_BUILD/bin/network-controller" "$FLATNET_BUILD/tests/tools" "${CHAOS_PODS:-100}"
read -ra kinds <<<"${CHAOS_KINDS:-$(chaos_kinds | tr '\n' ' ')}"
end=$((SECONDS + CHAOS_SECONDS)) n=0 failed=0
while [ "$SECONDS" -lt "$end" ]; do
    kind=${kinds[n % ${#kinds[@]}]}
    verdict=ok
    chaos_round "$kind" "$CHAOS_ROUND" "$((SEED + n))" || { verdict=FAILED failed=$((failed + 1)); }
    printf '%-6s %-8s %s\n' "$verdict" "$kind" "$(chaos_figures | paste -sd ' ')"
    n=$((n + 1))
done
echo "$n rounds, $failed failed"
[ "$failed" -eq 0 ]
