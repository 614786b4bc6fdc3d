#!/usr/bin/env bats
# flatnet host iface against flannel 0.10's rules, on topologies made in network namespaces.

# Variables of helper.bash, and jq's own in single quotes.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
load helper

setup() {
    common_setup
    need ip jq unshare
    ns=flatnet-t$$-$BATS_TEST_NUMBER
    ip netns add "$ns"
    ip -n "$ns" link set lo up
    far=0
}

teardown() {
    ip netns del "$ns"
}

# nic NAME [ADDR...]: a link with carrier and these addresses. Its other end is there too, under a name
# that no test looks for.
nic() {
    local name=$1 address
    shift
    far=$((far + 1))
    ip -n "$ns" link add "$name" type veth peer name "far$far"
    ip -n "$ns" link set "far$far" up
    ip -n "$ns" link set "$name" up
    for address in "$@"; do
        ip -n "$ns" addr add "$address" dev "$name"
    done
}

route() {
    ip -n "$ns" route add "$@"
}

# iface ARG...: the command in the namespace.
iface() {
    status=0
    ip netns exec "$ns" "$FLATNET" host iface --format json "$@" >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file")
}

# takes NIC ADDRESS: what flannel was said to take. "none TEXT": nothing, for that reason.
takes() {
    if [ "$1" = none ]; then
        assert_json '.choice.error | contains($why)' --arg why "$2"
    else
        assert_json '.choice.interface == $nic and .choice.address == $address' \
            --arg nic "$1" --arg address "$2"
    fi
}

@test "without flags the first default route decides" {
    nic eth0 10.0.0.5/24
    nic eth1 10.1.0.5/24
    route default via 10.1.0.1 dev eth1 metric 50
    route default via 10.0.0.1 dev eth0 metric 100
    iface
    assert_status 0
    takes eth1 10.1.0.5
    assert_json '.choice.rule == "first default route of the main table"'
}

@test "the first global address is taken, a link-local one only for want of another" {
    nic eth0 169.254.3.4/16 10.0.0.5/24 10.0.0.6/24
    nic eth1 169.254.7.8/16
    route default dev eth0
    iface
    takes eth0 10.0.0.5
    iface --iface eth1
    takes eth1 169.254.7.8
}

@test "no default route: flannel ends, and says so" {
    nic eth0 10.0.0.5/24
    iface
    assert_status 3
    takes none 'no IPv4 default route'
}

@test "a default route with several next hops, or with none, is no choice" {
    nic eth0 10.0.0.5/24
    nic eth1 10.1.0.5/24
    route default nexthop via 10.0.0.1 dev eth0 nexthop via 10.1.0.1 dev eth1
    iface
    assert_status 3
    takes none 'several next hops'
    ip -n "$ns" route del default
    route unreachable default
    iface
    takes none 'leads nowhere'
}

@test "a default route by an interface without IPv4 is no choice" {
    nic eth0
    nic eth1 10.1.0.5/24
    route default dev eth0
    iface
    assert_status 3
    takes none "'eth0', which has the default route, has no IPv4 address"
}

@test "default routes of other tables do not count" {
    nic eth0 10.0.0.5/24
    nic eth1 10.1.0.5/24
    route default via 10.1.0.1 dev eth1 table 100
    iface
    takes none 'no IPv4 default route'
    route default via 10.0.0.1 dev eth0
    iface
    takes eth0 10.0.0.5
}

@test "policy routes decide which interface reaches a peer" {
    nic eth0 10.0.0.5/24
    nic eth1 10.1.0.5/24
    route default via 10.0.0.1 dev eth0
    route default via 10.1.0.1 dev eth1 table 100
    ip -n "$ns" rule add to 172.16.0.0/12 lookup 100
    iface --peer 172.16.3.4
    assert_status 3
    takes eth0 10.0.0.5
    assert_json '.peers == [{address: "172.16.3.4", interface: "eth1", source: "10.1.0.5", gateway: "10.1.0.1"}]'
    assert_json '.wanted == "eth1" and .agrees == false'
    assert_json '.flags == ["--iface=eth1", "--iface-regex=^10\\.1\\."]'
}

@test "peers on one link agree; peers on two do not" {
    nic eth0 10.0.0.5/24
    nic eth1 10.1.0.5/24
    route default via 10.0.0.1 dev eth0
    iface --peer 10.0.0.6 --peer 10.0.0.7
    assert_status 0
    assert_json '.agrees'
    iface --peer 10.0.0.6 --peer 10.1.0.7
    assert_status 3
    assert_json '.wanted == null'
    iface --peer 10.0.0.6 --peer 10.1.0.7 --want eth1
    assert_json '.wanted == "eth1" and .agrees == false'
}

@test "a peer without a route is named" {
    nic eth0 10.0.0.5/24
    iface --peer 203.0.113.9 --iface eth0
    assert_status 3
    assert_json '.peers == [{address: "203.0.113.9"}] and .wanted == null'
}

@test "--iface by name, by address, and in their order" {
    nic eth0 10.0.0.5/24
    nic eth1 10.1.0.5/24 10.1.0.6/24
    nic eth10 10.2.0.5/24
    nic bare
    iface --iface eth1
    takes eth1 10.1.0.5
    iface --iface 10.1.0.6
    takes eth1 10.1.0.6
    iface --iface none --iface bare --iface eth10 --iface eth0
    takes eth10 10.2.0.5
    iface --iface none
    assert_status 3
    takes none 'no --iface or --iface-regex finds'
    iface --iface eth --iface 10.9.9.9
    takes none 'no --iface or --iface-regex finds'
}

