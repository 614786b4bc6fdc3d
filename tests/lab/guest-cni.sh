#!/bin/bash
# What the guests of cni_vlan.bats run: the kernel side of the CNI plugin on a kernel with VLANs.
#
#   guest-cni.sh devices
#   guest-cni.sh sweep
#   guest-cni.sh pods ADDRESS VLAN [ADDRESS VLAN]...    pods p1, p2, ... on eth0, until /run/lab/end is there
set -euo pipefail
cd /run/lab
tool=/run/lab/cni_net
locks=/run/flatnet/vlan

fail() {
    echo "failed: $*"
    exit 1
}

equal() {
    [ "$1" = "$2" ] || fail "${3:-value}: got '$1', expected '$2'"
}

pod() {
    local name
    for name; do
        ip netns add "$name"
    done
}

# add POD KEY=VALUE...; the answer is in $said.
add() {
    local ns=$1
    shift
    said=$("$tool" add "netns=/run/netns/$ns" "id=$ns" "locks=$locks" "$@" 2>&1) || fail "add $ns $*: $said"
}

# refused TEXT POD KEY=VALUE...
refused() {
    local text=$1 ns=$2
    shift 2
    if said=$("$tool" add "netns=/run/netns/$ns" "id=$ns" "locks=$locks" "$@" 2>&1); then
        fail "add $ns $* should fail: $said"
    fi
    [[ $said == *"$text"* ]] || fail "'$text' is not in '$said'"
    if ip -n "$ns" link show eth1 >/dev/null 2>&1; then fail "refused, and eth1 is there"; fi
}

del() {
    equal "$("$tool" del "netns=/run/netns/$1" "id=$1")" 1 "del $1"
}

# shows NAME TEXT: what `ip` says of that link.
shows() {
    local got
    got=$(ip -d link show dev "$1" 2>&1) || fail "$got"
    [[ $got == *"$2"* ]] || fail "'$2' is not in: $got"
}

is_gone() {
    [ ! -e "/sys/class/net/$1" ] || fail "'$1' is there"
}

sweep() {
    equal "$("$tool" sweep "locks=$locks" "idle_ms=$1")" "$2" "devices removed"
}

made_and_found() {
    pod a b
    add a master=eth0 vlan=100 addr=10.1.0.5/24
    equal "${said%% *}" eth0.100
    shows eth0.100 'vlan protocol 802.1Q id 100 '
    shows eth0.100 'alias flatnet/vlan'
    shows eth0.100 '@eth0: <BROADCAST,MULTICAST,UP'
    shows eth0 PROMISC
    equal "$("$tool" vlans)" 'eth0.100 eth0 100 up'
    # The one that is there is taken, and brought up. The pod's interface has the name of the host's.
    ip link set eth0.100 down
    add b master=eth0 vlan=100 addr=10.1.0.6/24 if=eth0 mac=02:00:00:00:00:06
    shows eth0.100 ',UP,'
    equal "$(ip -n b -br link | awk '/^eth|^fn/ { print $1, $3 }')" 'eth0@if3 02:00:00:00:00:06'
    "$tool" check netns=/run/netns/b id=b master=eth0 vlan=100 addr=10.1.0.6/24 if=eth0
    ip -n b link set lo up
    ip netns exec a busybox ping -c 1 -W 5 10.1.0.6 >/dev/null || fail 'pods of one VLAN on one host'
}

checked() {
    local got
    got=$("$tool" check netns=/run/netns/a id=a master=eth0 vlan=101 addr=10.1.0.5/24 2>&1) && fail 'no VLAN 101'
    equal "$got" "ENODEV: there is no VLAN 101 on 'eth0'"
    ip link add link eth0 name eth0.101 type vlan id 101
    ip link set eth0.101 up
    got=$("$tool" check netns=/run/netns/a id=a master=eth0 vlan=101 addr=10.1.0.5/24 2>&1) && fail 'another VLAN'
    equal "$got" "EINVAL: interface 'eth1' stands on 'eth0.100' and not on 'eth0.101' (master 'eth0', VLAN 101)"
    ip link del eth0.101
    ip link set eth0.100 down
    got=$("$tool" check netns=/run/netns/a id=a master=eth0 vlan=100 addr=10.1.0.5/24 2>&1) && fail 'it is down'
    equal "$got" "EINVAL: 'eth0.100', on which interface 'eth1' stands, is down"
    ip link set eth0.100 up
}

