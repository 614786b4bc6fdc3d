#!/usr/bin/env bats
# flatnet host check: items about files on made-up roots, items about the network in namespaces.

# Variables of helper.bash, and jq's own in single quotes.
# shellcheck disable=SC2016,SC2034,SC2154
load helper

setup() {
    common_setup
    need jq
    R=$T/root
    mkdir -p "$R"/{etc,proc/net,proc/sys/kernel,sys,boot,run,var/lib}
    echo 5.10.0-8-amd64 >"$R/proc/sys/kernel/osrelease"
    printf 'Filename\tType\tSize\tUsed\tPriority\n' >"$R/proc/swaps"
    printf 'CONFIG_%s=y\n' MACVLAN VLAN_8021Q VXLAN VETH BRIDGE BRIDGE_NETFILTER OVERLAY_FS NF_NAT \
        >"$R/boot/config-5.10.0-8-amd64"
    echo node-1 >"$R/etc/hostname"
    echo '10.0.0.1 node-1' >"$R/etc/hosts"
    echo 'nameserver 10.0.0.2' >"$R/etc/resolv.conf"
    printf 'net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables=1\n' >"$R/etc/sysctl.conf"
    # systemd would take the unit of promiscuous mode.
    echo 'ip link set eth0 promisc on' >"$R/etc/rc.local"
}

teardown() {
    [ -z "${ns:-}" ] || ip netns del "$ns"
}

# item NAME RESULT [TEXT]: checks that one item alone; TEXT stands in what was seen or in the mend.
item() {
    local name=$1 result=$2 text=${3:-} expected=0
    [ "$result" != fail ] || expected=3
    run_flatnet host check --root "$R" --master eth0 --only "$name" --format json
    assert_status "$expected"
    assert_json '.items | length == 1'
    assert_json '.items[0].result == $r' --arg r "$result"
    assert_json '(.items[0].seen + " " + (.items[0].mend // "")) | contains($t)' --arg t "$text"
    if [ "$result" != pass ]; then
        assert_json '.items[0].mend | length > 0'
    fi
}

@test "a root without flaws passes all items about files" {
    run_flatnet host check --root "$R" --master eth0 --format json
    assert_status 0
    assert_json '.schemaVersion == 1 and .summary.fail == 0 and .summary.warn == 0'
    assert_json '[.items[].name] | contains(["kernel-features", "swap-boot", "hostname"])'
    assert_json '[.items[].name] | all(. != "docker" and . != "promisc")'
}

@test "kernel: its age, its parts from configuration, packed configuration and modules" {
    item kernel pass 'Linux 5.10.0-8-amd64'
    echo 2.6.32-754.el6 >"$R/proc/sys/kernel/osrelease"
    item kernel fail 'use Linux 3.10'
    echo 5.10.0-8-amd64 >"$R/proc/sys/kernel/osrelease"

    sed -i 's/^CONFIG_MACVLAN=y/# CONFIG_MACVLAN is not set/' "$R/boot/config-5.10.0-8-amd64"
    item kernel-features fail 'MACVLAN: missing'
    mkdir -p "$R/lib/modules/5.10.0-8-amd64/kernel"
    echo 'kernel/macvlan.ko.xz:' >"$R/lib/modules/5.10.0-8-amd64/modules.dep"
    item kernel-features fail 'MACVLAN: missing'
    : >"$R/lib/modules/5.10.0-8-amd64/kernel/macvlan.ko.xz"
    item kernel-features pass 'MACVLAN: module, not loaded'
    item modules-boot fail 'macvlan is not loaded at boot'
    mkdir "$R/etc/modules-load.d"
    echo macvlan >"$R/etc/modules-load.d/own.conf"
    item modules-boot pass
    echo 'macvlan 28672 0 - Live 0x0' >"$R/proc/modules"
    item kernel-features pass 'MACVLAN: module, loaded'

    rm -r "${R:?}"/{proc/modules,boot,lib}
    item kernel-features warn 'MACVLAN: not known'
    printf 'CONFIG_%s=y\n' MACVLAN VLAN_8021Q VXLAN VETH BRIDGE BRIDGE_NETFILTER NF_NAT |
        gzip >"$R/proc/config.gz"
    item kernel-features fail 'OVERLAY_FS: missing'
    mkdir -p "$R/sys/module/overlay"
    item kernel-features pass 'OVERLAY_FS: built in'
    echo broken >"$R/proc/config.gz"
    rm -r "$R/sys/module"
    item kernel-features warn 'MACVLAN: not known'
}

