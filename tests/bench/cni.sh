#!/usr/bin/env bash
# static-macvlan-cni on a real kube-apiserver 1.20 and this kernel: ADD and DEL beside two floors, the
# bare netlink calls (cni_floor_link) and bare TLS with the same GETs (cni_floor_api), and beside
# Debian's reference plugins `macvlan` and `static`. All take turns in each round; what is compared
# are medians. BENCH_CALLS (100) rounds. Everything is in a network namespace of its own. Where others
# work on the machine, BENCH_REALTIME=1 takes all that is measured before them, for half a minute.
#
#   tests/bench/cni.sh [order]      order: makes cni/order.ld anew, by what an ADD runs (needs valgrind)
set -euo pipefail

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
build=${FLATNET_BUILD:?names the build folder}
plugin=${FLATNET_CNI:-$(dirname "${FLATNET_STATIC:?names the static flatnet}")/static-macvlan-cni}
floors=${FLATNET_FLOORS:-$build/static-$(dpkg --print-architecture)/tests/tools}
calls=${BENCH_CALLS:-100}
# shellcheck source=tests/bench/bench.bash
. "$here/bench.bash"
# shellcheck source=tests/lab/lab.bash
. "$here/../lab/lab.bash"
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

# The API server and the master are in it; /run is empty, and goes with it.
if [ "${1:-}" != inside ]; then
    "$LAB_HOME/kubernetes-from-debian.sh" >/dev/null
    if [ "${1:-}" = order ]; then
        plugin=$build/unordered/bin/static-macvlan-cni
        (cd "$here/../.." && MAKE='make --no-print-directory' scripts/dist.sh order "$build" "" >&2)
    fi
    FLATNET_CNI=$plugin exec unshare --net --mount "$0" inside "$@"
fi
shift

network() {
    mount -t tmpfs run /run
    install -d -m 700 /run/flatnet/tls
    ip link set lo up
    ip link add eth0 type veth peer name far0
    ip link set eth0 up promisc on
    ip addr add 10.8.0.1/24 dev eth0
    ip link set far0 up
    for name in ours full reference floor; do
        ip netns add "$name"
        ip -n "$name" link set lo up
    done
}

plane() {
    LAB_APISERVER_ARGS='--advertise-address 10.8.0.1' lab_kube k
    "${FLATNET:?names the program}" addons render --mode multus --kube-version 1.20 -o addons >/dev/null 2>&1
    lab_kubectl k apply -f addons/macvlan-network.yml >/dev/null
    lab_kubectl k wait --for condition=established crd --all --timeout 60s >/dev/null
    lab_kube_token k kube-system static-macvlan-cni >token
    for name in network-controller static-macvlan-cni; do
        sed "s/token: .*}/token: $(lab_kube_token k kube-system "$name")}}/" "$(lab_kube_config k)" >"$name.config"
    done
    lab_spawn c "$build/bin/network-controller" --kubeconfig network-controller.config --listen 127.0.0.1:0
    lab_kubectl k create -f - >/dev/null <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: net, namespace: kube-system}
spec: {master: eth0, vlan: 0, cidr: 10.7.0.0/16, gateway: 10.7.0.1}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: default
  annotations: {macvlan.pandaria.cattle.io/ip: 10.7.0.50, macvlan.pandaria.cattle.io/subnet: net,
    macvlan.pandaria.cattle.io/mac: "0a:00:00:00:07:32"}
spec: {nodeName: none, containers: [{name: c, image: x}]}
YAML
    lab_wait 60 lab_kubectl k get macvlanip web >/dev/null 2>&1
    lab_stop c
}

# As an installation leaves them, and read back from the disk as after a boot: how much of a program is
# resident depends on the sizes of the pages that its file has in memory.
install_programs() {
    local program
    mkdir bin
    for program in "$plugin" /usr/lib/cni/{macvlan,static} "$floors"/cni_floor_{api,link}; do
        cp "$program" bin/
        sync "bin/${program##*/}"
        dd if="bin/${program##*/}" iflag=nocache count=0 status=none
    done
    plugin=$LAB_DIR/bin/static-macvlan-cni
    reference=$LAB_DIR/bin
    floors=$LAB_DIR/bin
}

