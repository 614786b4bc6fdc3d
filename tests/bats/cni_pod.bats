#!/usr/bin/env bats
# How the plugin asks a real API server for a pod's address, with no right but those of its own role:
# what the controller has written, waiting for it, causes, tokens. Pods are objects only.
# timeout: 900
# shellcheck disable=SC2154

load helper
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

setup_file() {
    need etcd curl jq openssl
    lab_init "$$"
    lab_kube k
    "$FLATNET" addons render --mode chained --kube-version 1.20 -o "$LAB_DIR/addons" >/dev/null
    lab_kubectl k apply -f "$LAB_DIR/addons/macvlan-network.yml" >/dev/null
    lab_kubectl k wait --for condition=established crd --all --timeout "$(lab_patience 60)s" >/dev/null
    config_of network-controller >"$LAB_DIR/controller.config"
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    CONTROLLER=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/network-controller
    PROBE=${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/pod_ask_probe
    ns=n-$BATS_TEST_NUMBER
    kubectl create namespace "$ns" >/dev/null
    config_of static-macvlan-cni >plugin.config
}

teardown() {
    lab_stop controller
    lab_stop probe
    kubectl delete lease -n kube-system network-controller --ignore-not-found >/dev/null
}

kubectl() {
    lab_kubectl k "$@"
}

# config_of ACCOUNT: a kubeconfig with a token of it.
config_of() {
    sed "s/token: .*}/token: $(lab_kube_token k kube-system "$1")}}/" "$(lab_kube_config k)"
}

controller() {
    lab_spawn controller "$CONTROLLER" --kubeconfig "$LAB_DIR/controller.config" --listen 127.0.0.1:0 --mode chained
    lab_ready controller 60 grep -q '^note: leading' "$LAB_DIR/controller.log"
}

subnet() {
    kubectl apply -f - >/dev/null <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: $1, namespace: kube-system}
spec: {master: eth0, vlan: $BATS_TEST_NUMBER, cidr: "$2"}
YAML
}

# pod NAME [IP SUBNET]: $uid is the new pod's. With $mirror it stands for a static pod of that UID.
pod() {
    local annotations=''
    [ $# -lt 3 ] || annotations="{macvlan.pandaria.cattle.io/ip: \"$2\", macvlan.pandaria.cattle.io/subnet: $3${mirror:+, kubernetes.io/config.mirror: $mirror}}"
    kubectl create -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: $ns, annotations: $annotations}
spec: {nodeName: none, terminationGracePeriodSeconds: 0, containers: [{name: c, image: x}]}
YAML
    uid=$(kubectl get pod -n "$ns" "$1" -o 'jsonpath={.metadata.uid}')
}

# ask NAME UID|- alone|chained [TIMEOUT_MS]: $answer and $status.
ask() {
    status=0
    answer=$(timeout 120 "$PROBE" plugin.config "$ns" "$1" "$2" "$3" "${4:-60000}") || status=$?
    ((status < 2)) || fail "status $status: $answer"
}

# start CONFIG NAME UID|- alone|chained: in the background, for two minutes.
start() {
    rm -f "$LAB_DIR/probe.log"
    lab_spawn probe "$PROBE" "$1" "$ns" "$2" "$3" "$4" 120000
}

# probe_says PATTERN: what is in the background ends with this answer.
probe_says() {
    lab_wait 130 grep -qE '^(ours|passes|error)' "$LAB_DIR/probe.log" || fail 'no answer'
    grep -qE -- "$1" "$LAB_DIR/probe.log" || fail "'$1': $(<"$LAB_DIR/probe.log")"
}

# says PATTERN: a regular expression for the last answer.
says() {
    grep -qE -- "$1" <<<"$answer" || fail "'$1': $answer"
}

@test "an address that the controller has given: one request with the UID, two without" {
    controller
    subnet "s-$BATS_TEST_NUMBER" 10.1.0.0/24
    pod web auto "s-$BATS_TEST_NUMBER"
    ask web "$uid" alone
    says "^ours $uid eth0 $BATS_TEST_NUMBER 10\.1\.0\.[0-9]+/24 "
    ask web "$uid" alone
    says "^ours $uid .* 1 [0-9.]+$"
    ask web - alone
    says "^ours $uid .* 2 [0-9.]+$"
    ask web - chained
    says "^ours $uid .* 2 [0-9.]+$"
}

@test "chained, a pod without annotations: one request, and the plugin's role is enough for it" {
    pod plain
    ask plain "$uid" chained
    says '^passes 1 '
    ask plain - chained
    says '^passes 1 '
}

@test "a static pod: the runtime calls it by another UID than the server's object has" {
    controller
    subnet "s-$BATS_TEST_NUMBER" 10.13.0.0/24
    mirror=0123456789abcdef pod web auto "s-$BATS_TEST_NUMBER"
    ask web 0123456789abcdef alone
    says "^ours $uid eth0 $BATS_TEST_NUMBER 10.13.0."
    ask web 0123456789abcdee alone 1000
    says '^error -11 .*belongs to another pod'
}

