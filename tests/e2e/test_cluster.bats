#!/usr/bin/env bats
# flatnet test cluster and flatnet test node on two nodes with kernels of their own: first all as it should
# be, then with faults on the wire, on a node and in the cluster, each of which has to be named.
# serial
# timeout: 3000
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load ../bats/helper
. "$REPO_ROOT/tests/e2e/e2e.bash"

setup_file() {
    e2e_setup && e2e_cluster && e2e_addons && e2e_wire
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
}

# tests ARG...
tests() {
    RUN_SECONDS=1200 tool test cluster --format json "$@"
}

# looks NODE ARG...: flatnet test node there.
looks() {
    status=0
    at_node "$1" env KUBECONFIG=/run/lab/kubeconfig "$FLATNET" test node --format json "${@:2}" \
        >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file") json=$output
}

# finds RESULT CHECK TEXT: such a result has TEXT in its subject, or in what was seen.
finds() {
    assert_json 'any(.results[]; .result == $result and .check == $check and (.subject + " " + .seen | contains($text)))' \
        --arg result "$1" --arg check "$2" --arg text "$3"
}

# first_cause CHECK TEXT: all that failed there have TEXT in their likeliest cause.
first_cause() {
    assert_json '[.results[] | select(.check == $check and .result == "fail") | .causes[0] | contains($text)] | length > 0 and all' \
        --arg check "$1" --arg text "$2"
}

nothing_is_left() {
    none_is_left || fail "$(kubectl get namespaces)"
    [ -z "$(kubectl get macvlanips --all-namespaces -o name)" ]
}

@test "all is as expected: the matrix, addresses, gateways, isolation, services and names, fixed addresses" {
    tests --junit results.xml
    assert_status 0
    local check name
    for check in same-node cross-node namespace isolation gateway overlay mtu service macvlan-service; do
        finds pass "$check" blue
        finds pass "$check" red
    done
    for name in probe probe-macvlan kubernetes.default; do
        finds pass dns "blue: $name "
        finds pass dns "red: $name "
    done
    finds pass service ' 10.43.'
    finds pass fixed 'blue: fixed after a restart it has 10.100.0.'
    finds pass fixed 'red: fixed after a restart it has 10.200.0.'
    finds pass duplicate 'nobody else answers for it'
    finds pass route 'default route by eth0'
    assert_json '[.results[] | select(.result == "fail" or .result == "skip")] == []'
    assert_json '[.pairs[] | select(.check == "isolation" and .reached)] == []'
    assert_json '[.pairs[] | select(.mustReach and (.reached | not))] == []'
    assert_json '[.pairs[] | select(.check == "cross-node")] | length == 8'
    [ "$(xmllint --xpath 'string(/testsuite/@failures)' results.xml)" = 0 ]
    nothing_is_left
}

# is_well NODE OTHER ARG...: flannel's path between them, as it is seen there.
is_well() {
    looks "$1" "${@:3}"
    assert_status 0
    assert_json '.node == $node and ([.results[] | select(.result == "fail")] == [])' --arg node "$1"
    finds pass api '2 nodes, 2 subnets'
    finds pass flannel "on eth0 from 10.0.0.1${1#n}, MTU 1450"
    finds pass fdb "$2 $(at_node "$2" cat /sys/class/net/flannel.1/address) leads to 10.0.0.1${2#n} by eth0"
    finds pass vxlan "$2 10.42.${2#n}.0 answers"
    finds pass tcp "$2 port 10250 answers"
    finds pass mtu "$2 1450 bytes pass through the tunnel"
}

@test "test node on both nodes: NICs, VLANs, and flannel's path to the other" {
    is_well n1 n2
    finds pass nic 'promisc '
    is_well n2 n1
    finds pass nic 'promisc '
    finds pass vlan 'blue '
    finds pass vlan 'red '
}

