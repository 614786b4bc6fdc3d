#!/usr/bin/env bats
# network-controller under each kind of fault for some seconds (tests/lab/chaos.bash; `make chaos` does
# it at length), and the checkers themselves: each must find what it is there to find.
# timeout: 1200

load helper
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"
# shellcheck source=tests/lab/chaos.bash
. "$LAB_HOME/chaos.bash"

setup_file() {
    local build=${FLATNET_BUILD:-$REPO_ROOT/build}
    need etcd curl jq openssl python3
    lab_init "$$"
    SEED=${SEED:-$((RANDOM * 32768 + RANDOM + 1))}
    echo "# seed $SEED" >&3
    export SEED CHAOS_CONTROLLER CHAOS_TOOLS CHAOS_PODS
    chaos_start "$build/bin/network-controller" "$build/tests/tools" "${CHAOS_PODS:-40}"
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
}

# Whatever a round that failed has left is not to disturb the next one.
teardown() {
    lab_stop churn
    lab_stop checker
    chaos_stop_replicas
    chaos_faults '{}'
    [ -n "${BATS_TEST_COMPLETED:-}" ] || chaos_clear || true
}

kubectl() {
    lab_kubectl k "$@"
}

# chaos KIND CONDITION...: rounds of it, until what it is there for has happened. How much of it there is
# in one depends on chance and on what else the machine does.
chaos() {
    local kind=$1 round
    shift
    rm -f "$LAB_DIR"/{one,two}.log
    : >"$LAB_DIR/proxy.faults"
    for round in 0 1 2 3 4; do
        chaos_round "$kind" "${CHAOS_SECONDS:-8}" "$((SEED + round))"
        chaos_figures
        ! "$@" || return 0
    done
    fail "not in $((round + 1)) rounds: $*"
}

