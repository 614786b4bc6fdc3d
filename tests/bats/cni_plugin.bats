#!/usr/bin/env bats
# The plugin whole: a real API server, the controller and its MacvlanIPs, this kernel. "host" is a
# network namespace with a master, eth0, in which the plugin runs as a runtime would run it.
# timeout: 900
# shellcheck disable=SC2030,SC2031,SC2034,SC2154

load helper
load controller

setup_file() {
    need ip nsenter jq socat
    controller_setup_file
    sed "s/token: .*}/token: $(lab_kube_token k kube-system multus)}}/" "$(lab_kube_config k)" >"$LAB_DIR/multus.config"
    # What multus may do, and a little more: its account is the plugin's where the NAD is of 2019.
    lab_kubectl k create clusterrolebinding plugin --clusterrole static-macvlan-cni --serviceaccount kube-system:multus
    HOST=flatnet-p$$
    export HOST
    ip netns add "$HOST"
    ip -n "$HOST" link set lo up
    ip -n "$HOST" link add eth0 type veth peer name far0
    ip -n "$HOST" link set eth0 up
    ip -n "$HOST" link set far0 up
    lab_kube_relay api "$HOST" "$(<"$LAB_DIR/k.port")" "127.0.0.1:$(<"$LAB_DIR/k.port")"
    CONTROLLER=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/network-controller
    lab_spawn one "$CONTROLLER" --kubeconfig "$LAB_DIR/controller.config" --listen 127.0.0.1:0
    lab_ready one 60 grep -q '^note: leading' "$LAB_DIR/one.log"
}

teardown_file() {
    ip netns del "$HOST" || true
    lab_cleanup
}

setup() {
    controller_setup
    PLUGIN=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/static-macvlan-cni
    namespaces=()
    version=0.3.1
}

teardown() {
    local name
    for name in "${namespaces[@]}"; do ip netns del "$name" || true; done
}

# sandbox NAME: a pod's network namespace.
sandbox() {
    ip netns add "$HOST-$1"
    namespaces+=("$HOST-$1")
    ip -n "$HOST-$1" link set lo up
}

# plain POD IP [MAC]: a subnet without VLAN for this test, and a pod in it that has its address.
plain() {
    subnet "s$BATS_TEST_NUMBER" "10.$BATS_TEST_NUMBER.0.0/24" "${fields[@]}" | sed 's/vlan: .*/vlan: 0/' | kubectl apply -f - >/dev/null
    pod "$1" "$2" "s$BATS_TEST_NUMBER" "${3:-}" | kubectl apply -f - >/dev/null
    lab_wait 30 address "$1" >/dev/null
}

# conf [MEMBERS]: a configuration as multus hands the NAD of 2019 on.
conf() {
    printf '{"cniVersion":"%s","name":"static-macvlan-cni-attach","type":"static-macvlan-cni","master":"",
        "ipam":{"type":"static-ipam","addresses":[{"address":"{address}","gateway":"{gateway}"}]},
        "kubeconfig":"%s","logFile":"%s","logLevel":"debug","timeout":15%s}' "$version" "$LAB_DIR/multus.config" \
        "$T/plugin.log" "${1:+,$1}"
}

# cni COMMAND POD SANDBOX [IFNAME]: the configuration on standard input. Sets $status and $output.
cni() {
    local path=/run/netns/$HOST-$3
    [ -n "$3" ] || path=
    status=0
    env CNI_COMMAND="$1" CNI_CONTAINERID="${id:-c-$2}" CNI_NETNS="$path" CNI_IFNAME="${4:-eth1}" CNI_PATH=/opt/cni/bin \
        CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=$ns;K8S_POD_NAME=$2;K8S_POD_INFRA_CONTAINER_ID=c-$2" \
        nsenter --net="/run/netns/$HOST" timeout -k 5 60 "$PLUGIN" >result 2>log || status=$?
    output=$(<result)
}

succeeds() {
    cni "$@"
    [ "$status" -eq 0 ] || fail "$1 failed with $status: $output $(<log)"
}

# error_of COMMAND POD SANDBOX [IFNAME]: print code and message of the error that there must be.
error_of() {
    cni "$@"
    [ "$status" -ne 0 ] || fail "$1 did not fail: $output"
    jq -r '"\(.code) \(.msg)"' <<<"$output"
}

inside() {
    ip netns exec "$HOST-$1" "${@:2}"
}

links() {
    ip -n "$HOST" -j link | jq -r '.[].ifname' | sort | paste -sd ' '
}

