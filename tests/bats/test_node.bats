#!/usr/bin/env bats
# flatnet test node: two hosts in network namespaces on one switch, with flannel's links, routes,
# neighbours and forwarding entries as flannel 0.10 makes them, and a real API server that has the
# nodes' annotations. Then everything that can be wrong with them.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load helper
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

setup_file() {
    need ip bridge nsenter jq socat iptables xmllint
    lab_init "$$"
    lab_kube k
    "$FLATNET" addons render --mode chained --kube-version 1.20 -o "$LAB_DIR/addons" >/dev/null 2>&1
    lab_kubectl k apply -f "$LAB_DIR/addons/macvlan-network.yml" >/dev/null
    lab_kubectl k wait --for condition=established crd --all --timeout "$(lab_patience 60)s" >/dev/null
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    ns=flatnet-n$$-$BATS_TEST_NUMBER
    ip netns add "$ns-sw"
    ip -n "$ns-sw" link add br0 type bridge
    ip -n "$ns-sw" link set br0 up
    host a 1
    host b 2
    flannel a 1 2
    flannel b 2 1
    knows a b 2
    knows b a 1
}

teardown() {
    local name
    for name in sw a b; do ip netns del "$ns-$name" || true; done
}

on() {
    local name=$1
    shift
    ip netns exec "$ns-$name" "$@"
}

# host NAME N: a namespace whose eth0 is 10.77.0.N, on the switch.
host() {
    ip netns add "$ns-$1"
    ip -n "$ns-$1" link set lo up
    ip -n "$ns-$1" link add eth0 type veth peer name "port-$1" netns "$ns-sw"
    ip -n "$ns-sw" link set "port-$1" master br0 up
    ip -n "$ns-$1" link set eth0 up promisc on
    ip -n "$ns-$1" addr add "10.77.0.$2/24" dev eth0
    ip -n "$ns-$1" route add default via 10.77.0.254
}

# flannel NAME N: its link; pods of the host are 10.42.N.0/24.
flannel() {
    ip -n "$ns-$1" link add flannel.1 type vxlan id 1 dev eth0 local "10.77.0.$2" dstport 8472 nolearning
    ip -n "$ns-$1" addr add "10.42.$2.0/32" dev flannel.1
    ip -n "$ns-$1" link set flannel.1 up
}

mac() {
    ip -n "$ns-$1" -j link show flannel.1 | jq -r '.[0].address'
}

# knows NAME OTHER N: what flannel on NAME writes for the host OTHER.
knows() {
    ip -n "$ns-$1" route add "10.42.$3.0/24" via "10.42.$3.0" dev flannel.1 onlink
    ip -n "$ns-$1" neigh add "10.42.$3.0" lladdr "$(mac "$2")" dev flannel.1 nud permanent
    bridge -n "$ns-$1" fdb add "$(mac "$2")" dev flannel.1 dst "10.77.0.$3" self permanent
}

# looks ARG...: the command on host a.
looks() {
    status=0
    on a timeout -k 5 120 "$FLATNET" test node --format json "$@" >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file") json=$output
}

# finds RESULT CHECK SUBJECT TEXT: that result is among them, and TEXT is in what was seen.
finds() {
    assert_json 'any(.results[]; .result == $result and .check == $check and .subject == $subject
        and (.seen | contains($text)))' --arg result "$1" --arg check "$2" --arg subject "$3" --arg text "$4"
}

# first_cause CHECK TEXT: the likeliest cause of what failed there.
first_cause() {
    assert_json 'first(.results[] | select(.check == $check and .result != "pass")) | .causes[0] | contains($text)' \
        --arg check "$1" --arg text "$2"
}

# Leads the API server into the namespace of host a, makes nodes and sets $KUBECONFIG.
cluster() {
    local name n
    lab_kube_relay "api$BATS_TEST_NUMBER" "$ns-a" "$(<"$LAB_DIR/k.port")" "127.0.0.1:$(<"$LAB_DIR/k.port")"
    KUBECONFIG=$(lab_kube_config k)
    export KUBECONFIG
    n=0
    for name in a b; do
        n=$((n + 1))
        lab_kubectl k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Node
metadata:
  name: node-$name
  annotations:
    flannel.alpha.coreos.com/backend-type: vxlan
    flannel.alpha.coreos.com/public-ip: 10.77.0.$n
    flannel.alpha.coreos.com/backend-data: '{"VtepMAC":"$(mac $name)"}'
spec: {podCIDR: 10.42.$n.0/24, podCIDRs: [10.42.$n.0/24]}
YAML
    done
}

