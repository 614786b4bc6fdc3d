#!/usr/bin/env bats
# flatnet test cluster on two nodes with kernels of their own: first all as it should be, then with
# faults on the wire and in the cluster, each of which it has to name.
# serial
# timeout: 1800
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load ../bats/helper
# shellcheck source=tests/lab/guest.bash
. "$LAB_HOME/guest.bash"
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"
# shellcheck source=tests/lab/cluster.bash
. "$LAB_HOME/cluster.bash"

setup_file() {
    need linux.uml mkfs.ext4 etcd containerd runc ctr umoci jq curl openssl xmllint ebtables
    local static=${FLATNET_STATIC:-$REPO_ROOT/dist/linux-amd64/flatnet} plugin probe
    build=${FLATNET_BUILD:-$REPO_ROOT/build}
    lab_init "$$"
    cd "$LAB_DIR" || return 1
    "$FLATNET" addons render --mode chained --kube-version 1.20 -o addons >/dev/null
    plugin=docker.io/$(sed -n 's/^ *image: //p' addons/network-cni-daemonset.yml)
    probe=docker.io/flatnet/flatnet:${plugin##*:}
    lab_cluster_image "$LAB_DIR/plugin" "$plugin" "${static%/*}/static-macvlan-cni"
    lab_cluster_image "$LAB_DIR/probe" "$probe" "$static"
    "$FLATNET" bundle create --quiet --from "plugin=$plugin" --from "probe=$probe" -o images.tar >/dev/null
    lab_cluster c 2 images.tar
    # The controller is the one that was built, so the rendering's own has no pods.
    kubectl create -f addons/network-controller.yml --dry-run=client -o json | jq 'select(.kind != "Deployment")' |
        kubectl apply -f - >/dev/null
    kubectl apply -f addons/network-cni-daemonset.yml >/dev/null
    kubectl wait --for condition=established crd --all --timeout 60s >/dev/null
    sed "s/token: .*}/token: $(lab_cluster_token c kube-system network-controller)}}/" \
        "$(lab_cluster_config c)" >controller.config
    controller
    subnet blue 100 10.100.0.0/24
    subnet red 200 10.200.0.0/24
    wire
    kubectl rollout status -n kube-system daemonset/network-cni-ds --timeout 300s >/dev/null
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    KUBECONFIG=$(lab_cluster_config c)
    export KUBECONFIG
}

kubectl() {
    lab_cluster_kubectl c "$@"
}

controller() {
    lab_cluster_spawn c controller "${FLATNET_BUILD:-$REPO_ROOT/build}/bin/network-controller" \
        --kubeconfig "$LAB_DIR/controller.config" --mode chained --listen 127.0.0.1:0
    lab_ready controller 120 grep -q '^note: leading' "$LAB_DIR/controller.log"
}

# subnet NAME VLAN CIDR
subnet() {
    kubectl apply -f - <<YAML >/dev/null
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: $1, namespace: kube-system}
spec: {master: eth0, vlan: $2, cidr: $3, gateway: ${3%.0/*}.1, ranges: [{rangeStart: ${3%.0/*}.10, rangeEnd: ${3%.0/*}.99}]}
YAML
}

# wire: a machine with addresses on both VLANs, the gateways of the subnets.
wire() {
    lab_guest_start wire "$REPO_ROOT/tests/lab/guest-plugin.sh" --switch c-switch --seconds 3000 -- 10.0.0.200
    lab_wait 60 test -e "$(lab_guest_share wire)/ready"
    # An address is answered for on its own VLAN only, as switches and most routers do.
    on_wire 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; for v in 100 200; do
        ip link add link eth0 name eth0.$v type vlan id $v && ip link set eth0.$v up && ip addr add 10.$v.0.1/24 dev eth0.$v
    done'
}

# on_wire COMMAND: in that machine.
on_wire() {
    local share
    share=$(lab_guest_share wire)
    rm -f "$share/done"
    printf '%s\n' "$1" >"$share/do.new"
    mv "$share/do.new" "$share/do"
    lab_wait 120 test -e "$share/done"
    [ "$(tail -n 1 "$share/done")" = 'status 0' ] || fail "$(<"$share/done")"
}

# tests ARG...: the command in the switch's network. The cluster has neither kube-proxy nor DNS.
tests() {
    status=0
    lab_cluster_run c timeout -k 5 600 "$FLATNET" test cluster --format json --skip service "$@" \
        >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file") json=$output
}

# finds RESULT CHECK TEXT: such a result has TEXT in its subject, or in what was seen.
finds() {
    assert_json 'any(.results[]; .result == $result and .check == $check and (.subject + " " + .seen | contains($text)))' \
        --arg result "$1" --arg check "$2" --arg text "$3"
}

nothing_is_left() {
    none_is_left || fail "$(kubectl get namespaces)"
    [ -z "$(kubectl get macvlanips --all-namespaces -o name)" ]
}

@test "all is as expected: the matrix, addresses, gateways, isolation, companions, fixed addresses" {
    tests --junit results.xml
    assert_status 0
    local check
    for check in same-node cross-node namespace isolation gateway overlay mtu macvlan-service; do
        finds pass "$check" blue
        finds pass "$check" red
    done
    finds pass fixed 'blue: fixed after a restart it has 10.100.0.'
    finds pass fixed 'red: fixed after a restart it has 10.200.0.'
    finds pass duplicate 'nobody else answers for it'
    finds pass route 'default route by eth0'
    finds skip dns 'no kube-dns'
    assert_json '[.pairs[] | select(.check == "isolation" and .reached)] == []'
    assert_json '[.pairs[] | select(.mustReach and (.reached | not))] == []'
    assert_json '[.pairs[] | select(.check == "cross-node")] | length == 8'
    [ "$(xmllint --xpath 'string(/testsuite/@failures)' results.xml)" = 0 ]
    nothing_is_left
}

@test "a port without a VLAN and an intruder with the pods' addresses: each is named, the rest is well" {
    lab_cluster_port c n2 no-vlan 100
    on_wire 'for n in $(seq 10 40); do ip addr add 10.200.0.$n/24 dev eth0.200; done'
    status=0
    lab_cluster_run c timeout -k 5 600 "$FLATNET" test cluster --only cross-node,same-node,gateway,isolation,duplicate \
        --no-wait >out 2>err || status=$?
    lab_cluster_port c n2 open
    on_wire 'for n in $(seq 10 40); do ip addr del 10.200.0.$n/24 dev eth0.200; done'
    assert_status 3
    grep -q '^SUBNET  *NODE  *POD  *ADDRESS  *1  *2  *3  *4 ' out
    grep -qE '^blue +n1 +1 a1 +10\.100\.0\.[0-9]+ .*!x' out
    grep -A 1 '^fail  cross-node  *blue: a1 > a2 ' out |
        grep -q "1. the switch port of 'eth0' on n2 does not carry VLAN 100"
    grep -q '^pass  same-node  *blue ' out
    grep -q '^fail  gateway  *blue: a2 > gateway ' out
    refute grep -q '^fail  gateway  *blue: a1 > gateway ' out
    grep -q '^pass  isolation  *blue ' out
    grep -q '^fail  duplicate  *red: 10\.200\.0\.[0-9]*  .* answers for it, too' out || fail "$(cat out)"
    refute grep -q '^fail  duplicate .* answers for it, too' <(grep 'duplicate *blue' out)
}

@test "the controller does not run: the pods that wait are named, with their cause" {
    lab_stop controller
    tests --subnet red --only start --ready-timeout 75 --no-wait
    controller
    assert_status 3
    finds fail start 'red: a1'
    assert_json 'any(.results[] | select(.check == "start" and .result == "fail") | .causes[]; contains("controller does not run"))'
    assert_json 'any(.results[]; .result == "fail" and (.seen | contains("FailedCreatePodSandBox")))'
}

@test "an interrupt in the middle leaves nothing" {
    local pid
    lab_wait 200 none_is_left
    # nsenter becomes the program; a function would be a shell of its own.
    nsenter -t "$(lab_pid c-switch)" -n "$FLATNET" test cluster --subnet blue >out 2>err &
    pid=$!
    lab_wait 60 some_pod_is_there
    kill -s INT "$pid"
    status=0
    wait "$pid" || status=$?
    assert_status 130
    nothing_is_left
}

none_is_left() {
    [ -z "$(kubectl get namespaces -l flatnet.io/test -o name)" ]
}

some_pod_is_there() {
    [ -n "$(kubectl get pods --all-namespaces -l flatnet.io/test -o name)" ]
}

@test "what it does not take" {
    tests --subnet green
    assert_status 1
    assert_contains "no subnet 'green'" stderr
    tests --node n7
    assert_status 2
    assert_contains "'--node' has 'n7'" stderr
    tests --only nothing
    assert_status 2
    none_is_left
}
