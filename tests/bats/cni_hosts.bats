#!/usr/bin/env bats
# The whole plugin on nodes with VLANs: guests that have a kernel of their own on one switch, and in the
# switch's namespace a real API server, with network-controller giving the addresses.
#   CNI_ROUNDS=1000     rounds of ADD and DEL (20)
# timeout: 1800
# Variables of helper.bash, and what is for the guest to expand.
# shellcheck disable=SC2016,SC2154

load helper
# shellcheck source=tests/lab/guest.bash
. "$REPO_ROOT/tests/lab/guest.bash"
load cni

API=10.200.0.1

setup_file() {
    need etcd curl jq openssl ip linux.uml mkfs.ext4 busybox tcpdump strace
    lab_init "$$"
    lab_switch sw
    cni_on sw ip link set lo up
    cni_on sw ip addr add "$API/24" dev sw0
    cni_cluster sw "$API"
    cni_config "$API" >"$LAB_DIR/plugin.config"
    cni_kubectl create namespace shop >/dev/null
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
}

# guest NAME ADDRESS [OPTION...]: a node.
guest() {
    local name=$1 address=$2 program=$PLUGIN share
    shift 2
    [ -z "${FLATNET_STATIC:-}" ] || program=${FLATNET_STATIC%/*}/static-macvlan-cni
    share=$(lab_guest_share "$name")
    cp "$LAB_DIR/plugin.config" "$share/config"
    lab_guest_program "$name" "$program" plugin
    lab_guest_start "$name" "$REPO_ROOT/tests/lab/guest-plugin.sh" --switch sw --seconds 1500 "$@" -- "$address"
}

# in_guest NAME COMMAND: its output is in $said; fails as the command does.
in_guest() {
    local share
    share=$(lab_guest_share "$1")
    rm -f "$share/done"
    printf '%s\n' "$2" >"$share/do.new"
    mv "$share/do.new" "$share/do"
    WAIT_SECONDS=${GUEST_SECONDS:-120} wait_until test -e "$share/done"
    said=$(<"$share/done")
    [ "$(tail -n 1 <<<"$said")" = 'status 0' ]
}

is_up() {
    test -e "$(lab_guest_share "$1")/ready"
}

ends_well() {
    : >"$(lab_guest_share "$1")/end"
    lab_guest_wait "$1" >said 2>&1 || fail "$(<said)"
}

# has_ip POD: its MacvlanIP is there.
has_ip() {
    cni_kubectl get macvlanip -n shop "$1" >/dev/null 2>&1
}

# attach GUEST POD ADDRESS MAC: the pod's namespace and interface, which must be what was asked for.
attach() {
    in_guest "$1" "ip netns add $2 && call ADD $2 2>/dev/null" || fail "$said"
    assert_equal "$(head -n 1 <<<"$said" | jq -r '"\(.interfaces[0].mac) \(.ips[0].address)"')" "$4 $3/24"
    in_guest "$1" "ip -n $2 -j -d addr show dev eth1" || fail "$said"
    assert_equal "$(head -n 1 <<<"$said" | jq -r '.[0] | "\(.linkinfo.info_kind) \(.address) \(.addr_info[0].local)"')" "macvlan $4 $3"
}

reaches() {
    in_guest "$1" "ip netns exec $2 busybox ping -c 1 -W ${4:-10} $3"
}

# on_wire PATTERN: tcpdump has seen such a packet on the cable of guest one.
on_wire() {
    grep -qE "$1" wire
}

# neighbour_is MAC STATES: what pod a2 has in its cache, without asking again.
neighbour_is() {
    in_guest two "ip -n a2 neigh show 10.9.0.11" && grep -qE "lladdr $1 ($2)" <<<"$said"
}

# In both VLANs the addresses are of one range, so that it is the tag alone that parts them.
@test "two hosts: pods of one VLAN reach each other, of two they do not, tags are on the wire" {
    cni_subnet v100 100 10.9.0.0/24
    cni_subnet v200 200 10.9.0.0/24
    {
        cni_pod_yaml shop/a1 10.9.0.11 v100 02:00:00:00:0a:01
        cni_pod_yaml shop/b1 10.9.0.12 v200 02:00:00:00:0b:01
        cni_pod_yaml shop/a2 10.9.0.13 v100 02:00:00:00:0a:02
        cni_pod_yaml shop/b2 10.9.0.14 v200 02:00:00:00:0b:02
    } | cni_kubectl create -f - >/dev/null
    guest one 10.200.0.11
    guest two 10.200.0.12
    wait_until is_up one
    wait_until is_up two
    nsenter -t "$(lab_pid sw)" -n tcpdump -i tap-one -nne -l vlan >wire 2>tcpdump.err 3>&- &
    tcpdump=$!
    wait_until grep -q 'listening on' tcpdump.err
    attach one a1 10.9.0.11 02:00:00:00:0a:01
    attach one b1 10.9.0.12 02:00:00:00:0b:01
    attach two a2 10.9.0.13 02:00:00:00:0a:02
    attach two b2 10.9.0.14 02:00:00:00:0b:02
    reaches one a1 10.9.0.13 || fail "$said"
    reaches two b2 10.9.0.12 || fail "$said"
    refute reaches one a1 10.9.0.14 2
    refute reaches one b1 10.9.0.13 2
    # Also on one host.
    refute reaches one a1 10.9.0.12 2
    wait_until on_wire '02:00:00:00:0a:01 > 02:00:00:00:0a:02, ethertype 802.1Q \(0x8100\).* vlan 100, .* 10.9.0.11 > 10.9.0.13: ICMP echo request'
    wait_until on_wire '02:00:00:00:0b:02 > 02:00:00:00:0b:01, ethertype 802.1Q \(0x8100\).* vlan 200, .* 10.9.0.14 > 10.9.0.12: ICMP echo request'
    refute on_wire '02:00:00:00:0a:0.* vlan 200'
    in_guest one 'ip -o -d link show type vlan | wc -l'
    assert_equal "$(head -n 1 <<<"$said")" 2

    # The pod goes, and another has its name and address, and another MAC. Its DEL comes late.
    # In between the neighbour does not ask of itself.
    wait_until neighbour_is 02:00:00:00:0a:01 'REACHABLE|STALE'
    in_guest one 'ip netns del a1' || fail "$said"
    cni_pod_gone shop/a1
    cni_pod shop/a1 10.9.0.11 v100 02:00:00:00:0a:0f
    wait_until has_ip a1
    in_guest one 'ip netns add a1 && call ADD a1 successor 2>/dev/null' || fail "$said"
    wait_until neighbour_is 02:00:00:00:0a:0f STALE
    in_guest one 'call DEL a1 a1 2>/dev/null' || fail "$said"
    reaches two a2 10.9.0.11 || fail "$said"
    in_guest one 'call DEL a1 successor 2>/dev/null && ! ip -n a1 link show eth1' || fail "$said"
    refute reaches two a2 10.9.0.11 2
    kill "$tcpdump"
    ends_well one
    ends_well two
}

# have_ips COUNT: that many MacvlanIPs of the subnet.
have_ips() {
    [ "$(cni_kubectl get macvlanip -n shop -l "subnet=$2" -o name | wc -l)" -eq "$1" ]
}

@test "100 ADDs at once for a VLAN that is not there: one device, 100 interfaces; all go again" {
    local i
    cni_subnet v300 300 10.30.0.0/24
    for i in {1..100}; do
        cni_pod_yaml "shop/m$i" auto v300
    done | cni_kubectl create -f - >/dev/null
    guest many 10.200.0.13 --memory 512M
    wait_until is_up many
    wait_until have_ips 100 v300
    GUEST_SECONDS=600
    in_guest many 'printf "netns add m%s\n" {1..100} | ip -batch - && ip -o link | wc -l' || fail "$said"
    # The first is stopped when the kernel has told it that there is no such device; it goes on when all
    # others are through.
    in_guest many 'plugin="strace -f -qqq -e trace=sendmsg -e inject=sendmsg:signal=STOP:when=2 -o /run/trace $plugin" \
            call ADD m1 >r1 2>e1 & first=$!
        until grep -qs "stopped by SIGSTOP" /run/trace; do busybox sleep 0.1; done
        for i in {2..100}; do call ADD m$i >r$i 2>e$i & jobs+=($!); done
        bad=0; for job in "${jobs[@]}"; do wait $job || bad=$((bad + 1)); done
        kill -s CONT "$(sed "s/ .*//; q" /run/trace)"; wait $first || bad=$((bad + 1))
        echo "bad $bad"; cat e* | grep -v "ADD done" || true' || fail "$said"
    assert_equal "$said" $'bad 0\nstatus 0'
    (cd "$(lab_guest_share many)" && jq -r '.ips[0].address' r{1..100}) | sort -u >addresses
    assert_equal "$(wc -l <addresses)" 100 'addresses that are different'
    in_guest many 'ip -o -d link show type vlan' || fail "$said"
    assert_equal "$(grep -c 'vlan protocol 802.1Q id 300 ' <<<"$said") $(grep -c '^[0-9]' <<<"$said")" '1 1' 'VLAN devices'
    in_guest many 'ip -all netns exec ip -o link show dev eth1 | grep -c "eth1@.* state UP"' || fail "$said"
    assert_equal "$(head -n 1 <<<"$said")" 100 'interfaces'
    in_guest many 'for i in {1..100}; do call DEL m$i 2>/dev/null & jobs+=($!); done; for job in "${jobs[@]}"; do wait $job; done
        ip -all netns exec ip -o link show | grep -c eth1; ip -o link | grep -c " fn\| ft"' || true
    assert_equal "$said" $'0\n0\nstatus 1'
    ends_well many
}

@test "rounds of ADD and DEL leave links, routes, neighbours, files and descriptors as they were" {
    cni_subnet v400 400 10.40.0.0/24 'routes: [{dst: 10.41.0.0/16}]'
    cni_pod shop/r auto v400
    wait_until has_ip r
    GUEST_SECONDS=$((600 + 6 * ${CNI_ROUNDS:-20}))
    guest rounds 10.200.0.14 --seconds $((GUEST_SECONDS + 300))
    wait_until is_up rounds
    # The first makes the device, its lock and the log.
    in_guest rounds "ip netns add r; round() { call ADD r >/dev/null 2>&1 && call DEL r 2>/dev/null; }; round
        state >before; ip netns exec r bash -c state >before.pod; cat /proc/sys/fs/file-nr
        for ((i = 1; i <= ${CNI_ROUNDS:-20}; i++)); do round || { echo \"round \$i\"; exit 1; }; done
        state >after; ip netns exec r bash -c state >after.pod; cat /proc/sys/fs/file-nr" || fail "$said"
    (cd "$(lab_guest_share rounds)" && diff before after && diff before.pod after.pod) >difference || fail "$(<difference)"
    grep -q 'eth0.400@eth0' "$(lab_guest_share rounds)/after"
    # The kernel counts open files a little late.
    awk 'NR == 1 { n = $1 } NR == 2 { exit $1 > n + 64 }' <<<"$said" || fail "open files: $said"
    ends_well rounds
}
