#!/usr/bin/env bats
# flatnet host prepare and restore on machines with a kernel and a disk of their own (User-mode Linux):
# swap, modules, settings and promiscuous mode for real, also after kill -9 at every step. What the
# guests do is in tests/lab/guest-host.sh.
# timeout: 3000

# jq's variables.
# shellcheck disable=SC2016
load helper
# shellcheck source=tests/lab/guest.bash
. "$REPO_ROOT/tests/lab/guest.bash"

setup_file() {
    need linux.uml mkfs.ext4 strace setfattr jq busybox
    lab_init "$$"
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    guest=g$BATS_TEST_NUMBER
    share=$(lab_guest_share "$guest")
    # The static program is what hosts get, and a guest starts it much faster.
    lab_guest_program "$guest" "${FLATNET_STATIC:-$FLATNET}" flatnet
    lab_switch "sw$BATS_TEST_NUMBER"
}

# guest TEST [ARG...]: that test of guest-host.sh, in a guest of this test's own.
guest() {
    lab_guest "$guest" "$REPO_ROOT/tests/lab/guest-host.sh" --switch "sw$BATS_TEST_NUMBER" --seconds 1400 -- "$@" \
        >"$T/said" 2>&1 || fail "$(cat "$T/said")"
}

# verdicts FILE RESULT NAME...: what `host check` said of these items.
verdicts() {
    local file=$share/$1 result=$2 name got
    shift 2
    for name in "$@"; do
        got=$(jq -r --arg name "$name" '.items[] | select(.name == $name).result' "$file")
        assert_equal "$got" "$result" "$name in $(<"$file")"
    done
}

@test "a host that is not ready is made so in one run; restore brings all of it back" {
    guest flow
    verdicts check.before fail modules modules-boot sysctl swap swap-boot promisc docker
    verdicts check.before warn sysctl-boot promisc-boot
    # Without docker, which is not of this program's making.
    verdicts check.after pass kernel-features modules modules-boot sysctl sysctl-boot swap swap-boot master mtu \
        promisc promisc-boot cidr ports firewall network-manager hostname default-route resolver leftovers
    jq -e '.summary.fail == 0' "$share/check.after"
    jq -e '.complete and (.changes | length > 10) and all(.changes[]; .state == "holds")' "$share/status.after"
    jq -e 'all(.changes[]; .result == "undone")' "$share/undone"
    assert_contains '-/disk/the\040alias none swap sw,pri=5,discard=once 0 0' "$share/plan"
    assert_contains '# swapoff /disk/swap one (priority 5)' "$share/plan"
    assert_contains '# ip link set eth0 promisc on' "$share/plan"
    assert_contains 'nothing makes eth0 promiscuous at boot' "$share/first.err"
    assert_equal "$(<"$share/second.out")" 'nothing to change'
    grep -qE 'PROMISC' "$share/after"
    grep -qE '^swap /disk/swap.040one file [0-9]+ 5$' "$share/before"
    grep -qE 'Priority:5 .*Ds' "$share/flags.before"
}

@test "two guests on a switch reach each other on a VLAN" {
    cat >vlan.sh <<'SH'
modprobe 8021q && ip link set eth0 up && ip link add eth0.100 link eth0 type vlan id 100 &&
    ip addr add "10.9.0.$1/24" dev eth0.100 && ip link set eth0.100 up || exit 9
shift
until "$@"; do busybox sleep 0.2; done
SH
    lab_guest_start "$guest" vlan.sh --switch "sw$BATS_TEST_NUMBER" -- 1 busybox test -e /run/lab/end
    lab_guest pinger vlan.sh --switch "sw$BATS_TEST_NUMBER" -- 2 busybox ping -c 1 -W 1 10.9.0.1
    : >"$share/end"
    lab_guest_wait "$guest"
}

@test "a NIC that was promiscuous stays so" {
    guest promisc
}

@test "killed at each journalled step, prepare and restore end in the same two states: first half" {
    guest kill-prepare 1 7
}

@test "killed at each journalled step, prepare and restore end in the same two states: second half" {
    guest kill-prepare 8 0
    [ "$(<"$share/steps")" -gt 12 ]
}

@test "killed in the middle of changes, and while they are undone" {
    guest kill-restore
}
