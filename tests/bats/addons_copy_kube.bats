#!/usr/bin/env bats
# flatnet addons copy --kubeconfig into pods that a real kubelet 1.20 runs, seen by kubectl.
# timeout: 3000
# shellcheck disable=SC2154

load helper
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"
# shellcheck source=tests/lab/kubelet.bash
. "$LAB_HOME/kubelet.bash"

FOLDER=/var/lib/rancher/network-addons

setup_file() {
    start_lab
    lab_dockerd d tls
    lab_kube k
    lab_kubelet n k d
    image lab/rancher:1 mkdir head tar
    image lab/bare:1 mkdir head
    kubectl create namespace cattle-system
    pod rancher-a lab/rancher:1
    pod rancher-b lab/rancher:1
    running rancher-a rancher-b
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    kubeconfig=$(lab_kube_config k)
    "$FLATNET" addons render --quiet -o network-addons >/dev/null
}

teardown() {
    kubectl delete pod --ignore-not-found --force --grace-period 0 rancher-bare rancher-never rancher-volume
}

kubectl() {
    lab_kubectl k -n cattle-system "$@"
}

# image NAME PROGRAM...: busybox with these programs besides sh, sleep and cat. (Its sh knows the others too,
# a runtime does not.)
image() {
    local name=$1 root program
    root=$(mktemp -d "$LAB_DIR/root.XXXXXX")
    shift
    lab_rootfs "$root" "$name"
    for program in "$@"; do
        ln -s busybox "$root/bin/$program"
    done
    tar -C "$root" -c . | lab_docker d import -c 'ENV PATH=/bin' - "$name" >/dev/null
}

# pod NAME IMAGE [MOUNTS VOLUMES]: a pod as the Deployment of Rancher's chart makes them.
pod() {
    kubectl create -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: rancher}}
spec:
  nodeName: $(lab_kubelet_node)
  hostNetwork: true
  terminationGracePeriodSeconds: 0
  containers:
  - {name: rancher, image: "$2", imagePullPolicy: Never, command: [sleep, "100000"], volumeMounts: ${3:-[]}}
  volumes: ${4:-[]}
YAML
}

running() {
    kubectl wait --for=condition=Ready --timeout="$(lab_patience 120)s" "${@/#/pod/}" >/dev/null
}

# digests POD [FOLDER]: of all files there, as sha256sum prints them.
digests() {
    # shellcheck disable=SC2016
    kubectl exec "$1" -c rancher -- sh -c 'cd "$1" && busybox sha256sum *' sh "${2:-$FOLDER}"
}

# config_with SED: a kubeconfig that was changed.
config_with() {
    sed -E "$1" "$kubeconfig" >changed
    refute cmp -s changed "$kubeconfig"
}

# token_config NAME: the kubeconfig of that service account.
token_config() {
    config_with "s/token: [^}]*/token: $(lab_kube_token k cattle-system "$1")/"
}

@test "the folder arrives in both pods, byte for byte, plain and owned by root" {
    local name
    chmod 600 network-addons/macvlan-network.yml
    chown 12:34 network-addons/macvlan-network.yml
    (cd network-addons && sha256sum -- *) >expected
    run_flatnet addons copy network-addons --kubeconfig "$kubeconfig"
    assert_status 0
    assert_equal "$output" "POD        FILES  RESULT
rancher-a  8      copied
rancher-b  8      copied

addons_include:
  - $FOLDER/macvlan-network.yml"
    assert_contains "8 files copied to '$FOLDER' in 2 of 2 pods" stderr
    assert_contains "'$FOLDER' is not on a volume that outlives the pod (2 of 2)" stderr
    for name in rancher-a rancher-b; do
        digests "$name" | diff expected -
        # shellcheck disable=SC2016
        kubectl exec "$name" -- sh -c 'busybox stat -c "%a %u %g %F" "$1"/* | busybox sort -u' sh "$FOLDER" >stat
        assert_equal "$(cat stat)" '644 0 0 regular file'
    done
}

