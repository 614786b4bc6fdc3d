#!/usr/bin/env bats
# bundle create --from: images of OCI layouts and docker archives, alone and beside a registry.
# timeout: 300
# The variables that run_flatnet sets, and jq's own:
# shellcheck disable=SC2030,SC2031,SC2154,SC2016

load helper
load bundle

setup_file() {
    start_source
    make_images f/a:1=root,y:50 f/a:2=root,z:50 f/b:1=w:40
    make_images --format oci f/o:1=v:40
    lab_image_multi "$(lab_registry_addr src)" f/multi:1 oci
    lab_dockerd one
    local name
    for name in f/a:1 f/a:2; do
        lab_docker one pull -q "$(lab_registry_addr src)/$name"
    done
    lab_docker one save -o "$LAB_DIR/saved.tar" "$(lab_registry_addr src)/f/a:1" "$(lab_registry_addr src)/f/a:2"
}

teardown_file() {
    lab_cleanup
}

setup() {
    source_setup
}

# copied REPO:TAG TRANSPORT:PATH[:NAME] [ARG...]: skopeo copy out of the registry.
copied() {
    local ref=$1 to=$2
    shift 2
    skopeo --insecure-policy copy -q --src-tls-verify=false "$@" "docker://$SRC/$ref" "$to"
}

# digests_of FILE: reference and manifest digest of each image in a bundle.
digests_of() {
    tar -xOf "$1" index.json | jq -r '.manifests[] | .annotations["org.opencontainers.image.ref.name"] + " " + .digest' | sort
}

@test "an OCI layout gives what the registry gives, byte for byte" {
    copied f/o:1 "oci:lay:$SRC/f/o:1"
    created -q --from lay -o from.tar
    list l "$SRC/f/o:1"
    created -q -f l -o pulled.tar
    cmp from.tar pulled.tar
}

@test "folder, tar, gzip and zstd of a layout are the same" {
    copied f/o:1 "oci:lay:$SRC/f/o:1"
    tar -C lay -cf lay.tar .
    gzip -k lay.tar
    zstd -q lay.tar
    created -q --from lay -o one.tar
    for file in lay.tar lay.tar.gz lay.tar.zst; do
        created -q --from "$file" -o other.tar
        cmp one.tar other.tar
    done
}

@test "docker save: ids stay, shared layers are there once" {
    created -q --from "$LAB_DIR/saved.tar" -o from.tar
    verified from.tar
    assert_contains '2 images'
    tar -xOf from.tar manifest.json >named.json
    for ref in f/a:1 f/a:2; do
        jq -e --arg r "$SRC/$ref" --arg id "$(config_of "$ref")" \
            '[.[] | select(.RepoTags == [$r]).Config] == ["blobs/sha256/" + $id[7:]]' named.json
    done
    # Two manifests, two configurations, and three layers, of which both images have the first.
    run_flatnet bundle ls --format json from.tar
    assert_json '[.entries[] | select(.path | startswith("blobs/"))] | length == 7'
    lab_docker one rmi -f "$SRC/f/a:1" "$SRC/f/a:2" >/dev/null
    lab_docker one load -q -i from.tar
    assert_equal "$(lab_docker_id one "$SRC/f/a:1")" "$(config_of f/a:1)"
    lab_docker one run --rm "$SRC/f/a:2" true
}

@test "files and a registry in one bundle; what a file has is not fetched" {
    copied f/o:1 "oci:lay:$WIRE/f/o:1"
    list l "$WIRE/f/o:1" "$WIRE/f/b:1"
    created -q --from lay -f l -o b.tar
    verified b.tar
    assert_contains '2 images'
    assert_equal "$(lab_proxy_count wire '.path | test("/f/o/")')" 0 "requests for an image that a file has"
    [ "$(lab_proxy_count wire '.path | test("/f/b/")')" -gt 0 ]
}

@test "PATH=REFERENCE names an image that has no full name" {
    copied f/o:1 oci:lay:short
    create --from lay -o b.tar
    assert_status 2
    assert_contains "--from lay=REFERENCE" stderr
    created -q --from lay=quay.io/team/o:7 -o b.tar
    assert_equal "$(digests_of b.tar | cut -d ' ' -f 1)" quay.io/team/o:7
    create --from "lay=quay.io/UPPER" -o c.tar
    assert_status 2
    create --from "$LAB_DIR/saved.tar=quay.io/team/o:7" -o c.tar
    assert_status 2
    refute [ -e c.tar ]
}

@test "an index keeps the platforms that are asked for" {
    copied f/multi:1 "oci:lay:$SRC/f/multi:1" --all
    created -q --from lay --platform linux/amd64 --platform linux/arm64 -o b.tar
    run_flatnet bundle ls --format json b.tar
    assert_json '[.images[0].platforms[].platform] | sort == ["linux/amd64", "linux/arm64"]'
    created -q --from lay --platform linux/arm64 -o one.tar
    run_flatnet bundle ls --format json one.tar
    assert_json '[.images[0].platforms[].platform] == ["linux/arm64"]'
    create --from lay --platform linux/s390x -o none.tar
    assert_status 5
    assert_contains linux/s390x stderr
    refute [ -e none.tar ]
}

@test "a bundle is a source for another bundle" {
    list l "$SRC/f/o:1" "$SRC/f/b:1"
    created -q -f l -o first.tar
    created -q --from first.tar -o second.tar
    cmp first.tar second.tar
}

@test "two files with one name: the first, and it is said" {
    copied f/a:1 "oci:one:$SRC/f/x:1"
    copied f/b:1 "oci:two:$SRC/f/x:1"
    created --from one --from two -o b.tar
    assert_contains "two: '$SRC/f/x:1' is left out, 'one' has another image of that name" stderr
    created -q --from one -o want.tar
    cmp want.tar b.tar
}

@test "damage and what is no archive" {
    copied f/o:1 "oci:lay:$SRC/f/o:1"
    layer=$(layer_of f/o:1 0)
    blob=lay/blobs/sha256/${layer#sha256:}
    printf 'x' | dd of="$blob" bs=1 seek=100 conv=notrunc status=none
    create --from lay -o b.tar
    assert_status 5
    assert_contains "$layer" stderr
    rm "$blob"
    create --from lay -o b.tar
    assert_status 5
    list text 'no archive'
    create --from text -o b.tar
    assert_status 4
    assert_contains "'text'" stderr
    create --from missing -o b.tar
    assert_status 1
    assert_contains "'missing'" stderr
    head -c 100000 "$LAB_DIR/saved.tar" >cut.tar
    create --from cut.tar -o b.tar
    assert_status 4
    assert_contains "'cut.tar'" stderr
    refute [ -e b.tar ]
}
