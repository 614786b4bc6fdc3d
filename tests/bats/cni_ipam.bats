#!/usr/bin/env bats
# static-ipam beside the reference's `static` plugin: the same question, the same answer, member by
# member, in every version that both have.
# shellcheck disable=SC2154

load helper

setup() {
    need jq
    common_setup
    cp "${FLATNET_BUILD:-$REPO_ROOT/build}/bin/static-macvlan-cni" static-ipam
    ORACLE=/usr/lib/cni/static
    export CNI_CONTAINERID=c-1 CNI_NETNS=/run/netns/none CNI_IFNAME=eth1 CNI_PATH=/opt/cni/bin
    unset CNI_COMMAND CNI_ARGS
}

# both COMMAND CONF: `ours` and `theirs`, $our_status and $their_status.
both() {
    our_status=0 their_status=0
    CNI_COMMAND=$1 timeout 60 ./static-ipam <<<"$2" >ours 2>log || our_status=$?
    CNI_COMMAND=$1 timeout 60 "$ORACLE" <<<"$2" >theirs 2>/dev/null || their_status=$?
}

same() {
    assert_equal "$our_status" "$their_status" "exit status ($(cat ours theirs))"
    assert_equal "$(jq -cS . ours)" "$(jq -cS . theirs)" 'result'
}

# conf VERSION IPAM [MEMBERS]
conf() {
    printf '{"cniVersion": "%s", "name": "net", "type": "macvlan", "ipam": {"type": "static-ipam", %s}%s}' \
        "$1" "$2" "${3:+, $3}"
}

two='"addresses": [{"address": "10.10.0.1/24", "gateway": "10.10.0.254"}, {"address": "3ffe:ffff:0:1ff::1/64", "gateway": "3ffe:ffff:0::1"}]'
rest='"routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "10.10.5.1"}, {"dst": "3ffe:ffff:0:1::/64"}],
    "dns": {"nameservers": ["8.8.8.8"], "domain": "example.com", "search": ["example.com"], "options": ["ndots:5"]}'

@test "ADD: addresses, routes and dns in each version" {
    local version
    for version in 0.3.0 0.3.1 0.4.0 1.0.0; do
        both ADD "$(conf "$version" "$two, $rest")"
        same
        assert_equal "$(jq -r '.ips[0].address' ours)" 10.10.0.1/24
        both ADD "$(conf "$version" '"addresses": [{"address": "10.10.0.1/24"}]')"
        same
        both ADD "$(conf "$version" '"routes": []')"
        same
        both DEL "$(conf "$version" "$two")"
        same
    done
}

@test "ADD: CNI_ARGS, args and runtimeConfig, in their order" {
    export CNI_ARGS='IgnoreUnknown=1;IP=10.10.0.2/24, 11.11.0.1/24,3ffe::9/64;GATEWAY=10.10.0.253, 3ffe::1'
    both ADD "$(conf 1.0.0 "$two, $rest")"
    same
    assert_equal "$(jq '.ips | length' ours)" 5
    both ADD "$(conf 1.0.0 '"addresses": []')"
    same
    both ADD "$(conf 1.0.0 "$two" '"args": {"cni": {"ips": ["10.1.0.1/16", "fd00::1/64"]}}')"
    same
    assert_equal "$(jq '.ips | length' ours)" 2
    both ADD "$(conf 1.0.0 "$two" '"args": {"cni": {"ips": ["10.1.0.1/16"]}}, "runtimeConfig": {"ips": ["10.2.0.1/16"]}')"
    same
    assert_equal "$(jq -r '.ips[0].address' ours)" 10.2.0.1/16
}

@test "what both refuse" {
    local conf
    for conf in "$(conf 1.0.0 '"addresses": [{"address": "10.10.0.1"}]')" \
        "$(conf 1.0.0 '"addresses": []' '"runtimeConfig": {"ips": ["10.2.0.1"]}')" \
        "$(conf 1.0.0 '"addresses": [{"address": "10.10.0.1/24", "gateway": "x"}]')" \
        '{"cniVersion": "1.0.0", "name": "net", "type": "x"}' '{"cniVersion": "1.0.0", "type": "x", "ipam": {}}' '{'; do
        both ADD "$conf"
        assert_equal "$our_status $their_status" '1 1' "$conf"
        assert_equal "$(jq -s 'length' ours)" 1
        jq -e '.code and .msg' ours >/dev/null
    done
    CNI_ARGS='IP=10.0.0.1' both ADD "$(conf 1.0.0 '"addresses": []')"
    assert_equal "$our_status $their_status" '1 1'
    CNI_ARGS='GATEWAY=x' both ADD "$(conf 1.0.0 '"addresses": []')"
    assert_equal "$our_status $their_status" '1 1'
}

@test "CHECK: from 0.4.0, with what ADD said, and not with another gateway" {
    local version prev
    for version in 0.4.0 1.0.0; do
        both ADD "$(conf "$version" "$two")"
        prev=$(<ours)
        both CHECK "$(conf "$version" "$two" "\"prevResult\": $prev")"
        same
        assert_equal "$our_status" 0
        [ ! -s ours ]
        both CHECK "$(conf "$version" "$two" "\"prevResult\": ${prev/10.10.0.254/10.10.0.250}")"
        assert_equal "$our_status $their_status" '1 1'
        assert_equal "$(jq .code ours)" 102
        both CHECK "$(conf "$version" "$two")"
        assert_equal "$our_status $their_status" '1 1'
    done
    both CHECK "$(conf 0.3.1 "$two")"
    assert_equal "$our_status $their_status" '1 1'
    assert_equal "$(jq .code ours)" "$(jq .code theirs)"
}

@test "1.1.0, which the reference here does not have" {
    both ADD "$(conf 1.1.0 "$two, \"routes\": [{\"dst\": \"10.0.0.0/8\", \"priority\": 5, \"mtu\": 1400}]")"
    assert_equal "$our_status" 0
    assert_equal "$(jq -cS . ours)" '{"cniVersion":"1.1.0","ips":[{"address":"10.10.0.1/24","gateway":"10.10.0.254"},{"address":"3ffe:ffff:0:1ff::1/64","gateway":"3ffe:ffff::1"}],"routes":[{"dst":"10.0.0.0/8","mtu":1400,"priority":5}]}'
    both STATUS "$(conf 1.1.0 "$two")"
    assert_equal "$our_status" 0
    both GC "$(conf 1.1.0 "$two" '"cni.dev/valid-attachments": []')"
    assert_equal "$our_status" 0
    [ ! -s ours ]
}

@test "VERSION and no command" {
    both VERSION ''
    assert_equal "$our_status" 0
    jq -e --slurpfile theirs theirs '.supportedVersions | contains($theirs[0].supportedVersions | map(select(. >= "0.3")))' \
        ours >/dev/null || fail "$(<ours)"
    ./static-ipam </dev/null >ours 2>log
    [ ! -s ours ]
    assert_contains 'static-ipam' log
}