@test "megabytes go both ways; a second copy replaces files and names what it did not bring" {
    mkdir site
    lab_noise large 6000 >site/large.yml
    run_flatnet addons copy site --kubeconfig "$kubeconfig" --path /tmp/site
    assert_status 0
    digests rancher-a /tmp/site | diff <(cd site && sha256sum -- *) -
    mv site/large.yml site/small.yml
    truncate -s 10 site/small.yml
    run_flatnet addons copy site --kubeconfig "$kubeconfig" --path /tmp/site
    assert_status 0
    assert_contains "'/tmp/site/large.yml' was there already in 'rancher-b'" stderr
}

@test "a pod without tar and one that does not run are named, and the others have their files" {
    pod rancher-bare lab/bare:1
    pod rancher-never lab/absent:1
    running rancher-bare
    run_flatnet addons copy network-addons --kubeconfig "$kubeconfig" --path /tmp/partly
    assert_status 5
    assert_contains "rancher-a      8      copied"
    assert_contains "rancher-bare   -      failed"
    assert_contains "rancher-never  -      failed"
    assert_contains "pod 'rancher-bare': 'tar' ended with status 126: " stderr
    assert_contains 'executable file not found' stderr
    assert_contains "container 'rancher' of pod 'rancher-never' is not running" stderr
    assert_contains 'in 2 of 4 pods' stderr
    digests rancher-b /tmp/partly | diff <(cd network-addons && sha256sum -- *) -
    run_flatnet addons copy network-addons --kubeconfig "$kubeconfig" --path /tmp/partly --format json
    assert_status 5
    assert_json '.schemaVersion == 1 and .namespace == "cattle-system" and .path == "/tmp/partly" and (.files | length) == 8
        and .addonsInclude == ["/tmp/partly/macvlan-network.yml"]
        and [.pods[] | [.name, .result]] == [["rancher-a", "copied"], ["rancher-b", "copied"],
            ["rancher-bare", "failed"], ["rancher-never", "failed"]] and (.pods[2].error | contains("not found"))'
}

@test "a volume of the node is no reason for a warning; a read-only folder fails" {
    mkdir -p "$LAB_DIR/volume"
    pod rancher-volume lab/rancher:1 \
        '[{name: data, mountPath: /var/lib/rancher}, {name: fixed, mountPath: /fixed, readOnly: true}]' \
        "[{name: data, hostPath: {path: $LAB_DIR/volume}}, {name: fixed, hostPath: {path: $LAB_DIR/volume}}]"
    running rancher-volume
    run_flatnet addons copy network-addons --kubeconfig "$kubeconfig"
    assert_status 0
    assert_contains "is not on a volume that outlives the pod (2 of 3)" stderr
    cmp network-addons/macvlan-network.yml "$LAB_DIR/volume/network-addons/macvlan-network.yml"
    run_flatnet addons copy network-addons --kubeconfig "$kubeconfig" --path /fixed/x
    assert_status 5
    assert_contains "mkdir: can't create directory '/fixed/x': Read-only file system" stderr
}

@test "credentials: what is missing is named, and what the manual page says is enough" {
    kubectl create serviceaccount copier
    token_config copier
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
    assert_contains 'answered 403 Forbidden: pods is forbidden: User' stderr
    kubectl create role lister --verb list --resource pods
    kubectl create rolebinding lister --role lister --serviceaccount cattle-system:copier
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
    assert_contains "pod 'rancher-a': 'https://127.0.0.1:" stderr
    assert_contains 'cannot get resource "pods/exec"' stderr
    assert_contains "pod 'rancher-b'" stderr
    kubectl create role runner --verb get --resource pods/exec
    kubectl create rolebinding runner --role runner --serviceaccount cattle-system:copier
    lab_kube_token k cattle-system copier >token
    config_with 's/token: [^}]*/tokenFile: token/'
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 0
    config_with 's/token: [^}]*/token: wrong/'
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
    assert_contains 'answered 401 Unauthorized' stderr
}

