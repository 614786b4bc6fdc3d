#!/usr/bin/env bats
# flatnet deploy and status against a real API server 1.20 and its controllers.
# timeout: 1800
# shellcheck disable=SC2154
load helper
load deploy

setup_file() {
    need etcd curl jq openssl python3
    lab_init "$$"
    deploy_setup_file k
}

teardown_file() {
    lab_cleanup
}

setup() {
    deploy_setup
}

teardown() {
    clean
}

@test "a plan first; then all of it, in order; then nothing, and not one object is written" {
    run_flatnet deploy --mode chained --dry-run
    assert_status 0
    assert_contains '+++ DaemonSet kube-system/network-cni-ds (to be)'
    assert_contains '+        - "--mode=chained"'
    assert_contains 'to be: 21 created, 0 configured' stderr
    run_flatnet deploy --mode chained --dry-run=client
    assert_status 0
    assert_contains '+  name: network-cni-ds'
    assert_equal "$(versions)" ''
    run_flatnet deploy --mode chained
    assert_status 0
    assert_equal "$(awk '{ print $1 }' <<<"$output" | sort -u)" created
    assert_equal "$(awk '{ print $2 }' <<<"$output" | uniq | tr '\n' ' ')" 'CustomResourceDefinition ServiceAccount ClusterRole ClusterRoleBinding Role RoleBinding ConfigMap DaemonSet Deployment '
    ds network-cni-ds '.status.numberReady' | grep -qx 2
    versions >before
    run_flatnet deploy --mode chained
    assert_status 0
    assert_equal "$(awk '{ print $1 }' <<<"$output" | sort -u)" unchanged
    versions | diff before -
    run_flatnet deploy --mode chained --dry-run
    assert_equal "$output" ''
    run_flatnet status --format json
    assert_status 0
    # shellcheck disable=SC2016
    assert_json '.ok and .mode == "chained" and .by == "flatnet deploy" and .version == $version and .leader.renews
        and (.nodes | map(.plugin) == [true, true]) and (.objects | length == 21 and all(.ready))' \
        --arg version "$("$FLATNET" version | cut -d ' ' -f 2)"
    run_flatnet status
    assert_status 0
    assert_contains '2 of 2 nodes ready'
}

@test "what keeps a step is named with node, image and exit status; the next run goes on from there" {
    faults '{"flannel:": "ImagePullBackOff", "static-macvlan-cni": "crash 3"}'
    run_flatnet deploy --mode chained --timeout 4
    assert_status 1
    assert_contains "DaemonSet kube-system/kube-flannel-ds is not ready: 0 of 2 nodes ready" stderr
    assert_contains "node 'n1': pod 'kube-flannel-ds-" stderr
    assert_contains "image 'quay.io/coreos/flannel:v0.10.0-amd64': ImagePullBackOff: Back-off pulling" stderr
    run_flatnet status --timeout 5
    assert_status 3
    assert_contains 'has not come to its end' stderr
    assert_contains "node 'n2' has no working plugin: node 'n2': pod 'network-cni-ds-" stderr
    assert_contains "container 'static-macvlan-cni': CrashLoopBackOff, exit status 3 (Error)" stderr
    faults '{}'
    run_flatnet deploy --mode chained
    assert_status 0
    assert_contains 'unchanged   DaemonSet kube-system/kube-flannel-ds'
    assert_contains 'created     Deployment kube-system/network-controller'
    run_flatnet status
    assert_status 0
}

@test "killed at any point, the next run finishes it" {
    local lines pid
    for lines in 1 4 9 16 19 21; do
        "$FLATNET" deploy --mode chained >out 2>err &
        pid=$!
        wait_until at_least "$lines" "$pid"
        kill -KILL "$pid" || true
        wait "$pid" || true
    done
    run_flatnet deploy --mode chained
    assert_status 0
    run_flatnet deploy --mode chained
    assert_status 0
    assert_equal "$(awk '{ print $1 }' <<<"$output" | sort -u)" unchanged
    assert_equal "$(wc -l <<<"$output")" 21
    run_flatnet status
    assert_status 0
}

