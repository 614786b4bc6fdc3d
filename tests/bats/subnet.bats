#!/usr/bin/env bats
# flatnet subnet before a real API server, with network-controller beside it.
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
    KUBECONFIG=$(lab_kube_config k)
    export KUBECONFIG
}

teardown() {
    lab_stop one
}

# phase NAME PHASE: what ls says.
phase() {
    run_flatnet subnet ls --format json
    jq -e --arg n "$1" --arg p "$2" '.subnets[] | select(.name == $n).phase == $p' "$stdout_file"
}

spec() {
    kubectl get macvlansubnet -n kube-system "$1" -o json | jq -c "$2"
}

@test "create: a flag for each field, as the controller reads them" {
    run_flatnet subnet create all --master eth0 --vlan 100 --cidr 10.1.0.0/16 --gateway 10.1.255.254 \
        --range 10.1.0.10-10.1.0.99 --range 10.1.1.5 --route 10.9.0.0/16,via=10.1.0.254 \
        --route '10.42.0.0/16, dev eth0' --route 192.0.2.0/24 --pod-default-gateway --service-cidr 10.43.0.0/16 \
        --ip-delay-reuse 300 --mode private --mtu 1450 --project c-abc:p-def --ipv6to4
    assert_status 0
    assert_equal "$output" "subnet 'all' created: master eth0, VLAN 100, 10.1.0.0/16, gateway 10.1.255.254"
    assert_equal "$(spec all .spec)" "$(jq -c . <<'JSON'
{"cidr":"10.1.0.0/16","gateway":"10.1.255.254","ipDelayReuse":300,"master":"eth0","mode":"private","mtu":1450,
 "podDefaultGateway":{"enable":true,"serviceCidr":"10.43.0.0/16"},
 "ranges":[{"rangeEnd":"10.1.0.99","rangeStart":"10.1.0.10"},{"rangeEnd":"10.1.1.5","rangeStart":"10.1.1.5"}],
 "routes":[{"dst":"10.9.0.0/16","gw":"10.1.0.254"},{"dst":"10.42.0.0/16","iface":"eth0"},{"dst":"192.0.2.0/24"}],
 "vlan":100}
JSON
)"
    assert_equal "$(spec all '[.metadata.labels.project, .metadata.annotations["macvlan.panda.io/ipv6to4"]]')" \
        '["c-abc-p-def","true"]'
    # The same again is no error, another one of that name is, and changes nothing.
    run_flatnet subnet create all --master eth0 --vlan 100 --cidr 10.1.0.0/16 --gateway 10.1.255.254 \
        --range 10.1.1.5 --range 10.1.0.10-10.1.0.99 --route 10.9.0.0/16,via=10.1.0.254 \
        --route '10.42.0.0/16, dev eth0' --route 192.0.2.0/24 --pod-default-gateway --service-cidr 10.43.0.0/16 \
        --ip-delay-reuse 300 --mode private --mtu 1450 --project c-abc-p-def --ipv6to4
    assert_status 0
    assert_contains "subnet 'all' unchanged"
    run_flatnet subnet create all --master eth0 --vlan 101 --cidr 10.1.0.0/16
    assert_status 1
    assert_contains "subnet 'all' is there already, with another 'vlan'; change it by 'kubectl edit macvlansubnet" stderr
    # Little is needed, and the controller fills in the rest.
    start_patient one
    run_flatnet subnet create few --master eth0 --cidr 10.2.0.0/24
    assert_status 0
    assert_equal "$output" "subnet 'few' created: master eth0, VLAN 0, 10.2.0.0/24, gateway 10.2.0.1"
    lab_wait 20 subnet_is few '.status.phase == "Active" and .spec.gateway == "10.2.0.1" and .metadata.labels.project == ""'
    run_flatnet subnet create few --master eth0 --cidr 10.2.0.0/24 --format json
    assert_status 0
    assert_json '.schemaVersion == 1 and .dryRun == "none" and [.subnets[] | .name, .action] == ["few", "unchanged"]'
}

# refused TEXT ARG...: the command line is wrong.
refused() {
    local text=$1
    shift
    run_flatnet subnet create "$@"
    assert_status 2
    assert_contains "$text" stderr
}

