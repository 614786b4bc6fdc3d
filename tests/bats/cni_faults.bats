#!/usr/bin/env bats
# The plugin whole, while things go wrong: a real API server behind a proxy that makes faults, this
# kernel, a namespace that goes away, a process that is killed at any moment, refusals by the kernel.
# The "host" is a network namespace with a master, eth0; "pod" is a pod's.
# timeout: 900
# shellcheck disable=SC2030,SC2031,SC2034,SC2154

load helper
load controller

setup_file() {
    need ip nsenter jq socat
    controller_setup_file
    lab_kubectl k create clusterrolebinding plugin --clusterrole static-macvlan-cni --serviceaccount kube-system:multus
    HOST=flatnet-f$$
    export HOST
    ip netns add "$HOST"
    ip -n "$HOST" link set lo up
    ip -n "$HOST" link add eth0 type veth peer name far0
    ip -n "$HOST" link set eth0 up
    ip -n "$HOST" link set far0 up
    printf '{}' >"$LAB_DIR/faults"
    lab_spawn proxy "$LAB_HOME/api-proxy.py" --addr-file "$LAB_DIR/proxy.addr" --faults "$LAB_DIR/faults" \
        --log "$LAB_DIR/proxy.faults" --upstream "127.0.0.1:$(cat "$LAB_DIR/k.port")" --ca "$LAB_DIR/ca.crt" \
        --tls-cert "$LAB_DIR/server.crt" --tls-key "$LAB_DIR/server.key" --seed "${SEED:-1}"
    lab_ready proxy 30 test -s "$LAB_DIR/proxy.addr"
    lab_kube_relay api "$HOST" 6443 "$(cat "$LAB_DIR/proxy.addr")"
    config_with "$(lab_kube_token k kube-system multus)" >"$LAB_DIR/plugin.config"
    CONTROLLER=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/network-controller
    lab_spawn one "$CONTROLLER" --kubeconfig "$LAB_DIR/controller.config" --listen 127.0.0.1:0
    lab_ready one 60 grep -q '^note: leading' "$LAB_DIR/one.log"
}

teardown_file() {
    ip netns del "$HOST" || true
    lab_cleanup
}

setup() {
    controller_setup
    PLUGIN=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/static-macvlan-cni
    AT_CALL=${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/at_call
    export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
    export AT_CALL_HIT=$T/hit
    pod=$HOST-pod
    at=()
    timeout=100
    config=plugin.config
    faults '{}'
    give_pod
}

teardown() {
    ip netns del "$pod" || true
}

# config_with TOKEN [SERVER]
config_with() {
    sed -e "s/token: .*}/token: $1}}/" -e "s|$(lab_kube_url k)|${2:-https://127.0.0.1:6443}|" "$(lab_kube_config k)"
}

faults() {
    printf '%s' "$1" >"$LAB_DIR/faults.new"
    mv "$LAB_DIR/faults.new" "$LAB_DIR/faults"
}

# A pod's namespace as another plugin leaves it.
give_pod() {
    [ ! -e "/run/netns/$pod" ] || return 0
    ip netns add "$pod"
    ip -n "$pod" link set lo up
    ip -n "$pod" link add eth0 type veth peer name far0
    ip -n "$pod" link set far0 up
    ip -n "$pod" link set eth0 up
    ip -n "$pod" addr add 10.42.3.7/24 dev eth0
    ip -n "$pod" route add default via 10.42.3.1 dev eth0
}

# web: a pod that has its address, with a route that moves the pod's default.
web() {
    net
    pod web auto "s$BATS_TEST_NUMBER" | kubectl apply -f - >/dev/null
    lab_wait 60 address web >/dev/null
}

net() {
    subnet "s$BATS_TEST_NUMBER" "10.$BATS_TEST_NUMBER.0.0/24" 'podDefaultGateway: {enable: true, serviceCidr: 10.43.0.0/16}' |
        sed 's/vlan: .*/vlan: 0/' | kubectl apply -f - >/dev/null
}

conf() {
    printf '{"cniVersion":"0.4.0","name":"n","type":"static-macvlan-cni","master":"","kubeconfig":"%s","logFile":"%s","timeout":%d}' \
        "$LAB_DIR/$config" "${log:-$T/plugin.log}" "$timeout"
}

# cni COMMAND [PROGRAM...]: the plugin for pod web, under the words in PROGRAM. Sets $status, $output.
cni() {
    status=0
    conf | env CNI_COMMAND="$1" CNI_CONTAINERID=c-web CNI_NETNS="/run/netns/$pod" CNI_IFNAME=eth1 CNI_PATH=/opt/cni/bin \
        CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=$ns;K8S_POD_NAME=web" \
        nsenter --net="/run/netns/$HOST" timeout -k 5 150 "${@:2}" "$PLUGIN" >"${out:-result}" 2>log || status=$?
    [ -n "${out:-}" ] || output=$(<result)
    case $status in
        0 | 1 | 137) ;;
        *) fail "$1 ended with $status: $output $(<log)" ;;
    esac
}