configurations() {
    printf '{"cniVersion":"0.3.1","name":"static-macvlan-cni-attach","type":"static-macvlan-cni","master":"",
        "kubeconfig":"%s","ipam":{"type":"static-ipam"}}' "$LAB_DIR/static-macvlan-cni.config" >ours.conf
    printf '{"cniVersion":"0.3.1","name":"ref","type":"macvlan","master":"eth0","mode":"bridge",
        "runtimeConfig":{"mac":"0a:00:00:00:07:33"},
        "ipam":{"type":"static","addresses":[{"address":"10.7.0.51/16","gateway":"10.7.0.1"}]}}' >reference.conf
}

# cni NAME COMMAND NETNS PROGRAM CONF [ARGS]: one call, measured under that name.
cni() {
    env CNI_COMMAND="$2" CNI_CONTAINERID="bench-$3" CNI_NETNS="/run/netns/$3" CNI_IFNAME=eth1 \
        CNI_PATH="$reference" CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web${6:-}" \
        "$build/tests/tools/cni_measure" runs "$1" "$4" <"$5" >"$1.out" 2>&1 || {
        cat "$1.out" >&2
        return 1
    }
}

api_floor() {
    "$build/tests/tools/cni_measure" runs "$1" "$floors/cni_floor_api" 127.0.0.1 "$(cat "$LAB_DIR/k.port")" \
        "$LAB_DIR/ca.crt" token "${@:2}" </dev/null
}

pod_path=/api/v1/namespaces/default/pods/web
ip_path="/apis/macvlan.cluster.cattle.io/v1/namespaces/default/macvlanips/web?resourceVersion=0"

run_ours() {
    cni add ADD ours "$plugin" ours.conf ";K8S_POD_UID=$uid"
    cni del DEL ours "$plugin" ours.conf ";K8S_POD_UID=$uid"
}
# As multus 3.2 calls: it passes no UID, so that the pod is read, too.
run_full() {
    cni add2 ADD full "$plugin" ours.conf
    cni del2 DEL full "$plugin" ours.conf
}
# Without the TLS session of an earlier call: what is in a folder that others may use does not count.
run_fresh() {
    chmod 755 /run/flatnet/tls
    cni fresh ADD ours "$plugin" ours.conf ";K8S_POD_UID=$uid"
    cni del3 DEL ours "$plugin" ours.conf ";K8S_POD_UID=$uid"
    chmod 700 /run/flatnet/tls
}
run_reference() {
    cni ref-add ADD reference "$reference/macvlan" reference.conf
    cni ref-del DEL reference "$reference/macvlan" reference.conf
}
# The one that macvlan starts and waits for: the memory of both is taken at a time.
run_ipam() { cni ipam ADD reference "$reference/static" reference.conf; }
run_link() {
    "$floors/cni_floor_link" runs eth0 /run/netns/floor eth1 0a:00:00:00:07:34 10.7.0.52 16
}
run_api() { api_floor api "$ip_path"; }
run_api2() { api_floor api2 "$pod_path" "$ip_path"; }
# What starting and answering takes, without kernel and API server.
run_version() { cni version VERSION ours "$plugin" ours.conf; }

realtime() {
    local name pid
    for name in k k-etcd; do
        pid=$(lab_pid "$name")
        chrt -a -p --rr 1 "$pid"
    done
    chrt -p --rr 1 "$$"
}

# traced FILE: what callgrind says of an ADD.
traced() {
    cat >trace <<SH
#!/bin/sh
exec valgrind -q --tool=callgrind --callgrind-out-file=$LAB_DIR/$1 --dump-instr=yes \\
    --compress-strings=no --compress-pos=no $plugin
SH
    chmod +x trace
    cni trace ADD ours "$LAB_DIR/trace" ours.conf ";K8S_POD_UID=$uid"
    cni trace DEL ours "$plugin" ours.conf ";K8S_POD_UID=$uid"
}