@test "a host by itself: both ways of the tunnel, TCP and full packets" {
    lab_spawn kubelet nsenter --net="/run/netns/$ns-b" socat TCP-LISTEN:10250,fork,reuseaddr /dev/null
    looks --peer 10.77.0.2
    assert_status 0
    finds pass nic promisc "eth0"
    finds pass flannel flannel.1 "on eth0 from 10.77.0.1, MTU 1450"
    finds pass fdb 10.42.2.0/24 "leads to 10.77.0.2 by eth0"
    finds pass vxlan 10.42.2.0/24 "10.42.2.0 answers 3 of 3"
    finds pass tcp 10.42.2.0/24 "port 10250"
    finds pass mtu 10.42.2.0/24 "1500 bytes pass between the hosts"
    finds pass mtu 10.42.2.0/24 "1450 bytes pass through the tunnel"
    finds skip api cluster "no kubeconfig"
}

@test "with the cluster: nodes by name, this one found by its address" {
    cluster
    looks
    assert_status 0
    assert_json '.schemaVersion == 1 and .node == "node-a"'
    finds pass api cluster "2 nodes"
    finds pass fdb node-b "leads to 10.77.0.2 by eth0"
    finds pass vxlan node-b "answers"
    looks --node node-c
    assert_status 2
    assert_contains "no node 'node-c'" stderr
}

@test "an entry that leads to another address is found, with and without the cluster" {
    bridge -n "$ns-a" fdb replace "$(mac b)" dev flannel.1 dst 10.77.0.9 self permanent
    looks --peer 10.77.0.2
    assert_status 3
    finds fail fdb 10.42.2.0/24 "leads to 10.77.0.9, which is not 10.77.0.2"
    cluster
    looks
    assert_status 3
    finds fail fdb node-b "leads to 10.77.0.9, which is not 10.77.0.2"
    first_cause fdb "flatnet host iface"
}

@test "no entry for the MAC of a host" {
    bridge -n "$ns-a" fdb del "$(mac b)" dev flannel.1 dst 10.77.0.2 self
    looks
    assert_status 3
    finds fail fdb 10.42.2.0/24 "no forwarding entry for its MAC $(mac b)"
}

@test "a neighbour that is missing, and one with the MAC of a link that is gone" {
    ip -n "$ns-a" neigh del 10.42.2.0 dev flannel.1
    looks
    assert_status 3
    finds fail fdb 10.42.2.0/24 "10.42.2.0, the gateway to its pods, has no MAC"
    ip -n "$ns-a" neigh add 10.42.2.0 lladdr 02:00:00:00:00:09 dev flannel.1 nud permanent
    cluster
    looks
    assert_status 3
    finds fail fdb node-b "has MAC 02:00:00:00:00:09"
}

@test "a route that leads elsewhere, and none" {
    cluster
    ip -n "$ns-a" route replace 10.42.2.0/24 via 10.77.0.7 dev eth0
    looks
    assert_status 3
    finds fail fdb node-b "leads by eth0 via 10.77.0.7"
    ip -n "$ns-a" route del 10.42.2.0/24
    looks
    assert_status 3
    finds fail fdb node-b "no route to its pods (10.42.2.0/24)"
}

@test "a route without the tunnel to the node itself is flannel's DirectRouting" {
    cluster
    ip -n "$ns-a" route replace 10.42.2.0/24 via 10.77.0.2 dev eth0
    looks --only fdb,vxlan
    assert_status 0
    finds pass fdb node-b "without the tunnel"
}

@test "flannel stands on another NIC than the one that reaches the node" {
    ip -n "$ns-a" link add eth1 type veth peer name far1
    ip -n "$ns-a" link set eth1 up
    ip -n "$ns-a" link set far1 up
    ip -n "$ns-a" addr add 10.78.0.1/24 dev eth1
    ip -n "$ns-a" link del flannel.1
    ip -n "$ns-a" link add flannel.1 type vxlan id 1 dev eth1 local 10.78.0.1 dstport 8472 nolearning
    ip -n "$ns-a" addr add 10.42.1.0/32 dev flannel.1
    ip -n "$ns-a" link set flannel.1 up
    knows a b 2
    looks
    assert_status 3
    finds fail fdb 10.42.2.0/24 "10.77.0.2 is reached by eth0, and flannel.1 stands on eth1"
}

