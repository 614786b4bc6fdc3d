#!/usr/bin/env bats
# What others expect of the plugin: the call of multus 3.2, byte for byte, and the reference plugins
# macvlan and static, whose results and interfaces are compared with ours.
# timeout: 900
# Variables of helper.bash.
# shellcheck disable=SC2034,SC2154

load helper
load cni

setup_file() {
    need etcd curl jq openssl ip
    lab_init "$$"
    cni_node node
    CNI_MODE=multus cni_cluster node
    mkdir -p "$LAB_DIR/node.node/etc/cni/net.d/multus.d"
    cni_config >"$LAB_DIR/node.node/etc/cni/net.d/multus.d/multus.kubeconfig"
    cni_kubectl create namespace shop >/dev/null
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    n=$BATS_TEST_NUMBER
    measure=()
}

teardown() {
    lab_stop sandbox
}

# --- multus ---

# sandbox: a pod's first process; its namespace has the eth0 that the first delegate has made.
sandbox() {
    cni_on node ip netns add "pod$n"
    cni_on node ip -n "pod$n" link add eth0 type veth peer name far0
    cni_on node ip -n "pod$n" addr add 10.42.0.9/24 dev eth0
    lab_spawn sandbox nsenter -t "$(lab_pid node)" --mount --net ip netns exec "pod$n" sleep infinity
    lab_ready sandbox 10 is_in_pod
    sandbox=/proc/$(lab_pid sandbox)/ns/net
}

is_in_pod() {
    [ "$(cni_on node stat -L -c %i "/run/netns/pod$n")" = "$(stat -L -c %i "/proc/$(lab_pid sandbox)/ns/net")" ]
}

# delegate COMMAND NETNS STDIN [MORE_ARGS]: what multus 3.2 runs under a kubelet with dockershim. The
# environment is the kubelet's, with CNI_IFNAME changed (os.Setenv) and the words for a MAC and an address
# behind the kubelet's own CNI_ARGS. The configuration has no line's end.
delegate() {
    status=0
    printf '%s' "$3" | cni_on node env -i ${ASAN_OPTIONS:+"ASAN_OPTIONS=$ASAN_OPTIONS"} \
        LANG=en_US.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        INVOCATION_ID=3d9a51b1c1b64b7c8c7f3f2a1f0f6d1e JOURNAL_STREAM=8:23456 \
        "CNI_COMMAND=$1" \
        "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web$n;K8S_POD_INFRA_CONTAINER_ID=$infra${4:-}" \
        "CNI_CONTAINERID=$infra" "CNI_NETNS=$2" CNI_IFNAME=eth1 CNI_PATH=/opt/cni/bin \
        timeout 120 /opt/cni/bin/static-macvlan-cni >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file")
    ((status < 2)) || fail "status $status"
}

# The NAD of 2019 has no name. multus puts that of the object in (json.Marshal of a map: sorted).
nad_of_2019() {
    printf '%s' '{"cniVersion":"'"$1"'","ipam":{"addresses":[{"address":"{address}","gateway":"{gateway}"}],"type":"static-ipam"},' \
        '"master":"","name":"static-macvlan-cni-attach","type":"static-macvlan-cni"}'
}

# has_eth1 MAC ADDRESS: the pod's interface, and that it is marked as this container's.
has_eth1() {
    assert_equal "$(cni_on node ip -n "pod$n" -j -d addr show dev eth1 | jq -r '.[0] |
        "\(.linkinfo.info_kind) \(.address) \([.addr_info[] | select(.scope == "global") | "\(.local)/\(.prefixlen)"] | join(" "))"')" \
        "macvlan $1 $2"
    assert_equal "$(cni_on node ip -n "pod$n" -j -d link show dev eth1 | jq -r '.[0].ifalias')" \
        "flatnet/static-macvlan-cni-attach/$infra"
}

has_no_eth1() {
    refute cni_on node ip -n "pod$n" link show dev eth1
}

# What multus 3.2 makes of a result for the annotation networks-status: addresses of a version that it
# knows, name and MAC of an interface that is in a sandbox.
networks_status() {
    jq -c '{interface: [.interfaces[] | select(.sandbox != "")][0].name, mac: [.interfaces[] | select(.sandbox != "")][0].mac,
        ips: [.ips[] | select(.version == "4" or .version == "6") | .address | split("/")[0]]}' "$stdout_file"
}

