#!/usr/bin/env bats
# flatnet addons render: files, the cluster YAML on standard output, warnings and refusals.
# shellcheck disable=SC2154

load helper

setup() {
    common_setup
}

@test "the defaults are the manual's" {
    run_flatnet addons render
    assert_status 0
    assert_no_leftovers network-addons multus-flannel-macvlan.yml macvlan-network.yml multus-daemonset.yml \
        network-cni-daemonset.yml flannel-daemonset.yml network-controller.yml macvlan-roles.yml rancher-roles.yml
    cmp network-addons/multus-flannel-macvlan.yml network-addons/macvlan-network.yml
    assert_contains 'image: nfvpe/multus:v3.2' network-addons/macvlan-network.yml
    assert_contains 'apiextensions.k8s.io/v1beta1' network-addons/macvlan-network.yml
    assert_lacks RoleTemplate network-addons/macvlan-network.yml
    assert_contains '  - /var/lib/rancher/network-addons/macvlan-network.yml'
    assert_contains 'rancher_kubernetes_engine_config:'
    assert_equal "$(stat -c %a network-addons/macvlan-network.yml)" 644
    assert_contains "8 files, written to 'network-addons'" stderr
}

@test "every option shows in the result" {
    run_flatnet addons render --kube-version v1.20.4-rancher1-1 --mode chained --pod-cidr 172.20.0.0/16 \
        --service-cidr 172.21.0.0/16 --iface ens4 --iface-regex '^10\.0\.' --registry harbor.example/team \
        --path /srv/x/ --url http://web.example/a -o out
    assert_status 0
    assert_contains '"Network": "172.20.0.0/16"' out/flannel-daemonset.yml
    assert_contains '        - --iface=ens4' out/flannel-daemonset.yml
    assert_contains "        - '--iface-regex=^10\\.0\\.'" out/flannel-daemonset.yml
    assert_contains 'image: harbor.example/team/coreos/flannel:v0.10.0-amd64' out/flannel-daemonset.yml
    assert_contains '10-flannel.conflist' out/flannel-daemonset.yml
    assert_contains '- --mode=chained' out/network-cni-daemonset.yml
    assert_contains 'apiextensions.k8s.io/v1' out/network-controller.yml
    assert_lacks 'v1beta1' out/network-controller.yml
    assert_contains 'cluster_cidr: 172.20.0.0/16'
    assert_contains 'service_cluster_ip_range: 172.21.0.0/16'
    assert_contains 'cluster_dns_server: 172.21.0.10'
    assert_contains '- /srv/x/macvlan-network.yml'
    assert_contains '# - http://web.example/a/macvlan-network.yml'
    [ ! -e out/multus-daemonset.yml ]
}

@test "JSON has the files and both forms of the cluster YAML" {
    run_flatnet addons render --format json --images current -o out
    assert_status 0
    assert_json '.schemaVersion == 1 and .folder == "out" and .imageSet == "current" and .mode == "multus"'
    assert_json '.files[0] == "multus-flannel-macvlan.yml" and (.files | length) == 8'
    assert_json '.clusterYAML.rke | startswith("network:\n  plugin: none\n")'
    assert_json '.clusterYAML.rancher | startswith("rancher_kubernetes_engine_config:\n")'
    assert_contains 'multus-cni:v4.2.4-thick' out/multus-daemonset.yml
}