@test "swap at boot: fstab, units, zram, what systemd made of fstab" {
    item swap-boot pass
    printf '# /dev/sda2 none swap sw 0 0\n/dev/sda3 /swap ext4 swap 0 0\n' >"$R/etc/fstab"
    item swap-boot pass
    echo '/dev/sda2 none swap sw 0 0' >>"$R/etc/fstab"
    item swap-boot fail '1 swap row in /etc/fstab'
    rm "$R/etc/fstab"
    mkdir -p "$R"/run/systemd/generator "$R/run/systemd/generator.late" "$R/etc/systemd/system"
    printf '[Unit]\nSourcePath=/etc/fstab\n' >"$R/run/systemd/generator/dev-sda2.swap"
    item swap-boot pass
    : >"$R/run/systemd/generator.late/dev-vda3.swap"
    item swap-boot fail 'systemd unit dev-vda3.swap'
    ln -s /dev/null "$R/etc/systemd/system/dev-vda3.swap"
    item swap-boot pass
    mkdir -p "$R/usr/lib/systemd"
    printf '[zram0]\nzram-size = ram / 2\n' >"$R/usr/lib/systemd/zram-generator.conf"
    item swap-boot fail 'systemd unit dev-zram0.swap'
    : >"$R/etc/systemd/zram-generator.conf"
    item swap-boot pass
    mkdir -p "$R/lib/systemd/system"
    : >"$R/lib/systemd/system/zramswap.service"
    item swap-boot fail 'systemd unit zramswap.service'
}

@test "promiscuous mode at boot: who sets it, and for which NIC" {
    item promisc-boot pass '/etc/rc.local sets it'
    echo 'ip link set eth01 promisc on' >"$R/etc/rc.local"
    item promisc-boot warn 'nothing makes eth0 promiscuous'
    echo '# ip link set eth0 promisc on' >"$R/etc/rc.local"
    item promisc-boot warn 'add '"'"'ip link set NIC promisc on'"'"' to /etc/rc.local'
    mkdir -p "$R/var/lib/rancher/conf"
    item promisc-boot warn RancherOS
    mkdir -p "$R/etc/network"
    printf 'auto eth0\niface eth0 inet dhcp\n    up ip link set eth0 promisc on\n' >"$R/etc/network/interfaces"
    item promisc-boot pass /etc/network/interfaces
}

@test "on RancherOS the cloud-config says what happens at boot" {
    local config=$R/var/lib/rancher/conf/cloud-config.yml
    mkdir -p "${config%/*}" "$R/lib/modules/5.10.0-8-amd64"
    sed -i 's/^CONFIG_MACVLAN=y/CONFIG_MACVLAN=m/' "$R/boot/config-5.10.0-8-amd64"
    : >"$R/lib/modules/5.10.0-8-amd64/macvlan.ko"
    echo 'macvlan.ko:' >"$R/lib/modules/5.10.0-8-amd64/modules.dep"
    mkdir "$R/etc/modules-load.d"
    echo macvlan >"$R/etc/modules-load.d/own.conf"
    item modules-boot fail 'ros config set rancher.modules'
    item sysctl-boot warn 'ros config set rancher.sysctl'
    printf 'rancher:\n  modules: [macvlan-x, macvlan]\n  sysctl:\n    net.ipv4.ip_forward: 1\n' >"$config"
    item modules-boot pass
    item sysctl-boot warn 'nothing sets net.bridge.bridge-nf-call-iptables'
    mkdir "${config%.yml}.d"
    echo '    net.bridge.bridge-nf-call-iptables: 1' >"${config%.yml}.d/k8s.yml"
    item sysctl-boot pass
}

@test "settings at boot" {
    item sysctl-boot pass
    sed -i 's/^net.ipv4.ip_forward.*/net.ipv4.ip_forward = 0/' "$R/etc/sysctl.conf"
    item sysctl-boot warn 'nothing sets net.ipv4.ip_forward'
    mkdir "$R/etc/sysctl.d"
    echo '-net/ipv4/ip_forward=1' >"$R/etc/sysctl.d/k8s.conf"
    item sysctl-boot pass
}

@test "host names: flaws, localhost, who resolves it" {
    local name
    item hostname pass "'node-1', in /etc/hosts"
    for name in Node-1 node_1 -node node- a..b "$(printf 'n%.0s' {1..64})" localhost localhost.localdomain; do
        echo "$name" >"$R/etc/hostname"
        item hostname fail "$name"
    done
    echo node-2.site >"$R/etc/hostname"
    item hostname warn 'not in /etc/hosts'
    : >"$R/etc/resolv.conf"
    item hostname fail 'there is no DNS server'
    echo '10.0.0.2 other node-2.site # comment' >"$R/etc/hosts"
    item hostname pass
    echo '10.0.0.2 other # node-2.site' >"$R/etc/hosts"
    item hostname fail
}

