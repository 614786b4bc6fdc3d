# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154
# flatnet test cluster and flatnet test node, for a cluster c of e2e.bash with addons in chained mode
# (proof_all and proof_nodes: in either), the machine "wire", and the subnets blue and red: first all as it
# should be, then with faults on the wire, on a node and in the cluster, each of which has to be named. Other
# pods may be there. Each function is a step, called by a test in its own folder, and leaves all as it was.
#
#   proof_all          everything that can be asked is as it should be
#   proof_nodes        the same of both nodes
#   proof_vlan         a port without a VLAN, and an intruder with addresses of pods
#   proof_promisc      promiscuous mode off, and a switch that knows only the node's own MAC
#   proof_flannel      flannel of n2 on a wrong interface; n2 is started anew for it, and none of its pods
#                      need be Ready at the end
#   proof_controller   no controller
#   proof_interrupt    a Ctrl-C in the middle
#   proof_refusals     what it does not take

# proof_tests ARG...
proof_tests() {
    RUN_SECONDS=1200 tool test cluster --format json --ready-timeout "$(lab_patience 120)" --timeout 2 "$@"
}

# proof_looks NODE ARG...: flatnet test node there.
proof_looks() {
    status=0
    at_node "$1" env KUBECONFIG=/run/lab/kubeconfig "$FLATNET" test node --format json --timeout 2 "${@:2}" \
        >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file") json=$output
}

# proof_finds RESULT CHECK TEXT: such a result has TEXT in its subject, or in what was seen.
proof_finds() {
    assert_json 'any(.results[]; .result == $result and .check == $check and (.subject + " " + .seen | contains($text)))' \
        --arg result "$1" --arg check "$2" --arg text "$3"
}

# proof_first_cause CHECK TEXT: all that failed there have TEXT in their likeliest cause.
proof_first_cause() {
    assert_json '[.results[] | select(.check == $check and .result == "fail") | .causes[0] | contains($text)] | length > 0 and all' \
        --arg check "$1" --arg text "$2"
}

proof_nothing_is_left() {
    proof_none_is_left || fail "$(kubectl get namespaces)"
    kubectl get macvlanips --all-namespaces -o json |
        jq -e '[.items[].metadata.namespace | select(startswith("flatnet-test"))] == []' >/dev/null
}

proof_all() {
    proof_tests --junit results.xml
    assert_status 0
    local check name
    for check in same-node cross-node namespace isolation gateway overlay mtu service macvlan-service; do
        proof_finds pass "$check" blue
        proof_finds pass "$check" red
    done
    for name in probe probe-macvlan kubernetes.default; do
        proof_finds pass dns "blue: $name "
        proof_finds pass dns "red: $name "
    done
    proof_finds pass service ' 10.43.'
    proof_finds pass fixed 'blue: fixed after a restart it has 10.100.0.'
    proof_finds pass fixed 'red: fixed after a restart it has 10.200.0.'
    proof_finds pass duplicate 'nobody else answers for it'
    proof_finds pass route 'default route by eth0'
    assert_json '[.results[] | select(.result == "fail" or .result == "skip")] == []'
    assert_json '[.pairs[] | select(.check == "isolation" and .reached)] == []'
    assert_json '[.pairs[] | select(.mustReach and (.reached | not))] == []'
    assert_json '[.pairs[] | select(.check == "cross-node")] | length == 8'
    [ "$(xmllint --xpath 'string(/testsuite/@failures)' results.xml)" = 0 ]
    proof_nothing_is_left
}

# proof_is_well NODE OTHER ARG...: flannel's path between them, as it is seen there.
proof_is_well() {
    proof_looks "$1" "${@:3}"
    assert_status 0
    assert_json '.node == $node and ([.results[] | select(.result == "fail")] == [])' --arg node "$1"
    proof_finds pass api '2 nodes, 2 subnets'
    proof_finds pass flannel "on eth0 from 10.0.0.1${1#n}, MTU 1450"
    proof_finds pass fdb "$2 $(at_node "$2" cat /sys/class/net/flannel.1/address) leads to 10.0.0.1${2#n} by eth0"
    proof_finds pass vxlan "$2 10.42.${2#n}.0 answers"
    proof_finds pass tcp "$2 port 10250 answers"
    proof_finds pass mtu "$2 1450 bytes pass through the tunnel"
}

proof_nodes() {
    proof_is_well n1 n2
    proof_finds pass nic 'promisc '
    proof_is_well n2 n1
    proof_finds pass nic 'promisc '
    proof_finds pass vlan 'blue '
    proof_finds pass vlan 'red '
}

