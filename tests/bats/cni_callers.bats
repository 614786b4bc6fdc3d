#!/usr/bin/env bats
# Real callers, and other plugins before and after ours: podman with its CNI backend, containerd's
# `ctr run --cni`, and what libcni does with a list, with Debian's bridge, tuning and portmap.
# timeout: 900
# Variables of helper.bash.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154

load helper
load cni

setup_file() {
    need etcd curl jq openssl ip iptables podman conmon runc containerd ctr busybox
    lab_init "$$"
    cni_node node
    cni_cluster node
    cni_config >"$LAB_DIR/node.node/etc/cni/plugin.config"
    cni_kubectl create namespace shop >/dev/null
    lab_rootfs "$LAB_DIR/root" callers
    lab_runc "$LAB_DIR/runc"
    cni_on node sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

teardown_file() {
    lab_cleanup
    # podman's groups, which are empty now.
    wait_until find /sys/fs/cgroup -depth -type d -path "*/${LAB_DIR##*/}*" -delete 2>/dev/null
}

setup() {
    common_setup
    n=$BATS_TEST_NUMBER
    net=$LAB_DIR/node.node/etc/cni/net.d
    rm -f "$net"/*
    # Behind the master's cable, in the subnet of this test.
    cni_on node ip -n wire addr replace "10.$n.0.1/24" dev n0
}

teardown() {
    podman rm --force --all --time 0 >/dev/null 2>&1 || true
    rm -f "$net"/*
}

# --- the plugins of a network ---

bridge() {
    printf '{"type": "bridge", "bridge": "cni%s", "isGateway": true, "ipam": {"type": "host-local",
        "ranges": [[{"subnet": "10.88.%s.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}' "$n" "$n"
}

# ours [MEMBERS]
ours() {
    printf '{"type": "static-macvlan-cni", "kubeconfig": "/etc/cni/plugin.config", "logLevel": "debug"%s}' "${1:+, $1}"
}

# tuning IFNAME
tuning() {
    printf '{"type": "tuning", "sysctl": {"net.ipv4.conf.%s.arp_announce": "2"}}' "$1"
}

portmap() {
    printf '{"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}'
}

# network VERSION PLUGIN...: the node's network, called as this test.
network() {
    local version=$1
    shift
    printf '%s\n' "$@" | jq -s --arg name "net$n" --arg version "$version" \
        '{cniVersion: $version, name: $name, plugins: .}' >"$net/05-flatnet.conflist"
}

# pod [FIELDS]: a pod of Kubernetes for this test; its address is 10.N.0.7.
pod() {
    mac=02:00:00:00:0$n:07
    cni_subnet "s$n" 0 "10.$n.0.0/24" "gateway: 10.$n.0.1${1:+, $1}"
    cni_pod "shop/web$n" "10.$n.0.7" "s$n" "$mac"
    args="K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web$n"
}

# --- callers ---

podman() {
    CONTAINERS_CONF=$LAB_DIR/containers.conf cni_on node podman --root "$LAB_DIR/podman/root" --runroot "$LAB_DIR/podman/run" \
        --tmpdir "$LAB_DIR/podman/tmp" --storage-driver vfs --runtime "$LAB_DIR/runc" --cgroup-manager cgroupfs \
        --events-backend none "$@" 3>&-
}

# run_podman NAME [ARG...]: a container that serves a page; sets $status and $ns, its namespace. podman
# hands on what CNI_ARGS of its own environment has, behind IgnoreUnknown and K8S_POD_NAME=NAME.
run_podman() {
    local name=$1
    shift
    cat >"$LAB_DIR/containers.conf" <<'TOML'
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
network_config_dir = "/etc/cni/net.d"
TOML
    status=0
    CNI_ARGS=${args-} podman run -d --name "$name" --network "net$n" --cgroup-parent "${LAB_DIR##*/}" \
        --security-opt seccomp=unconfined "$@" --rootfs "$LAB_DIR/root" \
        /bin/busybox httpd -f -p 80 -h /etc >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file")
    [ "$status" -ne 0 ] || ns=$(podman inspect "$name" --format '{{.NetworkSettings.SandboxKey}}')
}