@test "the NAD of 2019: the pod has the address and the MAC of its MacvlanIP" {
    fields=('routes: [{dst: 10.99.0.0/16, gw: 10.1.0.9}]')
    plain web 10.1.0.50 0a:00:00:00:01:32
    sandbox web
    local before
    before=$(links)
    succeeds ADD web web < <(conf)
    jq -e '.cniVersion == "0.3.1" and .interfaces == [{"name": "eth1", "mac": "0a:00:00:00:01:32", "sandbox": "'"/run/netns/$HOST-web"'"}] and
        .ips == [{"version": "4", "interface": 0, "address": "10.1.0.50/24", "gateway": "10.1.0.1"}] and
        .routes == [{"dst": "10.99.0.0/16", "gw": "10.1.0.9"}]' <<<"$output"
    inside web ip -j addr show eth1 | jq -e '.[0] | .address == "0a:00:00:00:01:32" and .operstate != "DOWN" and
        ([.addr_info[] | select(.family == "inet") | "\(.local)/\(.prefixlen)"] == ["10.1.0.50/24"])'
    inside web ip route | grep -q '^10.99.0.0/16 via 10.1.0.9 dev eth1'
    grep -q PROMISC <(ip -n "$HOST" link show eth0)
    # Once more: the name is there, and stays.
    error_of ADD web web < <(conf) >error
    assert_contains 'already exists' error
    inside web ip -j addr show eth1 | jq -e '.[0].address == "0a:00:00:00:01:32"'
    succeeds DEL web web < <(conf)
    [ -z "$output" ]
    refute inside web ip link show eth1
    succeeds DEL web web < <(conf)
    succeeds DEL web '' < <(conf)
    assert_equal "$(links)" "$before"
}

@test "a late DEL of another container leaves the interface alone" {
    fields=()
    plain web auto
    sandbox web
    succeeds ADD web web < <(conf)
    id=older
    succeeds DEL web web < <(conf)
    inside web ip link show eth1 >/dev/null
    unset id
    succeeds DEL web web < <(conf)
    refute inside web ip link show eth1
}

# The interface of the result in $output, which is right, and then is not any more.
check_finds() {
    local conf="\"prevResult\":$output"
    succeeds CHECK web "v$version" < <(conf "$conf")
    [ -z "$output" ]
    inside "v$version" ip link set eth1 address 0a:00:00:00:00:99
    error_of CHECK web "v$version" < <(conf "$conf") >error
    assert_contains '102 ' error
    assert_contains 0a:00:00:00:00:99 error
}

@test "every version has its own result, and CHECK finds what was changed" {
    fields=()
    plain web auto
    for version in 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; do
        sandbox "v$version"
        succeeds ADD web "v$version" < <(conf)
        jq -e --arg v "$version" '.cniVersion == $v and (.ips[0] | has("version")) == ($v < "1.0.0") and
            (.interfaces[0] | has("mtu")) == ($v == "1.1.0")' <<<"$output"
        [[ $version == 0.3.* ]] || check_finds
        succeeds DEL web "v$version" < <(conf)
    done
}

@test "a master that is not there, and a pod without an address: nothing is left" {
    fields=()
    plain web auto
    sandbox web
    error_of ADD web web < <(conf | sed 's/"master":""/"master":"ens0p9"/') >error
    assert_equal "$(<error)" '100 failed to lookup iface "ens0p9": Link not found'
    refute inside web ip link show eth1
    pod lost auto nowhere | kubectl apply -f - >/dev/null
    sandbox lost
    error_of ADD lost lost < <(conf | sed 's/"timeout":15/"timeout":3/') >error
    assert_contains '11 ' error
    assert_contains nowhere error
    refute inside lost ip link show eth1
}

@test "chained: what stands before goes on, and pods that ask for nothing pass through" {
    fields=()
    local ip=10.$BATS_TEST_NUMBER.0.9
    plain web "$ip"
    version=1.0.0
    local prev='{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/x"}],"ips":[{"address":"10.42.0.7/24","interface":0}],"dns":{}}'
    sandbox web
    succeeds ADD web web eth0 < <(conf "\"chained\":true,\"prevResult\":$prev")
    jq -e '[.interfaces[].name] == ["eth0", "eth1"] and [.ips[] | "\(.interface) \(.address)"] == ["0 10.42.0.7/24", "1 '"$ip"'/24"]' <<<"$output"
    inside web ip -j addr show eth1 | jq -e '[.[0].addr_info[] | select(.family == "inet").local] == ["'"$ip"'"]'
    succeeds CHECK web web eth0 < <(conf "\"chained\":true,\"prevResult\":$output")
    succeeds DEL web web eth0 < <(conf '"chained":true')
    refute inside web ip link show eth1
    kubectl run none -n "$ns" --image x --restart Never >/dev/null
    sandbox none
    succeeds ADD none none eth0 < <(conf "\"chained\":true,\"prevResult\":$prev")
    jq -e --argjson prev "$prev" '. == $prev' <<<"$output"
    assert_equal "$(inside none ip -j link | jq -r '.[].ifname')" lo
    succeeds DEL none none eth0 < <(conf '"chained":true')
}

