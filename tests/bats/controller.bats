#!/usr/bin/env bats
# network-controller before a real API server, with no right but those of its own role.
# timeout: 900
# shellcheck disable=SC2154

load helper
load controller

setup_file() {
    controller_setup_file
}

teardown_file() {
    lab_cleanup
}

setup() {
    controller_setup
}

teardown() {
    lab_stop one
    lab_stop two
}

@test "automatic, fixed and listed addresses, and those that cannot be had" {
    start one
    subnet a1 10.1.0.0/24 | kubectl apply -f - >/dev/null
    { pod auto1 auto a1; pod auto2 auto a1; pod fixed 10.1.0.50 a1 0a:00:00:00:00:01; pod list 10.1.0.60-10.1.0.61 a1
        pod list2 10.1.0.60-10.1.0.61 a1; pod gateway 10.1.0.1 a1; pod outside 10.2.0.1 a1; pod nowhere auto a2
        pod bad 10.1.0.300 a1; } | kubectl apply -f - >/dev/null
    wait_ips 5
    assert_equal "$(ips | grep -v auto)" $'fixed 10.1.0.50/24\nlist 10.1.0.60/24\nlist2 10.1.0.61/24'
    assert_equal "$(ips | grep auto | cut -d ' ' -f 2 | sort | paste -sd ' ')" '10.1.0.2/24 10.1.0.3/24'
    assert_equal "$(kubectl get macvlanip -n "$ns" fixed -o json | jq -r .spec.mac)" 0a:00:00:00:00:01
    kubectl get macvlanip -n "$ns" fixed -o json | jq -e '.spec.network | .master == "eth0" and .vlan == 1 and .gateway == "10.1.0.1"'
    lab_wait 20 has_event gateway 'Warning MacvlanIPError 10.1.0.1 invalid in a1'
    lab_wait 20 has_event outside 'Warning MacvlanIPError 10.2.0.1 invalid in a1'
    lab_wait 20 has_event bad 'Warning MacvlanIPError'
    lab_wait 20 has_event nowhere 'Warning MacvlanSubnetError'
    lab_wait 20 subnet_is a1 '.status.used == 5 and .status.free == 248 and .status.phase == "Active" and
        .status.intents == [] and .metadata.labels.vlan == "1" and .spec.gateway == "10.1.0.1"'
    kubectl get pod -n "$ns" fixed -o json | jq -e '.metadata.labels |
        .["macvlan.pandaria.cattle.io/selectedIp"] == "10.1.0.50" and .["macvlan.panda.io/macvlanIpType"] == "specific"'
    # Two things are wrong with one, and each is said once however often it is looked at.
    pod half 10.1.0.1 a1 | grep -v networks | kubectl apply -f - >/dev/null
    lab_wait 20 has_event half 'gateway'
    kubectl annotate pod -n "$ns" half seen=again
    lab_wait 20 has_event half 'networks'
    # What comes later helps those that wait.
    subnet a2 10.1.1.0/24 | kubectl apply -f - >/dev/null
    lab_wait 20 has_address nowhere 10.1.1.2/24
    assert_equal "$(metric 'macvlan_ip_allocations_total{result="success"}')" 6
    assert_equal "$(kubectl get events -n "$ns" -o json | jq '[.items[] | select(.involvedObject.name == "half").count] | add')" 2
}

@test "an address goes to the next one the moment that it is free" {
    start one
    subnet b1 10.2.0.0/29 'ranges: [{rangeStart: 10.2.0.4, rangeEnd: 10.2.0.4}]' | kubectl apply -f - >/dev/null
    pod old 10.2.0.4 b1 | kubectl apply -f - >/dev/null
    lab_wait 20 has_address old 10.2.0.4/29
    pod new 10.2.0.4 b1 | kubectl apply -f - >/dev/null
    lab_wait 20 has_event new '10.2.0.4 is used in b1'
    kubectl delete pod -n "$ns" old --force --grace-period 0
    lab_wait 20 has_address new 10.2.0.4/29
    # A range that grows helps without a restart.
    pod third auto b1 | kubectl apply -f - >/dev/null
    lab_wait 20 has_event third 'No enough ip resouce in subnet'
    subnet b1 10.2.0.0/29 'ranges: [{rangeStart: 10.2.0.4, rangeEnd: 10.2.0.5}]' | kubectl apply -f - >/dev/null
    lab_wait 20 has_address third 10.2.0.5/29
    assert_equal "$(events new | grep -c 'is used')" 1
}

# workload KIND NAME IP [API]: at scale 0, with a template that names addresses of subnet r1.
workload() {
    local template="metadata:
          labels: {app: $2}
          annotations: {macvlan.pandaria.cattle.io/ip: $3, macvlan.pandaria.cattle.io/subnet: r1}
        spec: {restartPolicy: Never, containers: [{name: c, image: x}]}"
    printf 'apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec:\n' "${4:-apps/v1}" "$1" "$2" "$ns"
    case $1 in
    CronJob) printf '  schedule: "0 0 1 1 *"\n  jobTemplate:\n    spec:\n      template:\n        %s\n---\n' "$template" ;;
    *)
        printf '  replicas: 0\n  selector: {matchLabels: {app: %s}}\n' "$2"
        printf '  template:\n        %s\n---\n' "${template/restartPolicy: Never, /}"
        ;;
    esac
}