wrong_ones() {
    pod c
    ip link add d0 type dummy
    ip link add eth0.300 type dummy
    refused "EEXIST: 'eth0.300' should be VLAN 300 of 'eth0' and is a dummy device" c master=eth0 vlan=300 addr=10.1.0.7/24
    ip link add link eth0 name eth0.301 type vlan id 302
    refused "EEXIST: 'eth0.301' is VLAN 302 of 'eth0', not 301" c master=eth0 vlan=301 addr=10.1.0.7/24
    ip link add link d0 name eth0.303 type vlan id 303
    refused "EEXIST: 'eth0.303' is a VLAN of another device than 'eth0'" c master=eth0 vlan=303 addr=10.1.0.7/24
    ip link add link eth0 name eth0.304 type vlan proto 802.1ad id 304
    refused "EEXIST: 'eth0.304' has tags of protocol 0x88a8" c master=eth0 vlan=304 addr=10.1.0.7/24
    # The tag belongs to a device of the site's own naming: that is used, and never marked as ours.
    ip link add link eth0 name site305 type vlan id 305
    add c master=eth0 vlan=305 addr=10.1.0.7/24
    equal "${said%% *}" site305
    equal "$("$tool" vlans)" 'eth0.100 eth0 100 up'
    del c
    # Or to one that another plugin has taken into a pod.
    ip link add link eth0 name gone306 type vlan id 306
    ip link set gone306 netns a
    refused "(maybe in another network namespace)" c master=eth0 vlan=306 addr=10.1.0.7/24
}

long_names() {
    local name
    ip link add enp131s0f1np1 type dummy
    ip link set enp131s0f1np1 up
    add c master=enp131s0f1np1 vlan=4094 addr=10.1.0.7/24
    name=${said%% *}
    [[ $name =~ ^fn[0-9a-f]{8}\.4094$ ]] || fail "'$name'"
    shows "$name" "$name@enp131s0f1np1"
    del c
    add c master=enp131s0f1np1 vlan=4094 addr=10.1.0.7/24
    equal "${said%% *}" "$name"
    del c
}

many_at_once() {
    local i job jobs=()
    for i in {1..20}; do pod "m$i"; done
    for i in {1..20}; do
        "$tool" add "netns=/run/netns/m$i" "id=m$i" "locks=$locks" master=eth0 vlan=200 "addr=10.2.0.$i/24" 2>&1 &
        jobs+=("$!")
    done
    for job in "${jobs[@]}"; do wait "$job" || fail 'one of twenty'; done
    equal "$(ip -d link | grep -c 'vlan protocol 802.1Q id 200 ')" 1
    for i in {1..20}; do
        equal "$(ip -n "m$i" -br link | grep -c ^eth1)" 1
    done
}

unused_ones_go() {
    pod a b
    add a master=eth0 vlan=100 addr=10.1.0.5/24
    add b master=eth0 vlan=100 addr=10.1.0.6/24
    ip -n b link set eth1 down
    del a
    # One that is down, in another namespace.
    sweep 0 0
    del b
    sweep 3600000 0
    touch -d '-59 min' "$locks/eth0.100"
    sweep 3600000 0
    touch -d '-61 min' "$locks/eth0.100"
    sweep 3600000 1
    is_gone eth0.100
    equal "$(find "$locks" -maxdepth 1 -type f)" ''
    # Seen in use, it starts anew.
    add a master=eth0 vlan=100 addr=10.1.0.5/24
    touch -d '-61 min' "$locks/eth0.100"
    sweep 3600000 0
    del a
    sweep 3600000 0
    equal "$(ip -br link | grep -c '^fn')" 0 'what the probe left'
}

# traced HOW ARG...: cni_net under strace, which does that to a message to the kernel.
traced() {
    strace -f -qqq -e trace=sendmsg -e "inject=sendmsg:$1" -o trace "$tool" "${@:2}" "locks=$locks"
}

