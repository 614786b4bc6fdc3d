#!/usr/bin/env bats
# The services of macvlan pods: companions, Endpoints and EndpointSlices, before a real API server.
# Nobody else writes them here; kube-controller-manager joins in controller_services_native.bats.
# timeout: 900
# shellcheck disable=SC2154

load helper
load controller
load controller_services

setup_file() {
    controller_setup_file
}

teardown_file() {
    lab_cleanup
}

setup() {
    services_setup
}

teardown() {
    lab_stop one
}

@test "a companion is headless, follows its source, and goes with it" {
    start one
    { service web 'app: web' 'ports: [{name: http, port: 80, targetPort: 8080}]'; fixed a 4; } | kubectl apply -f - >/dev/null
    wait_until service_is web-macvlan '.spec.clusterIP == "None" and (.spec.selector | not) and
        .spec.ports == [{name: "http", protocol: "TCP", port: 80, targetPort: 8080}] and
        .metadata.annotations["k8s.v1.cni.cncf.io/networks"] == "static-macvlan-cni-attach" and
        [.metadata.ownerReferences[] | {kind, name}] == [{kind: "Service", name: "web"}]'
    kubectl patch service -n "$ns" web --type merge \
        -p '{"spec": {"publishNotReadyAddresses": true, "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]}}'
    wait_until service_is web-macvlan '.spec.publishNotReadyAddresses and .spec.ports == [{name: "dns", protocol: "UDP", port: 53, targetPort: 53}]'
    wait_until has_endpoints web-macvlan "+$net.4"
    kubectl get endpoints -n "$ns" web-macvlan -o json | jq -e '.subsets[0].ports == [{name: "dns", protocol: "UDP", port: 53}]'
    # What somebody changes on it does not last, nor does its absence.
    kubectl patch service -n "$ns" web-macvlan --type merge -p '{"spec": {"ports": [{"port": 1}]}}'
    wait_until service_is web-macvlan '.spec.ports[0].port == 53'
    kubectl delete service -n "$ns" web-macvlan
    wait_until service_is web-macvlan '.spec.ports[0].port == 53'
    wait_until has_endpoints web-macvlan "+$net.4"
    kubectl delete service -n "$ns" web
    wait_until gone service -n "$ns" web-macvlan
    wait_until gone endpoints -n "$ns" web-macvlan
    wait_until has_no_slices web-macvlan
}

@test "a headless source's ports are one higher, as Rancher's 42 became 43" {
    start one
    { service web 'app: web' 'clusterIP: None' 'ports: [{name: default, port: 42, targetPort: 42}]'; fixed a 4; } |
        kubectl apply -f - >/dev/null
    wait_until service_is web-macvlan '.spec.ports == [{name: "default", protocol: "TCP", port: 43, targetPort: 43}]'
    # Pods without macvlan get none; neither do services that select nobody.
    { service plain 'app: plain' 'ports: [{port: 80}]'; service none 'app: none' 'ports: [{port: 80}]'; } | kubectl apply -f - >/dev/null
    labels='app: plain' pod plain auto x | grep -v 'macvlan' | kubectl apply -f - >/dev/null
    { service last 'app: web' 'ports: [{port: 80}]'; } | kubectl apply -f - >/dev/null
    wait_until service_is last-macvlan true
    gone service -n "$ns" plain-macvlan
    gone service -n "$ns" none-macvlan
}

