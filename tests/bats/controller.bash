# shellcheck shell=bash
# network-controller before a real API server, with no right but those of its own role. Pods are
# objects only: no kubelet, and no controller that would collect what they leave behind. Sourced by
# bats files after helper.

# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

# controller_lab [RENDER_OPTION...]: for setup_file. A control plane with our addons in it, and
# $LAB_DIR/controller.config for the controller's account.
controller_lab() {
    need etcd curl jq openssl
    lab_init "$$"
    lab_kube k
    "$FLATNET" addons render --mode multus --kube-version 1.20 "$@" -o "$LAB_DIR/addons" >/dev/null
    lab_kubectl k apply -f "$LAB_DIR/addons/macvlan-network.yml" >/dev/null
    lab_kubectl k wait --for condition=established crd --all --timeout 60s >/dev/null
    sed "s/token: .*}/token: $(lab_kube_token k kube-system network-controller)}}/" \
        "$(lab_kube_config k)" >"$LAB_DIR/controller.config"
}

# controller_setup: for setup, after common_setup. A namespace of the test's own, $ns.
controller_setup() {
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

# asks IP SUBNET [MAC]: annotations of a pod or template, in one line.
asks() {
    printf '{macvlan.pandaria.cattle.io/ip: "%s", macvlan.pandaria.cattle.io/subnet: "%s"' "$1" "$2"
    [ -z "${3:-}" ] || printf ', macvlan.pandaria.cattle.io/mac: "%s"' "$3"
    printf ', k8s.v1.cni.cncf.io/networks: "[{\\"name\\":\\"static-macvlan-cni-attach\\",\\"interface\\":\\"eth1\\"}]"}'
}

# pod NAME ANNOTATIONS [LABELS] [OWNER]: OWNER is one of ownerReferences.
pod() {
    cat <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: $1
  namespace: $ns
  annotations: $2
  labels: ${3:-{\}}
  ownerReferences: [${4:-}]
spec: {nodeName: none, terminationGracePeriodSeconds: 0, containers: [{name: c, image: x}]}
---
YAML
}

has_address() {
    [ "$(kubectl get macvlanip -n "$ns" "$1" -o json | jq -r .spec.cidr)" = "$2" ]
}