@test "a port without a VLAN and an intruder with the pods' addresses: each is named, the rest is well" {
    lab_cluster_port c n2 no-vlan 100
    on_wire 'for n in $(seq 10 40); do ip addr add 10.200.0.$n/24 dev eth0.200; done'
    tool test cluster --only cross-node,same-node,gateway,isolation,duplicate --no-wait
    lab_cluster_port c n2 open
    on_wire 'for n in $(seq 10 40); do ip addr del 10.200.0.$n/24 dev eth0.200; done'
    assert_status 3
    cp "$stdout_file" out
    grep -q '^SUBNET  *NODE  *POD  *ADDRESS  *1  *2  *3  *4 ' out
    grep -qE '^blue +n1 +1 a1 +10\.100\.0\.[0-9]+ .*!x' out
    grep -A 1 '^fail  cross-node  *blue: a1 > a2 ' out |
        grep -q "1. the switch port of 'eth0' on n2 does not carry VLAN 100"
    grep -q '^pass  same-node  *blue ' out
    grep -A 1 '^fail  gateway  *blue: a2 > gateway ' out |
        grep -q "1. the switch port of 'eth0' on n2 does not carry VLAN 100"
    refute grep -q '^fail  gateway  *blue: a1 > gateway ' out
    grep -q '^pass  isolation  *blue ' out
    grep -q '^fail  duplicate  *red: 10\.200\.0\.[0-9]*  .* answers for it, too' out || fail "$(cat out)"
    refute grep -q '^fail  duplicate .* answers for it, too' <(grep 'duplicate *blue' out)
}

is_promiscuous() {
    at_node "$1" ip link show eth0 | grep -q PROMISC
}

# The DaemonSet's pod switches it on again, so that it has to be stopped for that.
@test "promiscuous mode is off, and the switch knows only the node's own MAC: each is named" {
    lab_cluster_port c n2 own-mac
    at_node n2 sh -c 'kill -s STOP $(pidof static-macvlan-cni) && ip link set eth0 promisc off'
    looks n2 --only nic
    at_node n2 sh -c 'kill -s CONT $(pidof static-macvlan-cni)'
    assert_status 3
    finds fail nic 'promisc '
    lab_wait 120 is_promiscuous n2
    tests --only cross-node,same-node,gateway,overlay --no-wait
    lab_cluster_port c n2 open
    assert_status 3
    first_cause cross-node 'the virtual switch below n2 drops the frames of foreign MACs: allow promiscuous mode'
    first_cause gateway 'the virtual switch below n2 drops the frames of foreign MACs: allow promiscuous mode'
    finds fail cross-node 'blue: a1 > a2 '
    finds fail cross-node 'red: a1 > a2 '
    for check in same-node overlay; do
        finds pass "$check" 'blue '
        finds pass "$check" 'red '
    done
}

@test "flannel of a node on the wrong interface: named by both; put right by a start of the node" {
    at_node n2 sh -c 'ip link add nat0 type dummy && ip addr add 10.0.2.15/24 dev nat0 && ip link set nat0 up'
    lab_cluster_flannel c n2 nat0
    looks n1
    assert_status 3
    finds fail vxlan 'left for UDP 8472 of 10.0.2.15, none came back'
    first_cause vxlan "flannel on n2 has taken another interface: others send to 10.0.2.15, the node's own address is 10.0.0.12"
    looks n2
    assert_status 3
    finds pass flannel 'on nat0 from 10.0.2.15'
    finds fail fdb 'n1 10.0.0.11 is reached by eth0, and flannel.1 stands on nat0'
    first_cause fdb "run 'flatnet host iface --peer 10.0.0.11'"
    tests --subnet blue --only cross-node,overlay --no-wait
    assert_status 3
    finds pass cross-node 'blue '
    finds fail overlay 'blue: a1 > a2 '
    first_cause overlay "flannel on n2 has taken another interface: others send to 10.0.2.15, the node's own address is 10.0.0.12: run 'flatnet host iface --peer 10.0.0.11' there"
    lab_cluster_kill c n2
    lab_cluster_boot c n2
    lab_cluster_ready c n2
    e2e_addons_ready
    # It has no pods on VLANs since then.
    is_well n1 n2
    is_well n2 n1 --skip nic
}

@test "the controller does not run: the pods that wait are named, with their cause" {
    kubectl scale -n kube-system deployment/network-controller --replicas 0 >/dev/null
    kubectl wait -n kube-system --for delete pod -l app=network-controller --timeout 300s >/dev/null
    tests --subnet red --only start --ready-timeout 75 --no-wait
    kubectl scale -n kube-system deployment/network-controller --replicas 2 >/dev/null
    e2e_addons_ready
    assert_status 3
    finds fail start 'red: a1'
    assert_json 'any(.results[] | select(.check == "start" and .result == "fail") | .causes[]; contains("controller does not run"))'
    assert_json 'any(.results[]; .result == "fail" and (.seen | contains("FailedCreatePodSandBox")))'
}

@test "an interrupt in the middle leaves nothing" {
    local pid
    lab_wait 200 none_is_left
    # nsenter becomes the program; a function would be a shell of its own.
    KUBECONFIG=$(lab_cluster_config c) nsenter -t "$(lab_pid c-switch)" -n "$FLATNET" test cluster --subnet blue >out 2>err &
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