@test "the only interface of a pod has its default route" {
    fields=()
    plain web auto
    sandbox web
    succeeds ADD web web eth0 < <(conf)
    inside web ip route | grep -q "^default via 10.$BATS_TEST_NUMBER.0.1 dev eth0"
    succeeds DEL web web eth0 < <(conf)
}

@test "GC removes what no valid attachment has, STATUS says whether an ADD could work" {
    fields=()
    plain web auto
    pod db auto "s$BATS_TEST_NUMBER" | kubectl apply -f - >/dev/null
    lab_wait 30 address db >/dev/null
    version=1.1.0
    sandbox web && sandbox db
    succeeds ADD web web < <(conf)
    succeeds ADD db db < <(conf)
    succeeds GC '' '' < <(conf '"cni.dev/valid-attachments":[{"containerID":"c-db","ifname":"eth1"}]')
    refute inside web ip link show eth1
    inside db ip link show eth1 >/dev/null
    succeeds STATUS '' '' < <(conf)
    sed -E 's|(https://127.0.0.1):[0-9]+|\1:1|' "$LAB_DIR/multus.config" >nobody.config
    error_of STATUS '' '' < <(conf | sed "s|$LAB_DIR/multus.config|$PWD/nobody.config|") >error
    assert_contains '50 pods cannot get their addresses' error
    succeeds DEL db db < <(conf)
}

@test "chained, GC knows our interface by the attachment of the plugin before" {
    fields=()
    plain web auto
    version=1.1.0
    sandbox web
    succeeds ADD web web eth0 < <(conf '"chained":true,"prevResult":{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/x"}]}')
    succeeds GC '' '' < <(conf '"chained":true,"cni.dev/valid-attachments":[{"containerID":"c-web","ifname":"eth0"}]')
    inside web ip link show eth1 >/dev/null
    succeeds GC '' '' < <(conf '"chained":true,"cni.dev/valid-attachments":[{"containerID":"c-other","ifname":"eth0"}]')
    refute inside web ip link show eth1
}

@test "CHECK finds a master that is gone" {
    fields=()
    plain web auto
    version=1.0.0
    sandbox web
    succeeds ADD web web < <(conf)
    error_of CHECK web web < <(conf "\"prevResult\":$output" | sed 's/"master":""/"master":"ens0p9"/') >error
    assert_contains '102 failed to lookup iface "ens0p9"' error
    succeeds DEL web web < <(conf)
}

# How the handshakes of the calls so far began.
handshakes() {
    grep -o 'resumed=[01]' "$T/plugin.log" | paste -sd ' '
}

@test "a call begins with the TLS session of the one before, and none does once the CA is another" {
    fields=()
    plain web auto
    sandbox web
    local own_conf
    cp "$LAB_DIR/ca.crt" ca.crt
    sed "s|$LAB_DIR/ca.crt|$PWD/ca.crt|" "$LAB_DIR/multus.config" >own.config
    own_conf=$(conf | sed "s|$LAB_DIR/multus.config|$PWD/own.config|")
    touch before
    for _ in 1 2 3; do
        succeeds ADD web web <<<"$own_conf"
        succeeds DEL web web <<<"$own_conf"
    done
    assert_equal "$(handshakes)" 'resumed=0 resumed=1 resumed=1'
    find /run/flatnet/tls -type f -newer before -perm 0600 | grep -q .
    refute grep -q . <(find /run/flatnet/tls -newer before -perm /077)
    lab_openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj '/CN=another CA' -keyout other.key -out other.crt
    cat other.crt >>ca.crt
    succeeds ADD web web <<<"$own_conf"
    succeeds DEL web web <<<"$own_conf"
    assert_equal "$(handshakes)" 'resumed=0 resumed=1 resumed=1 resumed=0'
    cp other.crt ca.crt
    error_of ADD web web <<<"$own_conf" >error
    assert_contains '11 ' error
    assert_contains 'signed by a CA that is not trusted here' error
}

@test "100 rounds leave links, addresses and files as they were" {
    fields=()
    plain web auto
    sandbox web
    local before files
    before=$(links)
    files=$(find "$T" -type f | wc -l)
    for _ in $(seq 100); do
        succeeds ADD web web < <(conf)
        succeeds DEL web web < <(conf)
    done
    assert_equal "$(links)" "$before"
    assert_equal "$(inside web ip -j link | jq -r '.[].ifname')" lo
    [ "$(find "$T" -type f | wc -l)" -le "$((files + 3))" ]
}
