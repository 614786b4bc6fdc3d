#!/usr/bin/env bats
# The kernel side of the CNI plugin with tagged VLANs, in guests that have a kernel of their own
# (User-mode Linux). What the guests do is in tests/lab/guest-cni.sh and guest-install.sh.
# timeout: 1200

load helper
# shellcheck source=tests/lab/guest.bash
. "$REPO_ROOT/tests/lab/guest.bash"

setup_file() {
    need linux.uml mkfs.ext4 busybox tcpdump strace
    lab_init "$$"
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    lab_switch "sw$BATS_TEST_NUMBER"
}

# start NAME ARG...: a guest with the tool, on this test's switch.
start() {
    local name=$1
    shift
    lab_guest_program "$name" "${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/cni_net"
    lab_guest_start "$name" "$REPO_ROOT/tests/lab/guest-cni.sh" --switch "sw$BATS_TEST_NUMBER" --seconds 500 -- "$@"
}

# ends_well NAME
ends_well() {
    lab_guest_wait "$1" >said 2>&1 || fail "$(<said)"
}

# in_guest NAME COMMAND: its output is in $said; fails as the command does.
in_guest() {
    local share
    share=$(lab_guest_share "$1")
    rm -f "$share/done"
    printf '%s\n' "$2" >"$share/do.new"
    mv "$share/do.new" "$share/do"
    wait_until test -e "$share/done"
    said=$(<"$share/done")
    [ "$(tail -n 1 <<<"$said")" = 'status 0' ]
}

@test "devices are made, found, verified, refused; twenty pods at once make one" {
    start d devices
    ends_well d
}

@test "devices that nobody uses go after their time; what a flap took comes back" {
    start s sweep
    ends_well s
}

@test "install: what is removed or flaps comes back at once, with the site's addresses and routes; purge" {
    lab_guest_program i "${FLATNET_BUILD:-$REPO_ROOT/build}/bin/static-macvlan-cni"
    lab_guest_program i "${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/cni_net"
    lab_guest_start i "$REPO_ROOT/tests/lab/guest-install.sh" --switch "sw$BATS_TEST_NUMBER" --seconds 500
    ends_well i
}

@test "two hosts: pods of one VLAN reach each other, of two they do not, tags are on the wire" {
    start one pods 10.9.0.1 100 10.9.0.2 200
    start two pods 10.9.0.3 100 10.9.0.4 200
    for guest in one two; do
        wait_until test -e "$(lab_guest_share $guest)/ready"
    done
    nsenter -t "$(lab_pid "sw$BATS_TEST_NUMBER")" -n tcpdump -i tap-one -nne -l -c 4 'arp or vlan' >wire 2>tcpdump.err 3>&- &
    tcpdump=$!
    wait_until grep -q 'listening on' tcpdump.err
    in_guest one 'ip netns exec p1 busybox ping -c 2 -W 5 10.9.0.3' || fail "$said"
    in_guest one 'ip netns exec p2 busybox ping -c 2 -W 5 10.9.0.4' || fail "$said"
    wait "$tcpdump"
    grep -qE 'ethertype 802.1Q \(0x8100\).* vlan 100, .*10\.9\.0\.1' wire || fail "$(<wire)"
    refute in_guest one 'ip netns exec p1 busybox ping -c 1 -W 2 10.9.0.4'
    refute in_guest one 'ip netns exec p2 busybox ping -c 1 -W 2 10.9.0.3'
    # The address goes on, with another MAC: the neighbour on the other host knows at once.
    in_guest two 'ip -n p1 neigh show 10.9.0.1' && [[ $said == *'lladdr 02:00:00:00:01:01'* ]] || fail "$said"
    in_guest one '/run/lab/cni_net del netns=/run/netns/p1 id=p1 && ip netns add p3 &&
        /run/lab/cni_net add netns=/run/netns/p3 id=p3 master=eth0 vlan=100 addr=10.9.0.1/24 mac=02:00:00:00:00:0c' || fail "$said"
    wait_until neighbour_is 02:00:00:00:00:0c
    # The address that the other host has is found before it is taken.
    refute in_guest one 'ip netns add p4; /run/lab/cni_net add netns=/run/netns/p4 id=p4 master=eth0 vlan=100 addr=10.9.0.3/24 probes=5 probe_ms=2000'
    [[ $said == *'address 10.9.0.3 is in use already, by 02:00:00:00:03:01'* ]] || fail "$said"
    for guest in one two; do
        : >"$(lab_guest_share $guest)/end"
        ends_well $guest
    done
}

neighbour_is() {
    in_guest two 'ip -n p1 neigh show 10.9.0.1' && [[ $said == *"lladdr $1"* ]]
}