@test "--iface-regex: addresses of all NICs before names, unanchored, --iface before it" {
    nic eth10 10.2.0.5/24
    nic eth1 10.1.0.5/24
    iface --iface-regex eth1
    takes eth10 10.2.0.5
    iface --iface-regex '^eth1$'
    takes eth1 10.1.0.5
    iface --iface-regex '^10\.1\.'
    takes eth1 10.1.0.5
    iface --iface-regex '5$'
    takes eth10 10.2.0.5
    iface --iface-regex '^eth1$' --iface eth10
    takes eth10 10.2.0.5
    iface --iface-regex '^wlan' --iface-regex '^e\D+\d$'
    takes eth1 10.1.0.5
}

@test "--iface-regex sees the first address only; since 0.20 all of them" {
    nic eth0 10.0.0.5/24
    nic eth1 10.1.0.5/24 172.16.0.5/16
    iface --iface-regex '^172\.16\.'
    takes none 'no --iface or --iface-regex finds'
    iface --flannel 0.22.0 --iface-regex '^172\.16\.'
    takes eth1 172.16.0.5
}

@test "a name that a regular expression finds, without an address, is passed over" {
    nic bare0
    nic bare1 10.1.0.5/24
    iface --iface-regex '^bare'
    takes none 'no --iface or --iface-regex finds'
    iface --iface-regex '^bare' --iface-regex '^bare1$'
    takes bare1 10.1.0.5
}

@test "what cannot be is a usage error" {
    local arguments
    nic eth0 10.0.0.5/24
    for arguments in '--peer fe80::1' '--peer 10.0.0' '--peer 10.0.0.5' '--want eth7' \
        '--flannel ten' '--flannel 0.7.1' '--iface-regex (' '--from-hosts missing.json'; do
        read -r -a words <<<"$arguments"
        iface "${words[@]}"
        [ "$status" -ne 0 ] && [ "$status" -ne 3 ] || fail "$arguments: status $status"
        assert_equal "$output" ''
    done
}

@test "the table for people" {
    nic eth0 10.0.0.5/24
    route default via 10.0.0.1 dev eth0
    ip netns exec "$ns" "$FLATNET" host iface --peer 10.0.0.9 >"$stdout_file"
    grep -qE '^eth0 +up +1500 .*10\.0\.0\.5/24$' "$stdout_file"
    grep -qx 'flannel 0.10.0 takes eth0 with 10.0.0.5: first default route of the main table' "$stdout_file"
    grep -qx 'peer 10.0.0.9: by eth0 from 10.0.0.5' "$stdout_file"
    grep -qx 'that is the right one' "$stdout_file"
}

# host_json NAME WANTED: what the namespace says, as of a host of that name.
host_json() {
    iface --want "$2"
    jq -c --arg name "$1" '.hostname = $name' <<<"$output" >>hosts
}

fresh() {
    ip netns del "$ns"
    ip netns add "$ns"
}

@test "several hosts: no flag, one flag, a regular expression, and more" {
    nic eth0 10.0.0.1/24
    route default dev eth0
    host_json a eth0
    jq -s . hosts >all.json
    run_flatnet host iface --from-hosts all.json
    assert_status 0
    assert_contains 'no flag is needed'

    # Another NIC has the default route, of the same name on both.
    rm hosts
    for i in 1 2; do
        fresh
        nic eth0 192.168.0.$i/24
        nic eth1 10.0.0.$i/24
        route default dev eth0
        host_json "h$i" eth1
    done
    jq -s . hosts >all.json
    run_flatnet host iface --from-hosts all.json --format json
    assert_json '.found and (.flags | length) == 1'
    assert_json '.flags[0] == "--iface=eth1"'

    # A third calls it ens4: the network is what they have in common.
    fresh
    nic ens3 192.168.0.3/24
    nic ens4 10.0.0.3/24
    route default dev ens3
    host_json h3 ens4
    jq -s . hosts >all.json
    run_flatnet host iface --from-hosts all.json --format json
    assert_json '.flags == ["--iface-regex=^10\\."]'

    # A fourth has it in another network, with a decoy where the others are.
    fresh
    nic ens4 10.0.0.4/24
    nic bond0 172.20.0.4/24
    route default dev ens4
    host_json h4 bond0
    jq -s . hosts >all.json
    run_flatnet host iface --from-hosts all.json --format json
    assert_json '.found and (.flags | length) == 2 and .flags[0] == "--iface=bond0"'
    cp all.json four.json

    # The answer is right on every one of them, by the single-host command.
    jq -r '.flags[]' <<<"$output" >flags
    assert_equal "$(<flags)" "$(printf '%s\n' --iface=bond0 '--iface-regex=^10\.')"
}

@test "several hosts: no answer is status 3, bad files are named" {
    nic eth0 10.0.0.1/24
    nic eth1 10.0.1.1/24
    host_json a eth0
    fresh
    nic eth0 10.0.0.1/24
    nic eth1 10.0.1.1/24
    host_json b eth1
    jq -s . hosts >all.json
    run_flatnet host iface --from-hosts all.json
    assert_status 3
    assert_contains 'no set of 3 flags'
    echo '[]' >bad.json
    run_flatnet host iface --from-hosts bad.json
    assert_status 4
    jq '.[0].interfaces[0].index = -1' all.json >bad.json
    run_flatnet host iface --from-hosts bad.json
    assert_status 4
    assert_contains "host 'a'" stderr
    jq 'del(.[0].wanted)' all.json >bad.json
    run_flatnet host iface --from-hosts bad.json
    assert_status 2
    assert_contains 'run '"'"'flatnet host iface'"'" stderr
}
