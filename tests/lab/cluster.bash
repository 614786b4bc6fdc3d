# shellcheck shell=bash
# A Kubernetes cluster of the lab with nodes that are machines: User-mode Linux guests with kernels
# of their own (8021q, macvlan), containerd and a kubelet, on a switch whose ports to them are trunks
# of all VLANs. The control plane runs on this machine, in the switch's network. Source it after
# lab.bash, guest.bash and kube.bash.
#
#   lab_cluster NAME NODES [BUNDLE...]      start it all; nodes n1, n2, ... (at most 9) are Ready, and
#                                           have the images of these bundles
#   lab_cluster_start NAME NODES [BUNDLE...], lab_cluster_join NAME   the two halves of that: nodes
#                                           without kubelets, as hosts are before there is a cluster;
#                                           their kubelets, which are not waited for
#   lab_cluster_kubectl NAME ARG...         kubectl as administrator
#   lab_cluster_config NAME -> file         the administrator's kubeconfig
#   lab_cluster_token NAME NAMESPACE ACCOUNT -> token
#   lab_cluster_run NAME CMD...             a command of this machine in the switch's network
#   lab_cluster_spawn NAME DAEMON CMD...    a daemon of the lab there
#   lab_cluster_node_run NAME NODE CMD...   a command in the guest: its output, errors and status
#   lab_cluster_share NAME NODE -> folder   is /run/lab in the guest
#   lab_cluster_load NAME BUNDLE            flatnet's bundle into the containerd of every node
#   lab_cluster_kill NAME NODE              as if the power went
#   lab_cluster_boot NAME NODE              on again, with the disk that it had
#   lab_cluster_ready NAME [NODE...]        wait until the nodes, or all, are Ready
#   lab_cluster_flannel NAME NODE LINK      flannel of that node anew, on another of its links; the others know
#   lab_cluster_image LAYOUT REF PROGRAM [ARG...]   an image of one static program, FROM scratch
#   lab_cluster_tap NAME NODE               the switch's port to that node, for tcpdump
#   lab_cluster_port NAME NODE RULE         what that port does not carry:
#                                             no-vlan N   that VLAN, as a port that is not trunked
#                                             own-mac     frames of other MACs than the node's, as virtual
#                                                         switches do it
#                                             open        nothing, as in the beginning
#
# The nodes' network is 10.0.0.0/24, untagged: the API server is https://10.0.0.1, which is also the nodes'
# gateway to nowhere; node N is 10.0.0.1N. Pods have eth0 by Debian's bridge plugin from 10.42.N.0/24
# (/etc/cni/net.d/10-bridge.conflist), and reach other nodes by flannel.1, a VXLAN with the routes, entries,
# annotations and rules that flannel 0.10 makes (guest-flannel.sh). Services (10.43.0.0/16) are kube-proxy's,
# a process of each node, in iptables mode; their names, in cluster.local, are answered for by the service
# kube-system/kube-dns at 10.43.0.10, whose one endpoint is dnsmasq beside the API server (cluster-dns.sh).
# The API server reaches pods by routes of its own, and services (of webhooks) by their endpoints. The image
# of the lab, docker.io/lab/busybox:1, sleeps, and is the sandboxes' too. NAME has at most 8 letters, since
# the names of taps come from it.
#
# LAB_CLUSTER_BRIDGE=no leaves that file out: nodes are Ready when somebody has given them a network.
# LAB_CLUSTER_SECONDS (3000) is how long a node lives at most. LAB_CLUSTER_MEMORY (1024M) is what it has.

# lab_cluster NAME NODES [BUNDLE...]
lab_cluster() {
    lab_cluster_start "$@" && lab_cluster_join "$1" && lab_cluster_ready "$1"
}