@test "create: what cannot work is refused with the flag and the mend, and nothing is sent" {
    # No server could be asked.
    export KUBECONFIG=$T/nowhere
    refused "'--master' is missing" x --cidr 10.1.0.0/16
    refused "'--cidr' is missing" x --master eth0
    refused "a NAME or '--from-file' is missing"
    refused "--cidr: invalid CIDR address: 10.1.0.0/33" x --master eth0 --cidr 10.1.0.0/33
    refused "--cidr: 'spec.cidr' is '127.0.0.0/8', which has addresses" x --master eth0 --cidr 127.0.0.0/8
    refused "--master: 'spec.master' is 'eth0/1'" x --master eth0/1 --cidr 10.1.0.0/16
    refused "--vlan: 'spec.vlan' is not a whole number from 0 to 4094" x --master eth0 --vlan 4095 --cidr 10.1.0.0/16
    refused "'--vlan' takes a whole number, not '-1'" x --master eth0 --vlan -1 --cidr 10.1.0.0/16
    refused "'--range' takes two addresses" x --master eth0 --cidr 10.1.0.0/16 --range 10.1.0.1-x
    refused "--range: range '10.2.0.1-10.2.0.9' is not in network" x --master eth0 --cidr 10.1.0.0/16 --range 10.2.0.1-10.2.0.9
    refused "--range: range '10.1.0.9-10.1.0.1' ends before it starts: exchange the two" x --master eth0 \
        --cidr 10.1.0.0/16 --range 10.1.0.9-10.1.0.1
    refused "'--route' takes DST[,via GATEWAY]" x --master eth0 --cidr 10.1.0.0/16 --route 10.9.0.0/16,over=10.1.0.1
    refused "--route: invalid gateway ip '10.2.0.1' is not in network" x --master eth0 --cidr 10.1.0.0/16 \
        --route 10.9.0.0/16,via=10.2.0.1
    refused "--route: invalid CIDR address: 10.9" x --master eth0 --cidr 10.1.0.0/16 --route 10.9
    refused "--mode: 'spec.mode' is 'ipvlan': use bridge" x --master eth0 --cidr 10.1.0.0/16 --mode ipvlan
    refused "--mtu: 'spec.mtu' is 60" x --master eth0 --cidr 10.1.0.0/16 --mtu 60
    refused "--gateway: 'spec.gateway' is 'x'" x --master eth0 --cidr 10.1.0.0/16 --gateway x
    refused "--service-cidr: invalid CIDR" x --master eth0 --cidr 10.1.0.0/16 --service-cidr x
    refused "'Big' cannot be the name of a subnet" Big --master eth0 --cidr 10.1.0.0/16
    refused "'--dry-run' takes client or server" x --master eth0 --cidr 10.1.0.0/16 --dry-run yes
    refused "'--format' takes text, yaml or json" x --master eth0 --cidr 10.1.0.0/16 --format xml
    refused "'--from-file' takes neither a NAME nor options" x --from-file y
    # Two things at once, and a warning.
    refused "--mtu: " x --master '' --cidr 10.1.0.0/16 --mtu 1 --gateway 10.9.9.9
    assert_contains "--master: " stderr
    assert_contains "warning: --gateway: gateway '10.9.9.9' is not in network" stderr
}

@test "create: files, with all that is wrong in them, and both dry runs" {
    { subnet f1 10.7.0.0/24; subnet f2 10.7.1.0/24 'ranges: [{rangeStart: 10.7.1.5, rangeEnd: 10.7.1.9}]'; } >two.yml
    # The client's needs no cluster.
    KUBECONFIG=$T/nowhere run_flatnet subnet create -f two.yml --dry-run client
    assert_status 0
    kubectl create --dry-run=server -f "$stdout_file" -o name | diff - <(printf 'macvlansubnet.macvlan.cluster.cattle.io/f%d\n' 1 2)
    run_flatnet subnet create -f two.yml --dry-run=server --format json
    assert_status 0
    assert_json '.dryRun == "server" and [.subnets[] | .name, .action] == ["f1", "create", "f2", "create"] and
        .subnets[1].object.metadata.uid != null'
    refute kubectl get macvlansubnet -n kube-system f1
    # A List in JSON, by standard input.
    kubectl create --dry-run=client -f two.yml -o json | jq -s '{apiVersion: "v1", kind: "List", items: .}' |
        sed 's/"namespace": "kube-system"/"annotations": {}/' >list.json
    run_flatnet subnet create -f - <list.json
    assert_status 0
    assert_equal "$(spec f2 .spec.ranges)" '[{"rangeEnd":"10.7.1.9","rangeStart":"10.7.1.5"}]'
    # All are looked at before one is made.
    { subnet f3 10.7.2.0/24; subnet f4 10.7.0.128/25; } >overlap.yml
    run_flatnet subnet create -f overlap.yml
    assert_status 1
    assert_contains "subnet 'f4': subnet 'f1' has the same master and VLAN, and its network '10.7.0.0/24' overlaps" stderr
    refute kubectl get macvlansubnet -n kube-system f3
    { subnet f3 10.7.2.0/24; subnet f4 10.7.2.128/25; } >overlap.yml
    run_flatnet subnet create -f overlap.yml
    assert_status 1
    assert_contains "subnet 'f4': subnet 'f3' has the same master and VLAN" stderr
    { subnet f3 10.7.2.0/24; subnet f3 10.7.2.0/24; } >twice.yml
    refused "subnet 'f3' stands there twice" -f twice.yml
    subnet f3 10.7.2.0/24 'gatway: 10.7.2.9' >typo.yml
    refused "typo.yml: 'spec' has no field 'gatway'; is 'gateway' meant?" -f typo.yml
    subnet f3 10.7.2.0/24 'ranges: [{start: 10.7.2.1, end: 10.7.2.9}]' >sample.yml
    refused "'spec.ranges' has no field 'start', it has rangeStart, rangeEnd" -f sample.yml
    subnet f3 10.7.2.0/24 | sed 's/kube-system/default/' >place.yml
    refused "is in namespace 'default'" -f place.yml
    printf 'apiVersion: v1\nkind: ConfigMap\n' >other.yml
    refused "'v1 ConfigMap' is no MacvlanSubnet" -f other.yml
    printf 'a: [\n' >broken.yml
    refused "broken.yml: line 2" -f broken.yml
    printf '# nothing\n' >empty.yml
    refused 'no MacvlanSubnet is in it' -f empty.yml
    run_flatnet subnet create -f missing.yml
    assert_status 1
}

