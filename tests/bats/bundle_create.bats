#!/usr/bin/env bats
# bundle create: lists, bundles that other programs read, platforms, old and new image formats,
# addons, images that cannot be had.
# timeout: 900
# The variables that run_flatnet sets, and jq's own:
# shellcheck disable=SC2154,SC2016

load helper
load bundle

setup_file() {
    start_source
    lab_dockerd one
    lab_containerd cri
    make_images t/one:1=root,a:40 t/two:1=root,b:30,c:20
    make_images --format oci t/oci:1=d:10,root t/oci:2=d:10,root,e:5
    local form addr
    addr=$(lab_registry_addr src)
    for form in oci docker nested attestation; do
        lab_image_multi "$addr" "multi/$form:1" "$form"
    done
    lab_image_zstd "$addr" packed/zstd:1
    lab_image_plain "$addr" packed/plain:1
    lab_image_schema1 "$addr" old/flagged:1
    lab_image_schema1 "$addr" old/bare:1 --unflagged
}

teardown_file() {
    lab_cleanup
}

setup() {
    source_setup
}

# references FILE: what the bundle holds, one a line.
references() {
    "$FLATNET" bundle ls --format json "$1" | jq -r '.images[].reference'
}

@test "lists: comments, BOM, CRLF, no final newline, doubles, digests" {
    digest=$(skopeo inspect --tls-verify=false "docker://$SRC/t/two:1" | jq -r .Digest)
    printf '\xef\xbb\xbf# a comment\r\n%s/t/one:1\r\n\r\n   %s/t/one:1  \r\n' "$SRC" "$SRC" >first
    printf '%s/t/two@%s # why\n\n%s/t/oci:1' "$SRC" "$digest" "$SRC" >second
    created -f first -f second -o b.tar
    assert_equal "$(references b.tar)" "$(printf '%s\n' "$SRC/t/one:1" "$SRC/t/two@$digest" "$SRC/t/oci:1")"
    printf '%s/t/one:1\n' "$SRC" | created -f - -o stdin.tar
    assert_equal "$(references stdin.tar)" "$SRC/t/one:1"
    assert_no_leftovers . .home .stderr .stdout b.tar first second stdin.tar
}

@test "a bad line is named by file and line, and nothing is written" {
    printf '%s/t/one:1\n\nNot/An/Image\n' "$SRC" >bad.list
    create -f bad.list -o b.tar
    assert_status 2
    assert_contains 'bad.list:3' stderr
    : >empty.list
    create -f empty.list -o b.tar
    assert_status 2
    create -f absent.list -o b.tar
    assert_status 1
    assert_contains "'absent.list'" stderr
    assert_no_leftovers . .home .stderr .stdout bad.list empty.list
}

@test "the same input gives the same bytes, whatever the number of jobs" {
    list l "$SRC/t/one:1" "$SRC/t/two:1" "$SRC/t/oci:1" "$SRC/multi/oci:1" "$SRC/old/flagged:1" "$SRC/packed/zstd:1"
    created -f l -o first.tar --jobs 1
    created -f l -o second.tar --jobs 1
    created -f l -o third.tar --jobs 8
    cmp first.tar second.tar
    cmp first.tar third.tar
    verified first.tar
}

@test "shared layers are fetched once" {
    list l "$WIRE/t/one:1" "$WIRE/t/two:1" "$WIRE/t/oci:1" "$WIRE/t/oci:2"
    created -f l -o b.tar --format json
    assert_json '.images == 4 and .sharedBytes > 0'
    # Two formats of one root have two digests, so there are 2 + 1 + 2 and 2 + 1 different layers.
    assert_equal "$(jq -r 'select(.method == "GET" and (.path | test("/blobs/"))) | .path | split("/")[-1]' \
        "$LAB_DIR/wire.requests" | sort | uniq -d)" "" "blobs that were fetched twice"
    root=$(layer_of t/one:1 0)
    assert_equal "$(lab_proxy_count wire ".method == \"GET\" and (.path | endswith(\"$root\"))")" 1
}