# at_least LINES PID: so many lines are in the file out, or the process has ended.
at_least() {
    [ "$(wc -l <out)" -ge "$1" ] || refute kill -0 "$2" 2>/dev/null
}

@test "interrupted while it waits: 130, and the next run finishes" {
    local pid
    faults '{"flannel:": "ImagePullBackOff"}'
    "$FLATNET" deploy --mode chained >out 2>err &
    pid=$!
    wait_until grep -q 'waiting for DaemonSet kube-system/kube-flannel-ds: 0 of 2' err
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    assert_status 130
    faults '{}'
    run_flatnet deploy --mode chained
    assert_status 0
}

@test "what kubectl has applied is taken over: what we do not name goes, what others added stays" {
    older
    run_flatnet status
    assert_status 0
    assert_contains 'by       kubectl apply'
    run_flatnet deploy --mode chained --dry-run
    assert_status 0
    assert_contains '-        - name: OLD'
    assert_lacks '-          name: THEIRS'
    run_flatnet deploy --mode chained
    assert_status 0
    ds network-cni-ds '[.spec.template.spec.containers[0] | .image, .env]' >got
    assert_equal "$(cat got)" "[\"flatnet/static-macvlan-cni:$("$FLATNET" version | cut -d ' ' -f 2)\",[{\"name\":\"THEIRS\",\"value\":\"1\"}]]"
    assert_equal "$(ds network-cni-ds '.metadata.annotations["site.example/note"]')" '"keep"'
    assert_equal "$(ds network-cni-ds '[.metadata.managedFields[].manager] | map(select(test("client-side")))')" '[]'
    # RKE's next run applies its file again, and so does the next of ours.
    kubectl apply -f older/macvlan-network.yml >/dev/null 2>&1
    run_flatnet deploy --mode chained
    assert_status 0
    assert_equal "$(ds network-cni-ds '[.spec.template.spec.containers[0].env[].name]')" '["THEIRS"]'
}

@test "fields that others have set are conflicts, all named before anything is written" {
    older
    kubectl set image -n kube-system ds/network-cni-ds static-macvlan-cni=site/other:1 --field-manager admin >/dev/null
    rolled_out
    versions >before
    run_flatnet deploy --mode chained
    assert_status 1
    assert_contains "DaemonSet kube-system/network-cni-ds: others have set fields" stderr
    assert_contains '.image, set by '"'admin'" stderr
    assert_contains "'--force-conflicts' takes" stderr
    versions | diff before -
    run_flatnet deploy --mode chained --force-conflicts
    assert_status 0
    kubectl set image -n kube-system deploy/network-controller network-controller=site/other:1 --field-manager admin >/dev/null
    run_flatnet deploy --mode chained
    assert_status 1
    assert_contains 'Deployment kube-system/network-controller: others have set' stderr
    run_flatnet deploy --mode chained --force-conflicts
    assert_status 0
    assert_contains 'configured  Deployment kube-system/network-controller'
}

@test "without the rights every object that is refused is named, and nothing was changed" {
    local token
    kubectl create serviceaccount -n default limited >/dev/null
    kubectl create clusterrole limited --verb get,list --resource '*.*' >/dev/null
    kubectl create clusterrole limited-cm --verb create,patch,update --resource configmaps >/dev/null
    kubectl create clusterrolebinding limited --clusterrole limited --serviceaccount default:limited >/dev/null
    kubectl create clusterrolebinding limited-cm --clusterrole limited-cm --serviceaccount default:limited >/dev/null
    token=$(lab_kube_token k default limited)
    sed "s/token: .*}/token: $token}}/" "$KUBECONFIG" >limited
    run_flatnet deploy --mode chained --kubeconfig limited
    kubectl delete clusterrole,clusterrolebinding limited limited-cm >/dev/null
    kubectl delete serviceaccount -n default limited >/dev/null
    assert_status 7
    assert_contains 'the server refuses 20 objects, and nothing was changed' stderr
    assert_contains '  DaemonSet kube-system/network-cni-ds: ' stderr
    assert_contains '  ClusterRole flannel: ' stderr
    assert_equal "$(versions)" ''
}

