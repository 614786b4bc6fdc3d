#!/bin/bash
# What a guest of cni_vlan.bats runs: `static-macvlan-cni install` beside VLAN devices that go, flap and
# come back; and `uninstall --purge` of what pods have left.
set -euo pipefail
cd /run/lab
tool=/run/lab/cni_net

fail() {
    echo "failed: $*"
    cat /run/install.log
    exit 1
}

# soon CMD...: well before the look that install takes once a minute.
soon() {
    local i
    for i in {1..300}; do
        "$@" >/dev/null 2>&1 && return 0
        busybox sleep 0.1
    done
    fail "not soon: $* (try $i)"
}

has_line() {
    "${@:2}" | grep -qF -- "$1"
}

add() {
    "$tool" add "netns=/run/netns/$1" "id=$1" "${@:2}" >/dev/null || fail "add $*"
}

is_whole() {
    has_line 'inet 10.9.9.9/24' ip addr show dev eth0.100 &&
        has_line '10.77.0.0/16 via 10.9.9.1' ip route show dev eth0.100
}

is_promiscuous() {
    has_line PROMISC ip link show "$1"
}

is_made() {
    has_line "vlan protocol 802.1Q id $2 " ip -d link show "$1" && has_line ',UP' ip link show "$1"
}

ip link set lo up
ip link set eth0 up
ip netns add a
add a master=eth0 vlan=100 addr=10.1.0.5/24
ip addr add 10.9.9.9/24 dev eth0.100
ip route add 10.77.0.0/16 via 10.9.9.1 dev eth0.100
is_whole || fail 'the beginning'

mkdir /run/account
/run/lab/static-macvlan-cni install --conf-dir /run/conf --bin-dir /run/bin --service-account /run/account \
    --listen 127.0.0.1:9479 2>/run/install.log &
install=$!
soon grep -q 'listening' /run/install.log
# Its first look is over when this is put right.
ip link set eth0 promisc off
soon is_promiscuous eth0

# Somebody removes the device: the pod has lost its interface, and all else comes back.
ip link del eth0.100
soon is_whole
is_made eth0.100 100 || fail 'made again'
grep -q "VLAN device 'eth0.100' is gone" /run/install.log || fail 'it says nothing of the pods'
"$tool" del netns=/run/netns/a id=a >/dev/null
add a master=eth0 vlan=100 addr=10.1.0.5/24

# The cable, or the driver: the kernel takes the routes away and does not bring them back.
ip link set eth0 down
ip link set eth0 up
soon is_whole
ip link set eth0.100 down
soon is_whole

# A card that goes, and comes later.
ip link add nic type dummy
ip link set nic up
ip netns add b
add b master=nic vlan=7 addr=10.2.0.5/24
is_made nic.7 7 || fail nic.7
soon grep -q . /run/install.log
ip link set nic promisc off
soon is_promiscuous nic
ip link del nic
soon grep -q "VLAN device 'nic.7' is gone" /run/install.log
kill -0 "$install" || fail 'it ended'
ip link add nic type dummy
ip link set nic up
soon is_made nic.7 7
soon is_promiscuous nic

# A name that is somebody else's now is said, and keeps nothing else from being looked after.
ip link del nic
ip link add nic.7 type dummy
ip link add nic type dummy
ip link set nic up
soon grep -q "'nic.7' should be VLAN 7 of 'nic' and is a dummy device" /run/install.log
ip link set eth0 promisc off
soon is_promiscuous eth0
ip link del nic.7
soon is_made nic.7 7
kill "$install"
wait "$install"

# When no pod uses addresses any more. A pod that lives keeps what it stands on.
purge() {
    /run/lab/static-macvlan-cni uninstall --conf-dir /run/conf --bin-dir /run/bin --purge 2>>/run/install.log || fail 'purge'
}
is_there() {
    ip link show "$1" >/dev/null 2>&1
}
[ -x /run/bin/static-macvlan-cni ] || fail 'no programs'
mkdir -p /run/flatnet/tls
touch /run/flatnet/tls/session
echo other >/run/bin/static-ipam.new
mv /run/bin/static-ipam.new /run/bin/static-ipam
purge
[ "$(ls /run/bin)" = static-ipam ] || fail "programs: $(ls /run/bin)"
is_made eth0.100 100 || fail 'what a pod stands on is gone'
is_promiscuous eth0 || fail 'what a pod needs is off'
! is_there nic.7 || fail 'what nobody needs is there'
! is_promiscuous nic || fail 'what nobody needs is on'
"$tool" del netns=/run/netns/a id=a >/dev/null
ip addr del 10.9.9.9/24 dev eth0.100
purge
! is_there eth0.100 || fail 'what the last pod has left is there'
! is_promiscuous eth0 || fail 'what the last pod has left is on'
[ -z "$(ls /run/flatnet)" ] || fail "notes: $(ls -R /run/flatnet)"
purge
# A master that was promiscuous before us stays so.
ip link set eth0 promisc on
add a master=eth0 vlan=100 addr=10.1.0.5/24
"$tool" del netns=/run/netns/a id=a >/dev/null
purge
! is_there eth0.100 || fail 'what the last pod has left is there'
is_promiscuous eth0 || fail 'the site has lost what it had switched on'
