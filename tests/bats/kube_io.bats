#!/usr/bin/env bats
# lib/kube before a real API server: lists and watches through restarts and expired versions,
# elections, events and the kinds of writes.
# timeout: 900
# shellcheck disable=SC2154

load helper
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

setup_file() {
    need etcd curl jq openssl
    lab_init "$$"
    lab_kube k
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    PROBE=${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/kube_probe
    config=$(lab_kube_config k)
    said=$LAB_DIR/probe.log
    ns=n-$BATS_TEST_NUMBER
    kubectl create namespace "$ns" >/dev/null
    path=/api/v1/namespaces/$ns/configmaps
}

teardown() {
    lab_stop probe
    lab_stop other
}

kubectl() {
    lab_kubectl k "$@"
}

# probe ACTION ARG...: to the end; what it says is in `said-once`.
probe() {
    local action=$1
    shift
    timeout 120 "$PROBE" "$action" "$config" "$@" >said-once || fail "kube_probe $action $*: status $?"
}

# start NAME ACTION ARG...: in the background; what it says is in $LAB_DIR/NAME.log.
start() {
    local name=$1 action=$2
    shift 2
    rm -f "$LAB_DIR/$name.log"
    lab_spawn "$name" "$PROBE" "$action" "$config" "$@"
}

# say_soon PATTERN [NAME] [COUNT]: so many (1) lines like this come from the probe.
say_soon() {
    lab_wait 60 has_said "$1" "${2:-probe}" "${3:-1}" ||
        fail "'$1' not said ${3:-1} times: $(tail -n 5 "$LAB_DIR/${2:-probe}.log")"
}

has_said() {
    [ "$(grep -cE -- "$1" "$LAB_DIR/$2.log")" -ge "$3" ]
}

# What the probe knows is what kubectl sees.
agrees() {
    awk '$1 == "added" { known[$2] = 1 } $1 == "deleted" { delete known[$2] } END { for (k in known) print k }' \
        "$said" | sort >known
    kubectl get configmaps -n "$ns" -o name | sed "s|configmap/|$ns/|" | sort >there
    cmp -s known there
}

watch() {
    start probe watch "$path" 500 "${1:-300}"
    say_soon '^synced '
}

@test "a list of 1200 in pages, then every change" {
    probe each create "$ns" 1200
    watch
    grep -qx 'synced 1200' "$said" || grep -qx 'synced 1201' "$said" || fail "$(grep synced "$said")"
    probe each touch "$ns" 300
    say_soon '^changed ' probe 300
    probe each delete "$ns" 250
    say_soon '^deleted ' probe 250
    probe each create "$ns" 40
    lab_wait 30 agrees || fail "$(diff known there | head)"
    assert_equal "$(grep -c '^changed ' "$said")" 300 'changes'
    assert_equal "$(grep -c '^failed ' "$said" || true)" 0 'failures'
    lab_stop probe
    say_soon '^count 99[01] lists 1 watches 1 '
}

@test "watches that the server ends are begun again, without a list" {
    probe each create "$ns" 5
    watch 2
    lab_wait 20 ended_twice
    probe each touch "$ns" 5
    say_soon '^changed ' probe 5
    lab_stop probe
    say_soon ' lists 1 watches ([3-9]|[1-9][0-9]) '
    assert_equal "$(grep -c '^failed ' "$said" || true)" 0 'failures'
}

# The third watch is under way once two times its 2 s are over, which the server's log of requests
# would show only at a higher level.
ended_twice() {
    [ "$(ps -o etimes= -p "$(lab_pid probe)")" -ge 6 ]
}

@test "a restart of the API server" {
    probe each create "$ns" 30
    watch
    lab_kube_restart k
    say_soon '^failed '
    probe each touch "$ns" 30
    say_soon '^changed ' probe 30
    probe each delete "$ns" 10
    say_soon '^deleted ' probe 10
    lab_wait 30 agrees || fail "$(diff known there | head)"
}

# The changes are made through a server that the probe cannot find. The one that it finds again keeps
# nothing from before its start, so that the version from before the changes is too old for it.
@test "a version that the server has forgotten: what vanished meanwhile is told" {
    local port
    probe each create "$ns" 60
    watch
    port=$(cat "$LAB_DIR/k.port")
    lab_stop k KILL
    lab_kube_apiserver k ''
    probe each touch "$ns" 60
    probe each delete "$ns" 25
    kubectl create configmap -n "$ns" new >/dev/null
    lab_stop k KILL
    assert_equal "$(grep -c '^deleted ' "$said" || true)" 0 'what was told too early'
    printf '%s\n' "$port" >"$LAB_DIR/k.port"
    lab_kube_apiserver_start k ''
    lab_wait 60 agrees || fail "$(diff known there | head)"
    assert_equal "$(grep -c '^deleted ' "$said")" 25 'what vanished'
    lab_stop probe
    say_soon ' lists [2-9] '
    grep -qE '^failed -116 .*410' "$said" || fail "no 410: $(grep failed "$said")"
}

# --- leases ---

# hold NAME KIND IDENTITY: a candidate with 10 s, 8 s and 0.8 s, times that a busy machine keeps too.
hold() {
    start "$1" lease "$2" "$ns" net-ctl "$3" 10000 8000 800
}

# when NAME PATTERN: the time in ms of the first such line.
when() {
    awk -v pattern="$2" '$0 ~ pattern { print $1; exit }' "$LAB_DIR/$1.log"
}

now_ms() {
    awk '{ print int($1 * 1000) }' /proc/uptime
}

@test "leadership goes over at once on a clean stop, and by its time after a kill" {
    local kind began
    for kind in lease configmap; do
        hold probe "$kind" one
        say_soon ' started 0$'
        hold other "$kind" two
        say_soon "holder 'one'" other
        began=$(now_ms)
        lab_stop probe
        say_soon ' released 0$'
        say_soon ' started 1$' other
        (($(when other ' started') - began < 7000)) || fail "clean: $(cat "$said" "$LAB_DIR/other.log")"

        hold probe "$kind" three
        say_soon "holder 'two'"
        began=$(now_ms)
        lab_stop other KILL
        say_soon ' started 2$'
        (($(when probe ' started') - began < 20000)) || fail "kill: $(cat "$said")"
        (($(when probe ' started') - began > 8000)) || fail "too early: $(cat "$said")"
        lab_stop probe
    done
    kubectl get configmap -n "$ns" net-ctl \
        -o 'jsonpath={.metadata.annotations.control-plane\.alpha\.kubernetes\.io/leader}' >record
    jq -e '.holderIdentity == "" and .leaderTransitions == 2 and
        (.renewTime | test("^[0-9-]{10}T[0-9:]{8}Z$"))' record >/dev/null || fail "$(cat record)"
    kubectl get lease -n "$ns" net-ctl -o json >record
    jq -e '.spec.leaseTransitions == 2 and .spec.leaseDurationSeconds == 1' record >/dev/null || fail "$(cat record)"
}

@test "a leader that was frozen past its time knows it before anything else runs" {
    hold probe lease one
    say_soon ' started 0$'
    kill -s STOP "$(lab_pid probe)"
    kill -s CONT "$(lab_pid probe)"
    say_soon '^woke held$'
    kill -s STOP "$(lab_pid probe)"
    hold other lease two
    say_soon ' started 1$' other
    kill -s CONT "$(lab_pid probe)"
    say_soon '^woke free$'
    say_soon ' lost '
    lab_wait 10 lab_is_gone probe
    [ "$(kubectl get lease -n "$ns" net-ctl -o 'jsonpath={.spec.holderIdentity}')" = two ]
}

@test "leadership outlives a short absence of the API server" {
    start probe lease lease "$ns" net-ctl one 60000 50000 400
    say_soon ' started 0$'
    lab_kube_restart k
    say_soon '^failed '
    lab_wait 30 renewed || fail "$(cat "$said")"
    assert_equal "$(grep -c ' lost ' "$said" || true)" 0 'losses'
}

renewed() {
    local before=${renew_time:-}
    renew_time=$(kubectl get lease -n "$ns" net-ctl -o 'jsonpath={.spec.renewTime}')
    [ -n "$before" ] && [ "$before" != "$renew_time" ]
}

# --- events and writes ---

@test "the same event counts up" {
    probe events "$ns" web 0f2a7d8e-0000-4000-8000-000000000001 7
    kubectl get events -n "$ns" -o json >list
    jq -e '[.items[] | select(.reason == "ProbeSaysSo")] | length == 1 and (.[0] | .count == 7 and
        .type == "Warning" and .source.component == "kube-probe" and .involvedObject.name == "web" and
        .message == "no address is free for '\''web'\''")' list >/dev/null || fail "$(cat list)"
}