# had WHAT COUNT...: there were so many faults of each kind.
had() {
    while [ $# -gt 0 ]; do
        [ "$(faults_of "$1")" -ge "$2" ] || return 1
        shift 2
    done
}

# logged REGEX: by one of the replicas.
logged() {
    grep -qE "$1" "$LAB_DIR"/{one,two}.log
}

starts() {
    [ "$(cat "$LAB_DIR"/{one,two}.log | grep -c '^--- start')" -ge "$1" ]
}

faults_of() {
    grep -cE "^[0-9.]+ $1" "$LAB_DIR/proxy.faults" || true
}

# --- the checkers ---

# pod NAME [SUBNET] [OWNER]: OWNER is a line for ownerReferences.
pod() {
    kubectl apply -n chaos -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: $1
  labels: {macvlan.pandaria.cattle.io/selectedIp: 10.80.0.9}
  annotations: {macvlan.pandaria.cattle.io/ip: auto, macvlan.pandaria.cattle.io/subnet: ${2:-c-auto}}
  ownerReferences: [${3:-}]
spec: {containers: [{name: c, image: x}]}
YAML
}

# ip NAME ADDRESS VLAN [MAC] [POD]: the MacvlanIP of the pod POD (NAME).
ip() {
    kubectl create -n chaos -f - >/dev/null <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanIP
metadata: {name: $1}
spec:
  subnet: c-auto
  podId: $(kubectl get pod -n chaos "${5:-$1}" -o 'jsonpath={.metadata.uid}' 2>/dev/null || printf none)
  cidr: $2/16
  mac: "${4:-}"
  network: {master: eth0, vlan: $3}
YAML
}

remove() {
    kubectl delete macvlanip -n chaos "$1" >/dev/null
}

# status USED [INTENTS]: what the subnets say, without any controller.
status() {
    local name used
    for name in c-auto c-fix c-other c-rest; do
        used=0
        [ "$name" != c-auto ] || used=$1
        api_patch "apis/macvlan.cluster.cattle.io/v1/namespaces/kube-system/macvlansubnets/$name/status" "{\"status\":
            {\"total\": 50, \"used\": $used, \"free\": $((50 - used)), \"reserved\": 0, \"cooling\": 0, \"outside\": 0,
             \"intents\": ${2:-[]}}}"
    done
}

# api_patch PATH BODY: what kubectl 1.20 cannot do, subresources.
api_patch() {
    curl -sf --cacert "$LAB_DIR/ca.crt" -X PATCH -H 'Content-Type: application/merge-patch+json' -o "$T/patched" \
        -H "Authorization: Bearer $(cut -d , -f 1 "$LAB_DIR/k.kube/tokens.csv")" "$(lab_kube_url k)/$1" -d "$2"
}

# problem TEXT: the state has this problem and no other.
problem() {
    assert_equal "$(chaos_problems)" "$1"
}

@test "the checker of the state finds wrong counts, orphans, missing ones and shared addresses" {
    local uid
    status 0
    problem ''
    pod a
    uid=$(kubectl get pod -n chaos a -o 'jsonpath={.metadata.uid}')
    problem 'chaos/a: 0 MacvlanIPs with its UID'
    ip a 10.80.0.9 80
    problem 'c-auto: used 0, and there are 1'
    status 1
    problem ''
    status 1 '[{"ip": "10.80.0.9", "pod": "chaos/a", "uid": "x"}]'
    assert_contains 'intents are left' <(chaos_problems)
    status 1
    kubectl label pod -n chaos a --overwrite macvlan.pandaria.cattle.io/selectedIp=10.80.0.8 >/dev/null
    problem 'chaos/a: label 10.80.0.8, address 10.80.0.9'
    kubectl label pod -n chaos a --overwrite macvlan.pandaria.cattle.io/selectedIp=10.80.0.9 >/dev/null
    ip b 10.80.0.10 80
    status 2
    problem 'chaos/b: an orphan, of pod none'
    remove b
    ip b 10.80.0.9 80 '' a
    status 1
    assert_contains "chaos/a: 2 MacvlanIPs with its UID" <(chaos_problems)
    assert_contains "chaos/a, chaos/b: all have 10.80.0.9 in eth0 80" <(chaos_problems)
    remove a
    remove b
    kubectl delete pod -n chaos a --force --grace-period 0 >/dev/null 2>&1
    [ -n "$uid" ]
    status 0
    problem ''
}

# Two pods that were alive at the same time had it, although neither is there when it is judged. In
# another segment, one after the other, or where one pod has ended, it is none.
@test "the checker of the history finds addresses and MACs that two living pods have" {
    local name
    watch_history
    for name in a b c d; do pod "$name"; done
    ip a 10.80.0.9 80
    ip b 10.80.0.9 81
    remove a
    kubectl delete pod -n chaos a --force --grace-period 0 >/dev/null 2>&1
    ip c 10.80.0.9 80
    end_pod c
    ip d 10.80.0.9 80
    lab_wait 30 has_seen ' ip chaos/d '
    chaos_stop_checker || fail "$(cat "$LAB_DIR/checker.log")"

    watch_history
    pod e
    ip e 10.80.0.9 80
    kubectl delete pods -n chaos --all --force --grace-period 0 >/dev/null 2>&1
    lab_wait 30 has_seen ' pod-gone chaos/e '
    refute chaos_stop_checker
    assert_contains 'violation: two living pods have one address' "$LAB_DIR/checker.log"
    assert_contains 'checked: 4 pods, 4 MacvlanIPs, 3 of them of living pods, 1 violations' "$LAB_DIR/checker.log"

    kubectl delete macvlanips -n chaos --all >/dev/null
    watch_history
    pod f
    pod g
    ip f 10.80.0.11 80 02:00:00:00:00:01
    ip g 10.80.0.12 80 02:00:00:00:00:01
    lab_wait 30 has_seen ' ip chaos/g '
    remove f
    ip f 10.80.0.13 80
    lab_wait 30 has_seen ' ip chaos/f eth0 80 10.80.0.13'
    refute chaos_stop_checker
    assert_contains 'violation: two living pods have one MAC' "$LAB_DIR/checker.log"
    assert_contains 'violation: a living pod has got another address' "$LAB_DIR/checker.log"
    kubectl delete pods -n chaos --all --force --grace-period 0 >/dev/null 2>&1
    kubectl delete macvlanips -n chaos --all >/dev/null
}

watch_history() {
    rm -f "$LAB_DIR/checker.log"
    lab_spawn checker "$CHAOS_TOOLS/ctl_checker" "$(lab_kube_config k)"
    lab_wait 30 has_seen ' listed ' 2
}

has_seen() {
    [ "$(grep -c -- "$1" "$LAB_DIR/checker.log")" -ge "${2:-1}" ]
}

end_pod() {
    api_patch "api/v1/namespaces/chaos/pods/$1/status" '{"status": {"phase": "Succeeded"}}'
}

# --- one by one ---

# patient NAME [CONFIG]: a replica that keeps the lease through all of it.
patient() {
    printf -- '--- start\n' >>"$LAB_DIR/$1.log"
    lab_spawn "$1" "$CHAOS_CONTROLLER" --kubeconfig "$LAB_DIR/${2:-chaos.config}" --listen 127.0.0.1:0 \
        --leader-elect-lease-duration 100 --leader-elect-renew-deadline 90 --leader-elect-retry-period 1
}

lead() {
    patient one
    lab_wait 60 chaos_leads one
}

# ask NAME PATH: of the replica's own port.
ask() {
    curl -sf "http://127.0.0.1:$(sed -n 's/.*listening port=//p' "$LAB_DIR/$1.log" | tail -n 1)$2"
}

has_ip() {
    kubectl get macvlanip -n chaos "$1" >/dev/null 2>&1
}

has_no_ip() {
    ! has_ip "$1"
}

used() {
    kubectl get macvlansubnet -n kube-system c-auto -o json | jq -e ".status.used == $1" >/dev/null
}

@test "an address of a MacvlanIP that came and went while nobody watched is free again" {
    lead
    chaos_faults '{"late": 1}'
    pod h
    chaos_faults '{"late": 1, "no_watch": true}'
    lab_wait 60 has_ip h
    lab_wait 20 used 1
    kubectl delete pod -n chaos h --force --grace-period 0 >/dev/null 2>&1
    lab_wait 30 has_no_ip h
    chaos_faults '{"expire": 1}'
    lab_wait 90 used 0
    chaos_faults '{}'
}

# set_of NAME: a StatefulSet; print the line with which a pod of it names it.
set_of() {
    kubectl create -n chaos -f - >/dev/null <<YAML
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: $1}
spec:
  replicas: 0
  serviceName: x
  selector: {matchLabels: {a: x}}
  template: {metadata: {labels: {a: x}}, spec: {containers: [{name: c, image: x}]}}
YAML
    printf '{apiVersion: apps/v1, kind: StatefulSet, name: %s, controller: true, uid: %s}' "$1" \
        "$(kubectl get statefulset -n chaos "$1" -o 'jsonpath={.metadata.uid}')"
}

# holds POD UID: the MacvlanIP of that UID is the pod's that is there now.
holds() {
    kubectl get macvlanip,pod -n chaos "$1" -o json | jq -e --arg uid "$2" \
        '.items[0].metadata.uid == $uid and .items[0].spec.podId == .items[1].metadata.uid' >/dev/null
}

intents() {
    kubectl get macvlansubnet -n kube-system c-one -o json | jq -e ".status.used == $1 and (.status.intents | length) == $2" >/dev/null
}

# The leader has had its say on the pod.
is_served() {
    has_ip "$1" || grep -q "^note: chaos/$1: No enough ip" "$LAB_DIR/one.log"
}

# missed: how often the server has told the leader that something is not there.
missed() {
    ask one /metrics | awk '/^rest_client_requests_total.*code="404".*method="GET"/ { n += $2 } END { print n + 0 }'
}

has_missed() {
    [ "$(missed)" -gt "$1" ]
}

# The leader does not know that the MacvlanIP was made, and sees its pod go.
@test "a set keeps an address whose MacvlanIP was made without an answer" {
    local owner uid missed
    lead
    begin_set
    chaos_faults '{"only": "/macvlanips", "no_watch": true, "lose": {"500": 1}}'
    pod db-0 c-one "$owner"
    lab_wait 60 has_ip db-0
    uid=$(uid_of db-0)
    remove_pod db-0
    pod other c-one
    lab_wait 60 is_served other
    has_no_ip other
    missed=$(missed)
    chaos_faults '{"only": "/macvlanips", "no_watch": true}'
    lab_wait 60 has_missed "$missed"
    has_no_ip other
    chaos_faults '{}'
    pod db-0 c-one "$owner"
    lab_wait 60 holds db-0 "$uid"
    has_no_ip other
    end_set
}

# A subnet of one address, and a set of pods that could have it.
begin_set() {
    chaos_subnet c-one 82 10.80.0.9 10.80.0.9 | kubectl apply -f - >/dev/null
    lab_wait 60 intents 0 0
    owner=$(set_of db)
}

end_set() {
    kubectl delete statefulset -n chaos db >/dev/null
    kubectl delete pod -n chaos db-0 other --ignore-not-found --force --grace-period 0 >/dev/null 2>&1
    lab_wait 60 intents 0 0
    kubectl delete macvlansubnet -n kube-system c-one >/dev/null
}

uid_of() {
    kubectl get macvlanip -n chaos "$1" -o 'jsonpath={.metadata.uid}'
}

remove_pod() {
    kubectl delete pod -n chaos "$1" --force --grace-period 0 >/dev/null 2>&1
}

has_decided() {
    had 'lose-500 GET .*/macvlanips/other$' 8 || has_no_ip db-0
}

# A replica that stands by sees a MacvlanIP go whose pod it still believes to live, and keeps the
# address for that pod. When it leads, it has a set's MacvlanIP with the same address before it.
@test "a set keeps its address, whatever a new leader believes of earlier pods" {
    local owner uid
    sed "s|https://$(cat "$LAB_DIR/proxy.addr")|$(lab_kube_url k)|" "$LAB_DIR/chaos.config" >"$LAB_DIR/direct.config"
    patient one direct.config
    lab_wait 60 chaos_leads one
    begin_set
    pod other c-one
    lab_wait 60 has_ip other
    patient two
    lab_wait 60 ask two /readyz
    : >"$LAB_DIR/proxy.faults"
    chaos_faults '{"only": "/api/v1/pods", "no_watch": true}'
    lab_wait 60 had 'watch_s GET /api/v1/pods' 1
    remove_pod other
    lab_wait 60 has_no_ip other
    pod db-0 c-one "$owner"
    lab_wait 60 has_ip db-0
    uid=$(uid_of db-0)
    remove_pod db-0
    chaos_faults '{"only": "/macvlanips/other", "lose": {"500": 1}}'
    lab_stop one
    lab_wait 60 chaos_leads two
    pod db-0 c-one "$owner"
    lab_wait 60 has_decided
    chaos_faults '{}'
    lab_wait 60 holds db-0 "$uid"
    end_set
}

# --- the rounds ---

@test "replicas are killed" {
    chaos kill starts 5
}

@test "leaders are frozen, and go on when another one leads" {
    chaos freeze logged 'leadership (has run out|is lost)|another leader'
}

@test "409, 429, 500, 503, answers that get lost, connections that break" {
    chaos answers had refuse-409 1 refuse-429 1 refuse-500 1 refuse-503 1 lose-409 1 lose-500 1 lose-503 1 \
        hang_up 1 forget 1 cut 1
}

@test "requests that are late, answers that come in pieces" {
    chaos slow had late 11 slow 11
}

@test "watches are cut, and too old when they are begun again" {
    chaos watches had watch_s 1 no_watch 1 expire 1
}

@test "versions are compacted away, and the API server has forgotten them" {
    chaos compact logged '410.*too old resource version'
}

@test "the API server is restarted" {
    chaos server logged '^warning: connection to .* broke'
}

@test "etcd is restarted" {
    chaos etcd true
}

@test "all of that at once" {
    chaos all had '(lose|forget|late|refuse)' 21
}