@test "it waits for a controller that comes later, and is told within a moment" {
    subnet "s-$BATS_TEST_NUMBER" 10.3.0.0/24
    pod web auto "s-$BATS_TEST_NUMBER"
    start plugin.config web "$uid" alone
    controller
    probe_says "^ours $uid eth0 $BATS_TEST_NUMBER 10.3.0."
}

@test "a successor of the same name waits for an address of its own" {
    local old
    controller
    subnet "s-$BATS_TEST_NUMBER" 10.4.0.0/24
    pod web 10.4.0.9 "s-$BATS_TEST_NUMBER"
    old=$uid
    ask web "$uid" alone
    says "^ours $old "
    kubectl delete pod -n "$ns" web --wait=false >/dev/null
    lab_wait 30 gone pod web
    pod web 10.4.0.9 "s-$BATS_TEST_NUMBER"
    ask web "$old" chained
    says "^error -11 .*$old.* is gone, another has its name .*$uid"
    start plugin.config web "$uid" alone
    # Nobody collects what the first has left; here the owner's deletion is played.
    kubectl delete macvlanip -n "$ns" web --ignore-not-found >/dev/null
    probe_says "^ours $uid .* 10.4.0.9/24 "
}

gone() {
    ! kubectl get -n "$ns" "$@"
}

@test "causes: no controller, no subnet, no address left" {
    subnet "s-$BATS_TEST_NUMBER" 10.5.0.0/30
    pod web auto "s-$BATS_TEST_NUMBER"
    ask web "$uid" alone 1000
    says '^error -11 .*its MacvlanIP is not there; network-controller has never run in this cluster$'

    controller
    ask web "$uid" alone
    says '^ours '
    pod lost auto "no-such"
    lab_wait 60 has_event lost MacvlanSubnetError
    ask lost "$uid" alone 1000
    says '^error -11 .*; network-controller says MacvlanSubnetError: .*no-such'
    pod late auto "s-$BATS_TEST_NUMBER"
    lab_wait 60 has_event late MacvlanIPError
    ask late - alone 1000
    says '^error -11 .*; network-controller says MacvlanIPError: '

    lab_stop controller
    ask late "$uid" alone 1000
    says '; network-controller is not running: its lease has no holder$'
    kubectl patch lease -n kube-system network-controller --type merge \
        -p '{"spec": {"holderIdentity": "c-0", "renewTime": "2020-01-01T00:00:00.000000Z"}}' >/dev/null
    ask late "$uid" alone 1000
    says "; network-controller is not running: 'c-0' renewed its lease [0-9]+ s ago$"
}

has_event() {
    kubectl get events -n "$ns" -o json | jq -e --arg pod "$1" --arg reason "$2" \
        '[.items[] | select(.involvedObject.name == $pod and .reason == $reason)] | length > 0'
}

@test "causes without an event: no subnet, no annotations, no pod" {
    kubectl create -f - >/dev/null <<YAML
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: network-controller, namespace: kube-system}
spec: {holderIdentity: c-0, leaseDurationSeconds: 15, renewTime: "2999-01-01T00:00:00.000000Z"}
YAML
    pod web auto no-such
    ask web "$uid" alone 1000
    says "; subnet 'no-such' does not exist$"
    subnet "s-$BATS_TEST_NUMBER" 10.6.0.0/24
    pod web2 auto "s-$BATS_TEST_NUMBER"
    ask web2 "$uid" chained 1000
    says '; network-controller has not come to it yet$'
    pod plain
    ask plain "$uid" alone 1000
    says '; the pod has not both of the annotations'
    ask plain - alone
    says "^error -11 .*has no MacvlanIP, and not both of the annotations"
    ask none "$uid" alone 1000
    says '; the pod is gone$'
    ask none - alone
    says "^error -11 pod '$ns/none' does not exist$"
}

# Deleting an account ends its tokens, once the server has forgotten that they were good; a new one
# has forgotten all.
@test "the token ends and the API server restarts while a pod waits" {
    subnet "s-$BATS_TEST_NUMBER" 10.7.0.0/24
    pod web auto "s-$BATS_TEST_NUMBER"
    cp plugin.config waiting.config
    start waiting.config web "$uid" alone
    lab_wait 60 grep -q 'MacvlanIP read' "$LAB_DIR/probe.log" || fail 'nothing was asked'
    kubectl delete serviceaccount -n kube-system static-macvlan-cni >/dev/null
    kubectl create serviceaccount -n kube-system static-macvlan-cni >/dev/null
    config_of static-macvlan-cni >new.config
    mv new.config waiting.config
    lab_stop k KILL
    lab_kube_apiserver_start k ''
    ask web "$uid" alone 10000
    says '^error -129 .*401'
    controller
    probe_says "^ours $uid "
    grep -q 'status=401' "$LAB_DIR/probe.log" || fail 'nothing was refused'
}

@test "no server: an error, also for pods that would pass" {
    pod plain
    sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$(lab_free_port)/" plugin.config
    ask plain "$uid" chained
    says '^error -113 '
    ask plain "$uid" alone
    says '^error -113 '
}
