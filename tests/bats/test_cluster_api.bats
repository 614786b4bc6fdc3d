#!/usr/bin/env bats
# flatnet test cluster against an API server without anything behind it: no pod starts, and no namespace
# that is deleted ever goes.
# shellcheck disable=SC2154

load helper
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

setup_file() {
    need etcd jq xmllint
    lab_init "$$"
    lab_kube k
    "$FLATNET" addons render --mode chained --kube-version 1.20 -o "$LAB_DIR/addons" >/dev/null 2>&1
    lab_kubectl k apply -f "$LAB_DIR/addons/macvlan-network.yml" >/dev/null
    lab_kubectl k wait --for condition=established crd --all --timeout "$(lab_patience 60)s" >/dev/null
    lab_kube_node k n1 >/dev/null
    lab_kubectl k get node n1 -o json | jq '.status.conditions = [{type: "Ready", status: "True"}]' |
        lab_kubectl k replace --raw /api/v1/nodes/n1/status -f - >/dev/null
    lab_kubectl k apply -f - >/dev/null <<'YAML'
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: blue, namespace: kube-system}
spec: {master: eth0, vlan: 100, cidr: 10.100.0.0/24}
YAML
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    KUBECONFIG=$(lab_kube_config k)
    export KUBECONFIG
}

@test "what was seen is told, though the probe pods do not go" {
    run_flatnet test cluster --only start --ready-timeout 2 --format json --junit results.xml
    assert_status 1
    assert_contains "namespace 'flatnet-test-" stderr
    assert_contains "was not removed" stderr
    assert_json '[.results[] | select(.check == "start" and .result == "fail")] | length > 0'
    [ "$(xmllint --xpath 'string(/testsuite/@failures)' results.xml)" -gt 0 ]
    lab_kubectl k get namespaces -l flatnet.io/test -o json >left
    jq -e '.items | length == 2 and all(.metadata.deletionTimestamp)' left >/dev/null
}
