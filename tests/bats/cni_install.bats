#!/usr/bin/env bats
# `static-macvlan-cni install`: what it puts on a node and keeps there, and what uninstall takes away.
# It runs in a network namespace of its own.
# shellcheck disable=SC2154

load helper

setup() {
    common_setup
    need ip nsenter curl jq setfattr strace
    PLUGIN=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/static-macvlan-cni
    start_lab
    NET=flatnet-i$$-$BATS_TEST_NUMBER
    ip netns add "$NET"
    ip -n "$NET" link set lo up
    mkdir -p account conf bin
    printf 'token-1' >account/token
    printf 'default' >account/namespace
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out account/ca.crt -subj /CN=ca -days 2 2>/dev/null
}

teardown() {
    lab_cleanup
    ip netns del "$NET"
}

installs() {
    KUBERNETES_SERVICE_HOST=10.43.0.1 KUBERNETES_SERVICE_PORT=443 lab_spawn install nsenter --net="/run/netns/$NET" \
        "$PLUGIN" install --conf-dir "$T/conf" --bin-dir "$T/bin" --service-account "$T/account" --run-dir "$T/run" --listen 127.0.0.1:0 "$@"
    lab_ready install 30 grep -q '^note: listening' "$LAB_DIR/install.log"
}

get() {
    nsenter --net="/run/netns/$NET" curl -s "http://127.0.0.1:$(sed -n 's/.*listening port=//p' "$LAB_DIR/install.log" | tail -n 1)$1"
}

is_ready() {
    get /readyz -o /dev/null >ready && ! grep -v ': ok$' ready
}

token() {
    jq -r '.users[0].user.token' conf/flatnet.d/flatnet.kubeconfig
}

has_token() {
    [ "$(token)" = "$1" ]
}

plugins() {
    jq -r '[.plugins[].type] | join(" ")' conf/05-flatnet.conflist
}

has_plugins() {
    [ "$(plugins)" = "$1" ]
}

@test "programs, kubeconfig and health" {
    installs
    lab_wait 20 is_ready
    cmp "$PLUGIN" bin/static-macvlan-cni
    cmp "$PLUGIN" bin/static-ipam
    assert_equal "$(stat -c '%a' bin/static-ipam conf/flatnet.d conf/flatnet.d/flatnet.kubeconfig | paste -sd ' ')" '755 700 600'
    jq -e --arg ca "$(base64 -w 0 account/ca.crt)" '.clusters[0].cluster == {"server": "https://10.43.0.1:443",
        "certificate-authority-data": $ca} and .users[0].user == {"token": "token-1"}' conf/flatnet.d/flatnet.kubeconfig
    refute ls conf/05-flatnet.conflist
    assert_equal "$(get /healthz)" ok
    assert_contains 'flatnet_cni_part_ok{part="kubeconfig"} 1' <(get /metrics)
}

@test "a token that was rotated, and files that somebody removed, are there again" {
    installs
    lab_wait 20 is_ready
    # As the kubelet does it: a new file under the old name.
    printf 'token-2' >account/token.new
    mv account/token.new account/token
    lab_wait 20 has_token token-2
    rm bin/static-ipam conf/flatnet.d/flatnet.kubeconfig
    lab_wait 90 test -x bin/static-ipam
    lab_wait 90 has_token token-2
    # A program that runs is replaced, not written to.
    cp /bin/sleep bin/static-macvlan-cni
    bin/static-macvlan-cni 30 &
    lab_wait 90 cmp -s "$PLUGIN" bin/static-macvlan-cni
    kill $!
}

@test "chained: ours comes first and follows the one behind it; only uninstall removes it" {
    installs --mode chained
    lab_wait 20 grep -q 'no network configuration' "$LAB_DIR/install.log"
    assert_contains 'conflist: no network configuration' <(get /readyz)
    printf '{"name": "cbr0", "cniVersion": "0.3.1", "plugins": [{"type": "flannel"}, {"type": "portmap"}]}' >conf/10-flannel.conflist
    lab_wait 20 has_plugins 'flannel portmap static-macvlan-cni'
    assert_equal "$(find conf -maxdepth 1 -type f -printf '%f\n' | sort | head -n 1)" 05-flatnet.conflist
    lab_wait 20 is_ready
    # The other one changes, breaks, and is put right.
    printf '{"name": "cbr0", "cniVersion": "0.3.1", "plugins": [{"type": "flannel"}]}' >conf/new && mv conf/new conf/10-flannel.conflist
    lab_wait 20 has_plugins 'flannel static-macvlan-cni'
    printf '{"name": ' >conf/10-flannel.conflist
    lab_wait 20 grep -q "cannot chain to '$T/conf/10-flannel.conflist'" "$LAB_DIR/install.log"
    has_plugins 'flannel static-macvlan-cni'
    printf '{"name": "n", "type": "bridge"}' >conf/10-flannel.conflist
    lab_wait 20 has_plugins 'bridge static-macvlan-cni'
    rm conf/05-flatnet.conflist
    lab_wait 20 has_plugins 'bridge static-macvlan-cni'
    lab_stop install
    has_plugins 'bridge static-macvlan-cni'
    "$PLUGIN" uninstall --conf-dir "$T/conf"
    assert_equal "$(find conf -mindepth 1 -printf '%f\n')" 10-flannel.conflist
    "$PLUGIN" uninstall --conf-dir "$T/conf"
    test -x bin/static-macvlan-cni
}

