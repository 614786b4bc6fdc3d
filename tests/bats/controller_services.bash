# shellcheck shell=bash
# shellcheck disable=SC2154
# What the tests of services share: services and pods of the namespace $ns with the network $net.

services_setup() {
    controller_setup
    subnet "s$BATS_TEST_NUMBER" "10.$BATS_TEST_NUMBER.0.0/24" | kubectl apply -f - >/dev/null
    net=10.$BATS_TEST_NUMBER.0
    # shellcheck disable=SC2034
    labels='app: web'
}

# service NAME SELECTOR [FIELD...]
service() {
    printf 'apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec:\n  selector: {%s}\n' "$1" "$ns" "$2"
    [ $# -lt 3 ] || printf '  %s\n' "${@:3}"
    printf -- '---\n'
}

# annotated NAME NETWORKS SELECTOR: a service that asks for networks itself.
annotated() {
    service "$1" "$3" 'ports: [{port: 80}]' | sed "s/^metadata: {/&annotations: {k8s.v1.cni.cncf.io\/networks: '$2'}, /"
}

# fixed NAME HOST: a macvlan pod with the address $net.HOST.
fixed() {
    pod "$1" "$net.$2" "s$BATS_TEST_NUMBER"
}

# status_of NAME STATUS SPELLING: a pod that is not ours and has this network status.
status_of() {
    pod "$1" '' '' | grep -v macvlan.pandaria | sed "s|^  annotations:|&\n    k8s.v1.cni.cncf.io/$3: '$2'|"
}

# old_companion SOURCE: as the 2019 controller made it.
old_companion() {
    local uid
    uid=$(kubectl get service -n "$ns" "$1" -o json | jq -r .metadata.uid)
    kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata:
  name: $1-macvlan
  namespace: $ns
  annotations: {k8s.v1.cni.cncf.io/networks: static-macvlan-cni-attach}
  ownerReferences: [{apiVersion: v1, kind: Service, name: $1, uid: $uid}]
spec:
  clusterIP: None
  selector: {app: web}
  ports: [{name: default, port: 43, targetPort: 43}]
YAML
}

# native_endpoints SERVICE: as Kubernetes' own controller makes them.
native_endpoints() {
    cat <<YAML
apiVersion: v1
kind: Endpoints
metadata: {name: $1, namespace: $ns, labels: {service.kubernetes.io/headless: ""}}
subsets: [{addresses: [{ip: 10.42.0.9}], ports: [{name: default, port: 43}]}]
---
YAML
}

# native_slice SERVICE: and that for slices.
native_slice() {
    cat <<YAML
apiVersion: discovery.k8s.io/v1beta1
kind: EndpointSlice
metadata:
  name: $1-native
  namespace: $ns
  labels: {kubernetes.io/service-name: $1, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}
addressType: IPv4
endpoints: [{addresses: [10.42.0.9]}]
ports: [{name: default, port: 43}]
YAML
}

# set_status POD JSON: what a kubelet would write.
set_status() {
    kubectl get pod -n "$ns" "$1" -o json | jq --argjson status "$2" '.status = $status' |
        kubectl replace --raw "/api/v1/namespaces/$ns/pods/$1/status" -f - >/dev/null
}

ready() {
    local name
    for name in "$@"; do
        set_status "$name" '{"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}'
    done
}

unready() {
    set_status "$1" '{"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}'
}

finished() {
    set_status "$1" '{"phase": "Succeeded"}'
}

service_is() {
    kubectl get service -n "$ns" "$1" -o json | jq -e "$2"
}

slices() {
    kubectl get endpointslices -n "$ns" -o json -l \
        "kubernetes.io/service-name=$1,endpointslice.kubernetes.io/managed-by=network-controller.flatnet"
}

has_no_slices() {
    [ "$(slices "$1" | jq '.items | length')" -eq 0 ]
}

# has_endpoints NAME LIST: of the service, in both forms, sorted; + is ready, - is not.
has_endpoints() {
    local endpoints slices
    endpoints=$(kubectl get endpoints -n "$ns" "$1" -o json | jq -r '[.subsets[]? |
        (.addresses[]? | "+" + .ip), (.notReadyAddresses[]? | "-" + .ip)] | sort | join(" ")') || return 1
    slices=$(slices "$1" | jq -r '[.items[].endpoints[]? |
        (if .conditions.ready then "+" else "-" end) + .addresses[]] | sort | join(" ")')
    [ "$endpoints" = "$2" ] && [ "$slices" = "$2" ] && return 0
    printf "endpoints '%s', slices '%s'\n" "$endpoints" "$slices" >"$T/endpoints"
    return 1
}

has_our_label() {
    kubectl get "$1" -n "$ns" "$2" -o json | jq -e '.metadata.labels |
        .["macvlan.panda.io/managed-by"] == "network-controller.flatnet" and .["endpointslice.kubernetes.io/skip-mirror"] == "true"'
}

# says REPLICA TEXT
says() {
    grep -qF -- "$2" "$LAB_DIR/$1.log"
}

# counted METHOD...: how many requests the replica called one has made.
counted() {
    local port
    port=$(sed -n 's/.*listening port=//p' "$LAB_DIR/one.log" | tail -n 1)
    curl -sf "http://127.0.0.1:$port/metrics" | grep -E "^rest_client_requests_total.*method=\"($1)\"" |
        awk '{ sum += $NF } END { print sum + 0 }'
}

renewals() {
    counted PUT
}

renewals_are_more_than() {
    [ "$(renewals)" -gt "$1" ]
}