# tells N ADDRESS: flannel of node-b tells this, host a has heard it, and the node's own address is 10.77.0.N.
tells() {
    lab_kubectl k annotate node node-b --overwrite "flannel.alpha.coreos.com/public-ip=$2" >/dev/null
    lab_kubectl k get node node-b -o json | jq --arg own "10.77.0.$1" '.status.addresses = [{type: "InternalIP", address: $own}]' |
        lab_kubectl k replace --raw /api/v1/nodes/node-b/status -f - >/dev/null
    bridge -n "$ns-a" fdb replace "$(mac b)" dev flannel.1 dst "$2" self permanent
}

@test "flannel of the other node tells another address than the node's own: one that does not answer, or is ours" {
    ip -n "$ns-a" neigh add 10.77.0.254 lladdr 02:00:00:00:00:fe dev eth0 nud permanent
    cluster
    tells 2 10.0.2.15
    looks --count 1
    assert_status 3
    finds fail vxlan node-b "left for UDP 8472 of 10.0.2.15, none came back"
    first_cause vxlan "flannel on node-b has taken another interface: others send to 10.0.2.15, the node's own address is 10.77.0.2"
    first_cause vxlan "flatnet host iface --peer 10.77.0.1"
    ip -n "$ns-a" neigh del 10.77.0.254 dev eth0
    looks --count 1
    finds fail vxlan node-b "no packet of the tunnel leaves"
    first_cause vxlan "flannel on node-b has taken another interface"
    # As where each host has one NIC of the same address, behind NAT.
    ip -n "$ns-a" link add nat0 type veth peer name far0
    ip -n "$ns-a" addr add 10.0.2.15/24 dev nat0
    ip -n "$ns-a" link set nat0 up
    looks
    assert_status 3
    finds fail fdb node-b "10.0.2.15 is reached by lo, and flannel.1 stands on eth0"
    first_cause fdb "flannel on node-b has taken another interface"
    tells 2 10.77.0.2
    looks
    assert_status 0
}

@test "UDP 8472 dropped there, here, and on the way out" {
    on b iptables -A INPUT -p udp --dport 8472 -j DROP
    looks --only vxlan --count 1
    assert_status 3
    finds fail vxlan 10.42.2.0/24 "left for UDP 8472 of 10.77.0.2, none came back"
    first_cause vxlan "firewall there or between"
    on b iptables -F INPUT
    on a iptables -A INPUT -p udp --dport 8472 -j DROP
    looks --only vxlan --count 1
    assert_status 3
    finds fail vxlan 10.42.2.0/24 "came to UDP 8472, and the tunnel gave none of them on"
    on a iptables -F INPUT
    on a iptables -A OUTPUT -p udp --dport 8472 -j DROP
    looks --only vxlan --count 1
    assert_status 3
    finds fail vxlan 10.42.2.0/24 "no packet of the tunnel leaves"
}

@test "TCP that does not pass the tunnel, though it answers beside it" {
    on b iptables -A INPUT -i flannel.1 -p tcp -j DROP
    looks --only tcp
    assert_status 3
    finds fail tcp 10.42.2.0/24 "answers without the tunnel"
    first_cause tcp "ethtool -K flannel.1 tx off"
    on b iptables -A INPUT -p tcp -j DROP
    looks --only tcp
    assert_status 0
    finds skip tcp 10.42.2.0/24 "answers neither"
}

@test "a smaller MTU between the hosts is measured" {
    ip -n "$ns-sw" link set port-b mtu 1400
    ip -n "$ns-sw" link set br0 mtu 1500
    looks --only mtu
    assert_status 3
    finds fail mtu 10.42.2.0/24 "packets between the hosts pass up to 1400 bytes, not 1500"
    first_cause mtu "switch or router between has a smaller MTU"
}