proof_vlan() {
    lab_cluster_port c n2 no-vlan 100
    on_wire 'for n in $(seq 10 40); do ip addr add 10.200.0.$n/24 dev eth0.200; done'
    tool test cluster --ready-timeout "$(lab_patience 120)" --only cross-node,same-node,gateway,isolation,duplicate --no-wait
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

proof_is_promiscuous() {
    at_node "$1" ip link show eth0 | grep -q PROMISC
}

# The DaemonSet's pod switches it on again, so that it has to be stopped for that.
proof_promisc() {
    lab_cluster_port c n2 own-mac
    at_node n2 sh -c 'kill -s STOP $(pidof static-macvlan-cni) && ip link set eth0 promisc off'
    proof_looks n2 --only nic
    at_node n2 sh -c 'kill -s CONT $(pidof static-macvlan-cni)'
    assert_status 3
    proof_finds fail nic 'promisc '
    lab_wait 120 proof_is_promiscuous n2
    proof_tests --only cross-node,same-node,gateway,overlay --no-wait
    lab_cluster_port c n2 open
    assert_status 3
    proof_first_cause cross-node 'the virtual switch below n2 drops the frames of foreign MACs: allow promiscuous mode'
    proof_first_cause gateway 'the virtual switch below n2 drops the frames of foreign MACs: allow promiscuous mode'
    proof_finds fail cross-node 'blue: a1 > a2 '
    proof_finds fail cross-node 'red: a1 > a2 '
    for check in same-node overlay; do
        proof_finds pass "$check" 'blue '
        proof_finds pass "$check" 'red '
    done
}

proof_flannel() {
    at_node n2 sh -c 'ip link add nat0 type dummy && ip addr add 10.0.2.15/24 dev nat0 && ip link set nat0 up'
    lab_cluster_flannel c n2 nat0
    proof_looks n1
    assert_status 3
    proof_finds fail vxlan 'left for UDP 8472 of 10.0.2.15, none came back'
    proof_first_cause vxlan "flannel on n2 has taken another interface: others send to 10.0.2.15, the node's own address is 10.0.0.12"
    proof_looks n2
    assert_status 3
    proof_finds pass flannel 'on nat0 from 10.0.2.15'
    proof_finds fail fdb 'n1 10.0.0.11 is reached by eth0, and flannel.1 stands on nat0'
    proof_first_cause fdb "run 'flatnet host iface --peer 10.0.0.11'"
    proof_tests --subnet blue --only cross-node,overlay --no-wait
    assert_status 3
    proof_finds pass cross-node 'blue '
    proof_finds fail overlay 'blue: a1 > a2 '
    proof_first_cause overlay "flannel on n2 has taken another interface: others send to 10.0.2.15, the node's own address is 10.0.0.12: run 'flatnet host iface --peer 10.0.0.11' there"
    lab_cluster_kill c n2
    lab_cluster_boot c n2
    lab_cluster_ready c n2
    e2e_addons_ready
    # It may have no pods on VLANs since then.
    proof_is_well n1 n2
    proof_is_well n2 n1 --skip nic
}

proof_controller() {
    kubectl scale -n kube-system deployment/network-controller --replicas 0 >/dev/null
    kubectl wait -n kube-system --for delete pod -l app=network-controller --timeout "$(lab_patience 300)s" >/dev/null
    proof_tests --subnet red --only start --ready-timeout 75 --no-wait
    kubectl scale -n kube-system deployment/network-controller --replicas 2 >/dev/null
    e2e_addons_ready
    assert_status 3
    proof_finds fail start 'red: a1'
    assert_json 'any(.results[] | select(.check == "start" and .result == "fail") | .causes[]; contains("controller does not run"))'
    assert_json 'any(.results[]; .result == "fail" and (.seen | contains("FailedCreatePodSandBox")))'
}

proof_interrupt() {
    local pid
    lab_wait 200 proof_none_is_left
    # nsenter becomes the program; a function would be a shell of its own.
    KUBECONFIG=$(lab_cluster_config c) nsenter -t "$(lab_pid c-switch)" -n "$FLATNET" test cluster --subnet blue >out 2>err &
    pid=$!
    lab_wait 60 proof_some_pod_is_there
    kill -s INT "$pid"
    status=0
    wait "$pid" || status=$?
    assert_status 130
    proof_nothing_is_left
}

proof_none_is_left() {
    [ -z "$(kubectl get namespaces -l flatnet.io/test -o name)" ]
}

proof_some_pod_is_there() {
    [ -n "$(kubectl get pods --all-namespaces -l flatnet.io/test -o name)" ]
}

proof_refusals() {
    proof_tests --subnet green
    assert_status 1
    assert_contains "no subnet 'green'" stderr
    proof_tests --node n7
    assert_status 2
    assert_contains "'--node' has 'n7'" stderr
    proof_tests --only nothing
    assert_status 2
    proof_none_is_left
}