# From Kubernetes 1.20 on the second that a probe may take by default holds for commands too, and on a busy node
# a shell takes longer.
@test "every probe says what it may take" {
    local set mode file
    for set in 2019-original current default; do
        for mode in multus chained; do
            [ "$set $mode" != '2019-original chained' ] || continue
            run_flatnet addons render --images "$set" --mode "$mode" --kube-version 1.20 -o "$set-$mode"
            assert_status 0
            for file in "$set-$mode"/*.yml; do
                assert_equal "$(grep -c 'timeoutSeconds: 5$' "$file")" "$(grep -c 'Probe:$' "$file")" "limits of probes in $file"
            done
        done
    done
    grep -q 'Probe:$' default-chained/network-controller.yml
}

@test "the webhook comes where it is asked for" {
    run_flatnet addons render --format json --webhook --kube-version 1.20 -o out
    assert_status 0
    assert_json '.webhook == true'
    assert_contains 'kind: ValidatingWebhookConfiguration' out/macvlan-network.yml
    assert_contains '        - --webhook-listen=:9443' out/network-controller.yml
    run_flatnet addons render --format json --kube-version 1.20 -o out
    assert_json '.webhook == false'
    assert_lacks 'kind: ValidatingWebhookConfiguration' out/macvlan-network.yml
    assert_lacks '--webhook' out/network-controller.yml
    run_flatnet addons render --webhook --images 2019-original -o out2
    assert_status 2
    assert_contains 'has no webhook' stderr
    mkdir mine
    run_flatnet addons render --webhook --from mine -o out2
    assert_status 2
    assert_contains "do not go with '--from'" stderr
}

@test "the image names are those of images push" {
    run_flatnet addons render --registry 127.0.0.1:5000/x --format json -o out
    assert_status 0
    grep -ho 'image: .*' out/macvlan-network.yml | sort -u >names
    assert_equal "$(grep -vc '^image: 127.0.0.1:5000/x/' names)" 0 "images elsewhere"
    assert_contains 'image: 127.0.0.1:5000/x/nfvpe/multus:v3.2' names
}

@test "a second rendering replaces the first, and says what is left of it" {
    run_flatnet addons render -o out
    assert_status 0
    run_flatnet addons render --mode chained -o out
    assert_status 0
    assert_contains "'out/multus-daemonset.yml' is left from another rendering; remove it" stderr
    assert_lacks multus-cni-config out/macvlan-network.yml
    rm out/multus-daemonset.yml
    cp -r out before
    run_flatnet addons render --mode chained -o out
    assert_status 0
    assert_lacks 'is left from' stderr
    diff -r before out
}

@test "multus 3.2 and Kubernetes 1.21: a warning" {
    run_flatnet addons render --kube-version 1.21 -o out
    assert_status 0
    assert_contains 'that token expires' stderr
    run_flatnet addons render --kube-version 1.21 --mode chained -o out2
    assert_lacks 'that token expires' stderr
}

@test "wrong options are named, and nothing is written" {
    local -a table=(
        "--kube-version|1.9|older than 1.11"
        "--mode|both|multus or chained"
        "--images|newest|there is no image set 'newest'"
        "--pod-cidr|10.43.0.0/16|overlap"
        "--iface|a b|neither an interface's name"
        "--registry|team|needs a dot or a port"
        "--path|relative|takes an absolute path"
        "--url|ftp://x|http or https"
    )
    local row option value message
    for row in "${table[@]}"; do
        IFS='|' read -r option value message <<<"$row"
        run_flatnet addons render "$option" "$value" -o out
        assert_status 2
        assert_contains "$message" stderr
        [ ! -e out ]
    done
}

@test "a folder that cannot be written is an error" {
    touch file
    run_flatnet addons render -o file/x
    assert_status 1
    assert_contains "file/x" stderr
    assert_equal "$output" ""
}

@test "help names every option" {
    run_flatnet addons render --help
    assert_status 0
    for option in kube-version mode images webhook registry from cluster-yaml pod-cidr service-cidr iface iface-regex path url output; do
        assert_contains "--$option"
    done
}

# The user's own files: what a sed that knew all the shapes would do, and no byte more.
@test "render --from edits the user's YAML, and nothing else in it" {
    mkdir mine
    cp "$REPO_ROOT/tests/data/addons/legacy.yml" mine/macvlan-network.yml
    chmod 640 mine/macvlan-network.yml
    echo text >mine/README
    run_flatnet addons render --from mine -o out --registry harbor.example/t --iface ens4 --pod-cidr 172.20.0.0/16
    assert_status 0
    assert_contains "12 images, 5 interfaces, 1 networks and 1 CNI versions changed in 1 files" stderr
    assert_contains '  - /var/lib/rancher/network-addons/macvlan-network.yml'
    sed -e 's|image: "cnrancher/|image: "harbor.example/t/cnrancher/|' -e 's|image: cnrancher/|image: harbor.example/t/cnrancher/|' \
        -e 's|image: nfvpe/|image: harbor.example/t/nfvpe/|' \
        -e '/^ *#/!s|image: quay.io/|image: harbor.example/t/|' -e 's|# - --iface=eth0|- --iface=ens4|' \
        -e 's|"10.42.0.0/16"|"172.20.0.0/16"|' \
        -e '/"name": "multus-cni-network"/i\      "cniVersion": "0.3.1",' mine/macvlan-network.yml >expected
    cmp expected out/macvlan-network.yml
    assert_equal "$(stat -c %a out/macvlan-network.yml)" 640
    assert_no_leftovers out macvlan-network.yml
    run_flatnet addons render --from out -o out --registry harbor.example/t --iface ens4 --pod-cidr 172.20.0.0/16
    assert_status 0
    cmp expected out/macvlan-network.yml
}

@test "render --from names what it leaves alone, and what the version does not take" {
    mkdir mine
    cp "$REPO_ROOT/tests/data/addons/legacy.yml" mine/a.yml
    printf 'kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\ndata:\n  net-conf.json: "{}"\n' >mine/b.yaml
    run_flatnet addons render --from mine -o out --kube-version 1.16 --pod-cidr 172.20.0.0/16
    assert_status 0
    assert_contains 'mine/b.yaml:5: left alone: net-conf.json' stderr
    assert_contains 'is gone in Kubernetes 1.16' stderr
    cmp mine/b.yaml out/b.yaml
    assert_contains '  - /var/lib/rancher/network-addons/a.yml'
    assert_contains '  - /var/lib/rancher/network-addons/b.yaml'
}

@test "render --from refuses what it cannot do" {
    mkdir mine
    run_flatnet addons render --from mine -o out
    assert_status 2
    assert_contains "no YAML file is in 'mine'" stderr
    echo 'a: [' >mine/a.yml
    run_flatnet addons render --from mine -o out
    assert_status 2
    assert_contains "'mine/a.yml': line 2: not valid YAML" stderr
    assert_no_leftovers out
    run_flatnet addons render --from mine --mode chained -o out
    assert_status 2
    run_flatnet addons render --from missing -o out
    assert_status 1
}

@test "--cluster-yaml changes the user's file in its place" {
    cat >cluster.yml <<'Y'
# mine 集群
nodes:
- address: 10.0.0.1   # first
network:
    plugin: canal     # was
    options: {}
ingress:
    provider: nginx
Y
    cp cluster.yml before.yml
    chmod 600 cluster.yml
    run_flatnet addons render -o out --cluster-yaml cluster.yml
    assert_status 0
    assert_contains "'cluster.yml' is changed" stderr
    assert_equal "$output" ""
    {
        sed 's/plugin: canal /plugin: none /' before.yml
        printf 'addons_include:\n  - /var/lib/rancher/network-addons/macvlan-network.yml\n'
    } >expected
    cmp expected cluster.yml
    assert_equal "$(stat -c %a cluster.yml)" 600
    run_flatnet addons render -o out --cluster-yaml cluster.yml
    assert_status 0
    assert_contains "'cluster.yml' has the settings already" stderr
    cmp expected cluster.yml
    echo '- x' >list.yml
    run_flatnet addons render -o out --cluster-yaml list.yml
    assert_status 2
    assert_contains "'list.yml': no cluster YAML" stderr
    assert_contains '- x' list.yml
}