pod() {
    infra=$(printf '%064x' "$n")
    mac=02:00:00:00:0$n:07
    cni_subnet "s$n" 0 "10.$n.0.0/24" "gateway: 10.$n.0.1, routes: [{dst: 10.9.0.0/16}]"
    cni_pod "shop/web$n" "10.$n.0.7" "s$n" "$mac"
    sandbox
}

@test "multus 3.2: ADD and DEL of the NADs of 2019, in 0.3.0 and 0.3.1" {
    pod
    for version in 0.3.0 0.3.1; do
        delegate ADD "$sandbox" "$(nad_of_2019 "$version")"
        assert_status 0
        assert_equal "$output" '{"cniVersion":"'"$version"'","interfaces":[{"name":"eth1","mac":"'"$mac"'","sandbox":"'"$sandbox"'"}],"ips":[{"version":"4","interface":0,"address":"10.1.0.7/24","gateway":"10.1.0.1"}],"routes":[{"dst":"10.9.0.0/16","gw":"10.1.0.1"}],"dns":{}}'
        assert_equal "$(networks_status)" '{"interface":"eth1","mac":"'"$mac"'","ips":["10.1.0.7"]}'
        has_eth1 "$mac" 10.1.0.7/24
        # Its ADD of the same once more, as after a time-out: refused, and what is there stays.
        delegate ADD "$sandbox" "$(nad_of_2019 "$version")"
        assert_status 1
        assert_json '.code == 100 and (.msg | contains("already exists in the pod"))'
        has_eth1 "$mac" 10.1.0.7/24
        delegate DEL "$sandbox" "$(nad_of_2019 "$version")"
        assert_equal "$status $output" '0 '
        has_no_eth1
    done
    assert_contains "ADD done" "$LAB_DIR/node.node/log/static-macvlan-cni.log"
}

@test "multus 3.2: the NAD that network-controller has made, as it is in the cluster" {
    local nad
    pod
    wait_until cni_kubectl get network-attachment-definition -n shop static-macvlan-cni-attach
    nad=$(cni_kubectl get network-attachment-definition -n shop static-macvlan-cni-attach -o 'jsonpath={.spec.config}')
    assert_equal "$(jq -r .name <<<"$nad")" static-macvlan-cni-attach
    delegate ADD "$sandbox" "$nad"
    assert_status 0
    assert_equal "$(networks_status)" '{"interface":"eth1","mac":"'"$mac"'","ips":["10.2.0.7"]}'
    has_eth1 "$mac" 10.2.0.7/24
    delegate DEL "$sandbox" "$nad"
    assert_equal "$status $output" '0 '
    has_no_eth1
}

@test "multus 3.2: a MAC and an address of its annotation stand in CNI_ARGS a second time" {
    pod
    delegate ADD "$sandbox" "$(nad_of_2019 0.3.0)" ';IgnoreUnknown=true;MAC=02:00:00:00:00:99;IP=10.77.0.1'
    assert_status 0
    # The MAC is the user's; the address is network-controller's to give.
    has_eth1 02:00:00:00:00:99 10.3.0.7/24
    delegate DEL "$sandbox" "$(nad_of_2019 0.3.0)" ';IgnoreUnknown=true;MAC=02:00:00:00:00:99;IP=10.77.0.1'
    assert_equal "$status $output" '0 '
    has_no_eth1
}

@test "multus 3.2: DEL with an empty CNI_NETNS, of a process that is gone, of a pod that is gone" {
    pod
    # kubelet calls DEL when no ADD was made, too.
    delegate DEL "$sandbox" "$(nad_of_2019 0.3.0)"
    assert_equal "$status $output" '0 '
    delegate ADD "$sandbox" "$(nad_of_2019 0.3.0)"
    assert_status 0
    delegate DEL '' "$(nad_of_2019 0.3.0)"
    assert_equal "$status $output" '0 '
    # Nothing says where it is, so it is still there.
    has_eth1 "$mac" 10.4.0.7/24
    cni_pod_gone "shop/web$n"
    lab_stop sandbox KILL
    delegate DEL "$sandbox" "$(nad_of_2019 0.3.0)"
    assert_equal "$status $output" '0 '
    delegate DEL "/run/netns/pod$n" "$(nad_of_2019 0.3.0)"
    assert_equal "$status $output" '0 '
    has_no_eth1
}

