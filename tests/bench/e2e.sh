#!/usr/bin/env bash
# Pods with an interface in a subnet beside pods without one, on a cluster of two guests (tests/e2e): the
# time from `kubectl apply` of a Deployment with BENCH_PODS (20) replicas until all are Ready. The plugin
# stands in the runtime's way, so that a Ready pod has its eth1; that is looked at, too. The two take
# turns in BENCH_ROUNDS (3) rounds, after one that does not count, and each begins when nothing is left of
# the one before. The best of each contender.
set -euo pipefail

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
rounds=${BENCH_ROUNDS:-3}
pods=${BENCH_PODS:-20}
# shellcheck source=tests/bench/bench.bash
. "$here/bench.bash"
# shellcheck source=tests/bats/helper.bash
. "$here/../bats/helper.bash"
# shellcheck source=tests/e2e/e2e.bash
. "$REPO_ROOT/tests/e2e/e2e.bash"
# shellcheck source=tests/e2e/life.bash
. "$REPO_ROOT/tests/e2e/life.bash"

lowest() { sort -g "$1" | head -n 1; }
now() { date +%s.%N; }
since() { awk "BEGIN { printf \"%.3f\", $(now) - $1 }"; }

# once NAME ANNOTATIONS INTERFACES: from nothing to nothing; the time goes into NAME.runs.
once() {
    local began
    began=$(now)
    life_workload Deployment "$1" "$2" "replicas: $pods"
    life_rolled "deployment/$1"
    since "$began" | tee -a "$1.runs"
    printf '\n' >>"$1.runs"
    assert_equal "$({ life_macs n1; life_macs n2; } | wc -l)" "$3" 'interfaces on the nodes'
    kubectl delete -n life "deployment/$1" >/dev/null
    lab_wait 300 nothing_runs
}

nothing_runs() {
    [ -z "$(kubectl get -n life pods,macvlanips -o name)" ] && life_links_are links
}

round() {
    local name
    printf 'seconds:'
    for name in $1; do
        printf ' %s ' "$name"
        case $name in
            plain) once plain '' 0 ;;
            macvlan) once macvlan "$(life_asks blue)" "$pods" ;;
        esac
    done
    printf '\n'
}

trap lab_cleanup EXIT
e2e_setup
cd "$LAB_DIR"
e2e_cluster
e2e_addons
subnet blue 100 10.100.0.0/24
kubectl create namespace life >/dev/null
life_links >links
round 'plain macvlan'
rm ./*.runs
printf 'load before: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
for ((i = 0; i < rounds; i++)); do
    if ((i % 2)); then round 'macvlan plain'; else round 'plain macvlan'; fi
done
verdict "$pods pods Ready with eth1, over those without" "$(ratio "$(lowest macvlan.runs)" "$(lowest plain.runs)")" '<=' 1.15
printf 'load after: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
[ "$misses" -eq 0 ] || printf '%d of the limits were missed on this machine\n' "$misses"
