#!/usr/bin/env bats
# The kernel side of the CNI plugin without VLANs, on this machine's kernel: "host" is a network
# namespace with a master, eth0; behind the master's cable is a neighbour; pods are namespaces too.
# timeout: 900

# Variables of helper.bash.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154
load helper

setup() {
    common_setup
    need ip nsenter jq busybox strace
    tool=${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/cni_net
    namespaces=()
    namespace host && namespace wire
    ip -n "$host" link add eth0 type veth peer name n0 netns "$wire"
    ip -n "$host" link set eth0 up
    ip -n "$wire" link set n0 up
    ip -n "$wire" addr add 10.1.0.1/24 dev n0
    ip -n "$wire" addr add fd00::1/64 dev n0 nodad
}

teardown() {
    for name in "${namespaces[@]}"; do
        ip netns del "$name" || true
    done
}

# namespace VARIABLE: make one; its name is in the variable.
namespace() {
    local -n made=$1
    made=flatnet-c$$-$BATS_TEST_NUMBER-$1
    ip netns add "$made"
    namespaces+=("$made")
    ip -n "$made" link set lo up
}

# pod VARIABLE [GATEWAY]: a namespace; with an eth0 and a default route by it, if that is given.
pod() {
    namespace "$1"
    local -n new=$1
    [ $# -lt 2 ] || give_eth0 "$new" "$2"
}

give_eth0() {
    ip -n "$1" link add eth0 type veth peer name far0
    ip -n "$1" link set far0 up
    ip -n "$1" link set eth0 up
    ip -n "$1" addr add 10.42.3.7/24 dev eth0
    ip -n "$1" route add default via "$2" dev eth0
}

# plugin ACTION POD KEY=VALUE...: in the host's namespace; sets $status, $output, $stderr.
plugin() {
    local action=$1 ns=$2
    shift 2
    status=0
    nsenter --net="/run/netns/$host" timeout -k 5 100 ${TRACE:+"${TRACE[@]}"} "$tool" "$action" \
        "netns=/run/netns/$ns" "locks=$T/locks" "$@" >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file")
    case $status in
        99 | 124 | 126 | 127 | 132 | 134 | 135 | 136 | 139) fail "cni_net $*: crashed, hung or not found" ;;
    esac
}

# add POD KEY=VALUE...: it must work. refused POD ERROR TEXT KEY=VALUE...: it must not.
add() {
    plugin add "$@"
    assert_status 0
}

refused() {
    local error=$2 text=$3 ns=$1
    shift 3
    plugin add "$ns" "$@"
    assert_status 1
    assert_contains "$error: " stderr
    assert_contains "$text" stderr
}

# link_of NS NAME JQ: about one link. addrs_of NS NAME: its global addresses, in a line.
link_of() {
    ip -n "$1" -j -d link show dev "$2" | jq -r ".[0] | $3"
}

addrs_of() {
    ip -n "$1" -j addr show dev "$2" scope global | jq -r '[.[].addr_info[]? | select(.local) | "\(.local)/\(.prefixlen)"] | sort | join(" ")'
}

# state_of NS: its links, addresses and routes.
state_of() {
    ip -n "$1" -br link | awk '{ print $1 }'
    ip -n "$1" -4 route show table all
    ip -n "$1" -6 route show table all | grep -v -e fe80 -e ff00
}

reaches() {
    nsenter --net="/run/netns/$1" busybox ping -c 1 -W "${3:-5}" "$2" >/dev/null
}

# knows MAC ADDRESS: what the neighbour's cache says.
knows() {
    ip -n "$wire" -j neigh show to "$2" | jq -e --arg mac "$1" '.[0].lladdr == $mac' >/dev/null
}

@test "an interface as it was asked for, and nothing else" {
    pod p
    before=$(state_of "$host")
    add "$p" id=c1 net=blue master=eth0 addr=10.1.0.5/24 mac=02:00:00:00:00:05 gw=10.1.0.1 \
        route=10.9.0.0/16 route=10.8.0.7/16,10.1.0.2 route=10.7.0.0/16,,eth1
    assert_equal "$output" 'eth0 02:00:00:00:00:05 1500 10.1.0.5/24'
    assert_equal "$(link_of "$p" eth1 '"\(.linkinfo.info_kind) \(.linkinfo.info_data.mode) \(.address) \(.ifalias)"')" \
        'macvlan bridge 02:00:00:00:00:05 flatnet/blue/c1'
    [ "$(link_of "$p" eth1 .link_index)" = "$(link_of "$host" eth0 .ifindex)" ]
    assert_equal "$(addrs_of "$p" eth1)" 10.1.0.5/24
    ip -n "$p" -j addr show dev eth1 | jq -e '.[0].addr_info[0].broadcast == "10.1.0.255"'
    assert_equal "$(ip -n "$p" route | sort)" "$(printf '%s \n' '10.1.0.0/24 dev eth1 proto kernel scope link src 10.1.0.5' \
        '10.7.0.0/16 via 10.1.0.1 dev eth1 proto static' '10.8.0.0/16 via 10.1.0.2 dev eth1 proto static' \
        '10.9.0.0/16 via 10.1.0.1 dev eth1 proto static')"
    assert_equal "$(nsenter --net="/run/netns/$p" cat /proc/sys/net/ipv4/conf/eth1/arp_notify)" 1
    link_of "$host" eth0 '.flags | index("PROMISC") != null' | grep -qx true
    assert_equal "$(state_of "$host")" "$before"
    reaches "$p" 10.1.0.1
    plugin check "$p" id=c1 net=blue master=eth0 addr=10.1.0.5/24 mac=02:00:00:00:00:05 gw=10.1.0.1 route=10.9.0.0/16
    assert_status 0
    assert_no_leftovers "$T" .home .stderr .stdout locks
}

@test "pods of one host: bridge mode lets them reach each other, private and vepa do not" {
    pod p && pod q
    for mode in bridge private vepa; do
        add "$p" id=c1 master=eth0 addr=10.1.0.5/24 mode=$mode
        add "$q" id=c2 master=eth0 addr=10.1.0.6/24 mode=$mode
        assert_equal "$(link_of "$p" eth1 .linkinfo.info_data.mode)" "$mode"
        reaches "$p" 10.1.0.1
        if [ "$mode" = bridge ]; then reaches "$p" 10.1.0.6; else refute reaches "$p" 10.1.0.6 1; fi
        plugin del "$p" id=c1
        plugin del "$q" id=c2
    done
}

@test "an address that moves to another MAC: the neighbour knows at once" {
    pod p && pod q && pod r
    for options in probes=0 'probes=1'; do
        add "$p" id=c1 master=eth0 addr=10.1.0.5/24 mac=02:00:00:00:00:0a
        reaches "$wire" 10.1.0.5
        knows 02:00:00:00:00:0a 10.1.0.5
        plugin del "$p" id=c1
        add "$q" id=c2 master=eth0 addr=10.1.0.5/24 mac=02:00:00:00:00:0b "$options"
        wait_until knows 02:00:00:00:00:0b 10.1.0.5
        plugin del "$q" id=c2

        add "$p" id=c1 master=eth0 addr=fd00::5/64 mac=02:00:00:00:00:0a
        reaches "$wire" fd00::5
        knows 02:00:00:00:00:0a fd00::5
        plugin del "$p" id=c1
        add "$q" id=c2 master=eth0 addr=fd00::5/64 mac=02:00:00:00:00:0b "$options"
        wait_until knows 02:00:00:00:00:0b fd00::5
        plugin del "$q" id=c2
    done
}

@test "an IPv6 address is announced by us too, since not every kernel does it" {
    pod p && pod q
    add "$p" id=c1 master=eth0 addr=fd00::5/64 mac=02:00:00:00:00:0a
    reaches "$wire" fd00::5
    plugin del "$p" id=c1
    fault openat error=EACCES -P /proc/sys/net/ipv6/conf/eth1/ndisc_notify
    add "$q" id=c2 master=eth0 addr=fd00::5/64 mac=02:00:00:00:00:0b
    assert_contains "cannot write '/proc/sys/net/ipv6/conf/eth1/ndisc_notify': Permission denied" stderr
    wait_until knows 02:00:00:00:00:0b fd00::5
}

@test "the probe names who has the address, and leaves nothing" {
    pod p && pod q
    mac=$(link_of "$wire" n0 .address)
    for addr in 10.1.0.1/24 fd00::1/64; do
        refused "$p" EADDRINUSE "${addr%/*} is in use already, by $mac" \
            id=c1 master=eth0 "addr=$addr" probes=5 probe_ms=2000
        refute ip -n "$p" link show eth1
    done
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24 mac=02:00:00:00:00:0a probes=2
    add "$q" id=c2 master=eth0 addr=fd00::5/64 mac=02:00:00:00:00:0b probes=2
    assert_equal "$(addrs_of "$p" eth1) $(addrs_of "$q" eth1)" '10.1.0.5/24 fd00::5/64'
    reaches "$p" 10.1.0.1
    reaches "$q" fd00::1
    # Without the question nobody notices.
    plugin del "$p" id=c1
    add "$p" id=c1 master=eth0 addr=10.1.0.1/24
}

@test "a master that is missing or down" {
    pod p
    refused "$p" ENODEV 'failed to lookup iface "ens0p9": Link not found' id=c1 master=ens0p9 addr=10.1.0.5/24
    refused "$p" ENODEV 'failed to lookup iface "a-name-of-17-bytes": Link not found' \
        id=c1 master=a-name-of-17-bytes addr=10.1.0.5/24
    ip -n "$host" link set eth0 down
    refused "$p" ENETDOWN "master 'eth0' is down" id=c1 master=eth0 addr=10.1.0.5/24
}

@test "a name that is taken is never reused; the host's own names are no obstacle" {
    pod p 10.42.3.1
    before=$(state_of "$p")
    refused "$p" EEXIST "interface 'eth0' already exists in the pod" if=eth0 id=c1 master=eth0 addr=10.1.0.5/24
    assert_equal "$(state_of "$p")" "$before"
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24
    before=$(state_of "$p")
    refused "$p" EEXIST "interface 'eth1' already exists" id=c1 master=eth0 addr=10.1.0.5/24
    assert_equal "$(state_of "$p")" "$before"
    pod q
    add "$q" if=eth0 id=c2 master=eth0 addr=10.1.0.6/24
    assert_equal "$(ip -n "$q" -j link | jq -r '[.[].ifname] | join(" ")')" 'lo eth0'
}

@test "two pods cannot have one MAC on one master" {
    pod p && pod q
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24 mac=02:00:00:00:00:0a
    for options in probes=0 probes=1; do
        refused "$q" EADDRINUSE "cannot bring up 'eth1': MAC 02:00:00:00:00:0a is in use already on 'eth0'" \
            id=c2 master=eth0 addr=10.1.0.6/24 mac=02:00:00:00:00:0a $options
        refute ip -n "$q" link show eth1
    done
}

@test "MTU: the master's, a smaller one, never a larger one" {
    pod p
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24 mtu=1400
    assert_equal "$(link_of "$p" eth1 .mtu)" 1400
    plugin del "$p" id=c1
    refused "$p" EINVAL "MTU 9000 is wanted, and 'eth0', on which the pod's interface stands, has 1500" \
        id=c1 master=eth0 addr=10.1.0.5/24 mtu=9000
    refute ip -n "$p" link show eth1
}

@test "passthru: the master's MAC, and the master for itself alone" {
    pod p && pod q
    mac=$(link_of "$host" eth0 .address)
    refused "$p" EINVAL 'MAC 02:00:00:00:00:0a is wanted' id=c1 master=eth0 addr=10.1.0.5/24 mode=passthru mac=02:00:00:00:00:0a
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24 mode=passthru
    assert_equal "$output" "eth0 $mac 1500 10.1.0.5/24"
    reaches "$p" 10.1.0.1
    refused "$q" EINVAL 'is there a macvlan in mode passthru on it?' id=c2 master=eth0 addr=10.1.0.6/24
    refused "$q" EINVAL 'mode passthru needs it for itself alone' id=c2 master=eth0 addr=10.1.0.6/24 mode=passthru
    plugin del "$p" id=c1
    add "$q" id=c2 master=eth0 addr=10.1.0.6/24
    assert_equal "$(link_of "$host" eth0 .address)" "$mac"
}

@test "a master that is a bridge's port" {
    pod p
    ip -n "$host" link add br0 type bridge
    ip -n "$host" link set eth0 master br0
    refused "$p" EBUSY 'it belongs to a bridge or bond' id=c1 master=eth0 addr=10.1.0.5/24
}

@test "IPv6: usable at once, also where the runtime has switched it off; 6to4 beside IPv4" {
    pod p && pod q
    for key in all default; do
        nsenter --net="/run/netns/$p" sh -c "echo 1 >/proc/sys/net/ipv6/conf/$key/disable_ipv6"
    done
    add "$p" id=c1 master=eth0 addr=fd00::5/64 gw=fd00::1 route=fd01::/32
    reaches "$p" fd00::1
    ip -n "$p" -6 route | grep -q '^fd01::/32 via fd00::1 dev eth1'
    add "$q" id=c2 master=eth0 addr=10.1.0.5/24 6to4
    assert_equal "$(addrs_of "$q" eth1)" '10.1.0.5/24 2002:a01:5::/40'
    assert_equal "$output" "eth0 $(link_of "$q" eth1 .address) 1500 10.1.0.5/24 2002:a01:5::/40"
    plugin check "$q" id=c2 master=eth0 addr=10.1.0.5/24 6to4
    assert_status 0
}

@test "routes by eth0: with a gateway, without one, there already; not when we are eth0 ourselves" {
    pod p 10.42.3.1 && pod q
    ip -n "$p" route add 10.42.0.0/16 via 10.42.3.1 dev eth0
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24 gw=10.1.0.1 route=10.42.0.0/16,10.42.3.1,eth0 \
        route=10.0.2.0/24,10.42.3.1,eth0 route=10.0.3.0/24,,eth0
    ip -n "$p" route | grep -q '^10.0.2.0/24 via 10.42.3.1 dev eth0'
    ip -n "$p" route | grep -q '^10.0.3.0/24 dev eth0 .*scope link'
    assert_equal "$(ip -n "$p" route | grep -c '^10.42.0.0/16')" 1
    refused "$q" ENODEV "route 10.42.0.0/16 via 10.42.3.1 wants interface 'eth0' of the pod" \
        id=c2 master=eth0 addr=10.1.0.6/24 route=10.42.0.0/16,10.42.3.1,eth0
    refute ip -n "$q" link show eth1
    add "$q" if=eth0 id=c2 master=eth0 addr=10.1.0.6/24 gw=10.1.0.1 default service=10.43.0.0/16 \
        route=10.42.0.0/16,10.42.3.1,eth0 route=10.9.0.0/16,,eth1
    assert_equal "$(ip -n "$q" route)" "$(printf '%s \n' 'default via 10.1.0.1 dev eth0 proto static' \
        '10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.6' '10.9.0.0/16 via 10.1.0.1 dev eth0 proto static')"
}

@test "a gateway outside of the subnet is on the link" {
    pod p
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24 gw=172.20.0.1 route=10.9.0.0/16
    ip -n "$p" route | grep -q '^10.9.0.0/16 via 172.20.0.1 dev eth1 .*onlink'
}

@test "the default route moves: found by what it is, services keep the old way" {
    pod p
    give_eth0 "$p" 10.42.3.1
    # A route in front of it, one more default that is not in force, and flags that must survive.
    ip -n "$p" route del default
    ip -n "$p" route add default via 169.254.1.1 dev eth0 onlink metric 50 mtu 1300
    ip -n "$p" route add default via 10.42.3.9 dev eth0 metric 100
    ip -n "$p" route add 0.0.0.0/1 via 10.42.3.8 dev eth0
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24 gw=10.1.0.1 default service=10.43.0.0/16
    assert_equal "$(ip -n "$p" route | grep -e default -e 10.43)" "$(printf '%s \n' 'default via 10.1.0.1 dev eth1 proto static' \
        '10.43.0.0/16 via 169.254.1.1 dev eth0 metric 50 onlink mtu 1300')"
    ip -n "$p" route | grep -q '^0.0.0.0/1 via 10.42.3.8 dev eth0'
    plugin check "$p" id=c1 master=eth0 addr=10.1.0.5/24 gw=10.1.0.1 default service=10.43.0.0/16
    assert_status 0
}

@test "an IPv6 default route, and one with several next hops" {
    pod p && pod q
    give_eth0 "$p" 10.42.3.1
    ip -n "$p" addr add fd42::7/64 dev eth0 nodad
    ip -n "$p" -6 route add default via fd42::1 dev eth0
    add "$p" id=c1 master=eth0 addr=fd00::5/64 gw=fd00::1 default service=fd43::/108
    assert_equal "$(ip -n "$p" -6 route | grep -e default -e fd43 | sort)" "$(printf '%s\n' \
        'default via fd00::1 dev eth1 proto static metric 1024 pref medium' 'fd43::/108 via fd42::1 dev eth0 metric 1024 pref medium')"
    # The other family stays.
    ip -n "$p" route | grep -q '^default via 10.42.3.1 dev eth0'
    give_eth0 "$q" 10.42.3.1
    ip -n "$q" route replace default nexthop via 10.42.3.1 dev eth0 nexthop via 10.42.3.2 dev eth0
    add "$q" id=c2 master=eth0 addr=10.1.0.6/24 gw=10.1.0.1 default service=10.43.0.0/16
    assert_equal "$(ip -n "$q" route show 10.43.0.0/16 | grep -c nexthop)" 2
    assert_equal "$(ip -n "$q" route show default)" 'default via 10.1.0.1 dev eth1 proto static '
}

@test "an ADD that fails leaves the pod as it was" {
    pod p
    give_eth0 "$p" 10.42.3.1
    ip -n "$p" addr add fd42::7/64 dev eth0 nodad
    ip -n "$p" -6 route add default via fd42::1 dev eth0
    ip -n "$p" route add default via 10.42.3.9 dev eth0 metric 100 mtu 1300
    before=$(state_of "$p")
    refused "$p" ENETUNREACH 'cannot add route 10.9.0.0/16 via 10.200.0.1' \
        id=c1 master=eth0 addr=10.1.0.5/24 gw=10.1.0.1 route=10.8.0.0/16,10.42.3.1,eth0 route=10.9.0.0/16,10.200.0.1,eth0
    assert_equal "$(state_of "$p")" "$before"
    # A group is no gateway: it fails after the old default routes are gone.
    refused "$p" EINVAL 'cannot add route 0.0.0.0/0 via 224.0.0.1' id=c1 master=eth0 addr=10.1.0.5/24 gw=224.0.0.1 default
    assert_equal "$(state_of "$p")" "$before"
    refused "$p" EINVAL 'cannot add route ::/0 via ff02::1' id=c1 master=eth0 addr=fd00::5/64 gw=ff02::1 default
    assert_equal "$(state_of "$p")" "$before"
    refused "$p" EINVAL 'mixes IPv4 and IPv6' id=c1 master=eth0 addr=10.1.0.5/24 route=10.8.0.0/16,fd00::1
    assert_equal "$(state_of "$p")" "$before"
}

# fault CALL WHAT [OPTION...]: cni_net under strace, which does that to its system calls of that name.
# (The sanitizer of leaks does not work there.)
fault() {
    export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
    TRACE=(strace -f -qqq -e "trace=$1" -e "inject=$1:$2" -o /dev/null "${@:3}")
}

@test "refused or killed at any message to the kernel" {
    pod p
    give_eth0 "$p" 10.42.3.1
    before=$(state_of "$p")
    asked=(id=c1 master=eth0 addr=10.1.0.5/24 6to4 gw=10.1.0.1 default service=10.43.0.0/16 "route=10.9.0.0/16,10.42.3.1,eth0")
    ip -n "$host" link set eth0 promisc on
    for ((n = 1; ; n++)); do
        fault sendmsg error=EPERM:when=$n
        plugin add "$p" "${asked[@]}"
        [ "$status" -ne 0 ] || break
        assert_status 1
        assert_equal "$(state_of "$p")" "$before"
    done
    [ "$n" -gt 12 ]
    plugin del "$p" id=c1
    for ((n = 1; ; n++)); do
        ip -n "$p" route flush all
        ip -n "$p" addr flush dev eth0
        ip -n "$p" addr add 10.42.3.7/24 dev eth0
        ip -n "$p" route add default via 10.42.3.1 dev eth0
        fault sendmsg signal=KILL:when=$n
        plugin add "$p" "${asked[@]}"
        TRACE=()
        [ "$status" -ne 0 ] || break
        plugin del "$p" id=c1
        assert_status 0
        assert_equal "$(ip -n "$p" -br link | awk '{ print $1 }' | sort | xargs)" 'eth0@far0 far0@eth0 lo'
    done
    [ "$n" -gt 12 ]
    plugin check "$p" "${asked[@]}"
    assert_status 0
}

@test "DEL: no namespace, no interface, twice, another's interface: success" {
    pod p && pod q
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24
    # A late DEL of the pod that had the namespace's name before.
    plugin del "$p" id=c0
    assert_equal "$status $output" '0 0'
    plugin del "$p" id=c
    assert_equal "$status $output" '0 0'
    plugin del "$p" id=c1 if=eth2
    assert_equal "$status $output" '0 0'
    # The network may be called otherwise by now.
    plugin del "$p" id=c1 net=renamed
    assert_equal "$status $output" '0 1'
    plugin del "$p" id=c1
    assert_equal "$status $output" '0 0'
    for path in '' /run/netns/never-was /proc/999999999/ns/net "$T/file" /dev/null; do
        : >"$T/file"
        plugin del "$p" id=c1 "netns=$path"
        assert_equal "$status $output" '0 0' "netns '$path'"
    done
    rm "$T/file"
    # What others made stays.
    ip -n "$host" link add link eth0 name m1 netns "$q" type macvlan mode bridge
    ip -n "$q" link set m1 name eth1 up
    ip -n "$q" link add eth2 type veth peer name eth3
    for name in eth1 eth2; do
        plugin del "$q" id=c1 if=$name
        assert_equal "$status $output" '0 0'
        ip -n "$q" link show $name >/dev/null
    done
}

@test "DEL needs no master" {
    pod p
    add "$p" id=c1 master=eth0 addr=10.1.0.5/24
    ip -n "$host" link del eth0
    plugin del "$p" id=c1
    assert_equal "$status $output" '0 0'
}

@test "the host's own namespace is refused, DEL leaves it alone; the override" {
    pod p
    nsenter --net="/run/netns/$host" true
    ip -n "$host" link add link eth0 name eth1 type macvlan
    ip -n "$host" link set eth1 alias flatnet/net/c1
    refused "$host" ENOTUNIQ "is the host's own" if=eth2 id=c1 master=eth0 addr=10.1.0.5/24
    plugin del "$host" id=c1
    assert_equal "$status $output" '0 0'
    ip -n "$host" link show eth1 >/dev/null
    add "$host" if=eth2 id=c1 master=eth0 addr=10.1.0.5/24 override
    plugin check "$host" if=eth2 id=c1 master=eth0 addr=10.1.0.5/24 override
    assert_status 0
    plugin del "$host" if=eth2 id=c1 override
    assert_equal "$status $output" '0 1'
}

# found_wrong TEXT COMMAND...: after the command, CHECK says that.
found_wrong() {
    local text=$1
    shift
    plugin check "$p" "${asked[@]}"
    assert_status 0
    "$@"
    plugin check "$p" "${asked[@]}"
    assert_status 1
    assert_contains "$text" stderr
}

@test "CHECK names what is not as it was" {
    pod p 10.42.3.1
    asked=(id=c1 master=eth0 addr=10.1.0.5/24 mac=02:00:00:00:00:0a mtu=1400 gw=10.1.0.1 route=10.9.0.0/16 default)
    add "$p" "${asked[@]}"
    found_wrong "has MAC 02:00:00:00:00:0b, not 02:00:00:00:00:0a" ip -n "$p" link set eth1 address 02:00:00:00:00:0b
    ip -n "$p" link set eth1 address 02:00:00:00:00:0a
    found_wrong "has MTU 1300, not 1400" ip -n "$p" link set eth1 mtu 1300
    ip -n "$p" link set eth1 mtu 1400
    found_wrong "has mode private, not bridge" ip -n "$p" link set eth1 type macvlan mode private
    ip -n "$p" link set eth1 type macvlan mode bridge
    found_wrong "has no route 10.9.0.0/16 via 10.1.0.1" ip -n "$p" route del 10.9.0.0/16
    ip -n "$p" route add 10.9.0.0/16 via 10.1.0.1
    found_wrong "has no route 0.0.0.0/0 via 10.1.0.1" ip -n "$p" route replace default via 10.42.3.1
    ip -n "$p" route replace default via 10.1.0.1
    found_wrong "'eth0', on which interface 'eth1' stands, is down" ip -n "$host" link set eth0 down
    ip -n "$host" link set eth0 up
    found_wrong "does not have address 10.1.0.5/24" ip -n "$p" addr del 10.1.0.5/24 dev eth1
    ip -n "$p" addr add 10.1.0.5/24 dev eth1
    ip -n "$p" route add 10.9.0.0/16 via 10.1.0.1
    ip -n "$p" route add default via 10.1.0.1
    found_wrong "is not that of container 'c1'" ip -n "$p" link set eth1 alias other
    ip -n "$p" link set eth1 alias flatnet/net/c1
    found_wrong "interface 'eth1' is down" ip -n "$p" link set eth1 down
    plugin del "$p" id=c1
    plugin check "$p" "${asked[@]}"
    assert_contains "the pod has no interface 'eth1'" stderr
    # The same, but on another master.
    ip -n "$host" link add eth7 type veth peer name far7
    ip -n "$host" link set eth7 up
    add "$p" id=c1 master=eth7 addr=10.1.0.5/24
    plugin check "$p" id=c1 master=eth0 addr=10.1.0.5/24
    assert_contains "stands on 'eth7' and not on 'eth0'" stderr
    plugin check "$p" id=c1 master=eth9 addr=10.1.0.5/24
    assert_contains 'failed to lookup iface "eth9": Link not found' stderr
}

@test "GC removes what this network has lost, and nothing else" {
    pod p
    long=$(printf 'f%.0s' {1..300})
    add "$p" if=eth1 id=c1 net=blue master=eth0 addr=10.1.0.5/24
    add "$p" if=eth2 id=c1 net=blue master=eth0 addr=10.1.0.6/24
    add "$p" if=eth3 id=c1 net=blues master=eth0 addr=10.1.0.7/24
    add "$p" if=eth4 id="$long" net=blue master=eth0 addr=10.1.0.8/24
    add "$p" if=eth5 id="${long}0" net=blue master=eth0 addr=10.1.0.9/24
    ip -n "$host" link add link eth0 name m1 netns "$p" type macvlan
    plugin gc "$p" net=blue valid=c1/eth2 valid=c2/eth1 "valid=$long/eth4"
    assert_equal "$status $output" '0 2'
    assert_equal "$(ip -n "$p" -j link | jq -r '[.[].ifname] | sort | join(" ")')" 'eth2 eth3 eth4 lo m1'
    plugin del "$p" if=eth4 id="$long"
    assert_equal "$status $output" '0 1'
}

@test "namespaces of processes and of folders are found, each once" {
    pod p
    nsenter --net="/run/netns/$p" sleep 100 3>&- &
    sleeper=$!
    plugin namespaces "$p" folder=/run/netns
    kill "$sleeper"
    assert_status 0
    assert_equal "$(grep -cxF "/run/netns/$p" "$stdout_file")" 1
    refute grep -qF "/proc/$sleeper/" "$stdout_file"
    refute grep -qxF "/run/netns/$host" "$stdout_file"
    grep -q '^/proc/[0-9]*/ns/net$' "$stdout_file"
}

@test "twenty at once, and many rounds, leave everything as it was" {
    pod p
    before=$(state_of "$p") before_host=$(state_of "$host")
    jobs=()
    for i in {1..20}; do
        (plugin add "$p" "if=m$i" "id=c$i" master=eth0 "addr=10.1.0.$((i + 10))/24" && assert_status 0) 3>&- &
        jobs+=("$!")
    done
    for job in "${jobs[@]}"; do wait "$job"; done
    assert_equal "$(ip -n "$p" -br link | grep -c '^m')" 20
    for i in {1..20}; do
        plugin del "$p" "if=m$i" "id=c$i"
        assert_equal "$output" 1
    done
    for i in {1..20}; do
        add "$p" id=c1 master=eth0 addr=10.1.0.5/24 gw=10.1.0.1 route=10.9.0.0/16
        plugin del "$p" id=c1
    done
    assert_equal "$(state_of "$p")" "$before"
    assert_equal "$(state_of "$host")" "$before_host"
    assert_equal "$(ip -n "$p" neigh)" ''
}
