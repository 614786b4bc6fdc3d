#!/usr/bin/env bats
# The addons in a real Kubernetes 1.20: what 'addons render' writes is taken as it is, and each
# component may do what docs/rbac.md says and nothing else.
# timeout: 3000
# shellcheck disable=SC2154

load helper
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

setup_file() {
    need etcd curl jq python3 openssl
    lab_init "$$"
    lab_kube k controllers
    lab_kube_node k worker
    lab_kube_node k other node-role.kubernetes.io/controlplane=true:NoSchedule node-role.kubernetes.io/etcd=true:NoExecute
    # What every account may do is what one without any role may do.
    lab_kube_token k default default >"$BATS_FILE_TMPDIR/token"
    granted kube-system "$BATS_FILE_TMPDIR/token" >"$BATS_FILE_TMPDIR/kube-system.nobody"
    granted default "$BATS_FILE_TMPDIR/token" >"$BATS_FILE_TMPDIR/default.nobody"
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    page=$REPO_ROOT/docs/rbac.md
    applied=$BATS_FILE_TMPDIR/applied
}

kubectl() {
    lab_kubectl k "$@"
}

# render SET MODE VERSION [OPTION...]: into out/.
render() {
    rm -rf out
    run_flatnet addons render --images "$1" --mode "$2" --kube-version "$3" "${@:4}" -o out
    assert_status 0
}