@test "the resolver" {
    item resolver pass '1 server'
    echo 'nameserver 127.0.0.53' >"$R/etc/resolv.conf"
    item resolver warn '127.0.0.53'
    rm "$R/etc/resolv.conf"
    item resolver warn 'names no server'
}

@test "proxies that would get the cluster's traffic" {
    item proxy pass 'no proxy is set'
    echo 'https_proxy=http://proxy:3128' >"$R/etc/environment"
    item proxy warn '/etc/environment has a proxy'
    echo 'no_proxy=10.42.0.0/16,10.43.0.0/16,.site' >>"$R/etc/environment"
    item proxy pass 'not for the cluster'
    mkdir -p "$R/etc/systemd/system/docker.service.d"
    echo 'Environment="HTTP_PROXY=http://proxy:3128" "NO_PROXY=localhost"' \
        >"$R/etc/systemd/system/docker.service.d/proxy.conf"
    item proxy warn "docker's unit has a proxy"
}

@test "SELinux and NetworkManager" {
    item selinux pass
    mkdir -p "$R/etc/selinux" "$R/etc/NetworkManager/conf.d"
    echo SELINUX=enforcing >"$R/etc/selinux/config"
    item selinux warn container-selinux
    echo SELINUX=permissive >"$R/etc/selinux/config"
    item selinux pass
    item network-manager fail 'takes cali* devices'
    echo 'unmanaged-devices=interface-name:cali*;interface-name:flannel*;interface-name:cni*;interface-name:veth*' \
        >"$R/etc/NetworkManager/conf.d/own.conf"
    item network-manager pass
}

@test "what an earlier cluster left" {
    item leftovers pass
    mkdir -p "$R/etc/cni/net.d" "$R/var/lib/etcd"
    item leftovers pass
    : >"$R/etc/cni/net.d/10-calico.conflist"
    item leftovers warn '/etc/cni/net.d is not empty (10-calico.conflist)'
    mkdir "$R/var/lib/etcd/member"
    item leftovers fail '/var/lib/etcd is not empty (member)'
}

@test "--ignore demotes, --only chooses, unknown names are refused" {
    echo Bad >"$R/etc/hostname"
    run_flatnet host check --root "$R" --only hostname,resolver --ignore HOSTNAME --format json
    assert_status 0
    assert_json '.items | map(.result) == ["warn", "pass"]'
    assert_json '.items[0].ignored'
    run_flatnet host check --root "$R" --only hostname --ignore all
    assert_status 0
    assert_contains '(ignored)'
    run_flatnet host check --root "$R" --only hostnam
    assert_status 2
    assert_contains "did you mean 'hostname'?" stderr
    for wrong in '' 'hostname,' nothing; do
        run_flatnet host check --root "$R" --ignore "$wrong"
        assert_status 2
    done
    run_flatnet host check --root "$R" --role master
    assert_status 2
    run_flatnet host check --root "$T/none"
    assert_status 2
    run_flatnet host check --root "$R" --pod-cidr 10.42.0.0
    assert_status 2
}

# --- the network, in a namespace ---

namespace() {
    need ip
    ns=flatnet-c$$-$BATS_TEST_NUMBER
    ip netns add "$ns"
    ip -n "$ns" link set lo up
    ip -n "$ns" link add eth0 type veth peer name far0
    ip -n "$ns" link set far0 up
    ip -n "$ns" link set eth0 up
    ip -n "$ns" addr add 10.0.0.5/24 dev eth0
}

# live NAME RESULT [TEXT] [ARG...]: like item, for the running kernel of the namespace.
live() {
    local name=$1 result=$2 text=${3:-} expected=0
    shift 3 || shift $#
    [ "$result" != fail ] || expected=3
    status=0
    ip netns exec "$ns" "$FLATNET" host check --only "$name" --format json "$@" \
        >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file")
    assert_status "$expected"
    assert_json '.items[0].result == $r' --arg r "$result"
    assert_json '(.items[0].seen + " " + (.items[0].mend // "")) | contains($t)' --arg t "$text"
}