# links: the interfaces of $ns, in a line.
links() {
    cni_on node nsenter --net="$ns" ip -j link | jq -r '[.[].ifname] | join(" ")'
}

# address IFNAME
address() {
    cni_on node nsenter --net="$ns" ip -j addr show dev "$1" scope global | jq -r '.[0].addr_info[0].local'
}

from_wire() {
    cni_on node nsenter --net=/run/netns/wire "$@"
}

# all_gone: the node has no pod's namespace and no rule of portmap's for one.
all_gone() {
    assert_equal "$(cni_on node ls /run/netns)" wire
    assert_equal "$(cni_on node iptables -t nat -S 2>/dev/null | grep -c -e '-j DNAT')" 0 "rules of portmap's"
    assert_equal "$(cni_on node find /var/lib/cni/results -type f 2>/dev/null)" ''
}

# has_macvlan IFNAME: of $ns, as this test's pod has been given it.
has_macvlan() {
    assert_equal "$(cni_on node nsenter --net="$ns" ip -j -d addr show dev "$1" | jq -r '.[0] | "\(.linkinfo.info_kind) \(.address)"') $(address "$1")" \
        "macvlan $mac 10.$n.0.7"
}

@test "podman: a container is no pod, and passes through without a question" {
    network 0.4.0 "$(bridge)" "$(tuning eth0)" "$(ours '"chained": true, "kubeconfig": "/none"')" "$(portmap)"
    run_podman Some_Container -p 8081:80
    assert_status 0
    assert_equal "$(links)" 'lo eth0'
    assert_equal "$(podman inspect Some_Container --format "{{(index .NetworkSettings.Networks \"net$n\").IPAddress}}")" "$(address eth0)"
    assert_equal "$(cni_on node nsenter --net="$ns" cat /proc/sys/net/ipv4/conf/eth0/arp_announce)" 2
    assert_equal "$(cni_on node curl -s "http://10.88.$n.1:8081/note")" callers
    assert_contains "no macvlan is asked for" "$LAB_DIR/node.node/log/static-macvlan-cni.log"
    podman rm -f -t 0 Some_Container
    all_gone
}

@test "podman with a pod's name: eth1 behind bridge and tuning, portmap behind it still means eth0" {
    pod
    network 0.4.0 "$(bridge)" "$(tuning eth0)" "$(ours '"chained": true')" "$(portmap)"
    run_podman web -p 8082:80
    assert_status 0
    assert_equal "$(links)" 'lo eth0 eth1'
    has_macvlan eth1
    assert_equal "$(from_wire curl -s "http://10.$n.0.7/note")" callers
    assert_equal "$(cni_on node curl -s "http://10.88.$n.1:8082/note")" callers
    assert_contains "to-destination $(address eth0):80" <(cni_on node iptables -t nat -S 2>&1)
    # Its default route is still that of the first plugin.
    assert_contains "default via 10.88.$n.1 dev eth0" <(cni_on node nsenter --net="$ns" ip route)
    podman rm -f -t 0 web
    all_gone
}

@test "podman with a pod's name: the only interface is ours, tuning and portmap come after it" {
    pod
    network 0.4.0 "$(ours)" "$(tuning eth0)" "$(portmap)"
    run_podman web -p 8083:80
    assert_status 0
    assert_equal "$(links)" 'lo eth0'
    has_macvlan eth0
    assert_equal "$(cni_on node nsenter --net="$ns" cat /proc/sys/net/ipv4/conf/eth0/arp_announce)" 2
    assert_contains "default via 10.$n.0.1 dev eth0" <(cni_on node nsenter --net="$ns" ip route)
    assert_equal "$(from_wire curl -s "http://10.$n.0.7/note")" callers
    assert_contains "to-destination 10.$n.0.7:80" <(cni_on node iptables -t nat -S 2>&1)
    podman rm -f -t 0 web
    all_gone
}

@test "podman: what is no pod cannot have our interface alone, and is told why" {
    network 0.4.0 "$(ours)"
    run_podman other
    assert_status 126
    assert_contains 'CNI_ARGS does not say which pod of Kubernetes this is for' stderr
    podman rm -f -t 0 other
    all_gone
}

@test "podman: an API server out of reach is no reason to let a pod pass" {
    args="K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web$n"
    sed "s/127.0.0.1:[0-9]*/127.0.0.1:1/" "$LAB_DIR/node.node/etc/cni/plugin.config" >"$LAB_DIR/node.node/etc/cni/nobody.config"
    network 0.4.0 "$(bridge)" "$(ours '"chained": true, "kubeconfig": "/etc/cni/nobody.config"')" "$(portmap)"
    run_podman web
    assert_status 126
    assert_contains "pod 'shop/web$n': cannot connect to '127.0.0.1:1'" stderr
    podman rm -f -t 0 web
    all_gone
}

# ctr's DEL comes when the process of its CNI_NETNS, /proc/PID/ns/net, is gone.
@test "containerd: ctr run --cni takes the node's network, and passes through" {
    cni_lab node lab_containerd c
    network 0.4.0 "$(bridge)" "$(ours '"chained": true, "kubeconfig": "/none"')" "$(portmap)"
    mkfifo go
    cni_on node ctr -a "$(lab_containerd_sock c)" run --rm --cni --mount "type=bind,src=$T,dst=/mnt,options=rbind:rw" \
        --rootfs "$LAB_DIR/root" c1 /bin/sh -c 'busybox ip -o link >/mnt/links; busybox ip -o addr show dev eth0 >/mnt/addr; cat /mnt/go' \
        >"$stdout_file" 2>"$stderr_file" 3>&- &
    wait_until test -s addr
    assert_equal "$(sed 's/^[0-9]*: \([a-z0-9]*\).*/\1/' links | sort | xargs)" 'eth0 lo'
    grep -q "inet 10.88.$n\." addr
    echo 'done' >go
    wait $! || fail "$(<"$stderr_file")"
    assert_equal "$(<"$stdout_file")" 'done'
    assert_equal "$(grep -c 'DEL done' <(grep 'container=default-c1' "$LAB_DIR/node.node/log/static-macvlan-cni.log"))" 1
    all_gone

    network 0.4.0 "$(ours)"
    status=0
    cni_on node ctr -a "$(lab_containerd_sock c)" run --rm --cni --rootfs "$LAB_DIR/root" c2 /bin/true >"$stdout_file" 2>"$stderr_file" || status=$?
    [ "$status" -ne 0 ] || fail 'it runs'
    assert_contains 'CNI_ARGS does not say which pod of Kubernetes this is for' stderr
}

# --- what libcni does with a list ---

# libcni COMMAND NETNS: as AddNetworkList, CheckNetworkList and DelNetworkList of libcni 1.1: name and
# cniVersion go into each configuration, runtimeConfig into those that declare the capability; what a plugin
# says is the next one's prevResult; CHECK and DEL (from 0.4.0 on) get what ADD has said at its end, which
# is kept in `result`; DEL goes backwards and ends at the first failure, as ADD and CHECK do. CHECK leaves
# out bridge, which looks for every address of the result on its own interface, ours too, and portmap,
# which wants rules for an IPv6 address that no one has (1.1.1).
libcni() {
    local list=$net/05-flatnet.conflist i count order conf
    count=$(jq '.plugins | length' "$list")
    order=$(seq 0 $((count - 1)))
    [ "$1" != DEL ] || order=$(tac <<<"$order")
    [ "$1" != ADD ] || rm -f result
    status=0
    for i in $order; do
        conf=$(jq -c --argjson i "$i" --arg command "$1" --slurpfile result <(cat result 2>/dev/null) '
            .name as $name | .cniVersion as $version | .plugins[$i] | .name = $name | .cniVersion = $version |
            if .capabilities.portMappings then .runtimeConfig = {portMappings: [{hostPort: 8090, containerPort: 80, protocol: "tcp"}]} else . end |
            del(.capabilities) | if (.type == "bridge" or .type == "portmap") and $command == "CHECK" then halt else . end |
            if $result[0] and ($command != "DEL" or ($version | startswith("0.3") | not)) then .prevResult = $result[0] else . end' "$list")
        [ -n "$conf" ] || continue
        cni_on node env "CNI_COMMAND=$1" "CNI_CONTAINERID=c$n" "CNI_NETNS=$2" CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin "CNI_ARGS=IgnoreUnknown=1;$args" \
            "/opt/cni/bin/$(jq -r .type <<<"$conf")" <<<"$conf" >"$stdout_file" 2>"$stderr_file" || status=$?
        output=$(<"$stdout_file") stderr=$(<"$stderr_file")
        [ "$status" -eq 0 ] || return 0
        [ "$1" != ADD ] || cp "$stdout_file" result
    done
}

# in_version VERSION: the network of this test, from ADD to DEL.
in_version() {
    cni_on node ip netns add "pod$n"
    ns=/run/netns/pod$n
    libcni ADD "$ns"
    assert_status 0
    assert_equal "$(jq -r .cniVersion result)" "$1"
    assert_equal "$(links)" 'lo eth0 eth1'
    has_macvlan eth1
    # All that the plugins before ours have said is there still, in its place, and ours is behind it.
    assert_equal "$(jq -c '[.interfaces[] | .name | sub("veth.*"; "veth")]' result)" "[\"cni$n\",\"veth\",\"eth0\",\"eth1\"]"
    assert_equal "$(jq -c '[.ips[] | [.address, .interface, .gateway]]' result)" \
        "[[\"$(address eth0)/24\",2,\"10.88.$n.1\"],[\"10.$n.0.7/24\",3,\"10.$n.0.1\"]]"
    assert_equal "$(jq -c '[.routes[] | [.dst, .gw]]' result)" "[[\"0.0.0.0/0\",null],[\"10.9.0.0/16\",\"10.$n.0.1\"]]"
    assert_equal "$(jq -c '[.ips[] | .version // "none"] | unique' result)" "$([[ $1 == 1.* ]] && echo '["none"]' || echo '["4"]')"
    if [[ $1 != 0.3* ]]; then
        libcni CHECK "$ns"
        assert_status 0
        cni_on node ip -n "pod$n" addr del "10.$n.0.7/24" dev eth1
        libcni CHECK "$ns"
        assert_status 1
        assert_equal "$(jq .code "$stdout_file")" 102
    fi
    libcni DEL "$ns"
    assert_equal "$status $output" '0 '
    assert_equal "$(links)" lo
    libcni DEL "$ns"
    assert_status 0
    cni_on node ip netns del "pod$n"
    libcni DEL "$ns"
    assert_status 0
    libcni DEL ''
    assert_status 0
    all_gone
}

@test "a list with bridge before ours, tuning and portmap behind it, and the other way, in each version" {
    local version
    pod "routes: [{dst: 10.9.0.0/16}]"
    for version in 0.3.0 0.4.0; do
        network "$version" "$(bridge)" "$(ours '"chained": true')" "$(tuning eth1)" "$(portmap)"
        in_version "$version"
    done
    for version in 0.3.1 1.0.0; do
        network "$version" "$(bridge)" "$(portmap)" "$(tuning eth0)" "$(ours '"chained": true')"
        in_version "$version"
    done
}