# wipe: take back what the test before has applied.
wipe() {
    local file
    for file in "$applied"/*.yml; do
        [ ! -e "$file" ] || kubectl delete --ignore-not-found -f "$file" >/dev/null
    done
    rm -rf "$applied"
    mkdir "$applied"
}

# apply RESULT FILE [ARG...]: kubectl apply has this to say about each of the file's objects.
apply() {
    local result=$1 file=$2
    shift 2
    cp "$file" "$applied/"
    kubectl apply -f "$file" "$@" >said || fail "'$file' is not applied"
    assert_equal "$(grep -c " $result\$" said) of $(wc -l <said)" "$(objects_of "$file") of $(objects_of "$file")" \
        "objects of '$file' that are '$result'"
}

objects_of() {
    grep -c '^kind: ' "$1"
}

# Every DaemonSet wants a pod on every node, whatever its taints, and the server takes these pods.
pods_are_made() {
    kubectl get daemonsets,deployments,pods -n kube-system -o json | jq -e '
        (.items | map(select(.kind == "Pod") | .metadata.generateName)) as $pods |
        [.items[] | select(.kind != "Pod")] | length > 2 and all(
            if .kind == "DaemonSet"
            then (.metadata.name + "-") as $name | .status.desiredNumberScheduled == 2 and
                ($pods | map(select(. == $name)) | length) == 2
            else .status.replicas == .spec.replicas end)' >/dev/null
}

# --- rights ---

# read_page SET MODE VERSION [webhook]: the page's rights for them, and a token of each account that
# it names.
read_page() {
    local account
    "$LAB_HOME/rbac.py" expect "$page" "$1" "$2" "${3#1.}" "${@:4}" >rights
    mapfile -t accounts < <(cut -d ' ' -f 1 rights | sort -u)
    for account in "${accounts[@]}"; do
        lab_kube_token k kube-system "$account" >"$account.token"
    done
}

# differences ACCOUNT: "< RIGHT" is on the page only, "> RIGHT" with the account only.
differences() {
    local namespace
    for namespace in kube-system default; do
        sed -n "s/^$1 \(\*\|$namespace\) //p" rights | LC_ALL=C sort -u >page.rights
        granted "$namespace" "$1.token" | LC_ALL=C comm -23 - "$BATS_FILE_TMPDIR/$namespace.nobody" >account.rights
        diff page.rights account.rights | sed -n "s/^\([<>].*\)/$namespace: \1/p"
    done
}

granted() {
    kubectl auth can-i --list -n "$1" --token "$(cat "$2")" | "$LAB_HOME/rbac.py" granted | LC_ALL=C sort -u
}

# refusals ACCOUNT: those of the page's calls that the server does not take from it.
refusals() {
    sed -n "s/^$1 //p" rights |
        "$LAB_HOME/rbac.py" call "$(lab_kube_url k)" "$LAB_DIR/ca.crt" "$(cat "$1.token")" || true
}

# rights_are_exact SET MODE VERSION COUNT [webhook]: for each account, and there are that many.
rights_are_exact() {
    local account
    read_page "$1" "$2" "$3" "${@:5}"
    assert_equal "${#accounts[@]}" "$4" "accounts"
    for account in "${accounts[@]}"; do
        assert_equal "$(refusals "$account")" "" "calls of '$account'"
        assert_equal "$(differences "$account")" "" "rights of '$account'"
    done
}

# goes_in SET MODE COUNT [webhook]: as RKE applies it, on an empty cluster, and again; with COUNT
# accounts.
goes_in() {
    wipe
    render "$1" "$2" 1.20 ${4:+"--$4"}
    apply 'created (server dry run)' out/macvlan-network.yml --dry-run=server
    refute kubectl get customresourcedefinition macvlanips.macvlan.cluster.cattle.io
    apply created out/macvlan-network.yml
    assert_equal "$(kubectl get -f out/macvlan-network.yml -o name | wc -l)" "$(objects_of out/macvlan-network.yml)"
    apply unchanged out/macvlan-network.yml
    wait_until pods_are_made
    rights_are_exact "$1" "$2" 1.20 "$3" "${@:4}"
}

@test "set default, mode multus" {
    goes_in default multus 4
}

@test "set default, mode multus, with the webhook" {
    goes_in default multus 4 webhook
}

@test "set default, mode chained" {
    goes_in default chained 3
}

@test "set 2019-original" {
    goes_in 2019-original multus 4
}

@test "set current, mode multus" {
    goes_in current multus 4
}

@test "set current, mode chained" {
    goes_in current chained 3
}

# The rendering for 1.13 has apiextensions v1beta1, which 1.20 serves beside v1.
@test "Kubernetes 1.13: the older API of custom resources" {
    local mode file
    for mode in chained multus; do
        wipe
        render default "$mode" 1.13
        assert_contains 'apiextensions.k8s.io/v1beta1' out/network-controller.yml
        apply 'created (server dry run)' out/macvlan-network.yml --dry-run=server
        for file in out/*-daemonset.yml out/network-controller.yml; do
            apply created "$file"
        done
        apply unchanged out/macvlan-network.yml
        wait_until pods_are_made
    done
    rights_are_exact default multus 1.13 4
    render default multus 1.13 --webhook
    assert_contains 'admissionregistration.k8s.io/v1beta1' out/network-controller.yml
    kubectl apply --dry-run=server -f out/network-controller.yml >said
    assert_contains 'validatingwebhookconfiguration.admissionregistration.k8s.io/network-controller created' said
    resources_have_their_fields
    kubectl create --validate=false -f - <<<"$(macvlan_subnet older '{"other": 1}')"
    assert_equal "$(kubectl get macvlansubnet older -n kube-system -o json | jq .spec.other)" 1 "a field that v1 drops"
}

# Nothing that must not change, such as a selector, differs among sets, modes and versions.
@test "one rendering over another, there and back" {
    local row set mode version
    wipe
    for row in '2019-original multus 1.13' 'default chained 1.20' 'current multus 1.20' '2019-original multus 1.20'; do
        read -r set mode version <<<"$row"
        render "$set" "$mode" "$version"
        cp out/macvlan-network.yml "$applied/$set.yml"
        kubectl apply -f out/macvlan-network.yml
    done
    apply unchanged out/macvlan-network.yml
}

# --- custom resources ---

# macvlan_subnet NAME SPEC, macvlan_ip NAME SPEC: an object with this in its spec.
macvlan_subnet() {
    jq -n --arg name "$1" --argjson spec "$2" '{apiVersion: "macvlan.cluster.cattle.io/v1", kind: "MacvlanSubnet",
        metadata: {name: $name, namespace: "kube-system", labels: {project: "", master: "eth0", vlan: "100"},
            annotations: {macvlanipCount: "0"}}, spec: $spec}'
}

macvlan_ip() {
    jq -n --arg name "$1" --argjson spec "$2" '{apiVersion: "macvlan.cluster.cattle.io/v1", kind: "MacvlanIP",
        metadata: {name: $name, namespace: "default", labels: {subnet: "full"}}, spec: $spec}'
}

# keeps KIND NAME SPEC: an object with that spec is taken, and comes back as it was sent.
keeps() {
    local make=macvlan_subnet namespace=kube-system
    [ "$1" = macvlansubnet ] || make=macvlan_ip namespace=default
    "$make" "$2" "$3" | kubectl create --validate=false -f - >/dev/null || fail "$1 '$2' is not taken"
    assert_equal "$(kubectl get "$1" "$2" -n "$namespace" -o json | jq -cS .spec)" "$(jq -cS . <<<"$3")" "spec of '$2'"
}

# refuses KIND FIELD SPEC: the server itself says that this field is wrong.
refuses() {
    local make=macvlan_subnet
    [ "$1" = macvlansubnet ] || make=macvlan_ip
    "$make" bad "$3" >bad.json
    refute kubectl create --validate=false -f bad.json 2>why
    assert_contains "spec.$2" why
}

resources_have_their_fields() {
    local routes='[{"dst": "10.0.0.0/8", "gw": "192.168.100.254", "iface": "eth1"}, {"dst": "0.0.0.0/0", "gw": "", "iface": "eth0"}]'
    local gateway='{"enable": true, "serviceCidr": "10.43.0.0/16"}'
    kubectl wait --for condition=established --timeout "$(lab_patience 30)s" customresourcedefinition \
        macvlanips.macvlan.cluster.cattle.io macvlansubnets.macvlan.cluster.cattle.io
    keeps macvlansubnet full '{"master": "bond0", "vlan": 100, "cidr": "192.168.100.0/24", "mode": "bridge",
        "gateway": "192.168.100.1", "ranges": [{"rangeStart": "192.168.100.10", "rangeEnd": "192.168.100.20"}],
        "routes": '"$routes"', "podDefaultGateway": '"$gateway"', "ipDelayReuse": 300, "mtu": 9000}'
    keeps macvlansubnet small '{"master": "eth0", "cidr": "172.20.0.0/16"}'
    keeps macvlansubnet empty '{"master": "eth0", "vlan": 0, "cidr": "fd00::/64", "mode": "", "gateway": "", "ranges": [],
        "routes": [], "podDefaultGateway": {}, "ipDelayReuse": 0}'
    keeps macvlanip full '{"subnet": "full", "podId": "5bd4b3ac-a56c-4a1f-bf47-2a8a4bd7d0e3", "cidr": "192.168.100.10/24",
        "mac": "02:00:00:00:00:01", "network": {"master": "bond0", "vlan": 100, "mode": "bridge", "mtu": 9000,
        "gateway": "192.168.100.1", "routes": '"$routes"', "podDefaultGateway": '"$gateway"'}}'
    keeps macvlanip small '{"subnet": "full", "podId": "x", "cidr": "192.168.100.11/24", "mac": ""}'
    while IFS='|' read -r kind field spec; do
        refuses "$kind" "$field" "$spec"
    done <<'TABLE'
macvlansubnet|vlan|{"vlan": "100"}
macvlansubnet|vlan|{"vlan": 4095}
macvlansubnet|vlan|{"vlan": -1}
macvlansubnet|mode|{"mode": "source"}
macvlansubnet|ipDelayReuse|{"ipDelayReuse": "300"}
macvlansubnet|ipDelayReuse|{"ipDelayReuse": -1}
macvlansubnet|mtu|{"mtu": 65536}
macvlansubnet|cidr|{"cidr": ["10.0.0.0/8"]}
macvlansubnet|ranges|{"ranges": "192.168.100.10-192.168.100.20"}
macvlansubnet|ranges.rangeStart|{"ranges": [{"rangeStart": 1}]}
macvlansubnet|podDefaultGateway.enable|{"podDefaultGateway": {"enable": "true"}}
macvlansubnet|routes|{"routes": {"dst": "10.0.0.0/8"}}
macvlanip|cidr|{"cidr": 1}
macvlanip|network.vlan|{"network": {"vlan": "100"}}
macvlanip|network.routes.gw|{"network": {"routes": [{"gw": 1}]}}
TABLE
}

@test "MacvlanSubnets and MacvlanIPs keep what belongs to them" {
    wipe
    render default chained 1.20
    apply created out/network-controller.yml
    resources_have_their_fields
    macvlan_subnet strange '{"master": "eth0", "other": 1, "ranges": [{"start": "a", "rangeEnd": "b"}]}' |
        kubectl create --validate=false -f -
    assert_equal "$(kubectl get macvlansubnet strange -n kube-system -o json | jq -c .spec)" \
        '{"master":"eth0","ranges":[{"rangeEnd":"b"}]}' "what is declared of it"
}

# A status that a create brings along is dropped; only a PUT of the subresource changes it, and
# nothing but it. MacvlanIPs have none.
@test "only a subnet has a status, of its own" {
    local path=/apis/macvlan.cluster.cattle.io/v1/namespaces/kube-system/macvlansubnets/s/status
    wipe
    render default chained 1.20
    apply created out/network-controller.yml
    kubectl wait --for condition=established --timeout "$(lab_patience 30)s" customresourcedefinition --all
    macvlan_subnet s '{"master": "eth0"}' | jq '.status = {epoch: 1}' | kubectl create -f -
    kubectl get macvlansubnet s -n kube-system -o json >s.json
    jq -e 'has("status") | not' s.json
    jq '.spec.master = "eth9" | .status = {epoch: 2, intents: {"10.0.0.1": "uid"}}' s.json >new.json
    kubectl replace --raw "$path" -f new.json >answer.json
    jq -e '.spec.master == "eth0" and .status == {epoch: 2, intents: {"10.0.0.1": "uid"}}' answer.json
    # The version that it had is not the one it has: a late writer sees that.
    refute kubectl replace --raw "$path" -f new.json 2>why
    assert_contains 'the object has been modified' why
    jq '.spec.master = "eth1" | .status = {}' answer.json | kubectl replace -f -
    kubectl get macvlansubnet s -n kube-system -o json | jq -e '.spec.master == "eth1" and .status.epoch == 2'
    macvlan_ip i '{"subnet": "s"}' | kubectl create -f -
    refute kubectl get --raw /apis/macvlan.cluster.cattle.io/v1/namespaces/default/macvlanips/i/status
}

# --- roles for people ---

may() {
    kubectl auth can-i "$@" >/dev/null
}

@test "macvlan-roles.yml widens view, edit and admin" {
    wipe
    render default multus 1.20
    apply created out/network-controller.yml
    kubectl create rolebinding v --clusterrole view --user viewer -n default
    kubectl create rolebinding e --clusterrole edit --user editor -n kube-system
    kubectl create rolebinding a --clusterrole admin --user owner -n kube-system
    refute may list macvlanips.macvlan.cluster.cattle.io -n default --as viewer
    refute may create macvlansubnets.macvlan.cluster.cattle.io -n kube-system --as editor
    apply 'created (server dry run)' out/macvlan-roles.yml --dry-run=server
    apply created out/macvlan-roles.yml
    apply unchanged out/macvlan-roles.yml
    wait_until may list macvlanips.macvlan.cluster.cattle.io -n default --as viewer
    wait_until may create macvlansubnets.macvlan.cluster.cattle.io -n kube-system --as editor
    wait_until may delete macvlansubnets.macvlan.cluster.cattle.io -n kube-system --as owner
    may watch macvlansubnets.macvlan.cluster.cattle.io -n kube-system --as editor
    refute may create macvlansubnets.macvlan.cluster.cattle.io -n default --as viewer
    refute may update macvlanips.macvlan.cluster.cattle.io -n kube-system --as owner
    refute may update macvlansubnets.macvlan.cluster.cattle.io --subresource status -n kube-system --as owner
    kubectl delete rolebinding v -n default
    kubectl delete rolebinding e a -n kube-system
}

# The kind is Rancher's; here a definition stands in for it that takes what Rancher takes.
@test "rancher-roles.yml is taken where RoleTemplates are known" {
    wipe
    render default multus 1.20
    refute kubectl apply -f out/rancher-roles.yml
    cat >crd.yml <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: roletemplates.management.cattle.io}
spec:
  group: management.cattle.io
  scope: Cluster
  names: {kind: RoleTemplate, plural: roletemplates, singular: roletemplate}
  versions:
  - {name: v3, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
Y
    apply created crd.yml
    kubectl wait --for condition=established --timeout "$(lab_patience 30)s" -f crd.yml
    apply created out/rancher-roles.yml
    apply unchanged out/rancher-roles.yml
    kubectl get roletemplates -o json | jq -e '.items | map(.displayName) ==
        ["Cluster Member Macvlan", "Project Member Macvlan"]'
}

# --- the proof of rights can fail ---

# sees ACCOUNT LINE: the differences of the account become this one line.
sees() {
    [ "$(differences "$1")" = "$2" ]
}

patch_role() {
    kubectl patch "$1" "$2" -n kube-system --type json -p "$3" >/dev/null
}

@test "a right too few is seen, and so is one too many" {
    local account=static-macvlan-cni
    wipe
    render default multus 1.20
    apply created out/macvlan-network.yml
    read_page default multus 1.20
    wait_until sees "$account" ''

    patch_role clusterrole "$account" '[{"op": "remove", "path": "/rules/0"}]'
    wait_until sees "$account" $'kube-system: < pods * get\ndefault: < pods * get'
    refusals "$account" >lost
    assert_equal "$(wc -l <lost)" 1 "refused calls"
    assert_contains '* pods * get: refused: pods "not-there" is forbidden' lost
    kubectl apply -f out/macvlan-network.yml >/dev/null

    patch_role clusterrole "$account" \
        '[{"op": "add", "path": "/rules/-", "value": {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}}]'
    wait_until sees "$account" $'kube-system: > secrets * get\ndefault: > secrets * get'
    kubectl apply -f out/macvlan-network.yml >/dev/null
    wait_until sees "$account" ''

    # Any lease, where the page has one.
    patch_role role network-controller '[{"op": "remove", "path": "/rules/1/resourceNames"}]'
    wait_until sees network-controller "$(printf 'kube-system: %s leases.coordination.k8s.io %s %s\n' \
        '<' network-controller get '<' network-controller update '>' '*' get '>' '*' update)"

    # A role that grants everything.
    kubectl create clusterrolebinding too-much --clusterrole cluster-admin --serviceaccount "kube-system:$account"
    wait_until sees "$account" $'kube-system: > *.* * *\nkube-system: > url:* * *\ndefault: > *.* * *\ndefault: > url:* * *'
    kubectl delete clusterrolebinding too-much
}

@test "a row that is missing on the page is seen, and so is one that stands for no call" {
    wipe
    render default chained 1.20
    apply created out/macvlan-network.yml
    sed '/^| its own annotations /d' "$page" >short.md
    page=short.md
    read_page default chained 1.20
    assert_equal "$(differences flannel)" $'kube-system: > nodes/status * patch\ndefault: > nodes/status * patch'
    page=$REPO_ROOT/docs/rbac.md
    read_page default chained 1.20
    printf 'flannel * %s\n' 'nodes * list' 'secrets * get' 'node * get' 'nodes/other * get' >rights
    refusals flannel >found
    assert_equal "$(wc -l <found)" 3 "wrong rows"
    assert_contains '* secrets * get: refused' found
    assert_contains '* node * get: no such resource' found
    assert_contains '* nodes/other * get: ' found
}
