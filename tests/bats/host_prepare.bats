#!/usr/bin/env bats
# flatnet host prepare, restore and status on a folder that stands for a host's root: what is
# written, that it comes back, also after a kill at every step. The live side (swap, modules,
# promiscuous mode) is in host_guest.bats.

# Variables of helper.bash, and jq's own in single quotes.
# shellcheck disable=SC2154
load helper

setup() {
    common_setup
    need jq strace
    R=$T/root
    mkdir -p "$R"/{etc,var/lib,run,usr/lib/systemd/system,usr/sbin} "$R/lib/modules/5.10.0/kernel"
    : >"$R/usr/lib/systemd/systemd"
    : >"$R/usr/sbin/ip"
    : >"$R/lib/modules/5.10.0/kernel/macvlan.ko"
    echo 'kernel/macvlan.ko:' >"$R/lib/modules/5.10.0/modules.dep"
    printf '# table\n/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 none swap sw,pri=5 0 0\n' >"$R/etc/fstab"
    chmod 640 "$R/etc/fstab"
    chown 12:34 "$R/etc/fstab"
    touch -d '2019-05-27 12:00:00.5' "$R/etc/fstab"
    : >"$R/usr/lib/systemd/system/data.swap"
    mkdir -p "$R/etc/NetworkManager"
}

# state: everything below the root; folders without their times.
state() {
    (
        cd "$R" || exit
        find . ! -type d -printf '%p %m %U %G %l %T@\n' | sort
        find . -type d -printf '%p %m %U %G\n' | sort
        find . -type f -exec sha256sum {} + | sort
    )
}

# timeless: the same of a prepared root, whose new files carry the time of the run.
timeless() {
    state | grep -v host.journal | sed -E 's/ [0-9]+\.[0-9]+$//'
}

prepare=(host prepare --root root --master eth0 --master br-lan)

@test "prepare writes drop-ins, comments swap rows, masks units; restore brings all back" {
    local before
    before=$(state)
    run_flatnet "${prepare[@]}" --yes
    assert_status 0
    grep -qx '#flatnet-swap# /dev/sda2 none swap sw,pri=5 0 0' "$R/etc/fstab"
    assert_equal "$(stat -c '%a %u %g' "$R/etc/fstab")" '640 12 34'
    grep -qx macvlan "$R/etc/modules-load.d/flatnet.conf"
    grep -qx 'net.bridge.bridge-nf-call-iptables = 1' "$R/etc/sysctl.d/90-flatnet.conf"
    assert_equal "$(readlink "$R/etc/systemd/system/data.swap")" /dev/null
    assert_equal "$(readlink "$R/etc/systemd/system/swap.target")" /dev/null
    assert_equal "$(readlink "$R/etc/systemd/system/sys-subsystem-net-devices-br\\x2dlan.device.wants/flatnet-promisc@br\\x2dlan.service")" \
        /etc/systemd/system/flatnet-promisc@.service
    grep -qF 'interface-name:veth*' "$R/etc/NetworkManager/conf.d/90-flatnet.conf"
    assert_equal "$(stat -c '%a %u' "$R/etc/NetworkManager/dispatcher.d/90-flatnet-promisc-br-lan")" '755 0'
    refute [ -e "$R/etc/docker" ]
    run_flatnet host check --root root --master eth0 --master br-lan \
        --only modules-boot,sysctl-boot,swap-boot,promisc-boot,network-manager --format json
    assert_status 0
    assert_json '.summary == {pass: 5, warn: 0, fail: 0}'
    run_flatnet host status --root root --format json
    assert_status 0
    assert_json '.complete and (.changes | length > 5) and all(.changes[]; .state == "holds")'
    run_flatnet host restore --root root
    assert_status 0
    assert_equal "$(state)" "$before"
}

@test "the unit is one that systemd accepts" {
    need systemd-analyze
    run_flatnet "${prepare[@]}" --yes
    mkdir units
    sed 's#/usr/sbin/ip#/bin/true#' "$R/etc/systemd/system/flatnet-promisc@.service" >units/flatnet-promisc@.service
    systemd-analyze verify --man=no "$T/units/flatnet-promisc@.service" >verified 2>&1 || fail "$(<verified)"
    assert_lacks flatnet-promisc verified
}