killed_anywhere() {
    local n=0 status=1
    while [ "$status" -ne 0 ]; do
        n=$((n + 1)) status=0
        traced "signal=KILL:when=$n" add netns=/run/netns/a id=a master=eth0 vlan=400 addr=10.1.0.5/24 || status=$?
        "$tool" del netns=/run/netns/a id=a >/dev/null
        # Another's call finishes what was begun.
        if [ $((n % 2)) -eq 0 ]; then
            add b master=eth0 vlan=400 addr=10.1.0.6/24
            equal "${said%% *}" eth0.400
            del b
        fi
        "$tool" sweep "locks=$locks" idle_ms=0 >/dev/null
        equal "$(ip -d link | grep -c 'vlan protocol')" 0 "VLAN devices after a kill at message $n"
    done
    [ "$n" -gt 8 ] || fail "only $n messages"
}

# The device is removed by hand after it was found, before the macvlan is made on it.
removed_in_between() {
    local job
    add a master=eth0 vlan=100 addr=10.1.0.5/24
    del a
    rm -f trace
    traced delay_enter=10000000:when=3 add netns=/run/netns/a id=a master=eth0 vlan=100 addr=10.1.0.5/24 >said 2>&1 &
    job=$!
    until [ -e trace ] && [ "$(grep -c ' = ' trace)" -ge 2 ]; do busybox sleep 0.1; done
    ip link del eth0.100
    wait "$job" || fail "$(cat said)"
    shows eth0.100 ',UP,'
    del a
}

used_ones_stay() {
    ip addr add 10.9.9.9/24 dev eth0.100
    sweep 0 0
    ip addr del 10.9.9.9/24 dev eth0.100
    ip link add br9 type bridge
    ip link set eth0.100 master br9
    sweep 0 0
    ip link set eth0.100 nomaster
    ip link add link eth0.100 name inner type vlan id 7
    sweep 0 0
    ip link del inner
    # An ADD that has just looked at it.
    mkfifo hold-on
    "$tool" hold "locks=$locks" master=eth0 vlan=100 <hold-on >held &
    exec 7>hold-on
    until [ -s held ]; do busybox sleep 0.1; done
    sweep 0 0
    exec 7>&-
    wait
    # The site's own one is not ours to remove, and the clean-up that was killed has left a probe.
    ip link add link eth0 name site305 type vlan id 305
    ip link add link eth0.100 name "fnprobe$(cat /sys/class/net/eth0.100/ifindex)" type macvlan mode passthru
    sweep 0 1
    is_gone eth0.100
    shows site305 'id 305 '
}

after_a_flap() {
    ip link add nic type dummy
    ip link set nic up
    add a master=nic vlan=100 addr=10.1.0.5/24
    equal "$("$tool" vlans)" 'nic.100 nic 100 up'
    # The driver is loaded again: all that stood on the card is gone, and DEL does not mind.
    ip link del nic
    is_gone nic.100
    equal "$("$tool" del netns=/run/netns/a id=a)" 0
    ip link add nic type dummy
    ip link set nic up
    "$tool" hold "locks=$locks" master=nic vlan=100 </dev/null >/dev/null
    shows nic.100 ',UP,'
    shows nic PROMISC
    ip link set nic down
    ip link set nic up
    "$tool" hold "locks=$locks" master=nic vlan=100 </dev/null >/dev/null
    equal "$("$tool" vlans)" 'nic.100 nic 100 up'
}

pods() {
    local n=0
    while [ $# -gt 0 ]; do
        n=$((n + 1))
        pod "p$n"
        add "p$n" master=eth0 "vlan=$2" "addr=$1/24" "mac=02:00:00:00:0${1##*.}:0$n"
        shift 2
    done
    : >/run/lab/ready
    until [ -e /run/lab/end ]; do
        # What the test outside wants to be done here.
        if [ -e /run/lab/do ]; then
            mv /run/lab/do /run/lab/doing
            bash /run/lab/doing >/run/lab/done.new 2>&1 && echo "status 0" >>/run/lab/done.new ||
                echo "status 1" >>/run/lab/done.new
            mv /run/lab/done.new /run/lab/done
        fi
        busybox sleep 0.1
    done
}

ip link set lo up
ip link set eth0 up
case $1 in
devices)
    made_and_found
    checked
    wrong_ones
    long_names
    many_at_once
    ;;
sweep)
    unused_ones_go
    killed_anywhere
    removed_in_between
    used_ones_stay
    after_a_flap
    ;;
pods)
    shift
    pods "$@"
    ;;
esac