@test "endpoints are the MacvlanIPs of the pods, by readiness; whoever is on his way out is out" {
    start one
    { service web 'app: web' 'ports: [{port: 80}]'; fixed a 4; fixed b 5; fixed c 6; labels='app: other' fixed d 7; } |
        kubectl apply -f - >/dev/null
    wait_until has_endpoints web-macvlan "-$net.4 -$net.5 -$net.6"
    ready a b c
    wait_until has_endpoints web-macvlan "+$net.4 +$net.5 +$net.6"
    kubectl get endpoints -n "$ns" web-macvlan -o json | jq -e '
        .metadata.labels["endpointslice.kubernetes.io/skip-mirror"] == "true" and
        ([.subsets[0].addresses[].targetRef.name] == ["a", "b", "c"]) and ([.metadata.ownerReferences[].name] == ["web-macvlan"])'
    unready b
    wait_until has_endpoints web-macvlan "+$net.4 +$net.6 -$net.5"
    # A pod that terminates is out at once; its object stays until the kubelet has ended it.
    kubectl patch pod -n "$ns" c --type merge -p '{"metadata": {"finalizers": ["example.org/keep"]}}'
    kubectl delete pod -n "$ns" c --wait=false
    wait_until has_endpoints web-macvlan "+$net.4 -$net.5"
    kubectl patch pod -n "$ns" c --type merge -p '{"metadata": {"finalizers": []}}'
    # Labels decide, also when they change.
    kubectl label pod -n "$ns" --overwrite d app=web
    kubectl label pod -n "$ns" --overwrite b app=other
    wait_until has_endpoints web-macvlan "+$net.4 -$net.7"
    kubectl patch service -n "$ns" web --type merge -p '{"spec": {"selector": {"app": "other"}}}'
    wait_until has_endpoints web-macvlan "-$net.5"
    finished b
    wait_until has_endpoints web-macvlan ''
}

@test "hostnames below the name of the source, and the pods of a namespace only" {
    local other=$ns-other
    start one
    kubectl create namespace "$other" >/dev/null
    { service db 'app: web' 'clusterIP: None' 'publishNotReadyAddresses: true' 'ports: [{port: 42}]'
        fixed db-0 4 | sed 's/^spec: {/&hostname: db-0, subdomain: db, /'; ns=$other fixed stranger 5; } | kubectl apply -f - >/dev/null
    wait_until has_endpoints db-macvlan "+$net.4"
    kubectl get endpoints -n "$ns" db-macvlan -o json | jq -e '.subsets[0].addresses[0] | .hostname == "db-0" and .nodeName == "none"'
    slices db-macvlan | jq -e '[.items[].endpoints[].hostname] == ["db-0"]'
}

@test "macvlanService: disabled takes the companion away" {
    start one
    { service web 'app: web' 'ports: [{port: 80}]'; fixed a 4; } | kubectl apply -f - >/dev/null
    wait_until has_endpoints web-macvlan "-$net.4"
    fixed b 5 | sed 's/^  annotations:/&\n    macvlan.panda.io\/macvlanService: disabled/' | kubectl apply -f - >/dev/null
    wait_ips 2
    has_endpoints web-macvlan "-$net.4"
    # Nobody is selected for a moment: it stays.
    kubectl label pod -n "$ns" --overwrite b app=none
    kubectl delete pod -n "$ns" a --force --grace-period 0
    wait_until has_endpoints web-macvlan ''
    service_is web-macvlan true
    kubectl label pod -n "$ns" --overwrite b app=web
    wait_until gone service -n "$ns" web-macvlan
    wait_until gone endpoints -n "$ns" web-macvlan
    wait_until has_no_slices web-macvlan
}

@test "one of 2019 is adopted, with its endpoints and without its native slices" {
    { service web 'app: web' 'clusterIP: None' 'ports: [{name: default, port: 42, targetPort: 42}]'; fixed a 4; } | kubectl apply -f - >/dev/null
    old_companion web
    { native_endpoints web-macvlan; native_slice web-macvlan; } | kubectl apply -f - >/dev/null
    start one
    wait_until has_endpoints web-macvlan "-$net.4"
    service_is web-macvlan '(.spec.selector | not) and .metadata.labels["macvlan.panda.io/managed-by"] == "network-controller.flatnet"'
    wait_until gone endpointslice -n "$ns" web-macvlan-native
    # That controller may have been behind.
    native_slice web-macvlan | kubectl apply -f - >/dev/null
    wait_until gone endpointslice -n "$ns" web-macvlan-native
    # One that is not ours stays as it is, and people are told.
    { service mail-macvlan 'app: mail' 'ports: [{port: 25}]'; service mail 'app: web' 'ports: [{port: 25}]'; } | kubectl apply -f - >/dev/null
    wait_until has_event mail "Warning MacvlanServiceError.*'mail-macvlan' is there already"
    service_is mail-macvlan '.spec.selector.app == "mail"'
}