@test "multus 3.2: a pod that has its annotation and not ours; its DEL after the ADD that failed" {
    infra=$(printf '%064x' "$n")
    cni_pod "shop/web$n"
    sandbox
    delegate ADD "$sandbox" "$(nad_of_2019 0.3.1)"
    assert_status 1
    assert_equal "$(jq -cs 'map({cniVersion, code})' "$stdout_file")" '[{"cniVersion":"0.3.1","code":11}]'
    assert_json '.msg | contains("not both of the annotations")'
    has_no_eth1
    delegate DEL "$sandbox" "$(nad_of_2019 0.3.1)"
    assert_equal "$status $output" '0 '
}

# --- the reference plugins ---

# ask PLUGIN COMMAND CONF FILE: in the namespace of pod $n; the answer is in the file.
ask() {
    status=0
    cni_on node env "CNI_COMMAND=$2" CNI_CONTAINERID=c1 "CNI_NETNS=/run/netns/pod$n" CNI_IFNAME=eth1 CNI_PATH=/opt/cni/bin \
        "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web$n" \
        timeout 120 "${measure[@]}" "/opt/cni/bin/$1" <<<"$3" >"$4" 2>"$stderr_file" || status=$?
    output=$(<"$4") stderr=$(<"$stderr_file")
    assert_status 0
}

# interface FILE: the interface as the kernel has it. Its link-local address is the kernel's own affair.
interface() {
    {
        cni_on node ip -n "pod$n" -j -d link show dev eth1 | jq '{link: .[0]}'
        cni_on node ip -n "pod$n" -j addr show dev eth1 scope global | jq '{addrs: .[0].addr_info}'
        cni_on node ip -n "pod$n" -4 -j -d route show table all dev eth1 | jq '{v4: .}'
        cni_on node ip -n "pod$n" -6 -j -d route show table all dev eth1 | jq '{v6: map(select(.dst | test("^fe80|^ff00") | not))}'
    } | jq -s add >"$1"
}

# same FILE EXPECTED TEXT: two documents.
same() {
    diff -U 2 <(jq -S . "$2") <(jq -S . "$1") >difference || fail "$3: $(<difference)"
}

# like_reference VERSION IPAM [MORE]: both make the interface of pod $n. IPAM are the members that tell
# the reference what MacvlanIP and MacvlanSubnet tell us, MORE what both are told. Where the two
# differ is all in here.
like_reference() {
    local common theirs ours
    common="\"cniVersion\": \"$1\", \"name\": \"net\"${3:+, $3}"
    theirs="{$common, \"type\": \"macvlan\", \"master\": \"eth0\", \"runtimeConfig\": {\"mac\": \"$mac\"}, \"ipam\": {\"type\": \"static\", $2}}"
    ours="{$common, \"type\": \"static-macvlan-cni\", \"ipam\": {\"type\": \"static-ipam\"}}"
    ask macvlan ADD "$theirs" theirs
    interface theirs.if
    ask macvlan DEL "$theirs" del
    ask static-macvlan-cni ADD "$ours" ours
    interface ours.if
    # The reference finds its own words true of our interface.
    [[ $1 == 0.3* ]] || ask macvlan CHECK "$(jq --slurpfile r ours '.prevResult = $r[0]' <<<"$theirs")" check
    ask static-macvlan-cni DEL "$ours" del

    # A route's gateway, which the reference leaves to whoever reads the result.
    jq '.ips[0].gateway as $gw | if .routes then .routes[] |= (.gw //= $gw) else . end' theirs >expected
    same ours expected "result in $1"
    # Whose it is; a length for a queue that no macvlan has; that a route was not made by hand; that an
    # IPv6 address, which network-controller gives to one pod only, is not asked for first.
    jq --slurpfile ours ours.if '.link += {ifalias: "flatnet/net/c1", txqlen: 1000, ifindex: $ours[0].link.ifindex} |
        (.v4, .v6)[] |= (if .protocol == "boot" then .protocol = "static" else . end) |
        .addrs[] |= (if .family == "inet6" then .nodad = true else . end)' theirs.if >expected
    same ours.if expected "interface in $1"
}

