#!/usr/bin/env bats
# The plugin under its real callers: kubelet 1.20 and containerd's CRI on two nodes with kernels of
# their own, whose switch carries all VLANs. First chained behind Debian's bridge plugin, as its
# DaemonSet sets it up; then as the only plugin. The tests follow each other on one cluster.
# timeout: 2400
# apart
# shellcheck disable=SC2030,SC2031,SC2154

load ../bats/helper
# shellcheck source=tests/lab/guest.bash
. "$LAB_HOME/guest.bash"
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"
# shellcheck source=tests/lab/cluster.bash
. "$LAB_HOME/cluster.bash"

setup_file() {
    need linux.uml dnsmasq mkfs.ext4 etcd containerd runc ctr umoci jq curl openssl tcpdump
    local build=${FLATNET_BUILD:-$REPO_ROOT/build} static=${FLATNET_STATIC:-$REPO_ROOT/dist/linux-amd64/flatnet}
    lab_init "$$"
    cd "$LAB_DIR" || return 1
    "$FLATNET" addons render --mode chained --kube-version 1.20 -o addons >/dev/null
    image=docker.io/$(sed -n 's/^ *image: //p' addons/network-cni-daemonset.yml)
    lab_cluster_image "$LAB_DIR/image" "$image" "${static%/*}/static-macvlan-cni"
    "$FLATNET" bundle create --quiet --from "image=$image" -o cni.tar >/dev/null
    lab_cluster c 2 cni.tar
    # The controller is the one that was built, so the rendering's own has no pods.
    kubectl create -f addons/network-controller.yml --dry-run=client -o json | jq 'select(.kind != "Deployment")' |
        kubectl apply -f - >/dev/null
    kubectl apply -f addons/network-cni-daemonset.yml >/dev/null
    kubectl wait --for condition=established crd --all --timeout "$(lab_patience 60)s" >/dev/null
    sed "s/token: .*}/token: $(lab_cluster_token c kube-system network-controller)}}/" \
        "$(lab_cluster_config c)" >controller.config
    lab_cluster_spawn c controller "$build/bin/network-controller" --kubeconfig "$LAB_DIR/controller.config" \
        --mode chained --listen 127.0.0.1:0
    lab_ready controller 120 grep -q '^note: leading' controller.log
    subnet blue 100 10.100.0.0/24
    subnet red 200 10.200.0.0/24
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
}

kubectl() {
    lab_cluster_kubectl c "$@"
}

on() {
    lab_cluster_node_run c "$@"
}