# A call makes a whole TLS handshake when there is none before it.
order() {
    reference=$LAB_DIR
    traced first
    traced next
    "$here/cni_order.py" "$build/unordered/map" next first >order.ld
    mv order.ld "$here/../../cni/order.ld"
}

# median NAME [COLUMN]: of the runs of that name; column 1 is wall us, 2 CPU us, 3 peak RSS in KiB.
median() {
    awk -v name="$1" -v column="${2:-1}" '$1 == name { print $(column + 1) }' runs | sort -n |
        awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

calc() { awk "BEGIN { printf \"%.4f\", $1 }"; }

rounds() {
    local round i
    local -a turns=(ours link api reference fresh full api2 version ipam)
    for round in $(seq "$1"); do
        for i in "${!turns[@]}"; do
            "run_${turns[(i + round) % ${#turns[@]}]}"
        done
    done
}

report() {
    local name
    printf 'p50 in ms:'
    for name in add add2 fresh link-add api api2 ref-add version del link-del ref-del; do
        printf ' %s %.2f' "$name" "$(calc "$(median $name) / 1000")"
    done
    printf '\nCPU in ms, peak RSS in MiB:'
    for name in add add2 fresh api api2 ref-add ipam del ref-del; do
        printf ' %s %.2f %.1f' "$name" "$(calc "$(median $name 2) / 1000")" "$(calc "$(median $name 3) / 1024")"
    done
    printf '\n'
    printf 'A resumed TLS session spares an ADD %.2f ms, of which %.2f CPU time here\n' \
        "$(calc "($(median fresh) - $(median add)) / 1000")" "$(calc "($(median fresh 2) - $(median add 2)) / 1000")"
    verdict 'ADD over the sum of the floors' "$(calc "$(median add) / ($(median link-add) + $(median api))")" '<=' 1.2
    verdict 'ADD with the pod read, over the sum of the floors' \
        "$(calc "$(median add2) / ($(median link-add) + $(median api2))")" '<=' 1.2
    # No setting does without the API server, so its floor is taken off, and a bare start put back,
    # since both have one.
    verdict 'ADD without the API part over reference macvlan+static' \
        "$(calc "($(median add) - $(median api) + $(median version)) / $(median ref-add)")" '<=' 0.6
    verdict 'DEL beyond its floor' "$(calc "($(median del) - $(median link-del)) / 1000")" '<=' 2 ms
    verdict 'DEL over reference macvlan+static' "$(ratio "$(median del)" "$(median ref-del)")" '<' 1
    verdict 'ADD: CPU time over the reference' "$(ratio "$(median add 2)" "$(median ref-add 2)")" '<=' 0.5
    verdict 'DEL: CPU time over the reference' "$(ratio "$(median del 2)" "$(median ref-del 2)")" '<=' 0.5
    verdict 'ADD: peak RSS over the reference' "$(calc "$(median add 3) / ($(median ref-add 3) + $(median ipam 3))")" '<=' 0.5
    verdict 'DEL: peak RSS over the reference' "$(calc "$(median del 3) / ($(median ref-del 3) + $(median ipam 3))")" '<=' 0.5
    verdict 'executable' "$(ratio "$(stat -c %s "$plugin")" 1048576)" '<' 8 MiB
}

lab_init "$$"
trap lab_cleanup EXIT
cd "$LAB_DIR"
network
plane
configurations
uid=$(lab_kubectl k get pod web -o 'jsonpath={.metadata.uid}')
if [ "${1:-}" = order ]; then
    order
    exit
fi
install_programs
rounds 3
rm runs
[ -z "${BENCH_REALTIME:-}" ] || realtime
printf 'load before: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
rounds "$calls"
report
printf 'load after: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
[ "$misses" -eq 0 ] || printf '%d of the limits were missed on this machine\n' "$misses"
