#!/usr/bin/env bats
# The services of macvlan pods beside Kubernetes' own controllers: its two for endpoints write those
# of services with a selector, and its garbage collector takes what has no owner any more.
# timeout: 900
# shellcheck disable=SC2154

load helper
load controller
load controller_services

setup_file() {
    # The node has no kubelet, which two of them would mind.
    export LAB_CONTROLLERS_ARGS='--controllers=*,-nodelifecycle,-podgc'
    controller_setup_file controllers
    lab_kube_node k none
}

teardown_file() {
    lab_cleanup
}

setup() {
    services_setup
    wait_until kubectl get serviceaccount -n "$ns" default
}

teardown() {
    lab_stop one
}

# running NAME IP: ready, with an address in the cluster's network.
running() {
    set_status "$1" "{\"phase\": \"Running\", \"podIP\": \"$2\", \"podIPs\": [{\"ip\": \"$2\"}],
        \"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}"
}

# versions SERVICE: of all that belongs to it.
versions() {
    kubectl get endpoints,endpointslices -n "$ns" -o json | jq -r --arg name "$1" '.items[] |
        select(.metadata.name == $name or .metadata.labels["kubernetes.io/service-name"] == $name) |
        "\(.kind) \(.metadata.name) \(.metadata.resourceVersion)"'
}

# is_quiet SERVICE: nobody writes anything of it while the controller renews its lease five times.
is_quiet() {
    local before n
    before=$(versions "$1")
    n=$(renewals)
    wait_until renewals_are_more_than $((n + 5))
    assert_equal "$(versions "$1")" "$before" "what was written meanwhile"
}

# native NAME ADDRESSES: what Kubernetes' controller for slices says.
native() {
    [ "$(kubectl get endpointslices -n "$ns" -o json -l \
        "kubernetes.io/service-name=$1,endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io" |
        jq -r '[.items[].endpoints[]?.addresses[]] | sort | join(" ")')" = "$2" ]
}

has_no_native() {
    [ "$(kubectl get endpointslices -n "$ns" -o json | jq --arg name "$1" '[.items[].metadata.labels |
        select(.["kubernetes.io/service-name"] == $name and
            .["endpointslice.kubernetes.io/managed-by"] != "network-controller.flatnet")] | length')" -eq 0 ]
}

@test "nobody else writes the endpoints of a companion, and the garbage collector takes it away" {
    start one
    { service web 'app: web' 'ports: [{port: 80}]'; fixed a 4; fixed b 5; } | kubectl apply -f - >/dev/null
    running a 10.42.0.4
    running b 10.42.0.5
    wait_until has_endpoints web-macvlan "+$net.4 +$net.5"
    wait_until native web '10.42.0.4 10.42.0.5'
    has_no_native web-macvlan
    is_quiet web-macvlan
    kubectl delete pod -n "$ns" b --force --grace-period 0
    wait_until has_endpoints web-macvlan "+$net.4"
    wait_until native web 10.42.0.4
    is_quiet web-macvlan
    # Whoever stands by does not need to lead for that.
    lab_stop one
    kubectl delete service -n "$ns" web
    wait_until gone service -n "$ns" web-macvlan
    wait_until gone endpoints -n "$ns" web-macvlan
    wait_until has_no_slices web-macvlan
}

@test "one of 2019 loses the endpoints that Kubernetes wrote for it, for good" {
    { service web 'app: web' 'clusterIP: None' 'ports: [{name: default, port: 42, targetPort: 42}]'; fixed a 4; fixed b 5; } |
        kubectl apply -f - >/dev/null
    old_companion web
    running a 10.42.0.4
    running b 10.42.0.5
    wait_until native web-macvlan '10.42.0.4 10.42.0.5'
    start one
    wait_until has_endpoints web-macvlan "+$net.4 +$net.5"
    wait_until has_no_native web-macvlan
    kubectl delete pod -n "$ns" b --force --grace-period 0
    wait_until has_endpoints web-macvlan "+$net.4"
    has_no_native web-macvlan
    is_quiet web-macvlan
}

@test "an annotated service has the last word of ours after each change of a pod, and goes back" {
    start one
    { annotated own static-macvlan-cni-attach 'app: web'; fixed a 4; fixed b 5; } | kubectl apply -f - >/dev/null
    running a 10.42.0.4
    wait_until has_endpoints own "+$net.4 -$net.5"
    running b 10.42.0.5
    wait_until native own '10.42.0.4 10.42.0.5'
    wait_until has_endpoints own "+$net.4 +$net.5"
    is_quiet own
    kubectl annotate service -n "$ns" own k8s.v1.cni.cncf.io/networks-
    wait_until has_no_slices own
    wait_until has_cluster_addresses own '10.42.0.4 10.42.0.5'
}

has_cluster_addresses() {
    [ "$(kubectl get endpoints -n "$ns" "$1" -o json | jq -r '[.subsets[]?.addresses[]?.ip] | sort | join(" ")')" = "$2" ]
}
