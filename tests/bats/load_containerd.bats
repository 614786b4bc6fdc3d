#!/usr/bin/env bats
# flatnet images load into a real containerd, into rke2's and k3s's folder, and the choice between
# docker and containerd.
# timeout: 900
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load helper
load load_common

setup_file() {
    start_lab
    load_images
    lab_containerd c cri
    lab_dockerd d
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    CONTAINERD_ADDRESS=$(lab_containerd_sock c)
    export CONTAINERD_ADDRESS
    empty_containerd
}

empty_containerd() {
    local names
    names=$(lab_ctr c images ls -q)
    # shellcheck disable=SC2086
    [ -z "$names" ] || lab_ctr c images rm --sync $names >/dev/null
}

# image_digest NAME: print what stands under a name in containerd.
image_digest() {
    lab_ctr c images ls "name==\"$1\"" | awk 'NR == 2 { print $3 }'
}

# assert_usable NAME DIGEST: it is there with that digest, whole, unpacked and pinned.
assert_usable() {
    assert_equal "$(image_digest "$1")" "$2" "digest of $1"
    lab_ctr c images check "name==\"$1\"" >checked
    grep -q ' complete .* true' checked || fail "'$1' is not whole and unpacked: $(cat checked)"
    lab_ctr c images ls "name==\"$1\"" >labels
    assert_contains io.cri-containerd.pinned=pinned labels
    assert_contains io.cri-containerd.image=managed labels
}

# as_root DOCKER CONTAINERD: make $T/root, in which the usual sockets are those of the lab; a name of
# "-" leaves the socket out.
as_root() {
    mkdir -p root/var/run root/run/containerd
    [ "$1" = - ] || ln -sf "$(lab_docker_sock "$1")" root/var/run/docker.sock
    [ "$2" = - ] || ln -sf "$(lab_containerd_sock "$2")" root/run/containerd/containerd.sock
    unset CONTAINERD_ADDRESS
}

# agent_images KIND: print the folder of rke2 or k3s below $T/root.
agent_images() {
    printf '%s\n' "$T/root/var/lib/rancher/$1/agent/images"
}

@test "images arrive whole, unpacked and pinned under their names" {
    run_flatnet images load "$BUNDLE"
    assert_status 0
    assert_contains "3 images loaded, 0 tagged, 0 already there, 0 failed"
    assert_contains "all 3 verified by name and id"
    assert_contains "CONTAINERD_ADDRESS is set" stderr
    for name in one two three; do
        assert_usable "docker.io/load/$name:1" "$(layout_digest "$name")"
    done
}

@test "a second run sends nothing, and pins what lost its pin" {
    run_flatnet images load "$BUNDLE"
    lab_ctr c images label docker.io/load/two:1 io.cri-containerd.pinned= >/dev/null
    run_flatnet images load --format json "$BUNDLE"
    assert_status 0
    assert_json '.summary.present == 3 and .summary.bytesSent == 0'
    assert_usable docker.io/load/two:1 "$(layout_digest two)"
}

@test "layers that containerd has are not sent" {
    run_flatnet images load --only load/one:1 "$BUNDLE"
    run_flatnet images load --format json --only load/three:1 "$BUNDLE"
    assert_status 0
    assert_json '.images[0].layersOmitted == 2'
    assert_usable docker.io/load/three:1 "$(layout_digest three)"
}

@test "an image that is there under another name is tagged" {
    run_flatnet images load --only load/one:1 "$BUNDLE"
    lab_ctr c images tag docker.io/load/one:1 example.org/other:7
    lab_ctr c images rm docker.io/load/one:1
    run_flatnet images load --format json --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_json '.images[0].result == "tagged"'
    assert_usable docker.io/load/one:1 "$(layout_digest one)"
}

@test "another image under the name is replaced" {
    run_flatnet images load --only load/two:1 "$BUNDLE"
    lab_ctr c images tag docker.io/load/two:1 docker.io/load/one:1
    run_flatnet images load --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_usable docker.io/load/one:1 "$(layout_digest one)"
}

@test "digests are names, zstd layers stay, platforms can be chosen" {
    digest=$(layout_digest one)
    "$FLATNET" bundle create -q --from "$LAYOUTS/one=quay.io/by/both:3@$digest" --from "$LAYOUTS/zstd" \
        --from "$LAYOUTS/multi" --platform linux/amd64 --platform linux/arm64 -o mixed.tar
    run_flatnet images load mixed.tar
    assert_status 0
    assert_usable "quay.io/by/both@$digest" "$digest"
    assert_usable docker.io/load/zstd:1 "$(layout_digest zstd)"
    lab_ctr c images ls >list
    grep -q 'load/multi:1 .* linux/amd64 ' list || fail "multi is not for amd64"
    run_flatnet images load --platform linux/arm64 --only load/multi:1 mixed.tar
    assert_status 0
    lab_ctr c images ls >list
    grep -q 'load/multi:1 .* linux/arm64 ' list || fail "multi is not for arm64"
}