@test "endpoints that are edited or deleted come back" {
    start one
    { service web 'app: web' 'ports: [{port: 80}]'; fixed a 4; } | kubectl apply -f - >/dev/null
    wait_until has_endpoints web-macvlan "-$net.4"
    kubectl patch endpoints -n "$ns" web-macvlan --type merge -p '{"subsets": []}'
    wait_until has_endpoints web-macvlan "-$net.4"
    kubectl label endpoints -n "$ns" web-macvlan macvlan.panda.io/managed-by- endpointslice.kubernetes.io/skip-mirror-
    wait_until has_our_label endpoints web-macvlan
    kubectl delete endpoints -n "$ns" web-macvlan
    wait_until has_endpoints web-macvlan "-$net.4"
    local slice
    slice=$(slices web-macvlan | jq -r '.items[0].metadata.name')
    kubectl patch endpointslice -n "$ns" "$slice" --type merge -p '{"endpoints": []}'
    wait_until has_endpoints web-macvlan "-$net.4"
    kubectl label endpointslice -n "$ns" "$slice" endpointslice.kubernetes.io/managed-by-
    wait_until has_endpoints web-macvlan "-$net.4"
    kubectl delete endpointslice -n "$ns" "$slice"
    wait_until has_endpoints web-macvlan "-$net.4"
}

@test "services with the networks annotation have the addresses of that network" {
    start one
    { annotated storage storage 'app: web'; fixed a 4; status_of b '[{"name": "storage", "ips": ["192.168.7.1"]}]' networks-status
        status_of c "[{\"name\": \"$ns/storage\", \"ips\": [\"192.168.7.2\", \"fd00::2\"]}]" network-status
        status_of d '[{"name": "elsewhere/storage", "ips": ["192.168.7.3"]}]' network-status; } | kubectl apply -f - >/dev/null
    wait_until has_endpoints storage '-192.168.7.1 -192.168.7.2 -fd00::2'
    ready b
    wait_until has_endpoints storage '+192.168.7.1 -192.168.7.2 -fd00::2'
    # It asks for networks itself, so that it has no companion.
    gone service -n "$ns" storage-macvlan
    annotated own static-macvlan-cni-attach 'app: web' | kubectl apply -f - >/dev/null
    wait_until has_endpoints own "-$net.4"
    annotated two 'a,b' 'app: web' | kubectl apply -f - >/dev/null
    wait_until has_event two 'Warning MacvlanServiceError'
    kubectl annotate service -n "$ns" own k8s.v1.cni.cncf.io/networks-
    wait_until has_no_slices own
}

@test "the controller of 2019 keeps the annotated services while it runs" {
    start one
    ns=kube-system labels='' pod kube-net-attach-def-controller-7d-x auto x | grep -v macvlan.pandaria | kubectl apply -f - >/dev/null
    wait_until says one 'kube-net-attach-def-controller-7d-x: this controller of 2019 still runs'
    { annotated own static-macvlan-cni-attach 'app: web'; service web 'app: web' 'ports: [{port: 80}]'; fixed a 4; } | kubectl apply -f - >/dev/null
    wait_ips 1
    gone endpoints -n "$ns" own
    gone service -n "$ns" web-macvlan
    kubectl delete pod -n kube-system kube-net-attach-def-controller-7d-x --force --grace-period 0
    wait_until has_endpoints own "-$net.4"
    wait_until has_endpoints web-macvlan "-$net.4"
}