succeeds() {
    cni "$@"
    [ "$status" -eq 0 ] || fail "$1 failed with $status: $output $(tail -n 3 log)"
}

# fails CODE TEXT: the last call has, with just this.
fails() {
    [ "$status" -eq 1 ] || fail "ended with $status: $output"
    jq -e --argjson code "$1" --arg text "$2" '.code == $code and (.msg | contains($text))' <<<"$output" >/dev/null ||
        fail "not code $1 with '$2': $output"
}

# state NS: links, addresses and routes. The kernel numbers veth peers as it likes.
state() {
    ip -n "$1" -br link | awk '{ print $1 }' | sed 's/@.*//' | sort
    ip -n "$1" -4 addr | grep -o 'inet [^ ]*'
    ip -n "$1" -4 route
}

is_whole() {
    ip -n "$pod" -j addr show eth1 | jq -e '[.[0].addr_info[] | select(.family == "inet")] | length == 1' >/dev/null &&
        ip -n "$pod" route | grep -q "^default via 10.$BATS_TEST_NUMBER.0.1 dev eth1"
}

@test "the API server is gone: error 11, soon, and DEL needs none" {
    local before
    web
    config_with x https://127.0.0.1:1 >"$LAB_DIR/nobody.config"
    config=nobody.config
    before=$(state "$pod")
    cni ADD
    fails 11 127.0.0.1
    assert_equal "$(state "$pod")" "$before"
    succeeds DEL
    # One that goes in the middle of the call, and does not come back.
    config=plugin.config timeout=5
    kubectl delete pod -n "$ns" web --wait=false >/dev/null
    kubectl delete macvlanip -n "$ns" web --ignore-not-found >/dev/null
    pod web auto no-such | kubectl apply -f - >/dev/null
    faults '{"no_watch": true}'
    cni ADD
    fails 11 "pod '$ns/web' has no address after 5 s"
    faults '{"hang_up": 1}'
    cni ADD
    fails 11 ''
    assert_equal "$(state "$pod")" "$before"
}

@test "answers that are late, slow, cut, lost or refused: the call asks again until it has what it needs" {
    local fault
    web
    for fault in '{"late": 1, "slow": 1}' '{"cut": 0.5}' '{"hang_up": 0.5}' '{"forget": 0.5}' '{"lose": {"500": 0.5}}' \
        '{"refuse": {"429": 0.3, "503": 0.3}}'; do
        faults "$fault"
        succeeds ADD
        is_whole
        succeeds DEL
    done
    [ "$(cut -d' ' -f2 "$LAB_DIR/proxy.faults" | sort -u | wc -l)" -ge 6 ]
    # An answer that never comes whole.
    faults '{"cut": 1}'
    timeout=3
    cni ADD
    fails 11 ''
    refute ip -n "$pod" link show eth1
}

@test "watches that end with 410, are cut in the middle of a line, or are refused: the address comes all the same" {
    local fault round=0 call
    net
    for fault in '{"expire": 1}' '{"watch_s": 0.5}' '{"no_watch": true}'; do
        round=$((round + 1))
        : >"$LAB_DIR/proxy.faults"
        faults "$fault"
        pod web auto "later$BATS_TEST_NUMBER-$round" | kubectl apply -f - >/dev/null
        cni ADD >/dev/null 2>&1 &
        call=$!
        lab_wait 60 grep -qE "(expire|watch_s|no_watch-503) GET .*macvlanips.*watch=" "$LAB_DIR/proxy.faults"
        kubectl get macvlansubnet -n kube-system "s$BATS_TEST_NUMBER" -o json | jq --arg name "later$BATS_TEST_NUMBER-$round" --arg n "$round" \
            '{apiVersion, kind, metadata: {name: $name, namespace: "kube-system"}, spec: {master: "eth0", vlan: 0, cidr: "10.10\($n).0.0/24"}}' |
            kubectl create -f - >/dev/null
        wait "$call"
        jq -e --arg net "10.10$round.0." '.ips[0].address | startswith($net)' result >/dev/null || fail "$fault: $(<result) $(<log)"
        succeeds DEL
        kubectl delete pod -n "$ns" web --wait=false >/dev/null
        kubectl delete macvlanip -n "$ns" web --ignore-not-found >/dev/null
    done
}

@test "a token that is rotated while the call runs is read again; one that stays wrong is error 11" {
    web
    config=rotated.config
    config_with old >"$LAB_DIR/rotated.config"
    cni ADD
    fails 11 Unauthorized
    refute ip -n "$pod" link show eth1
    cp "$LAB_DIR/plugin.config" good.config
    # The first call that is seen is the log's opening, the second one the connection.
    local n hits=0
    for n in 2 3 4; do
        config_with old >"$LAB_DIR/rotated.config"
        succeeds ADD "$AT_CALL" "$n" run "cp '$PWD/good.config' '$LAB_DIR/rotated.config'"
        is_whole
        succeeds DEL
    done
    test -e hit
}