# lab_cluster_start NAME NODES [BUNDLE...]
lab_cluster_start() {
    local name=$1 nodes=$2 dir=$LAB_DIR/$1.cluster node plane
    shift 2
    mkdir -p "$dir/bundles"
    [ $# -eq 0 ] || cp "$@" "$dir/bundles/"
    printf '%s\n' "$nodes" >"$dir/nodes"
    lab_cluster_switch "$name" || return 1
    "$LAB_HOME/kubernetes-from-debian.sh" >"$dir/bin" || return 1
    lab_cluster_images "$name" || return 1
    # shellcheck disable=SC2016
    lab_cluster_run "$name" bash -c '. "$1/lab.bash"; . "$1/kube.bash"; . "$1/cluster.bash"; lab_cluster_plane "$2"' \
        plane "$LAB_HOME" "$name" >"$dir/plane.log" 2>&1 &
    plane=$!
    for node in $(lab_cluster_names "$name"); do
        lab_cluster_boot "$name" "$node" || return 1
    done
    wait "$plane" || { cat "$dir/plane.log" >&2; return 1; }
}

# lab_cluster_join NAME: their kubelets begin with the file.
lab_cluster_join() {
    local node
    for node in $(lab_cluster_names "$1"); do
        cp "$LAB_DIR/$1.cluster/kubeconfig" "$(lab_cluster_share "$1" "$node")/kubeconfig.new"
        mv "$(lab_cluster_share "$1" "$node")"/kubeconfig{.new,}
    done
}

lab_cluster_switch() {
    local n
    lab_switch "$1-switch" || return 1
    lab_cluster_run "$1" sh -c 'ip link set lo up && ip addr add 10.0.0.1/24 dev sw0'
    for ((n = 1; n <= $(cat "$LAB_DIR/$1.cluster/nodes"); n++)); do
        lab_cluster_run "$1" ip route add "10.42.$n.0/24" via "10.0.0.1$n" || return 1
    done
}

lab_cluster_run() {
    local name=$1
    shift
    nsenter -t "$(lab_pid "$name-switch")" -n "$@"
}

lab_cluster_spawn() {
    local name=$1 daemon=$2
    shift 2
    lab_spawn "$daemon" nsenter -t "$(lab_pid "$name-switch")" -n "$@"
}

lab_cluster_kubectl() {
    local name=$1
    shift
    lab_cluster_run "$name" "$(cat "$LAB_DIR/$name.cluster/bin")/kubectl" --kubeconfig "$LAB_DIR/$name.cluster/kubeconfig" \
        --cache-dir "$LAB_DIR/$name.cluster/cache" "$@"
}

lab_cluster_config() {
    printf '%s\n' "$LAB_DIR/$1.cluster/kubeconfig"
}

lab_cluster_token() {
    printf '{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}' |
        lab_cluster_kubectl "$1" create --raw "/api/v1/namespaces/$2/serviceaccounts/$3/token" -f - | jq -er .status.token
}

# --- the control plane ---

# lab_cluster_plane NAME: called in the switch's network, where every port is free, and 443 the one
# that pods ask.
lab_cluster_plane() {
    local name=$1 dir=$LAB_DIR/$1.cluster
    # shellcheck disable=SC2317
    lab_free_port() { printf '443\n'; }
    lab_certs &&
        lab_cert "$name-api" 'subjectAltName=IP:127.0.0.1,IP:10.0.0.1,IP:10.43.0.1,DNS:kubernetes.default.svc' \
            'extendedKeyUsage=serverAuth' || return 1
    # shellcheck disable=SC2034
    LAB_APISERVER_ARGS="--bind-address 0.0.0.0 --advertise-address 10.0.0.1 --tls-cert-file $LAB_DIR/$name-api.crt
        --tls-private-key-file $LAB_DIR/$name-api.key --kubelet-preferred-address-types InternalIP
        --enable-aggregator-routing=true"
    # A busy machine is no reason to move pods.
    # shellcheck disable=SC2034
    LAB_CONTROLLERS_ARGS='--node-monitor-grace-period 600s --controllers *,-nodeipam,-route,-cloud-node-lifecycle'
    lab_kube "$name-kube" controllers || return 1
    lab_spawn "$name-scheduler" "$(cat "$dir/bin")/kube-scheduler" --kubeconfig "$(lab_kube_config "$name-kube")" \
        --leader-elect=false --port 10251 --secure-port 0
    lab_ready "$name-scheduler" 60 curl -sf http://127.0.0.1:10251/healthz || return 1
    lab_cluster_nodes "$name" || return 1
    sed "s|https://127.0.0.1:443|https://10.0.0.1|; s|certificate-authority: .*}|certificate-authority-data: $(
        base64 -w 0 "$LAB_DIR/ca.crt")}}|" "$(lab_kube_config "$name-kube")" >"$dir/kubeconfig"
    lab_cluster_dns "$name"
}

# The service as kubeadm makes it, but for the pods behind it.
lab_cluster_dns() {
    lab_kubectl "$1-kube" apply -f - <<'YAML' || return 1
apiVersion: v1
kind: Service
metadata:
  name: kube-dns
  namespace: kube-system
  labels: {k8s-app: kube-dns, kubernetes.io/cluster-service: "true", kubernetes.io/name: KubeDNS}
spec:
  clusterIP: 10.43.0.10
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: v1
kind: Endpoints
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
subsets:
- addresses: [{ip: 10.0.0.1}]
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
YAML
    mkdir -p "$LAB_DIR/$1.cluster/dns"
    lab_spawn "$1-dns" "$LAB_HOME/cluster-dns.sh" "$LAB_DIR/$1.cluster/kubeconfig" "$LAB_DIR/$1.cluster/dns" 10.0.0.1
    lab_ready "$1-dns" 60 grep -q ' kubernetes.default.svc.cluster.local$' "$LAB_DIR/$1.cluster/dns/hosts"
}