@test "docker load takes every image, under its name and with its id" {
    list l "$SRC/t/one:1" "$SRC/t/two:1" "$SRC/t/oci:1" "$SRC/packed/plain:1"
    created -f l -o b.tar
    lab_docker one load -i b.tar
    for name in t/one:1 t/two:1 t/oci:1 packed/plain:1; do
        assert_equal "$(lab_docker_id one "$SRC/$name")" "$(config_of "$name")" "$name"
    done
    assert_equal "$(lab_docker one run --rm --network none "$SRC/t/two:1" cat /etc/note)" bundle
    assert_equal "$(lab_docker one run --rm --network none "$SRC/t/oci:1" cat /etc/note)" bundle
}

@test "ctr images import takes every image" {
    list l "$SRC/t/one:1" "$SRC/t/two:1" "$SRC/t/oci:1" "$SRC/packed/plain:1" "$SRC/packed/zstd:1"
    created -f l -o b.tar
    assert_contains "image '$SRC/packed/zstd:1' has zstd layers" stderr
    lab_ctr cri images import b.tar
    for name in t/one:1 t/two:1 t/oci:1 packed/plain:1 packed/zstd:1; do
        digest=$(skopeo inspect --tls-verify=false "docker://$SRC/$name" | jq -r .Digest)
        lab_ctr cri images ls "name==$SRC/$name" | grep -qF "$digest"
        lab_ctr cri images check "name==$SRC/$name" | grep -qF 'complete'
    done
}

@test "tar and skopeo read it" {
    list l "$SRC/t/one:1" "$SRC/t/oci:1" "$SRC/multi/oci:1"
    created -f l -o b.tar
    tar -tf b.tar >listed
    jq -r '.entries[].path' < <("$FLATNET" bundle ls --format json b.tar) >expected
    assert_equal "$(sed '1d;$d' listed)" "$(cat expected)"
    assert_equal "$(sed -n '1p;$p' listed)" $'flatnet.json\nflatnet.trailer'
    # skopeo takes docker's manifests from the docker half, and from a layout only as part of an index.
    for from in oci-archive:$T/b.tar:$SRC/t/oci:1 oci-archive:$T/b.tar:$SRC/multi/oci:1 \
        docker-archive:$T/b.tar:$SRC/t/one:1; do
        skopeo inspect "$from" >inspected
        jq -e '.Layers | length == 2' inspected
    done
    skopeo copy -q "oci-archive:$T/b.tar:$SRC/t/oci:1" "docker-archive:$T/out.tar:x:1"
}