@test "what templates name is kept from automatic pods, also at scale 0" {
    start one
    subnet r1 10.4.0.0/29 | kubectl apply -f - >/dev/null
    { workload Deployment web 10.4.0.2-10.4.0.3; workload CronJob night 10.4.0.4 batch/v1beta1; } |
        kubectl apply -f - >/dev/null
    lab_wait 20 subnet_is r1 '.status.reserved == 3 and .status.free == 2'
    { pod a auto r1; pod b auto r1; pod named 10.4.0.3 r1; } | kubectl apply -f - >/dev/null
    wait_ips 3
    assert_equal "$(ips | sort -k 2 | cut -d ' ' -f 2 | paste -sd ' ')" '10.4.0.3/29 10.4.0.5/29 10.4.0.6/29'
    lab_wait 20 subnet_is r1 '.status.reserved == 2 and .status.free == 0'
    # The next one waits until a workload needs its address no more.
    pod c auto r1 | kubectl apply -f - >/dev/null
    lab_wait 20 has_event c 'No enough ip resouce in subnet'
    kubectl delete -n "$ns" cronjob night --wait=false
    lab_wait 20 has_address c 10.4.0.4/29
}

@test "an edit of a subnet reaches what MacvlanIPs hold of it" {
    start one
    subnet e1 10.5.0.0/24 | kubectl apply -f - >/dev/null
    for n in 1 2 3; do pod "p$n" auto e1; done | kubectl apply -f - >/dev/null
    wait_ips 3
    subnet e1 10.5.0.0/24 'routes: [{dst: 10.9.0.0/16, gw: 10.5.0.9}]' | kubectl apply -f - >/dev/null
    have_route() {
        kubectl get macvlanips -n "$ns" -o json | jq -e '[.items[].spec.network.routes[]?.dst] == ["10.9.0.0/16", "10.9.0.0/16", "10.9.0.0/16"]'
    }
    lab_wait 20 have_route
    # An edit while nobody leads.
    lab_stop one
    subnet e1 10.5.0.0/24 'gateway: 10.5.0.254' | kubectl apply -f - >/dev/null
    start one
    have_gateway() {
        kubectl get macvlanips -n "$ns" -o json | jq -e '[.items[].spec.network | .gateway == "10.5.0.254" and (.routes // []) == []] | all'
    }
    lab_wait 20 have_gateway
    assert_equal "$(metric 'workqueue_adds_total{name="copies"}')" 3
}

@test "a pod of a StatefulSet goes on with the address of the one before" {
    local owner uid
    start one
    subnet c1 10.3.0.0/24 | kubectl apply -f - >/dev/null
    kubectl create -n "$ns" -f - >/dev/null <<YAML
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 1
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: x}]}}
YAML
    uid=$(kubectl get statefulset -n "$ns" db -o json | jq -r .metadata.uid)
    owner="{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: $uid, controller: true}"
    pod db-0 auto c1 '' "$owner" | kubectl apply -f - >/dev/null
    lab_wait 20 has_address db-0 10.3.0.2/24
    kubectl delete pod -n "$ns" db-0 --force --grace-period 0
    pod other auto c1 | kubectl apply -f - >/dev/null
    lab_wait 20 has_address other 10.3.0.3/24
    pod db-0 auto c1 '' "$owner" | kubectl apply -f - >/dev/null
    lab_wait 20 has_address db-0 10.3.0.2/24
    kubectl delete statefulset -n "$ns" db --wait=false
    kubectl delete pod -n "$ns" db-0 --force --grace-period 0
    lab_wait 20 gone macvlanip -n "$ns" db-0
}

@test "nothing changes over kill -9, and what was lost meanwhile is mended" {
    local before n
    start one
    subnet d1 10.4.0.0/16 | kubectl apply -f - >/dev/null
    for n in $(seq 40); do pod "p$n" auto d1; done | kubectl apply -f - >/dev/null
    wait_ips 40
    before=$(ips)
    lab_stop one KILL
    kubectl delete pod -n "$ns" p7 --force --grace-period 0
    for n in $(seq 41 60); do pod "p$n" auto d1; done | kubectl apply -f - >/dev/null
    start one
    lab_wait 60 gone macvlanip -n "$ns" p7
    wait_ips 59
    assert_equal "$(ips | cut -d ' ' -f 2 | sort -u | wc -l)" 59
    assert_equal "$(ips | grep -E '^p([1-9]|[123][0-9]|40) ')" "$(grep -v '^p7 ' <<<"$before")"
    lab_wait 20 subnet_is d1 '.status.used == 59 and .status.intents == []'
}