@test "the tunnel's own link: down, too large, another address or MAC than the node tells" {
    cluster
    ip -n "$ns-a" link set eth0 mtu 1440
    looks --only flannel
    assert_status 3
    finds fail flannel flannel.1 "its MTU is 1450"
    ip -n "$ns-a" link set eth0 mtu 1500
    lab_kubectl k annotate node node-a --overwrite flannel.alpha.coreos.com/public-ip=10.9.9.9 \
        'flannel.alpha.coreos.com/backend-data={"VtepMAC":"02:00:00:00:00:07"}' >/dev/null
    looks --only flannel --node node-a
    assert_status 3
    finds fail flannel flannel.1 "it sends from 10.77.0.1, others send to 10.9.9.9"
    finds fail flannel flannel.1 "others send to 02:00:00:00:00:07"
    ip -n "$ns-a" link set flannel.1 down
    looks --only flannel
    assert_status 3
    finds fail flannel flannel.1 "the link is down"
    ip -n "$ns-a" link del flannel.1
    looks --only flannel --node node-a
    assert_status 3
    finds fail flannel flannel.1 "No such device"
}

@test "an entry of a node that is gone is a warning" {
    cluster
    bridge -n "$ns-a" fdb add 02:00:00:00:00:33 dev flannel.1 dst 10.77.0.33 self permanent
    looks --only fdb
    assert_status 0
    finds warn fdb 10.77.0.33 "no node's address"
}

@test "subnets of the cluster against this host's NICs" {
    cluster
    lab_kubectl k apply -f - >/dev/null <<'YAML'
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: flat, namespace: kube-system}
spec: {master: eth0, vlan: 0, cidr: 10.1.0.0/24}
---
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: tagged, namespace: kube-system}
spec: {master: eth0, vlan: 7, cidr: 10.2.0.0/24}
---
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: elsewhere, namespace: kube-system}
spec: {master: ens9, vlan: 8, cidr: 10.3.0.0/24}
YAML
    looks --only vlan
    assert_status 0
    finds pass vlan flat "pods stand on eth0 itself"
    finds skip vlan tagged "there is no eth0.7 yet"
    finds warn vlan elsewhere "no NIC 'ens9'"
    ip -n "$ns-a" link add eth0.7 type bridge
    looks --only vlan
    assert_status 3
    finds fail vlan tagged "eth0.7 is not VLAN 7 of eth0"
}

@test "an API server that cannot be reached is a finding, and the rest is looked at" {
    sed 's/127.0.0.1:[0-9]*/127.0.0.1:1/' "$(lab_kube_config k)" >config
    KUBECONFIG=$T/config looks --only api,fdb
    assert_status 3
    finds fail api cluster "127.0.0.1:1"
    finds pass fdb 10.42.2.0/24 "leads to 10.77.0.2"
}

@test "no flannel, no finding" {
    ip -n "$ns-a" link del flannel.1
    looks
    finds skip flannel flannel.1 "no such link"
}

@test "what people and Jenkins read" {
    bridge -n "$ns-a" fdb replace "$(mac b)" dev flannel.1 dst 10.77.0.9 self permanent
    status=0
    on a "$FLATNET" test node --only flannel,fdb --peer 10.77.0.2 --junit results.xml >out || status=$?
    assert_status 3
    grep -q '^pass  flannel  flannel.1 ' out
    grep -q '^fail  fdb      10.42.2.0/24  .* leads to 10.77.0.9' out
    grep -q '1\. flannel there has taken another interface' out
    grep -q '^1 pass, 0 warn, 1 fail, 0 skip$' out
    [ "$(xmllint --xpath 'string(/testsuite/@failures)' results.xml)" = 1 ]
    [ "$(xmllint --xpath 'count(//testcase)' results.xml)" = 2 ]
    xmllint --xpath 'string(//failure/@message)' results.xml | grep -q 10.77.0.9
}

@test "what it does not take" {
    looks --only fbd
    assert_status 2
    assert_contains "did you mean 'fdb'?" stderr
    looks --peer 10.0.0
    assert_status 2
    assert_contains "'--peer' takes an IPv4 address, not '10.0.0'" stderr
    looks --count 0
    assert_status 2
    looks --kubeconfig nowhere
    assert_status 1
    assert_contains "nowhere" stderr
    [ -z "$output" ]
}
