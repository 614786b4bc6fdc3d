#!/usr/bin/env bats
# flatnet undeploy against a real API server 1.20 and its controllers.
# timeout: 1200
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

@test "undeploy: the reverse, with the nodes cleaned by the plugin's image; custom resources stay" {
    "$FLATNET" deploy --mode multus --quiet >/dev/null
    user
    # Whoever can write the list cannot have other things deleted by it.
    kubectl create serviceaccount -n kube-system innocent >/dev/null
    kubectl get cm -n kube-system flatnet -o json | jq '.data.objects += "ServiceAccount kube-system/innocent\nPod x/y\n"' |
        kubectl replace -f - >/dev/null
    run_flatnet undeploy --dry-run
    assert_status 0
    assert_contains 'ServiceAccount kube-system/innocent has not the label' stderr
    assert_lacks innocent
    assert_contains 'to delete   DaemonSet kube-system/kube-multus-ds'
    assert_contains "warning: flannel goes too" stderr
    run_flatnet undeploy </dev/null
    assert_status 2
    assert_contains 'nothing was changed; add --yes' stderr
    resources >before
    lab_spawn watch "$(cat "$LAB_DIR/k.kube/bin")/kubectl" --kubeconfig "$KUBECONFIG" get ds -n kube-system -w -o json
    run_flatnet undeploy --yes
    assert_status 0
    lab_stop watch
    assert_equal "$(awk '{ print $2 }' <<<"$output" | uniq | head -n 3 | tr '\n' ' ')" 'Deployment DaemonSet ConfigMap '
    assert_contains 'cleaned     DaemonSet kube-system/flatnet-cleanup'
    assert_contains '1 MacvlanSubnet and 1 MacvlanIP stay' stderr
    jq -e 'select(.metadata.name == "flatnet-cleanup") | .spec.template.spec.initContainers[0] | (.image | startswith("flatnet/static-macvlan-cni:"))
        and .args == ["uninstall", "--conf-dir=/host/etc/cni/net.d", "--also=10-flannel.conflist", "--also=70-multus.conf",
            "--also=00-multus.conf", "--also=multus.d/multus.kubeconfig"]' "$LAB_DIR/watch.log" >/dev/null
    resources | diff before -
    kubectl delete serviceaccount -n kube-system innocent >/dev/null
    assert_equal "$(kubectl get ds,deploy,cm,sa -n kube-system -l app.kubernetes.io/part-of=flatnet -o name)" ''
    assert_equal "$(kubectl get ds -n kube-system -o name)" ''
    run_flatnet undeploy --yes
    assert_status 0
    assert_contains 'nothing of flatnet is deployed' stderr
    run_flatnet status
    assert_status 3
    assert_contains 'flatnet is not deployed in this cluster' stderr
}

@test "undeploy: a node that does not answer is named; taken up again; with --force left behind" {
    "$FLATNET" deploy --mode chained --quiet >/dev/null
    kubectl get ds -n kube-system network-cni-ds -o json | jq -r '.spec.template.spec.containers[0].image' >image
    run_flatnet undeploy --skip-flannel --yes --timeout 60 --format json
    assert_status 0
    assert_json '.objects | map(select(.name | contains("flannel"))) | length == 0'
    "$FLATNET" deploy --mode chained --quiet >/dev/null
    "$FLATNET" undeploy --yes >out 2>err &
    wait_until grep -q 'deleted     DaemonSet kube-system/network-cni-ds' out
    faults "{\"static-macvlan-cni\": \"ImagePullBackOff\"}"
    kill -KILL $! || true
    wait || true
    run_flatnet undeploy --yes --timeout 3
    assert_status 1
    assert_contains "DaemonSet kube-system/flatnet-cleanup is not ready: " stderr
    assert_contains "image '$(cat image)': ImagePullBackOff" stderr
    run_flatnet status
    assert_status 3
    assert_contains 'has not come to its end' stderr
    run_flatnet undeploy --yes --timeout 3 --force
    assert_status 0
    assert_equal "$(kubectl get ds,cm -n kube-system -l app.kubernetes.io/part-of=flatnet -o name)" ''
}