@test "a corrupt layer never arrives, and the other images do" {
    load_bundle bad.tar two one
    corrupt_blob bad.tar "$(layout_layer two 1)"
    run_flatnet images load --format json bad.tar
    assert_status 5
    assert_json '.images | map(.result) == ["failed", "loaded"]'
    assert_contains "wrong SHA-256" stderr
    assert_equal "$(image_digest docker.io/load/two:1)" ""
    lab_ctr c content ls -q >blobs
    assert_lacks "$(layout_layer two 1)" blobs
    assert_usable docker.io/load/one:1 "$(layout_digest one)"
}

@test "an image that containerd cannot unpack leaves no name behind" {
    load_bundle junk.tar junk
    run_flatnet images load junk.tar
    assert_status 5
    assert_contains "'docker.io/load/junk:1': " stderr
    assert_equal "$(image_digest docker.io/load/junk:1)" ""
}

@test "a name without its layers is not taken for the image" {
    run_flatnet images load "$BUNDLE"
    lab_ctr c content rm "$(layout_layer two 1)"
    lab_ctr c snapshots ls | awk 'NR > 1 { print $1 }' | tac >chain
    while read -r key; do
        lab_ctr c snapshots rm "$key" || true
    done <chain
    run_flatnet images load --format json --only load/two:1 "$BUNDLE"
    assert_status 0
    assert_json '.images[0].result == "loaded"'
    assert_usable docker.io/load/two:1 "$(layout_digest two)"
}

@test "a delta takes what containerd has" {
    load_bundle base.tar one
    "$FLATNET" bundle create -q --from "$LAYOUTS/one" --from "$LAYOUTS/three" --base base.tar -o delta.tar
    run_flatnet images load delta.tar
    assert_status 5
    assert_contains "neither the bundle nor the runtime has $(layout_layer one 0)" stderr
    run_flatnet images load base.tar
    run_flatnet images load delta.tar
    assert_status 0
    assert_usable docker.io/load/three:1 "$(layout_digest three)"
}

@test "namespace and address by option and environment" {
    unset CONTAINERD_ADDRESS
    export CONTAINERD_NAMESPACE=other
    run_flatnet images load --address "$(lab_containerd_sock c)" --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_equal "$(lab_ctr c images ls -q)" docker.io/load/one:1
    run_flatnet images load --address "unix://$(lab_containerd_sock c)" --namespace third --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_equal "$(CONTAINERD_NAMESPACE=third lab_ctr c images ls -q)" docker.io/load/one:1
    unset CONTAINERD_NAMESPACE
    assert_equal "$(image_digest docker.io/load/one:1)" ""
    for space in other third; do
        lab_ctr c -n "$space" images rm --sync docker.io/load/one:1
    done
}

@test "k3s brings its own ctr, and no ctr at all is said" {
    mkdir bin empty
    printf '#!/bin/sh\n[ "$1" = ctr ] || exit 9\nexec %s "$@"\n' "/bin/sh -c 'shift; exec $(command -v ctr) \"\$@\"' k3s" >bin/k3s
    chmod +x bin/k3s
    PATH=$T/bin run_flatnet_alone images load --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_usable docker.io/load/one:1 "$(layout_digest one)"
    PATH=$T/empty run_flatnet_alone images load "$BUNDLE"
    assert_status 1
    assert_contains "there is no 'ctr'" stderr
}

# As run_flatnet, with tools of the test outside of PATH.
run_flatnet_alone() {
    status=0
    "$FLATNET" "$@" >"$stdout_file" 2>"$stderr_file" || status=$?
    PATH=/usr/sbin:/usr/bin:/sbin:/bin
    # shellcheck disable=SC2034
    output=$(<"$stdout_file") stderr=$(<"$stderr_file")
}

@test "a containerd that cannot be reached" {
    CONTAINERD_ADDRESS=$T/nothing run_flatnet images load "$BUNDLE"
    assert_status 7
    assert_contains "cannot reach containerd at '$T/nothing'" stderr
    run_flatnet images load --runtime containerd --address "$(printf '%0200d' 0)" "$BUNDLE"
    assert_status 2
}

@test "auto: what answers at the usual sockets, with the reason" {
    as_root d -
    run_flatnet images load --format json --root "$T/root" --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_json '.runtime.kind == "docker" and .runtime.reason == "it answers here"'
    rm root/var/run/docker.sock
    as_root - c
    run_flatnet images load --format json --root "$T/root/" --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_json '.runtime.kind == "containerd" and (.runtime.reason | startswith("no docker here: "))'
    rm root/run/containerd/containerd.sock
    run_flatnet images load --root "$T/root" "$BUNDLE"
    assert_status 7
    assert_contains "no container runtime answers here" stderr
    assert_contains "$T/root/var/run/docker.sock" stderr
    assert_contains "$T/root/run/containerd/containerd.sock" stderr
}

