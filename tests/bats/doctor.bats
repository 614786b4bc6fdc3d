#!/usr/bin/env bats
# flatnet doctor against a real API server with the addons, on this host. No kubelet runs, so that
# logs cannot be had, which it has to say.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load helper
load controller

setup_file() {
    controller_setup_file
    kubectl apply -f - <<'YAML' >/dev/null
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: office, namespace: kube-system}
spec: {master: eth0, vlan: 7, cidr: 10.7.0.0/24}
---
apiVersion: v1
kind: Pod
metadata: {name: network-controller-x, namespace: kube-system}
spec:
  nodeName: n1
  containers: [{name: network-controller, image: x, env: [{name: DB_PASSWORD, value: hunter2}, {name: MODE, value: fast}]}]
YAML
    kubectl patch pod -n kube-system network-controller-x --type merge --subresource status -p \
        '{"status":{"containerStatuses":[{"name":"network-controller","restartCount":1,"image":"x","imageID":"x","ready":true}]}}' \
        >/dev/null 2>&1 || status_of
}

# kubectl 1.20 knows no --subresource.
status_of() {
    curl -sf --cacert "$LAB_DIR/ca.crt" -H "Authorization: Bearer $(lab_kubectl k config view --raw -o jsonpath='{.users[0].user.token}')" \
        -H 'Content-Type: application/merge-patch+json' -X PATCH "$(lab_kube_url k)/api/v1/namespaces/kube-system/pods/network-controller-x/status" \
        -d '{"status":{"containerStatuses":[{"name":"network-controller","restartCount":1,"image":"x","imageID":"x","ready":true}]}}' >/dev/null
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    KUBECONFIG=$(lab_kube_config k)
    export KUBECONFIG
}

# has PART: its text is in $text.
has() {
    text=$(tar xOf doctor.tar --wildcards "*/$1") || fail "no '$1' in: $(tar tf doctor.tar)"
}

@test "checks, objects and the host are in it, in a file that only we may read" {
    run_flatnet doctor -o doctor.tar
    assert_status 5
    assert_equal "$(stat -c %a doctor.tar)" 600
    has checks/host-check.json
    jq -e '.schemaVersion == 1 and (.items | length > 10)' <<<"$text"
    has checks/test-node.json
    jq -e '.results | length > 0' <<<"$text"
    has checks/status.json
    jq -e .schemaVersion <<<"$text"
    has cluster/macvlansubnets.json
    jq -e '.[0].metadata.name == "office"' <<<"$text"
    has cluster/nodes.json
    has host/kernel
    has summary.txt
    grep -q '^checks/subnet-check.json ' <<<"$text"
    grep -q 'logs/network-controller-x_network-controller.log .*answered' <<<"$text"
    grep -q 'logs/network-controller-x_network-controller_previous.log' <<<"$text"
    assert_contains 'logs/network-controller-x_network-controller.log' stderr
}

@test "no secret is in it" {
    local token
    token=$(lab_kubectl k config view --raw -o jsonpath='{.users[0].user.token}')
    [ -n "$token" ]
    run_flatnet doctor -o doctor.tar
    assert_status 5
    refute grep -qaF "$token" doctor.tar
    refute grep -qa hunter2 doctor.tar
    refute grep -qaE 'PRIVATE KEY|managedFields|last-applied' doctor.tar
    has cluster/pods-kube-system.json
    jq -e '[.[] | .spec.containers[].env[]? | select(.name == "DB_PASSWORD")] == [{name: "DB_PASSWORD", value: "REDACTED"}]' <<<"$text"
    jq -e 'any(.[]; .spec.containers[].env[]? | .value == "fast")' <<<"$text"
}

@test "without the host, as JSON" {
    run_flatnet doctor --no-host -o doctor.tar --format json
    assert_status 5
    assert_json '.file == "doctor.tar" and any(.parts[]; .name == "cluster/events.json" and .problem == null)'
    refute grep -q '/host/' <(tar tf doctor.tar)
    assert_json 'all(.parts[]; .name | startswith("host/") | not)'
}

@test "a cluster that cannot be asked leaves the host; with --no-host nothing is left" {
    sed 's/127.0.0.1:[0-9]*/127.0.0.1:1/' "$(lab_kube_config k)" >config
    unset KUBECONFIG
    run_flatnet doctor --kubeconfig config -o doctor.tar
    assert_status 5
    assert_contains 'the cluster is not in it' stderr
    has checks/host-check.json
    has summary.txt
    assert_contains 'cluster: ' <(printf '%s\n' "$text")
    run_flatnet doctor --kubeconfig config --no-host -o none.tar
    assert_status 7
    [ ! -e none.tar ]
}

@test "what it does not take" {
    run_flatnet doctor --log-lines 0
    assert_status 2
    run_flatnet doctor -o no/such/folder/x.tar --no-host
    assert_status 1
    assert_contains 'no/such/folder' stderr
    run_flatnet doctor extra
    assert_status 2
}
