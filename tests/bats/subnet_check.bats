#!/usr/bin/env bats
# flatnet subnet check before a real API server: each thing that can be wrong, made wrong and named.
# timeout: 900
# shellcheck disable=SC2154

load helper
load controller

setup_file() {
    controller_setup_file
}

teardown_file() {
    lab_cleanup
}

setup() {
    controller_setup
    KUBECONFIG=$(lab_kube_config k)
    export KUBECONFIG
}

teardown() {
    local name
    lab_stop one
    kubectl delete pods,services,macvlanips --all -n "$ns" --force --grace-period 0 >/dev/null 2>&1
    for name in $(kubectl get macvlansubnets -n kube-system -o name); do
        kubectl patch -n kube-system "$name" --type merge -p '{"metadata": {"finalizers": null}}' >/dev/null
    done
    kubectl delete macvlansubnets --all -n kube-system >/dev/null
}

create() {
    run_flatnet subnet create "$@" --quiet
    assert_status 0
}

# ip NAME SUBNET CIDR MAC [UID]: a MacvlanIP that nobody checks, of the pod of that name or UID.
ip() {
    cat <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanIP
metadata: {name: $1, namespace: $ns}
spec: {subnet: $2, cidr: $3, mac: "${4:-}", podId: "${5:-$(kubectl get pod -n "$ns" "$1" -o jsonpath='{.metadata.uid}')}"}
---
YAML
}

# found CODE SUBJECT [TEXT]: in the last output, which is JSON.
found() {
    jq -e --arg code "$1" --arg subject "$2" --arg text "${3:-}" 'any(.findings[]; .code == $code and .subject == $subject and
        (.cause | contains($text)) and (.mend | length > 5))' "$stdout_file" >/dev/null ||
        fail "no finding '$1' about '$2' with '${3:-}'"
}

# codes: of the last output, without what an API server without a controller has.
codes() {
    jq -r '[.findings[].code] | unique | map(select(. != "no-controller" and . != "no-network")) | join(" ")' "$stdout_file"
}

@test "nothing is wrong with a cluster that works" {
    create ok --master eth0 --vlan 5 --cidr 10.5.0.0/24
    start_patient one
    { pod a auto ok; pod b 10.5.0.9 ok; } | kubectl apply -f - >/dev/null
    wait_ips 2
    lab_wait 20 subnet_is ok '.status.used == 2'
    run_flatnet subnet check
    [ "$status" -eq 0 ] || fail 'not clean'
    assert_equal "$output" ''
    assert_contains '1 subnet, 2 addresses, ' stderr
    assert_contains ': 0 errors, 0 warnings' stderr
    run_flatnet subnet check ok --format json
    assert_status 0
    assert_json '.schemaVersion == 1 and .findings == [] and .errors == 0'
    run_flatnet subnet check okay
    assert_status 1
    assert_contains "there is no subnet 'okay'" stderr
    # Nobody gives addresses any more, and it is not the subnet's fault.
    lab_stop one
    run_flatnet subnet check --format json
    assert_status 3
    found no-controller network-controller 'nobody leads'
    pod c auto ok | kubectl apply -f - >/dev/null
    run_flatnet subnet check ok
    assert_status 3
    assert_contains "error: pod $ns/c: it waits for an address of subnet 'ok', and the controller has said nothing about it"
    assert_contains '  mend: see whether network-controller runs'
}

@test "addresses without a pod, with another one, twice, outside, of no subnet" {
    create d1 --master eth0 --vlan 6 --cidr 10.6.0.0/24 --range 10.6.0.10-10.6.0.19
    create d2 --master eth0 --vlan 6 --cidr 10.6.0.0/24 --range 10.6.0.20-10.6.0.29
    create far --master eth0 --vlan 7 --cidr 10.6.0.0/24
    for name in a b c d e f; do pod "$name" auto d1; done | kubectl apply -f - >/dev/null
    { ip a d1 10.6.0.10/24 0a:00:00:00:00:01; ip b d2 10.6.0.10/24 0a:00:00:00:00:02
        ip c d2 10.6.0.21/24 0a:00:00:00:00:01; ip d far 10.6.0.10/24 0a:00:00:00:00:01
        ip e d1 10.6.0.10/24 0a:00:00:00:00:05 other-uid; ip f nowhere 10.6.0.10/24
        ip lost d1 10.6.0.11/24 0a:00:00:00:00:07 gone; } | kubectl apply -f - >/dev/null
    run_flatnet subnet check --format json
    assert_status 3
    found duplicate-ip "pods $ns/a and $ns/b" "VLAN 6 of 'eth0' with 10.6.0.10"
    found duplicate-mac "pods $ns/a and $ns/c" 'with 0a:00:00:00:00:01'
    found outside "MacvlanIP $ns/b" "'10.6.0.10' is none that subnet 'd2' gives out"
    found orphan "MacvlanIP $ns/e" 'has another UID'
    found orphan "MacvlanIP $ns/lost" 'no pod'
    found no-subnet "MacvlanIP $ns/f" "of subnet 'nowhere'"
    # One VLAN knows nothing of another, and that is all there is.
    assert_equal "$(jq '[.findings[] | select(.code | startswith("duplicate"))] | length' "$stdout_file")" 2
    assert_equal "$(codes)" 'duplicate-ip duplicate-mac no-subnet orphan outside waiting'
    run_flatnet subnet check far --format json
    assert_equal "$(codes)" ''
    # The controller takes away what nobody has, and gives the other one its address.
    start_patient one
    no_orphans() {
        run_flatnet subnet check --format json
        [[ $(codes) != *orphan* ]]
    }
    lab_wait 60 no_orphans || fail "$(codes)"
}

