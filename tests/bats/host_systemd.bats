#!/usr/bin/env bats
# flatnet host prepare and restore under systemd: a small Debian in a guest, started three times. What
# the guest does is in tests/lab/guest-systemd.sh.
# timeout: 3000

load helper
# shellcheck source=tests/lab/guest.bash
. "$REPO_ROOT/tests/lab/guest.bash"

setup_file() {
    need linux.uml mkfs.ext4 debootstrap jq busybox
    lab_init "$$"
    ROOT=$(lab_guest_root)
    export ROOT
    lab_switch sw
}

teardown_file() {
    lab_cleanup
}

# guest NAME: a host of its own. The static program is what hosts get, and a guest starts it much faster.
guest() {
    guest=$1
    share=$(lab_guest_share "$guest")
    lab_guest_program "$guest" "${FLATNET_STATIC:-$FLATNET}" flatnet
}

setup() {
    common_setup
}

# stage NAME [OPTION...]: starts the guest for it.
stage() {
    local name=$1
    shift
    lab_guest "$guest" "$REPO_ROOT/tests/lab/guest-systemd.sh" --root "$ROOT" --switch sw --memory 192M --seconds 800 \
        "$@" -- "$name" >said 2>&1 || fail "$name: $(cat said)"
}

# all_pass FILE: what `host prepare` mends is as it shall be, and nothing fails.
all_pass() {
    jq -e '.summary.fail == 0' "$share/$1"
    jq -e '[.items[] | select(.result == "pass").name] | contains(["kernel-features", "modules", "modules-boot",
        "sysctl", "sysctl-boot", "swap", "swap-boot", "master", "promisc", "promisc-boot", "network-manager"])' "$share/$1"
}

@test "prepared once, a host comes up prepared; restored, it comes up as before" {
    guest host
    stage setup
    stage prepare --systemd
    assert_contains '/disk/swap1 8188 5' "$share/before"
    assert_contains '/disk/swap2 8188 7' "$share/before"
    assert_lacks PROMISC "$share/before"
    all_pass check.now
    assert_lacks warning "$share/prepare.err"

    stage restore --systemd
    assert_contains PROMISC "$share/prepared"
    assert_contains 'flatnet-promisc@eth0.service loaded active exited' "$share/prepared"
    assert_lacks '/disk/swap' "$share/prepared"
    for module in macvlan 8021q vxlan br_netfilter; do
        grep -qx "$module" "$share/prepared"
    done
    assert_equal "$(grep -cx 1 "$share/prepared")" 2 'ip_forward and bridge-nf-call-iptables'
    all_pass check.prepared
    assert_equal "$(<"$share/verified")" ''
    assert_contains 'nothing to change' "$share/second.out"
    diff "$share/files.before" "$share/files.restored"

    stage last --systemd
    diff "$share/before" "$share/restored"
}

@test "a NIC that NetworkManager takes out of promiscuous mode goes back into it, until restored" {
    guest nm
    stage nm_setup
    stage nm_prepare --systemd
    assert_equal "$(tail -n 1 "$share/nm.before")" 'not promiscuous'
    assert_equal "$(tail -n 1 "$share/nm.now")" PROMISC
    assert_lacks warning "$share/nm.prepare.err"

    stage nm_restore --systemd
    assert_equal "$(tail -n 1 "$share/nm.prepared")" PROMISC
    assert_contains 'nothing to change' "$share/nm.second"
    # resolv.conf is NetworkManager's own.
    diff <(grep -v '^/etc/resolv.conf ' "$share/nm.files.before") <(grep -v '^/etc/resolv.conf ' "$share/nm.files.restored")
    assert_equal "$(tail -n 1 "$share/nm.restored")" 'not promiscuous'
}