@test "ls and show: how full subnets are, and who has which address" {
    start_patient one
    run_flatnet subnet create s1 --master eth0 --vlan "$BATS_TEST_NUMBER" --cidr 10.8.0.0/24 --ip-delay-reuse 600
    { pod a auto s1; pod b 10.8.0.50 s1 0a:00:00:00:00:01; pod cold auto s1; } | kubectl apply -f - >/dev/null
    kubectl apply -f - >/dev/null <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: $ns}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}, annotations: $(asks 10.8.0.60-10.8.0.61-10.8.0.62-10.8.0.70 s1)}, spec: {containers: [{name: c, image: x}]}}
YAML
    wait_ips 3
    cold=$(address cold)
    kubectl delete pod -n "$ns" cold --force --grace-period 0 >/dev/null 2>&1
    kubectl delete macvlanip -n "$ns" cold --wait=false >/dev/null
    lab_wait 20 subnet_is s1 '.status.used == 3 and .status.reserved == 4'
    has_time() {
        kubectl get macvlanip -n "$ns" cold -o json | jq -e '.metadata.annotations["macvlan.panda.io/ipDelayReuseTimestamp"]'
    }
    lab_wait 20 has_time
    run_flatnet subnet ls
    assert_status 0
    assert_equal "$(head -n 1 "$stdout_file" | tr -s ' ')" 'NAME MASTER VLAN CIDR GATEWAY USED FREE % PHASE'
    assert_equal "$(grep '^s1 ' "$stdout_file" | tr -s ' ')" "s1 eth0 $BATS_TEST_NUMBER 10.8.0.0/24 10.8.0.1 3 246 3% Active"
    script -qec "$FLATNET subnet ls" /dev/null | grep -q '^s1 .* 3% \[#\.\.\.\.\.\.\.\.\.\] '
    run_flatnet subnet show s1
    assert_status 0
    assert_equal "$(sed -n '/^ADDRESS/,$p' "$stdout_file" | tr -s ' ' | sed 's/ 20[0-9T:-]*Z/ TIME/; s/ 02:[0-9a-f:]*/ OUR-MAC/; s/until 20.*/until TIME/')" \
        "ADDRESS MAC POD WORKLOAD NODE SINCE TYPE STATE
$(printf '%s\n' "$(address a | cut -d / -f 1) OUR-MAC $ns/a - none TIME auto used" \
    "${cold%/*} OUR-MAC $ns/cold - - TIME auto cooling until TIME" | sort)
10.8.0.50 0a:00:00:00:00:01 $ns/b - none TIME fixed used
10.8.0.60-10.8.0.62 - $ns/- deployment/web - - fixed reserved
10.8.0.70 - $ns/- deployment/web - - fixed reserved"
    assert_contains 'delay of reuse:    600 s'
    assert_contains 'addresses:         253 in all, 3 used, 246 free, 4 reserved'
    run_flatnet subnet show s1 --free
    assert_equal "$(sed -n '/^FREE/,$p' "$stdout_file" | tail -n +2 | paste -sd ' ')" \
        '10.8.0.4-10.8.0.49 10.8.0.51-10.8.0.59 10.8.0.63-10.8.0.69 10.8.0.71-10.8.0.254'
    run_flatnet subnet show s1 --format json
    assert_json '.schemaVersion == 1 and .addresses.used == 3 and (.holders | map(.state) | sort) ==
        ["cooling", "reserved", "reserved", "used", "used"] and .free[-1] == "10.8.0.71-10.8.0.254"'
    run_flatnet subnet show s11
    assert_status 1
    assert_contains "there is no subnet 's11' (is 's1' meant?)" stderr
}

