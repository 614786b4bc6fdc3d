#!/usr/bin/env bats
# flatnet addons lint: exit status, places, images against lists, sets and bundles.
# shellcheck disable=SC2154

load helper

setup() {
    common_setup
    legacy=$REPO_ROOT/tests/data/addons/legacy.yml
}

@test "what addons render writes has no faults" {
    local set mode version
    for set in default 2019-original current; do
        for mode in multus chained; do
            for version in 1.13 1.20 1.30; do
                case $set-$mode-$version in
                    2019-original-chained-* | current-*-1.13) continue ;;
                esac
                rm -rf out
                run_flatnet addons render --images "$set" --mode "$mode" --kube-version "$version" -o out
                assert_status 0
                run_flatnet addons lint --kube-version "$version" --images "$set" out
                assert_status 0
                assert_lacks error:
                assert_equal "$(grep -vc 'is in the bundle' "$stdout_file")" 0 "other warnings"
            done
        done
    done
}

@test "all documents count, and errors end with 3" {
    cp "$legacy" a.yml
    printf '\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kube-flannel-cfg\n  namespace: kube-system\n' >>a.yml
    run_flatnet addons lint a.yml
    assert_status 3
    assert_contains "ConfigMap 'kube-flannel-cfg' is there twice, first at a.yml:"
    assert_contains '1 files, 13 documents: 1 errors, 1 warnings' stderr
}

@test "an API that is gone in the chosen version is an error" {
    run_flatnet addons lint "$legacy"
    assert_status 0
    assert_contains "DaemonSet 'network-cni-ds-amd64' selects the same pods (app=multus,tier=node)"
    run_flatnet addons lint --kube-version v1.16.3 "$legacy"
    assert_status 3
    assert_contains 'DaemonSet of extensions/v1beta1 is gone in Kubernetes 1.16'
}

@test "images that are not in the list are errors" {
    run_flatnet addons lint --images 2019-original "$legacy"
    assert_status 3
    assert_contains "image 'quay.io/coreos/flannel:v0.10.0-arm64' is not in the bundle"
    assert_lacks "image 'docker.io/nfvpe/multus:v3.2' is not"
    assert_contains "no 'rancher/rancher-agent:v2.2.3' is in the bundle"
    {
        grep -ho 'image: .*' "$legacy" | sed 's/^image: //; s/"//g; s/ .*//'
        printf '%s\n' rancher/rancher-agent:v2.2.3 rancher/hyperkube:v1.13.5-rancher1 rancher/rke-tools:v0.1.28 \
            rancher/coreos-etcd:v3.2.24 rancher/pause:3.1 rancher/k8s-dns-kube-dns:1.15.0 \
            rancher/metrics-server:v0.3.1 rancher/nginx-ingress-controller:0.21.0
    } | sort -u >list
    run_flatnet addons lint -f list "$legacy"
    assert_status 0
    assert_lacks 'is in the bundle'
}

@test "images are looked for in a bundle" {
    need python3
    "$LAB_HOME/load-images.py" layouts
    "$FLATNET" bundle create --quiet --from layouts/one -o bundle.tar
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - image: load/one:1\n' >pod.yml
    run_flatnet addons lint --bundle bundle.tar pod.yml
    assert_status 0
    printf '  - image: load/two:1\n' >>pod.yml
    run_flatnet addons lint --bundle bundle.tar pod.yml
    assert_status 3
    assert_contains "pod.yml:7: image 'docker.io/load/two:1' is not in the bundle"
}

@test "files are applied together, files of a folder are not" {
    mkdir d
    run_flatnet addons render -o d
    cp "$legacy" d/a.yml
    cp "$legacy" d/b.yaml
    echo 'not YAML: [' >d/notes.txt
    run_flatnet addons lint d
    assert_status 0
    run_flatnet addons lint d/a.yml d/b.yaml
    assert_status 3
    assert_contains "is there twice, first at d/a.yml:"
}

@test "JSON" {
    run_flatnet addons lint --format json --kube-version 1.16 "$legacy"
    assert_status 3
    assert_json '.schemaVersion == 1 and .files == 1 and .documents == 12 and .errors == 7 and .warnings == 1'
    assert_json '.findings | length == 8 and (map(select(.level == "error")) | length) == 7'
}

@test "the command line" {
    run_flatnet addons lint
    assert_status 2
    run_flatnet addons lint missing.yml
    assert_status 1
    assert_contains "'missing.yml'" stderr
    mkdir empty
    run_flatnet addons lint empty
    assert_status 2
    assert_contains "no YAML file is in 'empty'" stderr
    run_flatnet addons lint --kube-version 1.9 "$legacy"
    assert_status 2
    run_flatnet addons lint --base x "$legacy"
    assert_status 2
    run_flatnet addons lint --help
    assert_status 0
    for option in kube-version bundle base file images; do
        assert_contains "--$option"
    done
}

@test "a file larger than a ConfigMap" {
    {
        cat "$legacy"
        printf '\n# '
        head -c 1100000 /dev/zero | tr '\0' x
    } >big.yml
    run_flatnet addons lint big.yml
    assert_status 3
    assert_contains 'which holds 1048576'
}