@test "reference: IPv4 with a gateway, routes and dns, in all versions that both have" {
    local version
    mac=02:00:00:00:0$n:07
    cni_subnet "s$n" 0 "10.$n.0.0/24" "gateway: 10.$n.0.1, routes: [{dst: 10.9.0.0/16}, {dst: 10.8.0.0/16, gw: 10.$n.0.2}]"
    cni_pod "shop/web$n" "10.$n.0.7" "s$n" "$mac"
    cni_on node ip netns add "pod$n"
    for version in 0.3.0 0.3.1 0.4.0 1.0.0; do
        like_reference "$version" "\"addresses\": [{\"address\": \"10.$n.0.7/24\", \"gateway\": \"10.$n.0.1\"}],
            \"routes\": [{\"dst\": \"10.9.0.0/16\"}, {\"dst\": \"10.8.0.0/16\", \"gw\": \"10.$n.0.2\"}]" \
            '"dns": {"nameservers": ["10.1.0.53"], "domain": "site", "search": ["a", "b"], "options": ["ndots:5"]}'
    done
    # 1.1.0 says the MTU, and by its specification nothing else.
    ask static-macvlan-cni ADD '{"cniVersion": "1.1.0", "name": "net", "type": "x"}' newest
    jq '.cniVersion = "1.1.0" | .interfaces[0].mtu = 1500 | del(.dns)' ours >expected
    same newest expected 'result in 1.1.0'
    ask static-macvlan-cni CHECK "$(jq -n --slurpfile r newest '{cniVersion: "1.1.0", name: "net", type: "x", prevResult: $r[0]}')" check
}

@test "reference: no routes; mode and MTU from the configuration" {
    local version
    mac=02:00:00:00:0$n:07
    cni_subnet "s$n" 0 "10.$n.0.0/24"
    cni_pod "shop/web$n" "10.$n.0.7" "s$n" "$mac"
    cni_on node ip netns add "pod$n"
    for version in 0.3.0 1.0.0; do
        like_reference "$version" "\"addresses\": [{\"address\": \"10.$n.0.7/24\", \"gateway\": \"10.$n.0.1\"}]" '"mode": "private", "mtu": 1400'
        assert_equal "$(jq -r '"\(.link.mtu) \(.link.linkinfo.info_data.mode)"' ours.if)" '1400 private'
    done
}

@test "reference: IPv6 with a gateway and a route" {
    local version
    mac=02:00:00:00:0$n:07
    cni_subnet "s$n" 0 "fd00:$n::/64" "gateway: \"fd00:$n::1\", routes: [{dst: \"fd09::/32\"}]"
    cni_pod "shop/web$n" "fd00:$n::7" "s$n" "$mac"
    cni_on node ip netns add "pod$n"
    for version in 0.3.1 1.0.0; do
        like_reference "$version" "\"addresses\": [{\"address\": \"fd00:$n::7/64\", \"gateway\": \"fd00:$n::1\"}],
            \"routes\": [{\"dst\": \"fd09::/32\"}]"
    done
}

# as_installed FILE NAME: a program of the node, read back from the disk as after a boot.
as_installed() {
    local to=$LAB_DIR/node.node/opt/cni/bin/$2
    cp "$1" "$to"
    sync "$to"
    dd if="$to" iflag=nocache count=0 status=none
}

# peak NAME: in KiB, the largest of the runs of that name.
peak() {
    awk -v name="$1" '$1 == name && $4 > most { most = $4 } END { print most }' runs
}

@test "reference: an ADD of the static program has at most half of the memory of macvlan and static" {
    local conf='"cniVersion": "0.3.1", "name": "net"' theirs limit round
    mac=02:00:00:00:0$n:07
    cni_subnet "s$n" 0 "10.$n.0.0/24"
    cni_pod "shop/web$n" "10.$n.0.7" "s$n" "$mac"
    cni_on node ip netns add "pod$n"
    as_installed "${FLATNET_STATIC%/*}/static-macvlan-cni" release
    as_installed "$CNI_DEBIAN/macvlan" their-macvlan
    as_installed "$CNI_DEBIAN/static" their-static
    theirs="{$conf, \"type\": \"macvlan\", \"master\": \"eth0\", \"ipam\": {\"type\": \"their-static\", \"addresses\": [{\"address\": \"10.$n.0.8/24\"}]}}"
    # The first call makes the TLS session, and takes more.
    for round in first ours ours ours; do
        measure=("$FLATNET_BUILD/tests/tools/cni_measure" runs "$round")
        ask release ADD "{$conf, \"type\": \"release\"}" added
        ask release DEL "{$conf, \"type\": \"release\"}" deleted
        measure[2]=macvlan
        ask their-macvlan ADD "$theirs" added
        ask their-macvlan DEL "$theirs" deleted
        measure[2]=static
        ask their-static ADD "$theirs" added
    done
    # macvlan starts static, and waits for it.
    limit=$((($(peak macvlan) + $(peak static)) / 2))
    [ "$(peak ours)" -le "$limit" ] || fail "$(peak ours) KiB, and $limit are half of the reference: $(<runs)"
}