@test "addons that RKE brought are left to RKE, unless it is to be" {
    kubectl create configmap -n kube-system rke-user-includes-addons \
        --from-literal rke-user-includes-addons='image: flatnet/static-macvlan-cni:1' >/dev/null
    run_flatnet deploy --mode chained
    assert_status 3
    assert_contains "its job 'rke-user-includes-addons-deploy-job' puts its file back" stderr
    assert_contains "then 'flatnet addons copy'; '--force' goes on" stderr
    assert_equal "$(versions)" ''
    run_flatnet deploy --mode chained --force
    assert_status 0
    run_flatnet status
    assert_status 0
    assert_contains 'by       RKE'
    assert_contains "warning: the addons of this cluster came through RKE" stderr
    run_flatnet undeploy --yes
    assert_status 3
}

@test "a second pod network is not put over the first" {
    kubectl create -f - >/dev/null <<YAML
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: net, namespace: default}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: "x/calico-node:1"}]}}
YAML
    run_flatnet deploy --mode chained
    assert_status 3
    assert_contains "DaemonSet default/net ('x/calico-node:1'). '--skip-flannel' leaves it" stderr
    run_flatnet deploy --skip-flannel
    assert_status 2
    run_flatnet deploy --mode chained --skip-flannel
    kubectl delete ds -n default net >/dev/null
    assert_status 0
    assert_lacks flannel
}

@test "an upgrade recreates what has to be, removes what is of 2019, and touches no custom resource" {
    "$FLATNET" addons render --quiet --mode chained --kube-version 1.13 -o old >/dev/null
    sed -i '/kind: DaemonSet/,/containers:/ s/name: network-cni$/name: network-cni-old/
        s/^  name: kube-flannel-ds$/  name: kube-flannel-ds-amd64/' old/macvlan-network.yml
    kubectl apply -f old/macvlan-network.yml >/dev/null 2>&1
    kubectl label ds -n kube-system kube-flannel-ds-amd64 app.kubernetes.io/part-of- >/dev/null
    user
    rolled_out
    resources >before
    [ "$(wc -l <before)" -eq 2 ]
    run_flatnet status --timeout 1
    assert_status 3
    assert_contains 'DaemonSet kube-system/kube-flannel-ds-amd64 of the 2019 addons is there' stderr
    run_flatnet deploy --mode chained
    assert_status 0
    assert_contains "recreated   DaemonSet kube-system/network-cni-ds ('spec.selector' differs, which never changes)"
    assert_contains 'recreated   Deployment kube-system/network-controller (the two controllers would not know'
    assert_equal "$(head -n 1 <<<"$output")" 'deleted     DaemonSet kube-system/kube-flannel-ds-amd64 (of the 2019 addons)'
    resources | diff before -
    wait_until no_pods name=network-cni-old
    run_flatnet status
    assert_status 0
}

no_pods() {
    [ "$(kubectl get pods -n kube-system -l "$1" -o name)" = '' ]
}

@test "options that are not given are those of the last deploy; what another mode has not goes" {
    run_flatnet deploy --mode multus --webhook
    assert_status 0
    assert_contains 'created     ValidatingWebhookConfiguration network-controller'
    run_flatnet deploy
    assert_status 0
    assert_equal "$(awk '{ print $1 }' <<<"$output" | sort -u)" unchanged
    assert_contains ValidatingWebhookConfiguration
    run_flatnet deploy --mode chained --defaults --registry site.example:5000/x
    assert_status 0
    assert_contains 'deleted     ValidatingWebhookConfiguration network-controller (not in these addons)'
    assert_contains 'deleted     DaemonSet kube-system/kube-multus-ds'
    assert_lacks 'deleted     CustomResourceDefinition'
    kubectl get crd network-attachment-definitions.k8s.cni.cncf.io >/dev/null
    assert_equal "$(ds network-cni-ds '.spec.template.spec.containers[0].image | startswith("site.example:5000/x/flatnet/")')" true
    run_flatnet deploy
    assert_equal "$(awk '{ print $1 }' <<<"$output" | sort -u)" unchanged
}