# each ACTION... : with every N that there is, ADD under `at_call N ACTION`, then `after N`.
each() {
    n=1
    while :; do
        rm -f hit
        cni ADD "$AT_CALL" "$n" "$@"
        test -e hit || break
        after
        n=$((n + 1))
        [ "$n" -lt 400 ] || fail 'no end'
    done
    [ "$status" -eq 0 ] || fail "without a fault it must work: $output"
    is_whole
    succeeds DEL
}

after_kill() {
    local left
    [ "$status" -eq 137 ] || { [ "$status" -eq 0 ] && [ -n "$output" ]; } || fail "call $n: $status $output"
    succeeds DEL
    left=$(ip -n "$pod" -br link | awk '{ print $1 }' | sed 's/@.*//' | sort | paste -sd ' ')
    assert_equal "$left" 'eth0 far0 lo' "links after a kill at call $n and DEL"
    # The default route may have moved already: that pod will not run. The next one is as new.
    ip netns del "$pod"
    give_pod
    if [ $((n % 3)) -eq 0 ]; then
        succeeds ADD
        is_whole || fail "ADD after a kill at call $n"
        succeeds DEL
        ip netns del "$pod"
        give_pod
    fi
}

@test "killed at any call that can be seen from outside: DEL takes away what there is, and ADD works again" {
    local before
    web
    before=$(state "$HOST")
    after() { after_kill; }
    each kill
    [ "$n" -gt 20 ] || fail "only $n calls"
    assert_equal "$(state "$HOST")" "$before"
}

after_vanishing() {
    case $status in
        0) jq -e '.ips | length == 1' <<<"$output" >/dev/null || fail "call $n: $output" ;;
        1) jq -e '.code == 100 or .code == 11' <<<"$output" >/dev/null || fail "call $n: $output" ;;
        *) fail "call $n: $status" ;;
    esac
    succeeds DEL
    give_pod
}

@test "the pod's namespace vanishes at any moment: success or a plain error, and nothing is left on the host" {
    local before
    web
    before=$(state "$HOST")
    after() { after_vanishing; }
    each run "ip netns del $pod"
    [ "$n" -gt 20 ] || fail "only $n calls"
    assert_equal "$(state "$HOST")" "$before"
}

after_refusal() {
    local code
    code=$(jq -r '.code // "none"' <<<"$output")
    printf '%s %s %s %s\n' "$errno" "$n" "$code" "$(jq -r '.msg // ""' <<<"$output")" >>outcomes
    if [ "$status" -eq 0 ]; then
        is_whole || fail "$errno at message $n: success, and not whole"
        succeeds DEL
        ip netns del "$pod"
        give_pod
        return
    fi
    # Busy may pass; all else is the kernel's own.
    assert_equal "$code" "$([ "$errno" = EBUSY ] && echo 11 || echo 100)" "code of $errno at message $n: $output"
    assert_equal "$(state "$pod")" "$untouched" "what $errno at message $n has left"
}

@test "EEXIST, ENODEV, EBUSY and EPERM at any message to the kernel: retried or told, and nothing is left" {
    local untouched errno before
    web
    untouched=$(state "$pod")
    before=$(state "$HOST")
    after() { after_refusal; }
    for errno in EEXIST ENODEV EBUSY EPERM; do
        each netlink "$errno"
        ip netns del "$pod"
        give_pod
    done
    assert_equal "$(state "$HOST")" "$before"
    # The device below may have gone and come: ENODEV for the macvlan is tried again.
    grep -q '^ENODEV [0-9]* none' outcomes
    refute grep -q '^EPERM [0-9]* none' outcomes
    grep -q 'EPERM .* 100 .*Operation not permitted' outcomes
    [ "$(wc -l <outcomes)" -gt 30 ]
}

@test "a full disk, or none, under the log; a runtime that does not take the result" {
    local full
    web
    full=$(lab_tmpfs full 64k)
    head -c 1000000 /dev/zero >"$full/ballast" 2>/dev/null || true
    log=$full/plugin.log
    succeeds ADD
    jq -e '.ips | length == 1' <<<"$output"
    is_whole
    succeeds DEL
    log=/nowhere/at/all.log
    succeeds ADD
    assert_contains "no log in '/nowhere/at/all.log'" log
    succeeds DEL
    ip netns del "$pod"
    give_pod
    out=/dev/full
    cni ADD
    [ "$status" -eq 1 ] || fail "ended with $status"
    assert_contains 'the result cannot be written' log
    refute ip -n "$pod" link show eth1
    # None of its three files is open: what it opens itself must not be taken for one of them.
    ip netns del "$pod"
    give_pod
    unset out
    # shellcheck disable=SC2016
    cni ADD sh -c 'exec "$0" >&- 2>&-'
    [ "$status" -eq 1 ] || fail "ended with $status"
    refute ip -n "$pod" link show eth1
    [ ! -s result ]
}