@test "a second run changes nothing and says so" {
    local after
    run_flatnet "${prepare[@]}" --yes
    after=$(state)
    run_flatnet "${prepare[@]}" --yes
    assert_status 0
    assert_contains 'nothing to change'
    run_flatnet "${prepare[@]}" --dry-run
    assert_contains 'nothing to change'
    assert_equal "$(state)" "$after"
}

@test "a dry run prints a diff that patch takes, and changes nothing" {
    local before
    need patch
    before=$(state)
    run_flatnet "${prepare[@]}" --dry-run
    assert_status 0
    assert_equal "$(state)" "$before"
    assert_contains '-/dev/sda2 none swap sw,pri=5 0 0'
    assert_contains '+#flatnet-swap# /dev/sda2 none swap sw,pri=5 0 0'
    cp -r root patched
    grep -v '^# ' "$stdout_file" >plan.diff
    (cd patched && sed -E 's#^(---|\+\+\+) /etc/#\1 etc/#' ../plan.diff | patch -s -p0)
    run_flatnet "${prepare[@]}" --yes
    cmp root/etc/fstab patched/etc/fstab
    cmp root/etc/sysctl.d/90-flatnet.conf patched/etc/sysctl.d/90-flatnet.conf
    cmp root/etc/modules-load.d/flatnet.conf patched/etc/modules-load.d/flatnet.conf
}

@test "without --yes and without a terminal nothing is changed" {
    local before
    before=$(state)
    run_flatnet "${prepare[@]}" </dev/null
    assert_status 2
    assert_contains 'add --yes' stderr
    assert_equal "$(state)" "$before"
}

@test "--only and --ignore choose what is mended" {
    run_flatnet "${prepare[@]}" --yes --only swap-boot
    assert_status 0
    refute [ -e "$R/etc/modules-load.d" ]
    grep -q flatnet-swap "$R/etc/fstab"
    run_flatnet "${prepare[@]}" --yes --ignore modules-boot,promisc-boot
    assert_status 0
    refute [ -e "$R/etc/modules-load.d" ]
    [ -e "$R/etc/sysctl.d/90-flatnet.conf" ]
}

@test "killed at every journalled step, prepare and restore end in the same two states" {
    local before after steps i call forward
    before=$(state)
    run_flatnet "${prepare[@]}" --yes --format json
    steps=$(jq '.changes | length' "$stdout_file")
    after=$(timeless)
    run_flatnet host restore --root root
    [ "$steps" -gt 10 ] || fail "only $steps changes"
    for ((i = 1; i <= steps + 1; i++)); do
        for forward in true false; do
            refute strace -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:signal=KILL:when=$i \
                "$FLATNET" "${prepare[@]}" --yes 2>/dev/null
            if "$forward"; then
                run_flatnet "${prepare[@]}" --yes
                assert_status 0
                assert_equal "$(timeless)" "$after" "prepare after kill $i"
            fi
            run_flatnet host restore --root root
            assert_status 0
            assert_equal "$(state)" "$before" "restore after kill $i"
        done
    done
    for call in renameat unlinkat; do
        for i in 1 2 3 4; do
            run_flatnet "${prepare[@]}" --yes
            strace -qq -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$i \
                "$FLATNET" host restore --root root 2>/dev/null || true
            run_flatnet host restore --root root
            assert_status 0
            assert_equal "$(state)" "$before" "restore after a restore killed at $call $i"
        done
    done
}

@test "killed while a file is written: no half file, no temporary file in the end" {
    local before i
    before=$(state)
    for i in 1 2 3; do
        refute strace -qq -o /dev/null -e trace=renameat -e inject=renameat:signal=KILL:when=$i \
            "$FLATNET" "${prepare[@]}" --yes 2>/dev/null
        run_flatnet host status --root root
        assert_contains 'the last run did not end'
        run_flatnet "${prepare[@]}" --yes
        assert_status 0
        assert_equal "$(find root -name '*.flatnet')" ''
        run_flatnet host restore --root root
        assert_equal "$(state)" "$before"
        refute strace -qq -o /dev/null -e trace=renameat -e inject=renameat:signal=KILL:when=$i \
            "$FLATNET" "${prepare[@]}" --yes 2>/dev/null
        run_flatnet host restore --root root
        assert_status 0
        assert_equal "$(state)" "$before" "restore after a kill at file $i"
    done
}