# The nodes are there before their kubelets, so that each has the range that its guest knows of.
lab_cluster_nodes() {
    local n
    for ((n = 1; n <= $(cat "$LAB_DIR/$1.cluster/nodes"); n++)); do
        printf 'apiVersion: v1\nkind: Node\nmetadata: {name: n%d}\nspec: {podCIDR: 10.42.%d.0/24, podCIDRs: [10.42.%d.0/24]}\n---\n' \
            "$n" "$n" "$n"
    done | lab_kubectl "$1-kube" create -f -
}

# --- nodes ---

# lab_cluster_names NAME: n1 n2 ...
lab_cluster_names() {
    seq -f n%g "$(cat "$LAB_DIR/$1.cluster/nodes")"
}

lab_cluster_share() {
    lab_guest_share "$1-$2"
}

lab_cluster_tap() {
    printf 'tap-%s-%s\n' "$1" "$2"
}

# lab_cluster_port NAME NODE no-vlan N|own-mac|open: one rule at a time. The machine's bridge may know no
# VLANs, so the rules are of the netfilter kind, in the switch's network.
lab_cluster_port() {
    local name=$1 node=$2 tap chain
    tap=$(lab_cluster_tap "$name" "$node") chain=port-$node
    lab_cluster_run "$name" ebtables -L "$chain" >/dev/null 2>&1 || lab_cluster_port_chain "$name" "$chain" "$tap" || return 1
    lab_cluster_run "$name" ebtables -F "$chain" || return 1
    case $3 in
        no-vlan) lab_cluster_run "$name" ebtables -A "$chain" -p 802_1Q --vlan-id "$4" -j DROP ;;
        own-mac)
            lab_cluster_run "$name" ebtables -A "$chain" -i "$tap" -s ! "$(lab_cluster_mac "$node")" -j DROP &&
                lab_cluster_run "$name" ebtables -A "$chain" -o "$tap" -d Multicast -j RETURN &&
                lab_cluster_run "$name" ebtables -A "$chain" -o "$tap" -d ! "$(lab_cluster_mac "$node")" -j DROP
            ;;
        open) ;;
        *) lab_fail "port of '$node': unknown rule '$3'" ;;
    esac
}

lab_cluster_port_chain() {
    lab_cluster_run "$1" ebtables -N "$2" -P RETURN && lab_cluster_run "$1" ebtables -A FORWARD -i "$3" -j "$2" &&
        lab_cluster_run "$1" ebtables -A FORWARD -o "$3" -j "$2"
}

# lab_cluster_mac NODE: that of its eth0, whenever it was started.
lab_cluster_mac() {
    printf '02:00:00:00:fe:0%d\n' "${1#n}"
}

lab_cluster_boot() {
    local name=$1 node=$2 share
    share=$(lab_cluster_share "$name" "$node")
    # The journal is for the power that goes.
    [ -e "${share%/share}/disk" ] || lab_cluster_disk "${share%/share}/disk" || return 1
    rm -rf "${share:?}/do" "${share:?}/boot" "${share:?}/flannel"
    mkdir "$share/do"
    [ "${LAB_CLUSTER_BRIDGE:-yes}" = yes ] || : >"$share/no-bridge"
    cp -r "$LAB_DIR/$name.cluster/bundles" "$share/"
    lab_guest_start "$name-$node" "$LAB_HOME/guest-node.sh" --switch "$name-switch" --memory "${LAB_CLUSTER_MEMORY:-1024M}" \
        --seconds "${LAB_CLUSTER_SECONDS:-3000}" -- "$node" "${node#n}" "$LAB_HOME" "$(cat "$LAB_DIR/$name.cluster/bin")" "$FLATNET"
}

lab_cluster_disk() {
    truncate -s 4G "$1.new" && mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 "$1.new" && mv "$1.new" "$1"
}

lab_cluster_kill() {
    local pid
    pid=$(lab_pid "$1-$2") || return 0
    # The guest's processes go with the namespace that its second process holds.
    # shellcheck disable=SC2046
    kill -s KILL $(cat "/proc/$pid/task/$pid/children")
    lab_wait 30 lab_is_gone "$1-$2"
}

lab_cluster_node_run() {
    local guest=$1-$2 job status
    job=$(mktemp "$(lab_cluster_share "$1" "$2")/do/XXXXXXXX.new")
    shift 2
    printf '%q ' "$@" >"$job"
    mv "$job" "${job%.new}.cmd"
    job=${job%.new}
    lab_wait "${LAB_NODE_SECONDS:-300}" lab_cluster_is_done "$guest" "$job"
    cat "$job.out" 2>/dev/null
    cat "$job.err" >&2 2>/dev/null
    status=$(cat "$job.status" 2>/dev/null) || lab_fail "guest '$guest' does not end '$*'" || return 125
    rm -f "$job".*
    return "$status"
}