# ask METHOD PATH CONTENT [BODY]: $number, $http and $reason are what came back, its body is in `body`.
ask() {
    probe ask "$@"
    read -r number http reason <said-once
    sed -n 2p said-once >body
}

@test "merge-patch, json-patch and server-side apply" {
    ask POST "$path" json '{"metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}}'
    assert_equal "$number $http" '0 201'
    ask PATCH "$path/a" merge '{"data": {"x": null, "z": "3"}}'
    assert_equal "$number $http" '0 200'
    assert_equal "$(jq -c .data body)" '{"y":"2","z":"3"}'
    ask PATCH "$path/a" json-patch \
        "[{\"op\": \"test\", \"path\": \"/metadata/resourceVersion\", \"value\": $(jq .metadata.resourceVersion body)},
          {\"op\": \"replace\", \"path\": \"/data/y\", \"value\": \"4\"}]"
    assert_equal "$number $(jq -c .data body)" '0 {"y":"4","z":"3"}'
    ask PATCH "$path/b?fieldManager=probe&force=true" apply \
        '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"k": "v"}}'
    assert_equal "$number $http" '0 201'
    ask PATCH "$path/b?fieldManager=probe&force=true" apply \
        '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"l": "w"}}'
    assert_equal "$number $(jq -c .data body)" '0 {"l":"w"}'
}

@test "what the server refuses has its number" {
    ask POST "$path" json '{"metadata": {"name": "a"}}'
    ask POST "$path" json '{"metadata": {"name": "a"}}'
    assert_equal "$number $http $reason" '-17 409 AlreadyExists'
    ask PUT "$path/a" json '{"metadata": {"name": "a", "resourceVersion": "1"}}'
    assert_equal "$number $http $reason" '-11 409 Conflict'
    ask DELETE "$path/a" json '{"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}}'
    assert_equal "$number $http $reason" '-11 409 Conflict'
    ask GET "$path/none" json
    assert_equal "$number $http $reason" '-2 404 NotFound'
    ask POST "$path" json '{"metadata": {"name": "A"}}'
    assert_equal "$number $http $reason" '-121 422 Invalid'
}
