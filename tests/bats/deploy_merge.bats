#!/usr/bin/env bats
# flatnet deploy where the server cannot apply by itself: the three-way merge, in front of a real API
# server whose server-side apply is off.
# timeout: 1200
# shellcheck disable=SC2154
load helper
load deploy

setup_file() {
    need etcd curl jq openssl python3
    lab_init "$$"
    LAB_APISERVER_ARGS='--feature-gates ServerSideApply=false' deploy_setup_file k
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

@test "everything is made, and a second run writes nothing" {
    run_flatnet deploy --mode multus --webhook --dry-run
    assert_status 0
    assert_contains '+++ DaemonSet kube-system/kube-multus-ds (to be)'
    assert_equal "$(versions)" ''
    run_flatnet deploy --mode multus --webhook --format json
    assert_status 0
    assert_json '.method == "three-way merge" and (.objects | length == 29 and all(.result == "created"))'
    versions >before
    run_flatnet deploy --mode multus --webhook
    assert_status 0
    assert_equal "$(awk '{ print $1 }' <<<"$output" | sort -u)" unchanged
    versions | diff before -
    # kubectl goes on from what we have left in its annotation.
    "$FLATNET" addons render --quiet --mode multus --webhook --kube-version 1.20 -o same >/dev/null
    kubectl apply -f same/macvlan-network.yml 2>&1 | tee applied
    assert_lacks 'missing the kubectl.kubernetes.io/last-applied' applied
}

@test "what kubectl has applied is taken over: what we do not name goes, what others added stays" {
    older
    run_flatnet deploy --mode chained --dry-run=client
    assert_status 0
    assert_contains '-        - name: OLD'
    assert_lacks '-    site.example/note'
    run_flatnet deploy --mode chained
    assert_status 0
    assert_contains 'configured  DaemonSet kube-system/network-cni-ds'
    assert_equal "$(ds network-cni-ds '[.spec.template.spec.containers[0].env[].name]')" '["THEIRS"]'
    assert_equal "$(ds network-cni-ds '.metadata.annotations["site.example/note"]')" '"keep"'
    run_flatnet deploy --mode chained
    assert_equal "$(awk '{ print $1 }' <<<"$output" | sort -u)" unchanged
}

@test "somebody who writes at the same time is no reason to fail" {
    "$FLATNET" deploy --mode chained --quiet >/dev/null
    # shellcheck disable=SC2016
    lab_spawn busy bash -c 'while :; do "$@" --overwrite "lab/n=$RANDOM$RANDOM" >/dev/null 2>&1; done' busy \
        "$(cat "$LAB_DIR/k.kube/bin")/kubectl" --kubeconfig "$KUBECONFIG" annotate ds -n kube-system network-cni-ds
    run_flatnet deploy --mode chained --registry site.example:5000
    lab_stop busy
    assert_status 0
    assert_equal "$(ds network-cni-ds '.spec.template.spec.containers[0].image | startswith("site.example:5000/")')" true
    ds network-cni-ds '.metadata.annotations["lab/n"]' | grep -q '[0-9]'
}