# The duplicates that a lease alone cannot prevent.
@test "a leader that was frozen past its lease writes nothing and ends" {
    local pid n
    start one
    lab_wait 30 leads one
    subnet e1 10.5.0.0/16 | kubectl apply -f - >/dev/null
    for n in $(seq 30); do pod "a$n" auto e1; done | kubectl apply -f - >/dev/null &
    lab_wait 30 has_ips_at_least 5
    pid=$(lab_pid one)
    kill -STOP "$pid"
    wait $!
    start two
    lab_wait 30 leads two
    for n in $(seq 30); do pod "b$n" auto e1; done | kubectl apply -f - >/dev/null
    wait_ips 60
    kill -CONT "$pid"
    lab_wait 30 lab_is_gone one
    assert_equal "$(ips | cut -d ' ' -f 2 | sort | uniq -d)" ''
    grep -qE 'leadership (has run out|is lost)|another leader' "$LAB_DIR/one.log"
}

has_ips_at_least() {
    [ "$(kubectl get macvlanips -n "$ns" -o name | wc -l)" -ge "$1" ]
}

@test "a clean stop hands over at once" {
    local -a long=(--leader-elect-lease-duration 60 --leader-elect-renew-deadline 50)
    start one "${long[@]}"
    lab_wait 60 leads one
    start two "${long[@]}"
    lab_stop one
    lab_wait 30 leads two
    subnet f1 10.6.0.0/24 | kubectl apply -f - >/dev/null
    pod p auto f1 | kubectl apply -f - >/dev/null
    lab_wait 20 has_address p 10.6.0.2/24
    grep -q "^note: leader is ''" "$LAB_DIR/one.log"
}

@test "a subnet in use cannot be deleted, an address rests for its time, networks come back" {
    start one
    subnet g1 10.7.0.0/24 'ipDelayReuse: 3' | kubectl apply -f - >/dev/null
    pod p auto g1 | kubectl apply -f - >/dev/null
    lab_wait 20 has_address p 10.7.0.2/24
    lab_wait 20 subnet_is g1 '.metadata.finalizers == ["macvlan.cluster.cattle.io/in-use"]'
    kubectl patch macvlanip -n "$ns" p --type json \
        -p '[{"op": "add", "path": "/metadata/finalizers/-", "value": "example.org/keep"}]'
    kubectl delete macvlansubnet -n kube-system g1 --wait=false
    lab_wait 20 subnet_is g1 '.status.phase == "Terminating"'
    pod late auto g1 | kubectl apply -f - >/dev/null
    lab_wait 20 has_event late 'Warning MacvlanSubnetError'
    kubectl delete pod -n "$ns" p --force --grace-period 0
    lab_wait 20 rests p
    # Whoever else holds it on does so until he lets go.
    lab_wait 20 keeps_only p example.org/keep
    kubectl patch macvlanip -n "$ns" p --type merge -p '{"metadata": {"finalizers": []}}'
    lab_wait 20 gone macvlanip -n "$ns" p
    lab_wait 20 gone macvlansubnet -n kube-system g1

    kubectl delete net-attach-def -n "$ns" static-macvlan-cni-attach
    lab_wait 20 kubectl get net-attach-def -n "$ns" static-macvlan-cni-attach
    kubectl patch net-attach-def -n "$ns" static-macvlan-cni-attach --type merge -p '{"spec": {"config": "{}"}}'
    lab_wait 20 nad_is_right
}

rests() {
    kubectl get macvlanip -n "$ns" "$1" -o json |
        jq -e '.metadata.annotations["macvlan.panda.io/ipDelayReuseTimestamp"]'
}

keeps_only() {
    kubectl get macvlanip -n "$ns" "$1" -o json | jq -e --arg f "$2" '.metadata.finalizers == [$f]'
}

nad_is_right() {
    kubectl get net-attach-def -n "$ns" static-macvlan-cni-attach -o json |
        jq -e '.spec.config | fromjson | .cniVersion == "0.3.1" and .type == "static-macvlan-cni"'
}

@test "options: help, version, and what is no option" {
    "$CONTROLLER" --help >out
    assert_contains '--leader-elect-resource-lock' out
    "$CONTROLLER" --version >out
    grep -qE '^network-controller [0-9.]+$' out
    status=0
    "$CONTROLLER" --mode neither 2>err || status=$?
    assert_equal "$status" 2
    assert_contains "'neither' is no value of --mode" err
    status=0
    "$CONTROLLER" --kubeconfig "$T/absent" 2>err || status=$?
    assert_equal "$status" 1
    assert_contains "$T/absent" err
    "$CONTROLLER" --logging-format json --kubeconfig "$T/absent" 2>err || true
    jq -e '.level == "error" and (.msg | contains("absent")) and (.ts | fromdateiso8601? // (.[:19] + "Z" | fromdateiso8601) > 1e9)' err
}