@test "what another changed since is kept and named; status says what does not hold" {
    run_flatnet "${prepare[@]}" --yes
    echo '# mine' >>"$R/etc/sysctl.d/90-flatnet.conf"
    echo '/dev/sdb1 /srv xfs defaults 0 0' >>"$R/etc/fstab"
    run_flatnet host status --root root
    assert_status 3
    grep -qE '^gone +.*90-flatnet.conf$' "$stdout_file"
    run_flatnet host restore --root root --format json
    assert_status 5
    assert_json '[.changes[] | select(.result == "kept") | .subject] == ["/etc/sysctl.d/90-flatnet.conf"]'
    grep -qx '# mine' "$R/etc/sysctl.d/90-flatnet.conf"
    grep -qx '/dev/sdb1 /srv xfs defaults 0 0' "$R/etc/fstab"
    grep -qx '/dev/sda2 none swap sw,pri=5 0 0' "$R/etc/fstab"
}

@test "on RancherOS, which reads no drop-ins, none are written" {
    mkdir -p "$R/var/lib/rancher/conf"
    rm "$R/usr/lib/systemd/systemd"
    run_flatnet "${prepare[@]}" --yes
    assert_status 0
    refute [ -e "$R/etc/modules-load.d" ]
    refute [ -e "$R/etc/sysctl.d" ]
    assert_contains 'ros config set rancher.modules' stderr
    assert_contains 'ros config set rancher.sysctl' stderr
    assert_contains 'on RancherOS add' stderr
}

@test "a unit file of the operator's under the mask's name comes back" {
    local before
    mkdir -p "$R/etc/systemd/system"
    echo '[Swap]' >"$R/etc/systemd/system/own.swap"
    before=$(state)
    run_flatnet "${prepare[@]}" --yes
    assert_equal "$(readlink "$R/etc/systemd/system/own.swap")" /dev/null
    run_flatnet host restore --root root
    assert_status 0
    assert_equal "$(state)" "$before"
}

@test "links cannot lead out of the root" {
    mkdir outside
    echo '/dev/sda2 none swap sw 0 0' >outside/fstab
    rm "$R/etc/fstab"
    ln -s "$T/outside/fstab" "$R/etc/fstab"
    run_flatnet "${prepare[@]}" --yes
    assert_status 2
    assert_contains 'is a link' stderr
    assert_equal "$(<outside/fstab)" '/dev/sda2 none swap sw 0 0'
    rm -r "$R/etc/fstab" "$R/etc/NetworkManager"
    ln -s ../../outside "$R/etc/sysctl.d"
    run_flatnet "${prepare[@]}" --yes
    assert_no_leftovers outside fstab
}

@test "a journal that is damaged, and one that is in use" {
    run_flatnet "${prepare[@]}" --yes
    # A torn last line is a change that was never made.
    printf '{"schemaVersion":1,"chan' >>"$R/var/lib/flatnet/host.journal"
    run_flatnet host status --root root
    assert_status 0
    exec 9<"$R/var/lib/flatnet/host.journal"
    flock 9
    run_flatnet host restore --root root
    assert_status 1
    assert_contains 'is in use' stderr
    exec 9<&-
    echo '{"change":{"kind":"file"}}' >>"$R/var/lib/flatnet/host.journal"
    run_flatnet host restore --root root
    assert_status 4
    assert_contains "host.journal' line" stderr
    grep -q flatnet-swap "$R/etc/fstab"
}

@test "nothing to restore is no error" {
    run_flatnet host restore --root root
    assert_status 0
    assert_contains 'nothing to undo'
    run_flatnet host status --root root
    assert_status 0
    assert_contains 'nothing was changed'
}