@test "the master NIC: absent, up, down, without carrier, in a bridge, loopback" {
    namespace
    live master fail 'no NIC is named'
    live master pass 'eth0 is up' --master eth0
    ip -n "$ns" route add default via 10.0.0.1 dev eth0
    live master pass 'eth0 (of the default route) is up'
    live master fail "there is no 'eth9'" --master eth0 --master eth9
    live master fail 'lo is no Ethernet link' --master lo
    ip -n "$ns" link set far0 down
    live master fail 'eth0 has no carrier' --master eth0
    ip -n "$ns" link set eth0 down
    live master fail 'eth0 is down' --master eth0
    ip -n "$ns" link set far0 up
    ip -n "$ns" link set eth0 up
    ip -n "$ns" link add br0 type bridge
    ip -n "$ns" link set eth0 master br0
    live master fail 'eth0 is a port of a bridge' --master eth0
    ip -n "$ns" link set br0 up
    live master pass 'br0 is up' --master br0
}

@test "a NIC that no macvlan can stand on is not prepared" {
    namespace
    local master
    for master in eth9 lo; do
        status=0
        ip netns exec "$ns" "$FLATNET" host prepare --dry-run --master $master --only promisc,promisc-boot \
            >"$stdout_file" 2>"$stderr_file" || status=$?
        assert_status 2
        assert_contains "'$master'" stderr
    done
    ip netns exec "$ns" "$FLATNET" host prepare --dry-run --master eth0 --only promisc >"$stdout_file"
    assert_contains '# ip link set eth0 promisc on'
}

@test "the MTU" {
    namespace
    live mtu pass 'frames of a VLAN are 1518, the overlay has 1450' --master eth0
    ip -n "$ns" link set eth0 mtu 1400
    live mtu warn 'eth0 has 1400, the overlay then 1350' --master eth0
    ip -n "$ns" link set eth0 mtu 1300
    live mtu fail 'less than 1280' --master eth0
    ip -n "$ns" link set eth0 mtu 9000
    live mtu pass 'the overlay has 8950' --master eth0
}

@test "promiscuous mode: set, not set, only while somebody listens" {
    namespace
    live promisc fail 'eth0 is not promiscuous' --master eth0
    ip -n "$ns" link add mv0 link eth0 type macvlan mode passthru
    ip -n "$ns" link set mv0 up
    live promisc fail 'promiscuous only as long as' --master eth0
    ip -n "$ns" link del mv0
    ip -n "$ns" link set eth0 promisc on
    live promisc pass 'eth0 is promiscuous' --master eth0
}

@test "the cluster's networks against addresses and routes" {
    namespace
    live cidr pass '10.42.0.0/16 and 10.43.0.0/16 are free'
    ip -n "$ns" addr add 10.42.7.1/24 dev eth0
    live cidr fail "pods' network 10.42.0.0/16 overlaps 10.42.7.1/24 of eth0"
    live cidr pass '' --pod-cidr 172.30.0.0/16
    ip -n "$ns" route add 172.16.0.0/12 via 10.0.0.1
    live cidr fail 'overlaps the route to 172.16.0.0/12' --pod-cidr 172.30.0.0/16
    live cidr fail 'overlap each other' --pod-cidr 10.0.192.0/20 --service-cidr 10.0.200.0/24
    # What a cluster made itself is no obstacle.
    ip -n "$ns" addr del 10.42.7.1/24 dev eth0
    ip -n "$ns" link add cni0 type bridge
    ip -n "$ns" addr add 10.42.7.1/24 dev cni0
    live cidr pass
}

@test "ports, by role" {
    namespace
    need python3
    live ports pass
    ip netns exec "$ns" python3 -c '
import socket, sys, time
tcp = socket.socket(); tcp.bind(("127.0.0.1", 2379)); tcp.listen()
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); udp.bind(("::", 8472))
open(sys.argv[1], "w").close()
time.sleep(60)' "$T/listening" 3>&- &
    wait_until [ -e "$T/listening" ]
    live ports fail '2379/tcp is in use (etcd); 8472/udp is in use'
    live ports fail '8472/udp' --role worker
    assert_lacks 2379
    live ports fail '2379/tcp' --role worker,etcd
    kill $!
}

@test "the default route" {
    namespace
    live default-route warn 'there is no IPv4 default route'
    ip -n "$ns" route add default via 10.0.0.1 dev eth0
    live default-route pass 'by eth0 to 10.0.0.1'
}

@test "the table for people" {
    echo Bad >"$R/etc/hostname"
    run_flatnet host check --root "$R" --master eth0
    assert_status 3
    grep -qE "^fail  hostname +'Bad' has capitals$" "$stdout_file"
    grep -qE '^ +mend: set another' "$stdout_file"
    grep -qE '^[0-9]+ pass, 0 warn, 1 fail$' "$stdout_file"
    run_flatnet host check --root "$R" --master eth0 --quiet
    assert_lacks 'pass  '
}
