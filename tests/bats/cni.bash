# shellcheck shell=bash
# What the tests of the CNI plugin as a whole share: nodes, a cluster, and calls as runtimes make them.
# Load it after helper, in a file whose setup_file has called lab_init.
#
#   cni_node NAME                 a "node": namespaces of its own for the network and for mounts, whose
#                                 /etc, /opt, /run, /var/lib and /var/log are no longer the machine's.
#                                 Behind its eth0 is a neighbour: the network namespace "wire", n0.
#   cni_on NAME CMD...            run CMD there; NAME may be a switch of guest.bash too
#   cni_cluster NAME [ADDRESS]    etcd, kube-apiserver and network-controller there, on loopback and,
#                                 where it is given, on ADDRESS; $CNI_MODE (chained) is the addons'
#   cni_config [ADDRESS]          print a kubeconfig of the plugin's account
#   cni_subnet NAME VLAN CIDR [FIELDS]     FIELDS as "gateway: 10.1.0.1, mtu: 1400"
#   cni_pod NAMESPACE/NAME [IP SUBNET [MAC]]    $uid is the new pod's
#   cni_pod_gone NAMESPACE/NAME   delete it, and wait until its address is free
#   cni_kubectl ARG...

# shellcheck source=tests/lab/kube.bash
. "$REPO_ROOT/tests/lab/kube.bash"
: "${FLATNET_BUILD:=$REPO_ROOT/build}" "${CNI_MODE:=chained}"
PLUGIN=$FLATNET_BUILD/bin/static-macvlan-cni
# Debian's plugins.
CNI_DEBIAN=/usr/lib/cni

# --- nodes ---

cni_node() {
    local dir=$LAB_DIR/$1.node
    mkdir -p "$dir/opt/cni/bin" "$dir/log" "$dir/lib/cni"
    cp -a /etc "$dir/etc"
    rm -rf "$dir/etc/cni"
    mkdir -p "$dir/etc/cni/net.d"
    cp "$PLUGIN" "$dir/opt/cni/bin/static-macvlan-cni"
    cp "$PLUGIN" "$dir/opt/cni/bin/static-ipam"
    ln -s "$CNI_DEBIAN"/* "$dir/opt/cni/bin/"
    # shellcheck disable=SC2016
    lab_spawn "$1" unshare --net --mount bash -c '
        mount --bind "$1/etc" /etc && mount --bind "$1/opt" /opt && mount --bind "$1/lib" /var/lib &&
        mount --bind "$1/log" /var/log && mount -t tmpfs node /run && mkdir /run/netns &&
        ip link set lo up && touch "$1/up" && exec sleep infinity' node "$dir"
    lab_ready "$1" 10 test -e "$dir/up" || return 1
    cni_on "$1" ip netns add wire &&
        cni_on "$1" ip link add eth0 type veth peer name n0 netns wire &&
        cni_on "$1" ip link set eth0 up &&
        cni_on "$1" ip -n wire link set n0 up
}

cni_on() {
    local pid
    pid=$(lab_pid "$1") || lab_fail "'$1' does not run" || return 1
    shift
    nsenter -t "$pid" --net --mount --wd="$PWD" "$@"
}

# cni_lab NAME FUNCTION ARG...: a function of the lab there.
cni_lab() {
    local on=$1
    shift
    # shellcheck disable=SC2016
    cni_on "$on" bash -c '. "$LAB_HOME/lab.bash" && . "$LAB_HOME/kube.bash" && "$@"' lab "$@"
}

# --- the cluster ---

cni_cluster() {
    printf '%s\n' "$1" >"$LAB_DIR/cluster"
    lab_certs || return 1
    [ -z "${2:-}" ] || lab_cert server "subjectAltName=IP:127.0.0.1,IP:$2" 'extendedKeyUsage=serverAuth' || return 1
    # Without a default route there is no address that it would choose itself.
    LAB_APISERVER_ARGS="--advertise-address 192.0.2.1 ${2:+--bind-address 0.0.0.0}" \
        cni_lab "$1" lab_kube k || return 1
    "$FLATNET" addons render --mode "$CNI_MODE" --kube-version 1.20 -o "$LAB_DIR/addons" >/dev/null || return 1
    cni_kubectl apply -f "$LAB_DIR/addons/macvlan-network.yml" >/dev/null || return 1
    cni_kubectl wait --for condition=established crd --all --timeout "$(lab_patience 60)s" >/dev/null || return 1
    cni_account network-controller >"$LAB_DIR/controller.config" || return 1
    lab_spawn controller nsenter -t "$(lab_pid "$1")" --net --mount "$FLATNET_BUILD/bin/network-controller" \
        --kubeconfig "$LAB_DIR/controller.config" --listen 127.0.0.1:0 --mode "$CNI_MODE"
    lab_ready controller 60 grep -q '^note: leading' "$LAB_DIR/controller.log"
}

cni_kubectl() {
    cni_lab "$(<"$LAB_DIR/cluster")" lab_kubectl k "$@"
}

# cni_account ACCOUNT: a kubeconfig with a token of it.
cni_account() {
    local token
    token=$(cni_lab "$(<"$LAB_DIR/cluster")" lab_kube_token k kube-system "$1") || return 1
    sed "s/token: .*}/token: $token}}/; s|certificate-authority: .*}}|certificate-authority-data: $(base64 -w 0 "$LAB_DIR/ca.crt")}}|" \
        "$(lab_kube_config k)"
}

cni_config() {
    cni_account static-macvlan-cni | sed "s/127\.0\.0\.1/${1:-127.0.0.1}/"
}

cni_subnet() {
    cni_kubectl apply -f - >/dev/null <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: $1, namespace: kube-system}
spec: {master: eth0, vlan: $2, cidr: "$3"${4:+, $4}}
YAML
}

# cni_pod_yaml NAMESPACE/NAME [IP SUBNET [MAC]]
cni_pod_yaml() {
    local annotations=''
    [ $# -lt 3 ] || annotations="macvlan.pandaria.cattle.io/ip: \"$2\", macvlan.pandaria.cattle.io/subnet: $3"
    [ $# -lt 4 ] || annotations+=", macvlan.pandaria.cattle.io/mac: \"$4\""
    cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: ${1#*/}, namespace: ${1%/*}, annotations: {$annotations}}
spec: {nodeName: none, terminationGracePeriodSeconds: 0, containers: [{name: c, image: x}]}
YAML
}

cni_pod() {
    cni_pod_yaml "$@" | cni_kubectl create -f - >/dev/null || return 1
    # shellcheck disable=SC2034
    uid=$(cni_kubectl get pod -n "${1%/*}" "${1#*/}" -o 'jsonpath={.metadata.uid}')
}

# There is no collector that would delete what the pod owned.
cni_pod_gone() {
    cni_kubectl delete pod -n "${1%/*}" "${1#*/}" --grace-period 0 --force >/dev/null 2>&1 &&
        cni_kubectl delete macvlanip -n "${1%/*}" "${1#*/}" --ignore-not-found >/dev/null
}