@test "two platforms, in every form of an index" {
    for form in oci docker nested attestation; do
        list l "$SRC/multi/$form:1"
        created -f l --platform linux/amd64 --platform linux/arm64 -o "$form.tar"
        verified "$form.tar"
        run_flatnet bundle ls --format json "$form.tar"
        assert_json '[.images[0].platforms[].platform] == ["linux/amd64", "linux/arm64"]'
        # What the registry served is kept beside the index of what is there.
        upstream=$(lab_curl src "/v2/multi/$form/manifests/1" -H 'Accept: application/vnd.oci.image.index.v1+json' \
            -H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' | sha256sum | cut -c 1-64)
        assert_json '.images[0].upstreamIndex.digest == "sha256:" + $d' --arg d "$upstream"
        tar -xOf "$form.tar" "blobs/sha256/$upstream" | sha256sum | grep -q "^$upstream"
        lab_docker one load -i "$form.tar"
        lab_docker one image inspect "$SRC/multi/$form:1" | jq -e '.[0].Architecture == "amd64"'
        for arch in amd64 arm64; do
            lab_ctr cri images import --platform "linux/$arch" "$form.tar"
            lab_ctr cri images ls "name==$SRC/multi/$form:1" | grep -q "linux/$arch"
        done
        skopeo inspect --override-arch arm64 "oci-archive:$T/$form.tar:$SRC/multi/$form:1" >inspected
        jq -e '.Architecture == "arm64"' inspected
    done
}

@test "the first platform is docker's, a single one needs no index of its own" {
    list l "$SRC/multi/oci:1"
    created -f l --platform linux/arm64 --platform linux/amd64 -o b.tar
    config=$(tar -xOf b.tar manifest.json | jq -r '.[0].Config')
    tar -xOf b.tar "$config" | jq -e '.architecture == "arm64"'
    created -f l --platform linux/arm64 -o single.tar
    run_flatnet bundle ls --format json single.tar
    assert_json '.images[0] | (.platforms | length) == 1 and (has("index") | not) and has("upstreamIndex")'
    tar -xOf single.tar index.json | jq -e '.manifests[0].mediaType | test("manifest")'
    created -f l -o usual.tar
    run_flatnet bundle ls --format json usual.tar
    assert_json '[.images[0].platforms[].platform] == ["linux/amd64"]'
}

@test "a platform that an image is not there for" {
    list l "$SRC/multi/oci:1" "$SRC/t/one:1"
    create -f l --platform linux/amd64 --platform linux/s390x -o b.tar
    assert_status 5
    assert_contains "$SRC/multi/oci:1" stderr
    assert_contains 'not there for linux/s390x (it is for linux/amd64, linux/arm64)' stderr
    # An image without an index has one platform, and that is enough.
    assert_lacks "$SRC/t/one:1" b.tar.failed
    list single "$SRC/t/one:1"
    create -f single --platform linux/arm64 -o b.tar
    assert_status 5
    assert_contains 'not there for linux/arm64 (it is for linux/amd64)' stderr
    create -f l --platform linux/amd64 --platform linux/x86_64 -o b.tar
    assert_status 2
    assert_contains 'named twice' stderr
}

@test "schema 1 becomes schema 2, and docker makes the same of it" {
    list l "$SRC/old/flagged:1"
    created -f l -o b.tar
    verified b.tar
    run_flatnet bundle ls --format json b.tar
    assert_json '.images[0].convertedFrom | test("^sha256:")'
    lab_docker one pull "$SRC/old/flagged:1"
    lab_docker one image inspect "$SRC/old/flagged:1" >theirs
    lab_docker one image rm -f "$SRC/old/flagged:1"
    lab_docker one load -i b.tar
    lab_docker one image inspect "$SRC/old/flagged:1" >ours
    for member in '.RootFS' '.Config.Cmd' '.Config.Env' '.Architecture' '.Os' '.Author' '.Created'; do
        assert_equal "$(jq -S ".[0]$member" ours)" "$(jq -S ".[0]$member" theirs)" "$member"
    done
    assert_equal "$(lab_docker one run --rm --network none "$SRC/old/flagged:1" cat /etc/note)" old/flagged:1
    lab_docker one history -q --no-trunc "$SRC/old/flagged:1" >steps
    assert_equal "$(wc -l <steps)" 5 "steps of the history"
    lab_ctr cri images import b.tar
    lab_ctr cri images check "name==$SRC/old/flagged:1" | grep -q complete
}

@test "schema 1: layers without files go away, marked or not; same bytes twice" {
    list l "$SRC/old/flagged:1" "$SRC/old/bare:1"
    created -f l -o first.tar
    created -f l -o second.tar --jobs 1
    cmp first.tar second.tar
    assert_equal "$(tar -xOf first.tar manifest.json | jq -c '[.[].Layers | length]')" '[2,2]'
    for n in 0 1; do
        digest=$(jq -r ".images[$n].platforms[0].manifest.digest[7:]" < <(tar -xOf first.tar flatnet.json))
        tar -xOf first.tar "blobs/sha256/$digest" >manifest
        tar -xOf first.tar "blobs/sha256/$(jq -r '.config.digest[7:]' manifest)" >config
        for layer in 0 1; do
            blob=$(jq -r ".layers[$layer].digest[7:]" manifest)
            assert_equal "sha256:$(tar -xOf first.tar "blobs/sha256/$blob" | gzip -dc | sha256sum | cut -c 1-64)" \
                "$(jq -r ".rootfs.diff_ids[$layer]" config)"
        done
        jq -e '[.history[] | select(.empty_layer)] | length == 3' config
    done
}

@test "one schema 1 image under two names is one image" {
    lab_curl src /v2/old/flagged/manifests/1 -H 'Accept: application/vnd.docker.distribution.manifest.v1+prettyjws' >served
    lab_proxy_rules wire "[{\"path\": \"/v2/old/flagged/manifests/\", \"do\": {\"status\": 200, \"body_file\": \"$T/served\",
        \"headers\": {\"Content-Type\": \"application/vnd.docker.distribution.manifest.v1+prettyjws\"}}}]"
    list l "$WIRE/old/flagged:1" "$WIRE/old/flagged:again"
    created -f l -o b.tar
    verified b.tar
    run_flatnet bundle ls --format json b.tar
    assert_json '.images[0].platforms[0].manifest == .images[1].platforms[0].manifest'
    lab_docker one load -i b.tar
    assert_equal "$(lab_docker_id one "$WIRE/old/flagged:1")" "$(lab_docker_id one "$WIRE/old/flagged:again")"
}

@test "schema 1 images that only differ in how they are packed cannot both go in" {
    PYTHONPATH=$LAB_HOME python3 -B - "$T/layout" "$SRC" <<'PY'
import json, sys
import push_layout, schema1
from layout import SCHEMA1, Layout
layout = Layout(sys.argv[1])
for ref, level in ("old/light:1", 1), ("old/tight:1", 9):
    layer, _ = layout.layer({"file": b"x" * 5000}, "docker", "gzip", level)
    payload = {"schemaVersion": 1, "name": "old/it", "tag": "1", "architecture": "amd64",
               "fsLayers": [{"blobSum": layer["digest"]}],
               "history": [{"v1Compatibility": text} for text in schema1.history([("ADD file", False)], True)]}
    layout.tag(ref, layout.add(schema1.sign(json.dumps(payload, indent=3).encode()), SCHEMA1))
    push_layout.push(layout, ref, f"{sys.argv[2]}/{ref}", False)
PY
    list l "$SRC/old/light:1" "$SRC/old/tight:1"
    create -f l -o b.tar
    assert_status 2
    assert_contains 'the same as another image' stderr
    [ ! -e b.tar ]
    for name in light tight; do
        list l "$SRC/old/$name:1"
        created -f l -o "$name.tar"
        verified "$name.tar"
    done
    assert_equal "$(tar -xOf light.tar manifest.json | jq -r '.[0].Config')" \
        "$(tar -xOf tight.tar manifest.json | jq -r '.[0].Config')"
}

@test "addons and images are checked against each other" {
    mkdir -p addons/sub addons/.hidden
    printf 'spec:\n  containers:\n  - image: %s/t/one:1\n' "$SRC" >addons/a.yml
    printf 'spec:\n  containers:\n  - image: %s/t/none:1\n' "$SRC" >addons/sub/b.yaml
    printf 'not: yaml: [' >addons/notes.txt
    touch addons/.hidden/x addons/.y
    list l "$SRC/t/one:1" "$SRC/t/two:1"
    create -f l --addons addons -o b.tar
    assert_status 2
    assert_contains "addons/sub/b.yaml:3" stderr
    assert_contains "$SRC/t/none:1" stderr
    assert_contains "$SRC/t/two:1" stderr
    assert_no_leftovers . .home .stderr .stdout addons l
    created -f l --addons addons --allow-missing -o b.tar
    assert_contains "$SRC/t/none:1" stderr
    verified b.tar
    assert_equal "$(tar -tf b.tar | grep -v '^blobs/')" "$(printf '%s\n' flatnet.json oci-layout index.json \
        manifest.json addons/a.yml addons/notes.txt addons/sub/b.yaml flatnet.trailer)"
    for file in a.yml notes.txt sub/b.yaml; do
        cmp <(tar -xOf b.tar "addons/$file") "addons/$file"
    done
    created -f l --addons addons/a.yml -o single.tar
    assert_equal "$(tar -tf single.tar | grep addons)" addons/a.yml
}

@test "addons that cannot go in" {
    mkdir -p one two
    list l "$SRC/t/one:1"
    echo x >one/a.txt
    echo y >two/a.txt
    create -f l --addons one --addons two -o b.tar
    assert_status 2
    assert_contains "two files would be 'addons/a.txt'" stderr
    create -f l --addons absent -o b.tar
    assert_status 1
    assert_contains "'absent'" stderr
    long=$(printf 'x%.0s' {1..95})
    echo z >"one/$long"
    create -f l --addons one -o b.tar
    assert_status 2
    assert_contains 'longer than the 100 bytes' stderr
    printf 'a: [' >two/b.yml
    create -f l --addons two -o b.tar
    assert_status 2
    assert_contains 'addons/b.yml' stderr
    assert_no_leftovers . .home .stderr .stdout l one two
}

@test "programs go in where they run everywhere" {
    list l "$SRC/t/one:1"
    created -f l --program /bin/busybox -o b.tar
    verified b.tar
    cmp <(tar -xOf b.tar bin/linux-amd64/flatnet) /bin/busybox
    assert_equal "$(tar -tvf b.tar bin/linux-amd64/flatnet | cut -c 1-10)" -rwxr-xr-x
    create -f l --program /bin/bash -o c.tar
    assert_status 2
    assert_contains "program '/bin/bash'" stderr
    assert_contains 'shared libraries' stderr
    create -f l --program l -o c.tar
    assert_status 2
    create -f l --program /bin/busybox --program /bin/busybox -o c.tar
    assert_status 2
    assert_no_leftovers . .home .stderr .stdout b.tar l
}

@test "an image that is not there: exit 5, a list to try again with, no bundle" {
    list l "$SRC/t/one:1" "$SRC/t/none:1" "$SRC/t/two:9"
    create -f l -o b.tar
    assert_status 5
    for name in t/none:1 t/two:9; do
        assert_contains "$SRC/$name" stderr
    done
    assert_contains 'l:2' stderr
    assert_contains "2 of 3 images could not be had" stderr
    assert_no_leftovers . .home .stderr .stdout b.tar.failed l
    assert_equal "$(grep -v '^#' b.tar.failed)" "$SRC/t/none:1"$'\n'"$SRC/t/two:9"
    assert_equal "$(grep -c '^# .' b.tar.failed)" 2
    make_images t/none:1=x:1 t/two:9=y:1
    created -f b.tar.failed -o rest.tar
    assert_equal "$(references rest.tar)" "$SRC/t/none:1"$'\n'"$SRC/t/two:9"
    created -f l -o b.tar
    assert_no_leftovers . .home .stderr .stdout b.tar l rest.tar
    for name in t/none t/two; do
        tag=$([ "$name" = t/two ] && echo 9 || echo 1)
        digest=$(skopeo inspect --tls-verify=false "docker://$SRC/$name:$tag" | jq -r .Digest)
        lab_curl src "/v2/$name/manifests/$digest" -X DELETE
    done
}

@test "--allow-partial writes what there is, and still exits 5" {
    list l "$SRC/t/one:1" "$SRC/t/absent:1" "$SRC/t/two:1"
    create -f l -o b.tar --allow-partial
    assert_status 5
    assert_contains 'WITHOUT 1 image,'
    assert_no_leftovers . .home .stderr .stdout b.tar b.tar.failed l
    verified b.tar
    list good "$SRC/t/one:1" "$SRC/t/two:1"
    created -f good -o same.tar
    cmp b.tar same.tar
    list bad "$SRC/t/absent:1"
    create -f bad -o c.tar --allow-partial
    assert_status 5
    assert_no_leftovers . .home .stderr .stdout b.tar b.tar.failed bad c.tar.failed good l same.tar
}

# not_found REPO:TAG N: the proxy has no such layer.
not_found() {
    lab_proxy_rules wire "[{\"path\": \"/blobs/$(layer_of "$1" "$2")\", \"do\": {\"status\": 404, \"body\": \"{}\"}}]"
}

@test "a layer that fails takes its images with it, and only those" {
    not_found t/two:1 2
    list l "$WIRE/t/two:1" "$WIRE/t/one:1"
    create -f l -o b.tar
    assert_status 5
    assert_contains "1 of 2 images" stderr
    assert_contains "layer $(layer_of t/two:1 2)" b.tar.failed
    assert_equal "$(grep -v '^#' b.tar.failed)" "$WIRE/t/two:1"
    [ ! -e b.tar ]
    create -f l -o part.tar --allow-partial
    assert_status 5
    verified part.tar
    list good "$WIRE/t/one:1"
    created -f good -o same.tar
    cmp part.tar same.tar
    # The run that kept its pieces goes on with them when the layer is back.
    lab_proxy_rules wire '[]'
    lab_proxy_forget wire
    created -f l -o b.tar
    verified b.tar
    assert_equal "$(lab_proxy_count wire ".method == \"GET\" and (.path | endswith(\"$(layer_of t/two:1 1)\"))")" 0
    assert_no_leftovers . .home .stderr .stdout b.tar good l part.tar part.tar.failed same.tar
}