@test "killed at any moment, the next one puts it right" {
    local n round
    start one
    { service web 'app: web' 'ports: [{port: 80}]'; service gone 'app: web' 'ports: [{port: 80}]'
        for n in $(seq 4 33); do fixed "p$n" "$n"; done; } | kubectl apply -f - >/dev/null
    for round in 1 2 3 4; do
        lab_wait 60 has_address "p$((round * 7))" "$net.$((round * 7))/24"
        lab_stop one KILL
        [ "$round" -ne 3 ] || kubectl delete service -n "$ns" gone
        kubectl delete pod -n "$ns" "p$((3 + round))" --force --grace-period 0
        start one
    done
    wait_until has_endpoints web-macvlan "$(seq 8 33 | sed "s/.*/-$net.&/" | sort | paste -sd ' ')"
    wait_until gone service -n "$ns" gone-macvlan
    wait_until gone endpoints -n "$ns" gone-macvlan
    wait_until has_no_slices gone-macvlan
}

@test "a hundred endpoints a slice, two writes a second under churn, none in quiet" {
    local n began=$SECONDS before
    start one
    { service web 'app: web' 'ports: [{port: 80}]'; for n in $(seq 4 154); do fixed "p$n" "$n"; done; } | kubectl apply -f - >/dev/null
    WAIT_SECONDS=120 wait_until has_endpoints web-macvlan "$(seq 4 154 | sed "s/.*/-$net.&/" | sort | paste -sd ' ')"
    assert_equal "$(slices web-macvlan | jq '[.items[].endpoints | length] | add')" 151
    assert_equal "$(slices web-macvlan | jq '.items | length')" 2
    # Each write that changes something counts in the generation of a slice.
    n=$(slices web-macvlan | jq '[.items[].metadata.generation] | max')
    [ "$n" -le $((2 * (SECONDS - began) + 3)) ] || fail "$n writes in $((SECONDS - began)) s"
    is_idle
    # Nor does the next leader write what is right already.
    before=$(all_versions)
    lab_stop one
    rm "$LAB_DIR/one.log"
    start one
    lab_wait 30 leads one
    is_idle
    assert_equal "$(all_versions)" "$before"
}

all_versions() {
    kubectl get services,endpoints,endpointslices,pods,macvlanips -n "$ns" -o json |
        jq -r '.items[].metadata | "\(.name) \(.resourceVersion)"'
}

# is_idle: no requests but renewals while the lease is renewed five times.
is_idle() {
    local before n
    n=$(renewals)
    wait_until renewals_are_more_than $((n + 2))
    before=$(counted 'GET|POST|PATCH|DELETE')
    wait_until renewals_are_more_than $((n + 7))
    assert_equal "$(counted 'GET|POST|PATCH|DELETE')" "$before" 'requests besides renewals'
}

restart_apiserver() {
    lab_stop k
    lab_kube_apiserver_start k ''
}

@test "slices are written as soon as the server has them" {
    start one --leader-elect-lease-duration 120 --leader-elect-renew-deadline 100
    { service web 'app: web' 'ports: [{port: 80}]'; fixed a 4; } | kubectl apply -f - >/dev/null
    wait_until has_endpoints web-macvlan "-$net.4"
    LAB_APISERVER_ARGS=--runtime-config=discovery.k8s.io/v1beta1=false restart_apiserver
    refute kubectl get endpointslices -n "$ns"
    ready a
    wait_until has_address_in_endpoints web-macvlan "$net.4"
    restart_apiserver
    wait_until has_endpoints web-macvlan "+$net.4"
}

has_address_in_endpoints() {
    kubectl get endpoints -n "$ns" "$1" -o json | jq -e --arg ip "$2" '[.subsets[]?.addresses[]?.ip] == [$ip]'
}