@test "auto: of two, docker, unless Kubernetes runs on containerd" {
    as_root d c
    run_flatnet images load --format json --root "$T/root" "$BUNDLE"
    assert_status 0
    assert_json '.runtime.kind == "docker" and (.runtime.reason | contains("--runtime containerd chooses it"))'
    run_flatnet images load --format json --root "$T/root" --runtime containerd --only load/one:1 "$BUNDLE"
    assert_json '.runtime.kind == "containerd" and .runtime.reason == "--runtime names it"'
    lab_ctr c containers create docker.io/load/one:1 pod /bin/true
    run_flatnet images load --format json --root "$T/root" "$BUNDLE"
    lab_ctr c containers rm pod
    assert_status 0
    assert_json '.runtime.kind == "containerd" and (.runtime.reason | contains("--runtime docker chooses docker"))'
    run_flatnet images load --format json --root "$T/root" --runtime docker --only load/one:1 "$BUNDLE"
    assert_json '.runtime.kind == "docker"'
}

@test "auto: options go before the environment, DOCKER_HOST before CONTAINERD_ADDRESS" {
    use_docker d
    run_flatnet images ls --format json
    assert_json '.runtime.kind == "docker" and .runtime.reason == "DOCKER_HOST is set"'
    run_flatnet images ls --format json --address "$CONTAINERD_ADDRESS"
    assert_json '.runtime.kind == "containerd" and .runtime.reason == "--address names it"'
    # One that was named and does not answer is not replaced by another.
    DOCKER_HOST=unix://$T/nothing run_flatnet images load "$BUNDLE"
    assert_status 7
}

@test "k3s's own socket goes before the usual one" {
    as_root - -
    mkdir -p root/run/k3s/containerd
    ln -s "$(lab_containerd_sock c)" root/run/k3s/containerd/containerd.sock
    ln -s "$T/nothing" root/run/containerd/containerd.sock
    run_flatnet images load --format json --root "$T/root" --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_json '.runtime.address | endswith("/run/k3s/containerd/containerd.sock")'
}

@test "rke2 and k3s get one archive that containerd and docker take" {
    for kind in rke2 k3s; do
        empty_containerd
        run_flatnet images load --runtime "$kind" --root "$T/root" --format json "$BUNDLE"
        assert_status 0
        assert_json '.summary.written == 3 and .summary.failed == 0'
        archive=$(jq -r .archive "$stdout_file")
        assert_no_leftovers "$(agent_images "$kind")" "${archive##*/}"
        lab_ctr c images import --all-platforms "$archive" >/dev/null
        for name in one two three; do
            assert_equal "$(image_digest "docker.io/load/$name:1")" "$(layout_digest "$name")"
        done
    done
    empty_docker d
    lab_docker d load -q -i "$archive"
    assert_equal "$(lab_docker_id d load/three:1)" "$(layout_config three)"
    run_flatnet images load --runtime k3s --root "$T/root" --format json "$BUNDLE"
    assert_status 0
    assert_json '.summary.present == 3 and .summary.bytesSent == 0'
    run_flatnet images load --runtime k3s --root "$T/root" --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_contains "k3s imports it at its next start"
    assert_equal "$(find "$(agent_images k3s)" -type f | wc -l)" 2 "archives"
}

@test "the archive leaves out images that are corrupt, incomplete or for another platform" {
    load_bundle bad.tar one two arm
    corrupt_blob bad.tar "$(layout_layer two 1)"
    run_flatnet images load --runtime rke2 --root "$T/root" --format json bad.tar
    assert_status 5
    assert_json '.images | map(.result) == ["written", "failed", "failed"]'
    lab_ctr c images import "$(jq -r .archive "$stdout_file")" >/dev/null
    # CRI adds the configuration's digest as a name.
    assert_equal "$(lab_ctr c images ls -q | grep -v ^sha256:)" docker.io/load/one:1
    corrupt_blob bad.tar "$(layout_layer one 0)"
    rm -r root
    run_flatnet images load --runtime rke2 --root "$T/root" bad.tar
    assert_status 5
    assert_contains "no archive was written"
    assert_no_leftovers "$(agent_images rke2)"
    load_bundle base.tar one
    "$FLATNET" bundle create -q --from "$LAYOUTS/two" --from "$LAYOUTS/three" --base base.tar -o delta.tar
    run_flatnet images load --runtime rke2 --root "$T/root" delta.tar
    assert_status 5
    assert_contains "neither the bundle nor the runtime has $(layout_layer one 0)" stderr
    run_flatnet images load --runtime rke2 --root "$T/root" --base base.tar delta.tar
    assert_status 0
}

@test "an archive that does not fit leaves nothing" {
    mkdir -p "$(agent_images rke2)"
    mount -t tmpfs -o size=1m none "$(agent_images rke2)"
    run_flatnet images load --runtime rke2 --root "$T/root" "$BUNDLE"
    umount_status=$status
    leftovers=$(ls -A "$(agent_images rke2)")
    umount "$(agent_images rke2)"
    assert_equal "$umount_status" 6 "exit status"
    assert_contains "of free space, and the archive takes" stderr
    assert_equal "$leftovers" ""
}