@test "--allow-partial: layers that belong elsewhere without the failed image" {
    # The first image fails and is the first to need both layers that the others share, in this order.
    make_images order/bad:1=s1:300,s2:200,bad:1 order/x:1=x:50,s2:200 order/y:1=s1:300,y:50
    not_found order/bad:1 2
    list l "$WIRE/order/bad:1" "$WIRE/order/x:1" "$WIRE/order/y:1"
    create -f l -o b.tar --allow-partial
    assert_status 5
    verified b.tar
    list good "$WIRE/order/x:1" "$WIRE/order/y:1"
    created -f good -o same.tar
    cmp b.tar same.tar
}

@test "a layer whose digest is wrong is never written as a bundle" {
    lab_proxy_rules wire "[{\"path\": \"/blobs/$(layer_of t/one:1 1)\", \"do\": {\"flip\": 100}}]"
    list l "$WIRE/t/one:1"
    create -f l -o b.tar
    assert_status 5
    assert_contains 'SHA-256' b.tar.failed
    [ ! -e b.tar ]
    lab_proxy_rules wire '[]'
    created -f l -o b.tar
    verified b.tar
}

@test "the summary counts, and json says the same" {
    list l "$SRC/t/one:1" "$SRC/t/two:1"
    created -f l -o b.tar
    assert_contains 'wrote b.tar: 2 images'
    receipt=$(tar -xOf b.tar flatnet.json | sha256sum | cut -c 1-64)
    assert_contains "receipt sha256:$receipt"
    created -f l -o b.tar --format json
    assert_json '.schemaVersion == 1 and .images == 2 and .failedImages == 0 and .file == "b.tar" and .volumes == 0'
    assert_json '.receipt == "sha256:" + $r' --arg r "$receipt"
    assert_json '.bytes == ($n | tonumber)' --arg n "$(stat -c %s b.tar)"
    created -f l -o b.tar --quiet
    assert_equal "$output$stderr" ""
}

