# shellcheck shell=bash
# Shared by the tests of network-controller: pods are objects only, without a kubelet and without
# controllers that would collect what they leave behind. Loaded after helper; $ns is the namespace of
# the test, and the lab's control plane is called k.

# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

# controller_setup_file [controllers|''] [RENDER_OPTION...]: a control plane with the addons in it, and
# a kubeconfig for the controller with no right but those of its own role.
controller_setup_file() {
    need etcd curl jq openssl
    lab_init "$$"
    lab_kube k "${1:-}"
    "$FLATNET" addons render --mode multus --kube-version 1.20 "${@:2}" -o "$LAB_DIR/addons" >/dev/null
    lab_kubectl k apply -f "$LAB_DIR/addons/macvlan-network.yml" >/dev/null
    lab_kubectl k wait --for condition=established crd --all --timeout "$(lab_patience 60)s" >/dev/null
    sed "s/token: .*}/token: $(lab_kube_token k kube-system network-controller)}}/" \
        "$(lab_kube_config k)" >"$LAB_DIR/controller.config"
}

controller_setup() {
    common_setup
    CONTROLLER=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/network-controller
    ns=n-$BATS_TEST_NUMBER
    kubectl create namespace "$ns" >/dev/null
}

kubectl() {
    lab_kubectl k "$@"
}

# start NAME [OPTION...]: a replica, with times that a test can wait for.
start() {
    local name=$1
    shift
    lab_spawn "$name" "$CONTROLLER" --kubeconfig "$LAB_DIR/controller.config" --listen 127.0.0.1:0 \
        --leader-elect-lease-duration 4 --leader-elect-renew-deadline 3 --leader-elect-retry-period 1 "$@"
    lab_ready "$name" 30 grep -q '^note: leader is' "$LAB_DIR/$name.log"
}

# start_patient NAME: a replica that is in no hurry to give up its lease, where another thing is tested.
start_patient() {
    start "$1" --leader-elect-lease-duration 60 --leader-elect-renew-deadline 40
}

leads() {
    grep -q '^note: leading' "$LAB_DIR/$1.log"
}

# subnet NAME CIDR [FIELD...]: "ipDelayReuse: 5". One VLAN for each test.
subnet() {
    printf 'apiVersion: macvlan.cluster.cattle.io/v1\nkind: MacvlanSubnet\nmetadata: {name: %s, namespace: kube-system}\n' "$1"
    printf 'spec:\n  master: eth0\n  vlan: %d\n  cidr: %s\n' "$BATS_TEST_NUMBER" "$2"
    [ $# -lt 3 ] || printf '  %s\n' "${@:3}"
    printf -- '---\n'
}

# asks IP SUBNET [MAC]: annotations of a pod template, in one line.
asks() {
    printf '{macvlan.pandaria.cattle.io/ip: "%s", macvlan.pandaria.cattle.io/subnet: "%s"' "$1" "$2"
    [ -z "${3:-}" ] || printf ', macvlan.pandaria.cattle.io/mac: "%s"' "$3"
    printf ', k8s.v1.cni.cncf.io/networks: "[{\\"name\\":\\"static-macvlan-cni-attach\\",\\"interface\\":\\"eth1\\"}]"}'
}

# pod NAME IP SUBNET [MAC] [OWNER]: OWNER is a line for ownerReferences; its labels are $labels.
pod() {
    cat <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: $1
  namespace: $ns
  labels: {${labels:-}}
  annotations:
    macvlan.pandaria.cattle.io/ip: "$2"
    macvlan.pandaria.cattle.io/subnet: $3
    macvlan.pandaria.cattle.io/mac: "${4:-}"
    k8s.v1.cni.cncf.io/networks: '[{"name":"static-macvlan-cni-attach","interface":"eth1"}]'
  ownerReferences: [${5:-}]
spec: {nodeName: none, terminationGracePeriodSeconds: 0, containers: [{name: c, image: x}]}
---
YAML
}

ips() {
    kubectl get macvlanips -n "$ns" -o json | jq -r '.items | sort_by(.metadata.name)[] | "\(.metadata.name) \(.spec.cidr)"'
}

has_ips() {
    [ "$(kubectl get macvlanips -n "$ns" -o name | wc -l)" -eq "$1" ]
}

# wait_ips N: so many MacvlanIPs are there.
wait_ips() {
    lab_wait 60 has_ips "$1" || fail "not $1 MacvlanIPs: $(ips; tail -n 5 "$LAB_DIR/one.log")"
}

# address NAME: that of its MacvlanIP, when it belongs to the pod that is there now.
address() {
    kubectl get macvlanip -n "$ns" "$1" -o json | jq -er --arg uid "$(kubectl get pod -n "$ns" "$1" -o json |
        jq -r .metadata.uid)" 'select(.spec.podId == $uid).spec.cidr'
}

has_address() {
    [ "$(address "$1" 2>/dev/null)" = "$2" ]
}

subnet_is() {
    kubectl get macvlansubnet -n kube-system "$1" -o json | jq -e "$2"
}

events() {
    kubectl get events -n "$ns" -o json | jq -r --arg pod "$1" '.items[] | select(.involvedObject.name == $pod) |
        "\(.type) \(.reason) \(.message)"'
}

has_event() {
    events "$1" | grep -q "$2"
}

gone() {
    ! kubectl get "$@"
}

# metric NAME: its value at the replica called one.
metric() {
    local port
    port=$(sed -n 's/.*listening port=//p' "$LAB_DIR/one.log" | tail -n 1)
    curl -sf "http://127.0.0.1:$port/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}