@test "ls and show without a controller count by themselves, and a set keeps its address" {
    run_flatnet subnet create alone --master eth0 --vlan "$BATS_TEST_NUMBER" --cidr 10.9.0.0/29
    kubectl apply -f - >/dev/null <<YAML
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: $ns}
spec: {replicas: 1, serviceName: db, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}
YAML
    kubectl apply -f - >/dev/null <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanIP
metadata:
  name: db-0
  namespace: $ns
  ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, controller: true, uid: "$(kubectl get sts -n "$ns" db -o jsonpath='{.metadata.uid}')"}]
spec: {subnet: alone, podId: gone, cidr: 10.9.0.3/29, mac: ""}
---
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanIP
metadata: {name: lost, namespace: $ns}
spec: {subnet: alone, podId: gone, cidr: 10.99.0.3/29, mac: ""}
YAML
    run_flatnet subnet ls --format json
    assert_status 0
    assert_json '.subnets[] | select(.name == "alone") | .phase == "Pending" and .addresses.total == 5 and
        .addresses.free == 4 and .addresses.used == 2 and .addresses.outside == 1 and .percent == 20'
    run_flatnet subnet show alone --format json
    assert_json '[.holders[] | .state, .ip, .outside] == ["kept", "10.9.0.3", false, "orphan", "10.99.0.3", true]'
    kubectl delete macvlanip -n "$ns" --all >/dev/null
}

@test "rm: not while addresses are in use, and then gone" {
    start_patient one
    for name in r1 r2; do
        run_flatnet subnet create "$name" --master "eth${name#r}" --cidr 10.10.0.0/24
    done
    pod user auto r2 | kubectl apply -f - >/dev/null
    lab_wait 20 has_address user 10.10.0.2/24
    run_flatnet subnet rm r1 r2
    assert_status 1
    assert_contains "subnet 'r2' stays, since 1 address is in use: $ns/user; delete these workloads first" stderr
    kubectl get macvlansubnet -n kube-system r1
    run_flatnet subnet rm r1 --dry-run
    assert_status 0
    assert_contains "subnet 'r1' would be removed"
    kubectl get macvlansubnet -n kube-system r1
    run_flatnet subnet rm r1 r9
    assert_status 1
    assert_contains "there is no subnet 'r9'" stderr
    # The finalizer holds it, also against those who do not ask.
    kubectl delete macvlansubnet -n kube-system r2 --wait=false
    lab_wait 20 phase r2 Terminating
    run_flatnet subnet create r2 --master eth2 --cidr 10.10.0.0/24
    assert_status 1
    assert_contains "subnet 'r2' is being deleted" stderr
    kubectl delete pod -n "$ns" user --force --grace-period 0
    lab_wait 20 has_ips 0
    lab_wait 20 gone macvlansubnet -n kube-system r2
    run_flatnet subnet rm r1 --wait --format json
    assert_status 0
    assert_json '.removed == ["r1"] and .dryRun == false'
    refute kubectl get macvlansubnet -n kube-system r1
    # Something else holds it.
    run_flatnet subnet create r3 --master eth3 --cidr 10.10.0.0/24
    kubectl patch macvlansubnet -n kube-system r3 --type merge -p '{"metadata": {"finalizers": ["example.org/x"]}}'
    run_flatnet subnet rm r3 --wait --timeout 1
    assert_status 1
    assert_contains "subnet 'r3' is still there after 1 s" stderr
    kubectl patch macvlansubnet -n kube-system r3 --type merge -p '{"metadata": {"finalizers": null}}'
}

@test "a cluster without the addons, one that is away, and one that says no" {
    for verb in ls 'show x' 'rm x' 'create x --master eth0 --cidr 10.0.0.0/24'; do
        # shellcheck disable=SC2086
        run_flatnet subnet $verb --kubeconfig "$T/nowhere"
        assert_status 1
        assert_contains "$T/nowhere" stderr
    done
    sed 's/token: .*}/token: wrong}}/' "$(lab_kube_config k)" >wrong
    run_flatnet subnet ls --kubeconfig wrong
    assert_status 7
    for name in $(kubectl get macvlansubnets -n kube-system -o name); do
        kubectl patch -n kube-system "$name" --type merge -p '{"metadata": {"finalizers": null}}' >/dev/null
    done
    kubectl delete crd macvlansubnets.macvlan.cluster.cattle.io >/dev/null
    has_none() {
        run_flatnet subnet ls
        [ "$status" -eq 1 ]
    }
    lab_wait 30 has_none
    assert_contains 'has no MacvlanSubnets, so that the addons are not in it' stderr
}