@test "purge refuses while pods use addresses; forced, nothing is left, whatever finalizers there were" {
    "$FLATNET" deploy --mode chained --quiet >/dev/null
    user
    kubectl get macvlansubnet -n kube-system s -o json | jq -e '.metadata.finalizers == ["macvlan.cluster.cattle.io/in-use"]' >/dev/null
    run_flatnet undeploy --purge --yes
    assert_status 3
    assert_contains '1 address is in use by pods' stderr
    kubectl get macvlanip -n default user >/dev/null
    # The lab's own controller runs outside of the cluster, and would not go with the Deployment.
    lab_stop k-controller KILL
    run_flatnet undeploy --purge --yes --force
    assert_status 0
    assert_equal "$(kubectl get crd -o name)" ''
    assert_equal "$(kubectl get lease -n kube-system -o name | grep -c network-controller || true)" 0
}

@test "cut off between two DaemonSets, the next run still knows the files of the first" {
    "$FLATNET" deploy --mode chained --quiet >/dev/null
    hold ds/network-cni-ds
    for _ in 1 2; do
        run_flatnet undeploy --yes --timeout 2
        assert_status 1
        assert_contains 'DaemonSet kube-system/network-cni-ds does not go' stderr
    done
    assert_equal "$(kubectl get ds -n kube-system -o name)" daemonset.apps/network-cni-ds
    kubectl get cm -n kube-system flatnet -o jsonpath='{.data.cleanup}' |
        jq -e '.spec.template.spec.initContainers[0].args | index("--also=10-flannel.conflist")' >/dev/null
    release ds/network-cni-ds
    run_flatnet undeploy --yes
    assert_status 0
}

@test "all DaemonSets are asked to go before the first of them is gone" {
    local pid
    "$FLATNET" deploy --mode multus --quiet >/dev/null
    hold ds/network-cni-ds
    hold ds/kube-multus-ds
    hold ds/kube-flannel-ds
    "$FLATNET" undeploy --yes >out 2>err &
    pid=$!
    wait_until are_going 3
    refute grep 'deleted     DaemonSet' out
    release ds/network-cni-ds
    release ds/kube-multus-ds
    release ds/kube-flannel-ds
    wait "$pid" || fail "$(cat err)"
    assert_equal "$(kubectl get ds -n kube-system -o name)" ''
}

# are_going COUNT: so many DaemonSets.
are_going() {
    kubectl get ds -n kube-system -o json | jq -e "[.items[] | select(.metadata.deletionTimestamp)] | length == $1" >/dev/null
}

@test "killed while pods end, the next run waits for them before it cleans their nodes" {
    local pod
    "$FLATNET" deploy --mode chained --quiet >/dev/null
    pod=$(kubectl get pods -n kube-system -o json |
        jq -r '[.items[] | select(.metadata.ownerReferences[0].name == "network-cni-ds")][0].metadata.name')
    hold "pod/$pod"
    "$FLATNET" undeploy --yes >out 2>err &
    wait_until is_without_daemonsets
    kill -KILL $!
    wait || true
    run_flatnet undeploy --yes --timeout 3
    assert_status 1
    assert_contains "DaemonSet kube-system/network-cni-ds does not go: pods of it that are still there: 1, '$pod' on node" stderr
    is_without_daemonsets
    release "pod/$pod"
    run_flatnet undeploy --yes
    assert_status 0
    assert_contains 'cleaned     DaemonSet kube-system/flatnet-cleanup'
}

is_without_daemonsets() {
    [ -z "$(kubectl get ds -n kube-system -o name)" ]
}

@test "purge: what was written while the controller ended is no obstacle" {
    local pid
    "$FLATNET" deploy --mode chained --quiet >/dev/null
    user
    lab_stop k-controller KILL
    hold deploy/network-controller
    "$FLATNET" undeploy --purge --yes --force >out 2>err &
    pid=$!
    wait_until is_begun
    kubectl annotate macvlansubnet -n kube-system s site.example/note=late >/dev/null
    release deploy/network-controller
    wait "$pid" || fail "$(cat err)"
    assert_equal "$(kubectl get crd -o name)" ''
}

is_begun() {
    [ "$(kubectl get cm -n kube-system flatnet -o jsonpath='{.data.state}')" = begun ]
}