@test "subnets that overlap or cannot work, and figures that are not true" {
    kubectl apply -f - >/dev/null <<YAML
$(subnet o1 10.7.0.0/16)
$(subnet o2 10.7.8.0/24)
$(subnet bad 10.300.0.0/16)
$(subnet odd 10.9.0.0/24 'gateway: 10.8.0.1')
YAML
    kubectl get macvlansubnet -n kube-system o1 -o json | jq '.status = {total: 10, used: 7, free: 3, reserved: 0, cooling: 0, outside: 0}' |
        kubectl replace --raw /apis/macvlan.cluster.cattle.io/v1/namespaces/kube-system/macvlansubnets/o1/status -f - >/dev/null
    run_flatnet subnet check --format json
    assert_status 3
    found overlap 'subnets o1 and o2' 'has the same master and VLAN'
    found subnet-spec 'subnet bad' 'invalid CIDR address: 10.300.0.0/16'
    found subnet-spec 'subnet odd' "gateway '10.8.0.1' is not in network"
    found figures 'subnet o1' 'says that 7 addresses are used and 0 reserved, but by its MacvlanIPs and the workloads it is 0 and 0'
    run_flatnet subnet check odd
    assert_status 3
    assert_contains "warning: subnet odd: gateway '10.8.0.1'"
    refute grep -q overlap "$stdout_file"
    run_flatnet subnet check o2
    assert_contains 'error: subnets o1 and o2: '
}

@test "pods that wait and why, half-annotated ones, and namespaces without a network" {
    create p1 --master eth0 --vlan 8 --cidr 10.8.0.0/29
    start_patient one
    { pod right auto p1; pod outside 10.9.9.9 p1; pod half auto p1 | grep -v networks
        pod part auto p1 | grep -v 'cattle.io/subnet'; } | kubectl apply -f - >/dev/null
    lab_wait 20 has_event outside 10.9.9.9
    lab_wait 20 has_address half 10.8.0.2/29 || lab_wait 20 has_address half 10.8.0.3/29
    run_flatnet subnet check --format json
    assert_status 3
    found waiting "pod $ns/outside" '10.9.9.9 invalid in p1'
    assert_json '.findings[] | select(.code == "waiting").mend == "use an address of the network and the ranges of the subnet"'
    found half "pod $ns/half" 'gets a macvlan address but no interface for it'
    found half "pod $ns/part" "has no annotation 'macvlan.pandaria.cattle.io/subnet'"
    assert_equal "$(codes)" 'half waiting'
    # Nobody makes the network again.
    lab_stop one
    kubectl delete network-attachment-definitions -n "$ns" static-macvlan-cni-attach >/dev/null
    run_flatnet subnet check --format json
    found no-network "namespace $ns" "has no network 'static-macvlan-cni-attach'"
    assert_json 'any(.findings[]; .code == "no-network" and .level == "error")'
}

@test "services whose endpoints are not those of their pods" {
    create s1 --master eth0 --vlan 9 --cidr 10.9.0.0/24
    start_patient one
    labels='app: web' pod a 10.9.0.10 s1 | kubectl apply -f - >/dev/null
    kubectl patch pod -n "$ns" a --type merge --subresource status -p '{}' 2>/dev/null || true
    kubectl get pod -n "$ns" a -o json | jq '.status = {phase: "Running", podIP: "10.42.0.9", podIPs: [{ip: "10.42.0.9"}],
        conditions: [{type: "Ready", status: "True"}]}' |
        kubectl replace --raw "/api/v1/namespaces/$ns/pods/a/status" -f - >/dev/null
    kubectl create service clusterip web -n "$ns" --tcp 80 >/dev/null
    served() {
        [ "$(kubectl get endpoints -n "$ns" web-macvlan -o jsonpath='{.subsets[*].addresses[*].ip}')" = 10.9.0.10 ]
    }
    lab_wait 60 served || fail "$(kubectl get endpoints -n "$ns" -o yaml)"
    run_flatnet subnet check --format json
    assert_equal "$(codes)" ''
    lab_stop one
    kubectl patch endpoints -n "$ns" web-macvlan --type merge -p '{"subsets": [{"addresses": [{"ip": "10.42.0.9"}], "ports": [{"port": 80}]}]}' >/dev/null
    run_flatnet subnet check --format json
    assert_status 3
    found endpoints "service $ns/web-macvlan" "'10.9.0.10' of a ready pod is missing, '10.42.0.9' is no macvlan address of its pods"
    kubectl delete service -n "$ns" web-macvlan >/dev/null
    run_flatnet subnet check --format json
    found no-service "service $ns/web" "there is no 'web-macvlan'"
}

@test "what is left of the system of 2019" {
    kubectl apply -f - >/dev/null <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: old, namespace: kube-system}
spec:
  replicas: 0
  selector: {matchLabels: {a: old}}
  template:
    metadata: {labels: {a: old}}
    spec:
      containers:
      - {name: a, image: "harbor.example/cnrancher/network-controller:v0.3.0"}
      - {name: b, image: "cnrancher/k8s-net-attach-def-controller:v0.1.0"}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: static-macvlan-cni-cfg, namespace: default}
spec: {config: '{}'}
YAML
    run_flatnet subnet check --format json
    assert_status 3
    found leftover 'deployment kube-system/old' 'the controller of 2019'
    found leftover 'deployment kube-system/old' 'annotated services are left to it'
    found leftover 'network default/static-macvlan-cni-cfg' 'early 2019'
    kubectl delete -n kube-system deployment old >/dev/null
    kubectl delete -n default network-attachment-definition static-macvlan-cni-cfg >/dev/null
}
