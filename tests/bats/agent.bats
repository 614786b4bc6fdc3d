#!/usr/bin/env bats
# What the agent in a probe pod of flatnet test cluster sees, between two network namespaces.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load helper

setup() {
    common_setup
    need ip nsenter jq
    ns=flatnet-a$$-$BATS_TEST_NUMBER
    ip netns add "$ns-1"
    ip netns add "$ns-2"
    ip -n "$ns-1" link add eth1 type veth peer name eth1 netns "$ns-2"
    for n in 1 2; do
        ip -n "$ns-$n" link set lo up
        ip -n "$ns-$n" link set eth1 up
        ip -n "$ns-$n" addr add "10.9.0.$n/24" dev eth1
    done
    mac=$(ip -n "$ns-2" -j link show eth1 | jq -r '.[0].address')
}

teardown() {
    ip netns del "$ns-1" || true
    ip netns del "$ns-2" || true
}

# asks QUESTION: the agent in the first namespace.
asks() {
    status=0
    ip netns exec "$ns-1" "$FLATNET" agent probe "$1" >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(<"$stdout_file") stderr=$(<"$stderr_file") json=$output
}

@test "who has an address: one, two, nobody, and somebody who has the asker's own" {
    ip -n "$ns-2" addr add 10.9.0.1/24 dev eth1
    asks '{"link": "eth1", "timeoutMs": 500, "arps": ["10.9.0.2", "10.9.0.1", "10.9.0.3"]}'
    assert_status 0
    assert_json '[.arps[].macs] == [[$mac], [$mac], []]' --arg mac "$mac"
    asks '{"link": "eth7", "arps": ["10.9.0.2"]}'
    assert_status 0
    assert_json '.arps[0].macs == [] and (.arps[0].error | contains("no link \u0027eth7\u0027"))'
}

@test "pings, by size and by link, and ports" {
    asks '{"timeoutMs": 300, "pings": [{"to": "10.9.0.2", "count": 2}, {"to": "10.9.0.9"}, {"to": "10.9.0.2", "size": 1500},
        {"to": "10.9.0.2", "size": 1501}, {"to": "10.8.0.2"}, {"to": "10.8.0.2", "from": "10.9.0.1", "link": "eth1"}],
        "tcp": [{"to": "10.9.0.2", "port": 9}]}'
    assert_status 0
    assert_json '[.pings[] | [.sent, .received]] == [[2, 2], [1, 0], [1, 1], [1, 0], [0, 0], [1, 0]]'
    assert_json '.pings[3].tooBig and (.pings[4].error | contains("unreachable"))'
    assert_json '.tcp[0].result == "refused"'
    assert_json 'any(.links[]; .name == "eth1" and .addresses[0] == "10.9.0.1/24")'
}

# Each of those without an answer takes ten seconds. The order of the answers is that of the questions.
@test "many pings are sent at a time" {
    local began=$SECONDS
    asks "$(jq -n '{timeoutMs: 10000, pings: [range(30) | {to: "10.9.0.\(if . % 3 == 0 then 2 else . + 10 end)", count: 2}]}')"
    assert_status 0
    assert_json '[.pings[] | .sent] == [range(30) | 2]'
    assert_json '[.pings[] | .received] == [range(30) | if . % 3 == 0 then 2 else 0 end]'
    [ $((SECONDS - began)) -lt 100 ]
}

@test "a question that makes no sense" {
    local question
    for question in '[]' '{' '{"arps": 1}' '{"arps": ["x"]}' '{"pings": [{}]}' '{"pings": [{"to": "10.9.0.2", "count": 1001}]}' \
        '{"tcp": [{"to": "10.9.0.2", "port": 65536}]}' '{"names": [""]}' '{"timeoutMs": -1}'; do
        asks "$question"
        [ "$status" -eq 2 ] || [ "$status" -eq 4 ] || fail "$question"
        [ -z "$output" ]
    done
}
