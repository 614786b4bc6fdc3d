#!/usr/bin/env bats
# static-macvlan-cni as a program that runtimes call: environment, standard input, the one document on
# standard output, numbers of errors, the log. Nothing here needs an API server or a network.
# shellcheck disable=SC2154

load helper

setup() {
    need jq
    common_setup
    PLUGIN=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/static-macvlan-cni
    export CNI_CONTAINERID=c-1 CNI_NETNS=/run/netns/none CNI_IFNAME=eth1 CNI_PATH=/opt/cni/bin
    unset CNI_COMMAND CNI_ARGS CNI_NETNS_OVERRIDE
}

# call COMMAND CONF: $status, and what was written in `out` and `log`.
call() {
    status=0
    CNI_COMMAND=$1 timeout 60 "$PLUGIN" <<<"$2" >out 2>log || status=$?
    output=$(<out)
    ((status < 99)) || fail "crashed or hung"
}

# conf VERSION [MEMBERS]: `"a": 1`.
conf() {
    printf '{"cniVersion": "%s", "name": "net", "type": "static-macvlan-cni", "logFile": "%s"%s}' \
        "$1" "${log_file-}" "${2:+, $2}"
}

# refused CODE [TEXT]: the last call ended with this error, as its only document.
refused() {
    assert_equal "$status" 1 'exit status'
    assert_equal "$(jq -s 'length' out)" 1 'documents'
    assert_equal "$(jq -r '.code' out)" "$1" 'code'
    [ $# -lt 2 ] || jq -e --arg text "$2" '.msg | contains($text)' out >/dev/null || fail "'$2' is not in the message"
}

@test "without CNI_COMMAND it says what it is, on standard error" {
    status=0
    "$PLUGIN" </dev/null >out 2>log || status=$?
    assert_equal "$status" 0
    [ ! -s out ] || fail "$(<out)"
    assert_contains 'CNI protocol versions supported: 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0' log
}

@test "VERSION answers without input, whatever else the environment has" {
    unset CNI_CONTAINERID CNI_NETNS CNI_IFNAME CNI_PATH
    call VERSION 'no JSON'
    assert_equal "$status" 0
    assert_equal "$(jq -cS . out)" \
        '{"cniVersion":"1.1.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}'
    jq -e --argjson other "$(CNI_COMMAND=VERSION /usr/lib/cni/static </dev/null)" \
        'keys == ($other | keys)' out >/dev/null || fail 'members differ from the reference'
}

@test "what the environment lacks is told at once, as the reference asks for it" {
    local command
    unset CNI_CONTAINERID CNI_NETNS CNI_IFNAME CNI_PATH
    for command in ADD CHECK DEL; do
        call "$command" "$(conf 1.0.0)"
        refused 4 'CNI_CONTAINERID'
        assert_equal "$(jq -r .msg out | grep -oE 'CNI_[A-Z]+' | sort)" "$(CNI_COMMAND=$command /usr/lib/cni/static \
            <<<"$(conf 1.0.0)" | jq -r .msg | grep -oE 'CNI_[A-Z]+' | sort)" 'what is missing'
    done
    CNI_PATH=/p call NONSENSE "$(conf 1.0.0)"
    refused 4 "CNI_COMMAND 'NONSENSE' is not known"
}

@test "wrong values in the environment" {
    CNI_CONTAINERID=a/b call ADD "$(conf 1.0.0)"
    refused 4 "'a/b'"
    CNI_IFNAME=abcdefghijklmnop call DEL "$(conf 1.0.0)"
    refused 4 "'abcdefghijklmnop'"
    CNI_ARGS='A=b' call ADD "$(conf 1.0.0)"
    refused 4 "'A'"
    CNI_NETNS=/proc/self/ns/net call ADD "$(conf 1.0.0)"
    refused 8 '/proc/self/ns/net'
}

@test "versions: unknown, absent, too old for a command; the answer has the version of the question" {
    call ADD '{"cniVersion": "0.2.0", "name": "net"}'
    refused 1 "'0.2.0'"
    assert_equal "$(jq -r .cniVersion out)" 0.2.0
    call ADD '{"name": "net"}'
    refused 1 'no cniVersion'
    call CHECK "$(conf 0.3.1)"
    refused 1 'does not allow CHECK'
    assert_equal "$(jq -r .cniVersion out)" 0.3.1
    call GC "$(conf 1.0.0)"
    refused 1 'does not allow GC'
    call STATUS "$(conf 1.0.0)"
    refused 1 'does not allow STATUS'
}

@test "configurations that cannot be used" {
    call ADD 'no JSON'
    refused 6
    call ADD ''
    refused 6
    call DEL "$(conf 1.0.0) trailing"
    refused 6
    call ADD '[]'
    refused 6
    call ADD '{"cniVersion": "1.0.0", "type": "x"}'
    refused 7 'no name'
    call ADD "$(conf 1.0.0 '"mode": "l3"')"
    refused 7 "'mode'"
    call CHECK "$(conf 1.0.0)"
    refused 7 'prevResult'
    call GC "$(conf 1.1.0)"
    refused 7 'cni.dev/valid-attachments'
    call ADD "$(conf 1.0.0 '"chained": true')"
    refused 7 "'chained'"
    call ADD "$(conf 1.0.0 '"prevResult": {"ips": [{"address": "x"}]}')"
    refused 7 'prevResult'
}

@test "input that is too large, endless or not there" {
    status=0
    CNI_COMMAND=ADD timeout 60 "$PLUGIN" </dev/zero >out 2>log || status=$?
    refused 6 'larger than'
    status=0
    CNI_COMMAND=ADD "$PLUGIN" <&- >out 2>log || status=$?
    refused 5
    status=0
    CNI_COMMAND=ADD "$PLUGIN" <"$T" >out 2>log || status=$?
    refused 5
}

@test "a result that cannot be written is a failure" {
    status=0
    CNI_COMMAND=VERSION "$PLUGIN" >/dev/full 2>log || status=$?
    assert_equal "$status" 1
    status=0
    CNI_COMMAND=VERSION "$PLUGIN" >&- 2>log || status=$?
    assert_equal "$status" 1
}

# --- the log ---

@test "the log: a file and standard error, as text and as JSON, and never standard output" {
    log_file=$T/l
    CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web' call CHECK "$(conf 1.0.0)"
    refused 7
    assert_contains 'error: CHECK failed after' log
    grep -qE '^[0-9-]{10}T[0-9:.]{12}Z error: CHECK failed after [0-9.]+ ms: .* command=CHECK container=c-1 ifname=eth1 pod=shop/web$' l ||
        fail "$(<l)"
    rm l
    call CHECK "$(conf 1.0.0 '"logFormat": "json"')"
    jq -e '.level == "error" and .command == "CHECK" and .container == "c-1" and (.ts | test("^2"))' l >/dev/null || fail "$(<l)"
    jq -e '.level == "error"' log >/dev/null || fail "$(<log)"
}

@test "the log: three files at most, none much above its size, no line lost in the last" {
    local i
    log_file=$T/l
    for i in {1..30}; do
        CNI_CONTAINERID=$i CNI_ARGS="K8S_POD_NAMESPACE=n;K8S_POD_NAME=$(printf '%0200d' "$i")" call CHECK \
            "$(conf 1.0.0 '"logMaxSize": 4096')"
    done
    assert_equal "$(printf '%s\n' l*)" "$(printf '%s\n' l l.1 l.2 log)"
    for i in l l.1 l.2; do
        (($(stat -c %s "$i") < 4096 + 600)) || fail "$i: $(stat -c %s "$i")"
        refute grep -qvE '^2.* pod=n/0+[0-9]+$' "$i"
    done
    grep -q 'container=30 ' l || grep -q 'container=30 ' l.1 || fail 'the last line is not there'
    [ "$(stat -c %a l)" = 640 ]
}

@test "the log: many at once lose nothing but what is turned out" {
    local i
    log_file=$T/l
    for i in {1..24}; do
        CNI_CONTAINERID=$i CNI_COMMAND=CHECK "$PLUGIN" <<<"$(conf 1.0.0 '"logMaxSize": 65536')" >/dev/null 2>&1 &
    done
    wait
    assert_equal "$(grep -oE 'container=[0-9]+' l | sort -u | wc -l)" 24 'lines'
}

@test "the log: a full disk, a folder that is not there, a pipe, a closed standard error" {
    for log_file in /dev/full "$T/none/l" "$T/pipe"; do
        [ "$log_file" != "$T/pipe" ] || mkfifo pipe
        call CHECK "$(conf 1.0.0)"
        refused 7
    done
    log_file=$T/l
    status=0
    CNI_COMMAND=CHECK "$PLUGIN" <<<"$(conf 1.0.0)" >out 2>&- || status=$?
    refused 7
    grep -q 'CHECK failed' l
}
