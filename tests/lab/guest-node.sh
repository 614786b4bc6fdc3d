#!/bin/bash
# A node of a cluster of the lab (cluster.bash), in its guest: containerd, kubelet, kube-proxy, flannel, and
# what runs the commands that cluster.bash leaves in /run/lab/do. It lives until it is killed; its disk has
# what must outlive that.
#
#   guest-node.sh NODE NUMBER LAB PROGRAMS FLATNET
#
# LAB is the folder of guest-flannel.sh, PROGRAMS that of kubelet and kube-proxy.
set -euo pipefail
node=$1 number=$2 lab=$3 programs=$4 flatnet=$5
# Memory is there, and a processor is not.
export GOGC=400

# The root below is the test machine's: what that has of a runtime of its own is put out of sight, and
# where overlays stand must not be one.
make_host() {
    local folders=(etc/cni/net.d opt/cni/bin var/lib/cni var/lib/kubelet var/lib/containerd var/log) folder
    printf '%s\n' "$node" >/proc/sys/kernel/hostname
    mount --make-rshared /
    mkdir -p "${folders[@]/#//disk/state/}" /etc/cni /opt /var/lib/{cni,kubelet,containerd}
    for folder in etc/cni opt var/lib/cni var/lib/kubelet var/lib/containerd var/log; do
        mount --bind "/disk/state/$folder" "/$folder"
    done
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    echo '+cpu +memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
    # A User-mode Linux says nothing of its processor's speed, and a kubelet wants to know.
    printf '%s\n' "$(</proc/cpuinfo)" $'cpu MHz\t\t: 2000.000' $'cpu cores\t: 1' >/run/cpuinfo
    mount --bind /run/cpuinfo /proc/cpuinfo
    : >/run/resolv.conf
    ln -sf /usr/lib/cni/{bridge,host-local,loopback,portmap,tuning} /opt/cni/bin/
    modprobe -a 8021q macvlan bridge veth
    # The kernel has no support for the tables of the other iptables.
    mkdir /run/sbin
    ln -s /usr/sbin/xtables-legacy-multi /run/sbin/iptables
    ln -s /usr/sbin/xtables-legacy-multi /run/sbin/iptables-save
    ln -s /usr/sbin/xtables-legacy-multi /run/sbin/iptables-restore
    PATH=/run/sbin:$PATH
}

# Who asks for a service from the host itself needs a route before kube-proxy's rules are asked, as the
# default route of any host is. A machine that starts again has the MAC that it had.
make_network() {
    printf '%s\n' 'link set lo up' "link set eth0 address 02:00:00:00:fe:0$number" 'link set eth0 up' \
        "addr add 10.0.0.1$number/24 dev eth0" 'route add default via 10.0.0.1' | ip -batch -
    echo 1 >/proc/sys/net/ipv4/ip_forward
}

# Debian's bridge plugin as flannel's hands its range and MTU on to it.
write_bridge() {
    printf '%s\n' '{"cniVersion": "0.3.1", "name": "cbr0", "plugins": [{"type": "bridge", "bridge": "cni0",' \
        '"isGateway": true, "isDefaultGateway": true, "hairpinMode": true, "mtu": 1450, "ipam": {"type": "host-local",' \
        "\"subnet\": \"10.42.$number.0/24\"}}]}" >/etc/cni/net.d/10-bridge.conflist
}

start_containerd() {
    cat >/run/containerd.toml <<'TOML'
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing"]
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/lab/busybox:1"
disable_tcp_service = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"
TOML
    containerd --config /run/containerd.toml >>/run/lab/containerd.log 2>&1 &
    until ctr version >/dev/null 2>&1; do
        busybox sleep 0.1
    done
}

load_images() {
    local bundle
    for bundle in /run/lab/bundles/*; do
        "$flatnet" images load --quiet "$bundle"
    done
}

start_kubelet() {
    exec "$programs/kubelet" --kubeconfig /run/lab/kubeconfig --hostname-override "$node" --node-ip "10.0.0.1$number" \
        --container-runtime remote --container-runtime-endpoint unix:///run/containerd/containerd.sock \
        --runtime-request-timeout 10m \
        --anonymous-auth --authorization-mode AlwaysAllow --cert-dir /var/lib/kubelet/pki --resolv-conf /run/resolv.conf \
        --cluster-dns 10.43.0.10 --cluster-domain cluster.local \
        --cgroup-driver cgroupfs --cgroups-per-qos=false --enforce-node-allocatable= --fail-swap-on=false \
        --make-iptables-util-chains=false --image-gc-high-threshold 100 --eviction-hard= \
        --housekeeping-interval 30s --node-status-update-frequency 4s >>/run/lab/kubelet.log 2>&1
}

# Pods of one node that are behind a service reach each other by the bridge. The limits of connections stay
# as the kernel has them.
start_proxy() {
    modprobe br_netfilter
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
    "$programs/kube-proxy" --kubeconfig /run/lab/kubeconfig --hostname-override "$node" --proxy-mode iptables \
        --cluster-cidr 10.42.0.0/16 --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 \
        --conntrack-tcp-timeout-close-wait 0 --metrics-bind-address 127.0.0.1:10249 \
        --healthz-bind-address 127.0.0.1:10256 >>/run/lab/proxy.log 2>&1 &
}

# Until there is a cluster to join, this is a host like any other.
join() {
    until [ -e /run/lab/kubeconfig ]; do
        busybox sleep 0.3
    done
    modprobe vxlan
    "$lab/guest-flannel.sh" "$node" "$number" eth0 >>/run/lab/flannel.log 2>&1 &
    start_proxy
    start_kubelet
}

# serve: each /run/lab/do/N.cmd is run, aside of the others; N.out, N.err, and at last N.status.
serve() {
    local file
    mkfifo /run/never
    exec 7<>/run/never
    while :; do
        for file in /run/lab/do/*.cmd; do
            [ -e "$file" ] || continue
            mv "$file" "${file%.cmd}.run"
            run_one "${file%.cmd}" </dev/null &
        done
        read -rt 0.1 -u 7 || true
    done
}

run_one() {
    local status=0
    bash "$1.run" >"$1.out" 2>"$1.err" || status=$?
    echo "$status" >"$1.new"
    mv "$1.new" "$1.status"
}

cat /proc/sys/kernel/random/boot_id >/run/lab/boot
make_host
make_network
start_containerd
# What follows is on the disk from then on, and the user's to change.
if [ ! -e /disk/made ]; then
    [ -e /run/lab/no-bridge ] || write_bridge
    load_images
    : >/disk/made
    sync
fi
join &
serve