@test "uninstall takes what else is named, never outside of the folder, and stays until it is told to end" {
    mkdir -p conf/multus.d
    touch conf/70-multus.conf conf/multus.d/multus.kubeconfig conf/99-other.conf other
    refute "$PLUGIN" uninstall --conf-dir "$T/conf" --also ../other
    test -e other
    lab_spawn uninstall "$PLUGIN" uninstall --conf-dir "$T/conf" --also 70-multus.conf --also multus.d/multus.kubeconfig \
        --also 00-multus.conf --stay
    lab_wait 20 refute test -e conf/multus.d
    assert_no_leftovers conf 99-other.conf
    kill -0 "$(lab_pid uninstall)"
    lab_stop uninstall
}

@test "killed at any moment, it leaves what the next one finishes" {
    local i
    printf '{"name": "n", "type": "bridge"}' >conf/10.conf
    # A write that was under way, in any case.
    touch bin/static-macvlan-cni.Ab3dEf
    for i in 1 2 3 4 5 6 7 8; do
        rm -f bin/static-* conf/05-flatnet.conflist conf/flatnet.d/flatnet.kubeconfig
        KUBERNETES_SERVICE_HOST=10.43.0.1 KUBERNETES_SERVICE_PORT=443 timeout -s KILL "0.0$i" nsenter --net="/run/netns/$NET" \
            "$PLUGIN" install --mode chained --conf-dir "$T/conf" --bin-dir "$T/bin" --service-account "$T/account" --run-dir "$T/run" --listen 127.0.0.1:0 2>/dev/null || true
    done
    installs --mode chained
    lab_wait 20 is_ready
    has_plugins 'bridge static-macvlan-cni'
    cmp "$PLUGIN" bin/static-macvlan-cni
    assert_equal "$(find bin conf -type f -printf '%f\n' | sort | paste -sd ' ')" \
        '05-flatnet.conflist 10.conf flatnet.kubeconfig static-ipam static-macvlan-cni'
}

is_promiscuous() {
    ip -n "$NET" -j link show "$1" | jq -e '.[0].flags | index("PROMISC") != null' >/dev/null
}

# at_once CMD...: well before the look that would come anyway, once a minute.
at_once() {
    lab_wait 40 "$@" || fail "not at once: $*"
}

@test "a master without VLANs stays promiscuous, also one that comes later, and nobody else's NIC" {
    local tool=${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/cni_net name
    for name in eth0 other; do
        ip -n "$NET" link add "$name" type veth peer name "far-$name"
        ip -n "$NET" link set "$name" up
    done
    installs
    lab_wait 20 is_ready
    refute is_promiscuous eth0
    ip netns add "$NET-p"
    nsenter --net="/run/netns/$NET" "$tool" add "netns=/run/netns/$NET-p" id=c1 "locks=$T/run/vlan" master=eth0 addr=10.1.0.5/24
    ip netns del "$NET-p"
    is_promiscuous eth0
    ip -n "$NET" link set eth0 promisc off
    at_once is_promiscuous eth0
    ip -n "$NET" link del eth0
    ip -n "$NET" link add eth0 type veth peer name far-eth0
    at_once is_promiscuous eth0
    grep -q "'eth0' was not promiscuous any more, and is again" "$LAB_DIR/install.log"
    # The next one knows it too.
    lab_stop install
    ip -n "$NET" link set eth0 promisc off
    installs
    at_once is_promiscuous eth0
    lab_wait 20 is_ready
    refute is_promiscuous other
}

@test "what a quiet node costs: the network is looked at when it changes, and not otherwise" {
    installs
    lab_wait 20 is_ready
    # What it has written at its start is a change, too, that is looked at soon.
    lab_wait 20 is_quiet || fail "$(cat trace)"
}

# Links of pods are none of ours; a master's is. They come and go for longer than it rests between two looks.
is_quiet() {
    local strace
    strace -f -qqq -e trace=sendmsg -o trace -p "$(lab_pid install)" &
    strace=$!
    lab_wait 20 grep -q 'TracerPid:.*[1-9]' "/proc/$(lab_pid install)/status" || return 1
    for _ in {1..20}; do
        ip -n "$NET" link add pod0 type veth peer name pod1 || return 1
        ip -n "$NET" link del pod0 || return 1
    done
    get /healthz >/dev/null || return 1
    kill "$strace"
    wait "$strace" || true
    [ -e trace ] && ! grep -q 'NETLINK\|nl_family' trace
}

@test "files get the SELinux label of their folder" {
    setfattr -n security.selinux -v system_u:object_r:bin_t:s0 bin
    setfattr -n security.selinux -v system_u:object_r:etc_t:s0 conf
    installs
    lab_wait 20 is_ready
    assert_equal "$(getfattr --only-values -n security.selinux bin/static-macvlan-cni)" system_u:object_r:bin_t:s0
    assert_equal "$(getfattr --only-values -n security.selinux bin/static-ipam)" system_u:object_r:bin_t:s0
    # What has been there with another one is put right too.
    lab_stop install
    setfattr -n security.selinux -v system_u:object_r:usr_t:s0 bin/static-ipam
    installs
    lab_wait 20 is_ready
    assert_equal "$(getfattr --only-values -n security.selinux bin/static-ipam)" system_u:object_r:bin_t:s0
}

@test "options" {
    "$PLUGIN" --help | grep -q 'static-macvlan-cni install'
    "$PLUGIN" --version | grep -q '^static-macvlan-cni [0-9]'
    status=0
    "$PLUGIN" install --mode neither 2>err || status=$?
    assert_equal "$status" 2
    assert_contains "'neither' is no value of --mode" err
    status=0
    "$PLUGIN" nonsense 2>err || status=$?
    assert_equal "$status" 2
}