@test "an earlier bundle is replaced only by a whole one" {
    list l "$WIRE/t/one:1"
    created -f l -o b.tar
    before=$(digest_of b.tar)
    not_found t/two:1 1
    list l "$WIRE/t/one:1" "$WIRE/t/two:1"
    create -f l -o b.tar
    assert_status 5
    assert_equal "$(digest_of b.tar)" "$before"
    lab_proxy_rules wire '[]'
    created -f l -o b.tar
    verified b.tar
    assert_equal "$(references b.tar | wc -l)" 2
    assert_no_leftovers . .home .stderr .stdout b.tar l
}

@test "without -f the default set goes in, and each embedded set is what its list says" {
    lab_forward_proxy nowhere
    export https_proxy http_proxy
    https_proxy=$(lab_registry_url nowhere) http_proxy=$https_proxy
    for set in default 2019-original current; do
        chosen=(--images "$set")
        [ "$set" != default ] || chosen=()
        run_flatnet bundle create --retries 0 --allow-missing -o "$set.tar" "${chosen[@]}"
        assert_status 5
        # Every name of the list, in the full form; our own come with --from.
        sed -e 's/#.*//' -e '/^[[:space:]]*$/d' -e '/@VERSION@/d' "$REPO_ROOT/images/$set.list" |
            sed -E 's#^([^/.:]+/)#docker.io/\1#' | sort >expected
        assert_equal "$(grep -v '^#' "$set.tar.failed" | sort)" "$(cat expected)" "$set"
    done
    lab_stop nowhere
    run_flatnet bundle create --images nonsense -o x.tar
    assert_status 2
    assert_contains '2019-original' stderr
}
