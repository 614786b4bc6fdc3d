# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2154
# What the files of tests/e2e share: a cluster "c" of two guests (tests/lab/cluster.bash) with flatnet's
# own images and addons in it, and a machine "wire" that is the gateway of two VLANs. A file starts so:
#
#   load ../bats/helper
#   . "$REPO_ROOT/tests/e2e/e2e.bash"
#   setup_file() { e2e_setup && e2e_cluster && e2e_addons && e2e_wire && e2e_subnets; }
#
# Its tests are steps of one walk: each begins with what the one before has left, and none is tried after one
# that has failed.
#
# E2E_MODE, set before the parts are loaded, is multus or chained (the default): what site.bash brings up and
# life.bash asks for.
#
#   e2e_setup              the lab, the static program as $FLATNET, $LAB_DIR/images.tar: our own images
#   e2e_cluster            the cluster, with these images on its nodes
#   e2e_addons             the addons as RKE brings them: kubectl apply, in mode chained, without
#                          flannel; all are ready
#   e2e_wire               the gateways of both VLANs
#   e2e_subnets            blue (VLAN 100, 10.100.0.10-99) and red (200)
#   kubectl ARG...         as administrator
#   at_node NODE CMD...    a command in the guest n1 or n2
#   on_wire COMMAND        a line of shell in the gateways' machine
#   tool ARG...            flatnet with the cluster's kubeconfig, in its network, as run_flatnet does it
#   subnet NAME VLAN CIDR  a subnet on eth0 with the addresses 10 to 99
#   addresses SELECTOR     lines "POD NODE CIDR MAC" of its MacvlanIPs, sorted by pod

E2E_MODE=${E2E_MODE:-chained}

# shellcheck source=tests/lab/guest.bash
. "$LAB_HOME/guest.bash"
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"
# shellcheck source=tests/lab/cluster.bash
. "$LAB_HOME/cluster.bash"

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    # A step before this one has failed.
    [ ! -e "$LAB_DIR/broken" ]
}

# The seconds are for those who look for where they go.
teardown() {
    [ ! -e "$LAB_DIR/broken" ] || return 0
    [ -n "${BATS_TEST_COMPLETED:-}" ] || : >"$LAB_DIR/broken"
    printf '# %s: %d s\n' "$BATS_TEST_DESCRIPTION" "$SECONDS" >&3
}

e2e_setup() {
    need linux.uml dnsmasq mkfs.ext4 etcd containerd runc ctr umoci jq curl openssl xmllint ebtables
    FLATNET=${FLATNET_STATIC:-$REPO_ROOT/dist/linux-amd64/flatnet}
    export FLATNET
    lab_init "$$"
    cd "$LAB_DIR" || return 1
    "$FLATNET" bundle create --quiet --from "${FLATNET%/*/*}/images" -o images.tar >/dev/null
}

e2e_cluster() {
    lab_cluster c 2 "$LAB_DIR/images.tar"
}

e2e_addons() {
    "$FLATNET" addons render --quiet --mode chained --kube-version 1.20 -o "$LAB_DIR/addons" >/dev/null
    # The combined file has flannel in it, and the roles are for Rancher's own cluster.
    rm "$LAB_DIR"/addons/{*flannel*,macvlan-network.yml,rancher-roles.yml}
    kubectl apply -f "$LAB_DIR/addons" >/dev/null
    kubectl wait --for condition=established crd --all --timeout "$(lab_patience 60)s" >/dev/null
    e2e_addons_ready
}

e2e_addons_ready() {
    kubectl rollout status -n kube-system daemonset/network-cni-ds --timeout "$(lab_patience 400)s" >/dev/null &&
        kubectl rollout status -n kube-system deployment/network-controller --timeout "$(lab_patience 400)s" >/dev/null
}

e2e_wire() {
    lab_guest_start wire "$REPO_ROOT/tests/lab/guest-plugin.sh" --switch c-switch --seconds 3000 -- 10.0.0.200
    lab_wait 60 test -e "$(lab_guest_share wire)/ready"
    # An address is answered for on its own VLAN only, as switches and most routers do.
    on_wire 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; for v in 100 200; do
        ip link add link eth0 name eth0.$v type vlan id $v && ip link set eth0.$v up && ip addr add 10.$v.0.1/24 dev eth0.$v
    done'
}

e2e_subnets() {
    subnet blue 100 10.100.0.0/24
    subnet red 200 10.200.0.0/24
}

on_wire() {
    local share
    share=$(lab_guest_share wire)
    rm -f "$share/done"
    printf '%s\n' "$1" >"$share/do.new"
    mv "$share/do.new" "$share/do"
    lab_wait 120 test -e "$share/done"
    [ "$(tail -n 1 "$share/done")" = 'status 0' ] || fail "$(<"$share/done")"
}

kubectl() {
    lab_cluster_kubectl c "$@"
}

at_node() {
    lab_cluster_node_run c "$@"
}

tool() {
    status=0
    KUBECONFIG=$(lab_cluster_config c) lab_cluster_run c timeout -k 5 "$(lab_patience "${RUN_SECONDS:-600}")" \
        "$FLATNET" "$@" $(tool_limits "$1") >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file") json=$output
}

# tool_limits COMMAND: print options for the waits that it would give up after a while.
tool_limits() {
    case $1 in
        deploy | undeploy) printf -- '--timeout %d\n' "$(lab_patience 300)" ;;
    esac
}

subnet() {
    KUBECONFIG=$(lab_cluster_config c) lab_cluster_run c "$FLATNET" subnet create "$1" --quiet --master eth0 --vlan "$2" \
        --cidr "$3" --gateway "${3%.0/*}.1" --range "${3%.0/*}.10-${3%.0/*}.99" >/dev/null
}

addresses() {
    kubectl get pods -l "$1" -o name | sed 's|^pod/||' | sort | while read -r pod; do
        kubectl get macvlanip "$pod" -o json | jq -r --arg node "$(kubectl get pod "$pod" -o jsonpath='{.spec.nodeName}')" \
            '[.metadata.name, $node, .spec.cidr, .spec.mac] | join(" ")'
    done
}