@test "TLS: the server has to be the one that the kubeconfig says" {
    local cluster='s/certificate-authority: "[^"]*"/'
    config_with "$cluster#certificate-authority-data: $(base64 -w 0 "$LAB_DIR/client.crt")/; s/#//"
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
    assert_contains "the TLS certificate of '127.0.0.1:" stderr
    config_with "$cluster#certificate-authority-data: $(base64 -w 0 "$LAB_DIR/ca.crt"), tls-server-name: registry.example/; s/#//"
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 0
    config_with "${cluster}tls-server-name: other.example, &/"
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
    assert_contains "was issued for another name" stderr
    config_with "${cluster}insecure-skip-tls-verify: true/"
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 0
}

@test "a client certificate is shown, in files and in the kubeconfig itself" {
    local docker
    docker=$(lab_docker_tcp d)
    sed -E "s#server: [^,]*#server: https://${docker#tcp://}#; s#token: [^}]*#client-certificate: $LAB_DIR/client.crt, client-key: $LAB_DIR/client.key#" \
        "$kubeconfig" >changed
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 1
    assert_contains 'answered 404: page not found' stderr
    sed -E -i "s#client-certificate: [^,]*#client-certificate-data: $(base64 -w 0 "$LAB_DIR/client.crt")#; s#client-key: [^}]*#client-key-data: $(base64 -w 0 "$LAB_DIR/client.key")#" changed
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 1
    assert_contains 'answered 404: page not found' stderr
    sed -E -i 's#client-certificate-data: .*#token: x}}#' changed
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
}

@test "through a proxy" {
    local server
    server=$(lab_kube_url k)
    lab_forward_proxy way "registry.example:6443=${server#https://}"
    config_with "s#server: [^,]*#server: https://registry.example:6443, proxy-url: http://$(lab_registry_addr way)#"
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 0
    [ "$(lab_proxy_count way '.method == "CONNECT"')" -ge 5 ]
}

@test "contexts, and where kubectl looks for them" {
    sed 's/current-context: lab/current-context: none/' "$kubeconfig" >other
    run_flatnet addons copy network-addons --kubeconfig other
    assert_status 2
    assert_contains "'other' has no context 'none'; it has 'lab'" stderr
    KUBECONFIG=missing:other run_flatnet addons copy network-addons --context lab
    assert_status 0
    assert_contains "context 'lab' at 'https://127.0.0.1:" stderr
    run_flatnet addons copy network-addons --context lab
    assert_status 1
    assert_contains "cannot open '$HOME/.kube/config'" stderr
}

@test "credentials by another program" {
    local token
    token=$(sed -n 's/.*token: \([^}]*\)}.*/\1/p' "$kubeconfig")
    printf '#!/bin/sh\nexec cat answer\n' >plugin
    chmod +x plugin
    printf '{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential",
        "status": {"token": "%s"}}' "$token" >answer
    config_with 's|token: [^}]*|exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin}|'
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 0
    printf '{"apiVersion": "client.authentication.k8s.io/v1beta1", "status": {"token": "wrong"}}' >answer
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
    rm answer
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
    assert_contains "credentials of context 'lab' by './plugin'" stderr
    assert_contains 'answer: No such file' stderr
}

@test "what cannot be done is said" {
    run_flatnet addons copy network-addons --kubeconfig "$kubeconfig" --namespace default
    assert_status 1
    assert_contains "no pod with the label app=rancher is in namespace 'default'" stderr
    run_flatnet addons copy network-addons --kubeconfig "$kubeconfig" --container side
    assert_status 1
    assert_contains "pod 'rancher-a' has no container 'side'" stderr
    run_flatnet addons copy network-addons --kubeconfig "$kubeconfig" --namespace ../x
    assert_status 2
    run_flatnet addons copy network-addons --namespace x
    assert_status 2
    assert_contains "'--namespace' goes with '--kubeconfig'" stderr
    mkdir empty
    run_flatnet addons copy empty --kubeconfig "$kubeconfig"
    assert_status 2
    assert_contains "no file is in 'empty'" stderr
    config_with "s#server: [^,]*#server: https://127.0.0.1:1#"
    run_flatnet addons copy network-addons --kubeconfig changed
    assert_status 7
    assert_contains "cannot connect to '127.0.0.1:1'" stderr
}