lab_cluster_is_done() {
    [ -e "$2.status" ] || lab_is_gone "$1"
}

# lab_cluster_ready NAME [NODE...]
lab_cluster_ready() {
    local name=$1 node
    local -a nodes
    shift
    nodes=("$@")
    [ $# -gt 0 ] || mapfile -t nodes < <(lab_cluster_names "$name")
    for node in "${nodes[@]}"; do
        lab_ready "$name-$node" "${LAB_CLUSTER_READY:-400}" lab_cluster_is_ready "$name" "$node" || {
            tail -n 20 "$(lab_cluster_share "$name" "$node")"/{output,kubelet.log} >&2
            return 1
        }
    done
}

# The node that the server knows is the one that was booted last, its services are there, and the other
# nodes have its entry. A kubectl that waits takes nothing of the processor that the guests need, as a loop
# would.
lab_cluster_is_ready() {
    local boot
    lab_cluster_kubectl "$1" wait --for condition=Ready node "$2" --timeout 10s || return 1
    boot=$(lab_cluster_kubectl "$1" get node "$2" -o jsonpath='{.status.nodeInfo.bootID}')
    if [ "$boot" != "$(cat "$(lab_cluster_share "$1" "$2")/boot")" ] || ! lab_cluster_is_known "$1" "$2" ||
        ! lab_cluster_has_services "$1" "$2"; then
        sleep 1
        return 1
    fi
}

# lab_cluster_is_known NAME NODE: the node and all others that run know each other's flannel.
lab_cluster_is_known() {
    local other share mac
    share=$(lab_cluster_share "$1" "$2")
    read -r _ mac _ 2>/dev/null <"$share/flannel" || return 1
    for other in $(lab_cluster_names "$1"); do
        if [ "$other" = "$2" ] || ! lab_pid "$1-$other" >/dev/null; then
            continue
        fi
        grep -q "^$other " "$share/flannel" && grep -q "^$2 $mac " "$(lab_cluster_share "$1" "$other")/flannel" || return 1
    done
}

lab_cluster_has_services() {
    lab_cluster_node_run "$1" "$2" iptables-save -t nat >"$LAB_DIR/$1-$2.nat" &&
        grep -q -e '-d 10\.43\.0\.1/32 ' "$LAB_DIR/$1-$2.nat" && grep -q -e '-d 10\.43\.0\.10/32 ' "$LAB_DIR/$1-$2.nat"
}

lab_cluster_flannel() {
    rm -f "$(lab_cluster_share "$1" "$2")/flannel"
    # shellcheck disable=SC2016
    lab_cluster_node_run "$1" "$2" bash -c '"$@" >>/run/lab/flannel.log 2>&1 &' flannel "$LAB_HOME/guest-flannel.sh" \
        "$2" "${2#n}" "$3" && lab_wait 120 lab_cluster_is_known "$1" "$2"
}

# --- images ---

# lab_cluster_image LAYOUT REF PROGRAM [ARG...]
lab_cluster_image() {
    local layout=$1 ref=$2 program=$3 name=${3##*/}
    shift 3
    [ -e "$layout/index.json" ] || umoci init --layout "$layout" || return 1
    umoci new --image "$layout:$ref" && umoci insert --image "$layout:$ref" "$program" "/bin/$name" &&
        umoci config --image "$layout:$ref" --config.entrypoint "/bin/$name" "${@/#/--config.cmd=}" --config.env PATH=/bin
}

lab_cluster_images() {
    local dir=$LAB_DIR/$1.cluster ref=docker.io/lab/busybox:1
    # The first process of a container hears of no other signal that it does not ask for.
    lab_cluster_image "$dir/busybox" "$ref" /bin/busybox sleep 1000000 &&
        umoci config --image "$dir/busybox:$ref" --config.stopsignal SIGKILL &&
        "$FLATNET" bundle create --quiet --from "$dir/busybox=$ref" -o "$dir/bundles/lab.tar" >"$dir/bundle.log"
}

# lab_cluster_load NAME BUNDLE: on all nodes at a time.
lab_cluster_load() {
    local name=$1 bundle=$2 node job
    local -a jobs=()
    for node in $(lab_cluster_names "$name"); do
        cp "$bundle" "$(lab_cluster_share "$name" "$node")/load.tar"
        lab_cluster_node_run "$name" "$node" "$FLATNET" images load --quiet /run/lab/load.tar &
        jobs+=("$!")
    done
    for job in "${jobs[@]}"; do
        wait "$job" || return 1
    done
}