# subnet NAME VLAN CIDR
subnet() {
    kubectl apply -f - <<YAML >/dev/null
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: $1, namespace: kube-system}
spec: {master: eth0, vlan: $2, cidr: $3, ranges: [{rangeStart: ${3%.0/*}.10, rangeEnd: ${3%.0/*}.99}]}
YAML
}

# asks [IP SUBNET [MAC]]: annotations, in one line.
asks() {
    [ $# -eq 0 ] || printf 'macvlan.pandaria.cattle.io/ip: "%s", macvlan.pandaria.cattle.io/subnet: %s, macvlan.pandaria.cattle.io/mac: "%s"' \
        "$1" "$2" "${3:-}"
}

# sleeps NODE: the specification of a pod on that node, in one line.
sleeps() {
    printf '{nodeSelector: {kubernetes.io/hostname: %s}, terminationGracePeriodSeconds: 1, dnsPolicy: Default, %s}' "$1" \
        'containers: [{name: c, image: docker.io/lab/busybox:1, imagePullPolicy: Never}]'
}

# pod NAME NODE [IP SUBNET [MAC]]
pod() {
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, annotations: {%s}}\nspec: %s\n' "$1" "$(asks "${@:3}")" "$(sleeps "$2")" |
        kubectl apply -f - >/dev/null
}

# come_up POD...: one kubectl that watches; a loop of them would take the processor from the nodes.
come_up() {
    kubectl wait --for condition=Ready pod "$@" --timeout "$(lab_patience 300)s" >/dev/null || fail "not up: $(kubectl describe pod "$@")"
}

inside() {
    kubectl exec "$1" -- /bin/busybox "${@:2}"
}

# interfaces POD: "NAME MAC ADDRESS..." of each but lo.
interfaces() {
    inside "$1" ip addr | awk '
        /^[0-9]/ { name = $2; sub(/[:@].*/, "", name) }
        / link\/ether / { mac[name] = $2; names[++n] = name }
        / inet / && name != "lo" { addr[name] = addr[name] " " $2 }
        END { for (i = 1; i <= n; i++) print names[i], mac[names[i]] addr[names[i]] }'
}

# address POD: that of its MacvlanIP.
address() {
    kubectl get macvlanip "$1" -o jsonpath='{.spec.cidr}' | cut -d / -f 1
}

pod_ip() {
    kubectl get pod "$1" -o jsonpath='{.status.podIP}'
}

reaches() {
    inside "$1" ping -c 1 -W 5 "$2" >/dev/null 2>&1
}

is_gone() {
    [ -z "$(kubectl get "$@" --ignore-not-found -o name)" ]
}

# remove POD...: they and their addresses are gone. This takes up to a minute: a kubelet 1.20 keeps a
# pod until it has collected its sandbox, which it does once a minute.
remove() {
    kubectl delete pod "$@" --ignore-not-found --timeout "$(lab_patience 300)s" >/dev/null
    lab_wait 60 is_gone macvlanip "$@" || fail "addresses are not given back"
}

# links NODE: what the host has of pods: the other ends of bridge's, VLAN devices.
links() {
    on "$1" ip -o link | awk -F ': ' '{ sub(/@.*/, "", $2); print $2 }' | sort | paste -sd ' '
}

# left NODE: namespaces and results of pods that a runtime or a plugin has on its disk.
left() {
    on "$1" sh -c 'ls /var/run/netns; ls /var/lib/cni/results; ls /var/lib/cni/networks/cbr0' | sort
}

daemonset_is_ready() {
    kubectl rollout status -n kube-system daemonset/network-cni-ds --timeout "$(lab_patience 300)s" >/dev/null ||
        fail "$(kubectl describe pods -n kube-system)"
}

@test "the DaemonSet puts programs, kubeconfig and the configuration that comes first on each node" {
    local node
    daemonset_is_ready
    for node in n1 n2; do
        on "$node" sh -c 'cd /etc/cni/net.d && ls -p && jq -c "[.plugins[].type]" 05-flatnet.conflist &&
            stat -c "%a" flatnet.d/flatnet.kubeconfig && cmp /opt/cni/bin/static-ipam /opt/cni/bin/static-macvlan-cni' >said
        assert_equal "$(<said)" "$(printf '%s\n' 05-flatnet.conflist 10-bridge.conflist flatnet.d/ \
            '["bridge","static-macvlan-cni"]' 600)"
    done
}

@test "chained: eth0 by bridge, eth1 on the VLAN; who asks for nothing has eth0 alone" {
    pod a n1 10.100.0.20 blue 0a:00:00:00:00:20
    pod b n2 auto blue
    pod c n2 auto red
    pod plain n1
    come_up a b c plain
    interfaces a >said
    assert_equal "$(sed 's/ .*\( [^ ]*\)$/\1/' said | paste -sd ' ')" "eth0 $(pod_ip a)/24 eth1 10.100.0.20/24"
    grep -qx 'eth1 0a:00:00:00:00:20 10.100.0.20/24' said
    [[ $(pod_ip a) == 10.42.1.* ]]
    assert_equal "$(interfaces plain | cut -d ' ' -f 1,3)" "eth0 $(pod_ip plain)/24"
    assert_equal "$(kubectl get macvlanips -o name | wc -l)" 3
    # One VLAN over two nodes, by both networks; the tags are on the wire.
    lab_cluster_spawn c wire tcpdump -lnei "$(lab_cluster_tap c n2)" vlan and icmp
    lab_ready wire 30 grep -q 'listening on' "$LAB_DIR/wire.log"
    lab_wait 60 reaches a "$(address b)"
    lab_wait 60 reaches a "$(pod_ip b)"
    lab_wait 30 grep -q 'vlan 100,.*10.100.0.20 > ' "$LAB_DIR/wire.log"
    lab_stop wire
    # A port of the switch that is not trunked, or knows the node's MAC alone: the pod network goes on.
    for rule in 'no-vlan 100' own-mac; do
        # shellcheck disable=SC2086
        lab_cluster_port c n2 $rule
        refute reaches a "$(address b)"
        reaches a "$(pod_ip b)"
    done
    lab_cluster_port c n2 open
    reaches a "$(address b)"
    # Two VLANs: who is in the other one does not hear it, who is in this one does.
    pod d n1 auto red
    come_up d
    inside d arping -c 1 -w 60 -I eth1 "$(address c)"
    refute inside a arping -c 2 -w 3 -I eth1 "$(address c)"
    assert_equal "$(links n1 | tr ' ' '\n' | grep '^eth0' | paste -sd ' ')" 'eth0 eth0.100 eth0.200'
    on n1 ip link show eth0 | grep -q PROMISC
}

@test "deleted pods leave nothing behind" {
    local node
    remove a b c d plain
    for node in n1 n2; do
        assert_equal "$(on "$node" ip -o link | grep -c -e veth -e macvlan)" 0 "links of pods on $node"
        assert_equal "$(left "$node" | grep -v -e last_reserved -e lock)" '' "left on $node"
    done
}

has_event() {
    kubectl get events --field-selector "involvedObject.name=$1" -o jsonpath='{.items[*].message}' | grep -qF "$2"
}

# by_hand NODE POD: the plugin as the runtime calls it for that pod, in a namespace of no use.
by_hand() {
    on "$1" sh -c "ip netns add t && jq '. + .plugins[-1] + {prevResult: {cniVersion}} | del(.plugins)' /etc/cni/net.d/05-flatnet.conflist |
        CNI_COMMAND=ADD CNI_CONTAINERID=t CNI_NETNS=/run/netns/t CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin \
        CNI_ARGS='K8S_POD_NAMESPACE=default;K8S_POD_NAME=$2' /opt/cni/bin/static-macvlan-cni; ip netns del t"
}

# The kubelet knows the server by another address than pods and the plugin do.
@test "the API server is out of the plugin's reach: pods are held, and come up when it is back" {
    on n2 ip route add unreachable 10.43.0.1
    pod held n2 auto blue
    pod bare n2
    for name in held bare; do
        lab_wait 240 has_event "$name" "cannot connect to '10.43.0.1:443'" || fail "$(kubectl describe pod "$name")"
        assert_equal "$(kubectl get pod "$name" -o jsonpath='{.status.containerStatuses[0].state.waiting.reason}')" ContainerCreating
    done
    assert_equal "$(by_hand n2 held | jq .code)" 11
    on n2 ip route del unreachable 10.43.0.1
    come_up held bare
    interfaces held | grep -q "^eth1 .* $(address held)/24\$"
    assert_equal "$(interfaces bare | cut -d ' ' -f 1)" eth0
}

web() {
    cat <<YAML
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 2
  serviceName: web
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {$(asks 10.100.0.30-10.100.0.31 blue 0a:00:00:00:00:30-0a:00:00:00:00:31)}
    spec: $(sleeps n1)
YAML
}

# outside POD: what others know of it.
outside() {
    interfaces "$1" | grep '^eth1 '
}

uid_of() {
    kubectl get pod "$1" -o jsonpath='{.metadata.uid}' 2>/dev/null
}

# has_restarted POD: its container runs for the second time.
has_restarted() {
    [ "$(kubectl get pod "$1" -o jsonpath='{.status.containerStatuses[0].restartCount}')" -ge 1 ]
}

@test "a StatefulSet keeps addresses and MACs: a pod is deleted, the node loses its power" {
    local name
    web | kubectl apply -f - >/dev/null
    pod far n2 auto blue
    lab_wait 60 uid_of web-1 >uid
    come_up web-0 web-1 far
    for name in web-0 web-1; do outside "$name" >"before-$name"; done
    assert_equal "$(cut -d ' ' -f 2,3 before-* | sort | paste -sd ' ')" \
        '0a:00:00:00:00:30 10.100.0.30/24 0a:00:00:00:00:31 10.100.0.31/24'
    kubectl delete pod web-0 --timeout "$(lab_patience 300)s" >/dev/null
    lab_wait 60 uid_of web-0 >uid
    come_up web-0
    assert_equal "$(outside web-0)" "$(<before-web-0)"
    lab_cluster_kill c n1
    lab_cluster_boot c n1
    lab_cluster_ready c n1
    for name in web-0 web-1; do
        lab_wait 400 has_restarted "$name" || fail "$(kubectl describe pod "$name")"
    done
    come_up web-0 web-1
    for name in web-0 web-1; do
        assert_equal "$(outside "$name")" "$(<"before-$name")"
    done
    lab_wait 60 reaches far 10.100.0.30
    lab_wait 60 reaches far 10.100.0.31
    daemonset_is_ready
}

is_empty() {
    [ -z "$(on "$1" sh -c 'ls /var/run/netns; ls /var/lib/cni/results')" ]
}

has_no_vlan() {
    refute on "$1" test -e "/sys/class/net/eth0.$2"
}

has_conflist() {
    on "$1" test -e /etc/cni/net.d/05-flatnet.conflist
}

has_kubeconfig() {
    on "$1" test -e /etc/cni/net.d/flatnet.d/flatnet.kubeconfig
}

@test "the only plugin: eth0 is the macvlan, and its address the pod's" {
    local node name
    kubectl delete statefulset web --ignore-not-found --cascade=orphan >/dev/null
    remove held bare far web-0 web-1
    # It has been of no use for long, and goes when the DaemonSet looks.
    on n1 touch -d '-61 min' /run/flatnet/vlan/eth0.100
    "$FLATNET" addons render --mode multus --kube-version 1.20 -o multus >/dev/null
    sed 's/maxUnavailable: 1/maxUnavailable: 2/' multus/network-cni-daemonset.yml | kubectl apply -f - >/dev/null
    daemonset_is_ready
    lab_wait 60 has_no_vlan n1 100
    refute has_no_vlan n2 100
    kubectl logs -n kube-system -l name=network-cni >log
    refute grep -v '^note: ' log
    for node in n1 n2; do
        has_conflist "$node"
        on "$node" /opt/cni/bin/static-macvlan-cni uninstall
        on "$node" sh -c 'cd /etc/cni/net.d && rm 10-bridge.conflist &&
            echo "{\"cniVersion\": \"0.3.1\", \"name\": \"flat\", \"plugins\": [{\"type\": \"static-macvlan-cni\"}]}" >10-flat.conflist'
    done
    for node in n1 n2; do
        lab_wait 240 has_kubeconfig "$node"
        refute has_conflist "$node"
    done
    pod one n1 10.100.0.40 blue 0a:00:00:00:00:40
    pod two n2 auto blue
    come_up one two
    assert_equal "$(interfaces one)" 'eth0 0a:00:00:00:00:40 10.100.0.40/24'
    assert_equal "$(interfaces two | cut -d ' ' -f 1,3)" "eth0 $(address two)/24"
    for name in one two; do
        assert_equal "$(pod_ip "$name")" "$(address "$name")"
    done
    lab_wait 60 reaches one "$(pod_ip two)"
    lab_wait 60 reaches two "$(pod_ip one)"
    kubectl delete pod one two --force --grace-period 0 >/dev/null 2>&1
    lab_wait 60 is_gone macvlanip one two
    for node in n1 n2; do
        lab_wait 60 is_empty "$node" || fail "left on $node: $(on "$node" ls /var/run/netns /var/lib/cni/results)"
    done
}
