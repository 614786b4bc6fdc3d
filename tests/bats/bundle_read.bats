#!/usr/bin/env bats
# Commands that look into a bundle: ls, diff, extract.
# timeout: 600
# The variables that run_flatnet sets, and jq's own:
# shellcheck disable=SC2030,SC2031,SC2154,SC2016

load helper
load bundle

setup_file() {
    start_source
    make_images r/a:1=x:1 r/a:2=x:1,y:1 r/b:1=z:1
    lab_image_multi "$(lab_registry_addr src)" r/multi:1
}

teardown_file() {
    lab_cleanup
}

setup() {
    source_setup
    mkdir -p addons/sub
    printf 'kind: one\n' >addons/one.yml
    printf 'kind: two\n' >addons/sub/two.yml
    list l "$SRC/r/a:1" "$SRC/r/multi:1"
    created -q -f l --addons addons --program /bin/busybox --platform linux/amd64 --platform linux/arm64 -o b.tar
}

@test "ls: images with platforms, sizes and ids, and the files" {
    run_flatnet bundle ls b.tar
    assert_status 0
    assert_equal "$(head -n 1 <<<"$output" | tr -s ' ')" 'IMAGE PLATFORM SIZE LAYERS ID'
    id=$(config_of r/a:1)
    grep -E "^$SRC/r/a:1 +linux/amd64 .* 1 +${id:7:12}\$" <<<"$output"
    grep -E "^$SRC/r/multi:1 +linux/amd64 " <<<"$output"
    grep -E '^ +linux/arm64 ' <<<"$output"
    assert_contains addons/one.yml
    assert_contains addons/sub/two.yml
    assert_contains bin/linux-amd64/flatnet
    assert_lacks blobs/sha256
    assert_contains '2 images'
    assert_contains "receipt sha256:$(tar -xOf b.tar flatnet.json | sha256sum | cut -c 1-64)"
}

@test "ls --files lists every entry" {
    run_flatnet bundle ls --files b.tar
    assert_status 0
    sed -n '/SIZE  FILE/,/^$/p' <<<"$output" | sed '1d;$d' | awk '{ print $NF }' >listed
    assert_equal "$(cat listed)" "$(tar -tf b.tar | sed '1d;$d')"
}

@test "ls --format json has all of the index" {
    run_flatnet bundle ls --format json b.tar
    assert_status 0
    assert_json '.schemaVersion == 1 and .formatVersion == 1 and (.images | length) == 2'
    assert_json '.bytes == ($n | tonumber)' --arg n "$(stat -c %s b.tar)"
    assert_json '[.entries[] | select(.path == "addons/one.yml")] | length == 1 and .[0].size == 10'
    assert_json '.entries[] | select(.path == "addons/one.yml") | .sha256 == $d' --arg d "$(digest_of addons/one.yml)"
    jq -r '.entries[].path' "$stdout_file" >paths
    assert_equal "$(cat paths)" "$(tar -tf b.tar | sed '1d;$d')"
}

@test "diff: the same, and every kind of difference" {
    cp b.tar same.tar
    run_flatnet bundle diff b.tar same.tar
    assert_status 0
    assert_contains '0 differences'
    printf 'kind: new\n' >addons/one.yml
    printf 'kind: three\n' >addons/three.yml
    rm -r addons/sub
    list l "$SRC/r/b:1" "$SRC/r/a:1"
    # A name that means something else now.
    before=$(skopeo inspect --tls-verify=false "docker://$SRC/r/a:1" | jq -r .Digest)
    skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$SRC/r/a:2" "docker://$SRC/r/a:1"
    created -q -f l --addons addons -o new.tar
    skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$SRC/r/a@$before" "docker://$SRC/r/a:1"
    run_flatnet bundle diff b.tar new.tar
    assert_status 3
    for line in "+ image  $SRC/r/b:1" "~ image  $SRC/r/a:1" "- image  $SRC/r/multi:1" '~ file   addons/one.yml' \
        '+ file   addons/three.yml' '- file   addons/sub/two.yml' '- file   bin/linux-amd64/flatnet'; do
        grep -qxF -- "$line" <<<"$output" || fail "'$line' is missing"
    done
    assert_contains '7 differences'
    run_flatnet bundle diff --format json b.tar new.tar
    assert_status 3
    assert_json '.differences | length == 7'
    assert_json '[.differences[] | select(.change == "added") | .name] == [$i, "addons/three.yml"]' --arg i "$SRC/r/b:1"
    assert_json '.blobsAdded == 6 and .bytesAdded > 0 and .blobsRemoved > 5'
    run_flatnet bundle diff --format json new.tar b.tar
    assert_status 3
    assert_json '[.differences[] | select(.change == "removed") | .name] == [$i, "addons/three.yml"]' --arg i "$SRC/r/b:1"
    assert_json '.blobsRemoved == 6'
    run_flatnet bundle diff b.tar absent.tar
    assert_status 1
}

@test "extract writes what is asked for, and nothing else" {
    run_flatnet bundle extract b.tar --only 'addons/*' -o out/deep
    assert_status 0
    assert_equal "$output" $'out/deep/addons/one.yml\nout/deep/addons/sub/two.yml'
    diff -r addons out/deep/addons
    assert_no_leftovers out/deep addons
    run_flatnet bundle extract b.tar --only bin/linux-amd64/flatnet -o prog
    assert_status 0
    cmp prog/bin/linux-amd64/flatnet /bin/busybox
    assert_equal "$(stat -c %a prog/bin/linux-amd64/flatnet)" 755
    assert_no_leftovers prog bin
    run_flatnet bundle extract b.tar -o all --format json
    assert_status 0
    assert_json '.folder == "all" and .files == ["addons/one.yml", "addons/sub/two.yml", "bin/linux-amd64/flatnet"]'
    assert_equal "$(find all -type f | wc -l)" 3
    assert_equal "$(stat -c %a all/addons/one.yml)" 644
    mkdir here && cd here
    run_flatnet bundle extract ../b.tar --only addons/one.yml --only nothing
    assert_status 0
    assert_no_leftovers . addons
    run_flatnet bundle extract ../b.tar --only 'blobs/*' --only flatnet.json -o blobs
    assert_status 1
    assert_contains 'nothing in' stderr
}

@test "extract replaces files whole" {
    mkdir -p out/addons
    printf 'an older one, which is longer' >out/addons/one.yml
    ln out/addons/one.yml twin
    run_flatnet bundle extract b.tar --only 'addons/*' -o out
    assert_status 0
    diff -r addons out/addons
    assert_equal "$(cat twin)" 'an older one, which is longer'
    # A second time is the same.
    run_flatnet bundle extract b.tar --only 'addons/*' -o out
    assert_status 0
    diff -r addons out/addons
}

# links_are_not_followed [WRAPPER]: whatever stands in the way in the target folder.
links_are_not_followed() {
    local saved=$FLATNET
    printf 'untouched\n' >outside
    mkdir -p elsewhere
    if [ -n "${1:-}" ]; then
        printf '#!/bin/sh\nexec %s %s "$@"\n' "$1" "$saved" >wrapped
        chmod +x wrapped
        FLATNET=$T/wrapped
    fi
    # The folder itself is a link out of the target.
    rm -rf out && mkdir out && ln -s ../elsewhere out/addons
    run_flatnet bundle extract b.tar -o out
    assert_status 1
    assert_contains 'a link stands in its path' stderr
    assert_no_leftovers elsewhere
    # A folder further down.
    rm -rf out && mkdir -p out/addons && ln -s ../../elsewhere out/addons/sub
    run_flatnet bundle extract b.tar -o out
    assert_status 1
    assert_no_leftovers elsewhere
    # The file is a link: the link is replaced, what it points to is not.
    rm -rf out && mkdir -p out/addons && ln -s ../../outside out/addons/one.yml
    run_flatnet bundle extract b.tar -o out
    assert_status 0
    [ ! -L out/addons/one.yml ]
    diff -r addons out/addons
    # The temporary name is a link.
    rm -rf out && mkdir -p out/addons && ln -s ../../outside out/addons/one.yml.partial
    run_flatnet bundle extract b.tar -o out
    assert_status 1
    assert_equal "$(cat outside)" untouched
    # A file where a folder should be.
    rm -rf out && mkdir -p out && touch out/addons
    run_flatnet bundle extract b.tar -o out
    assert_status 1
    rm -rf out
    run_flatnet bundle extract b.tar -o out
    assert_status 0
    diff -r addons out/addons
    FLATNET=$saved
}

@test "extract does not follow links" {
    links_are_not_followed
}

@test "extract does not follow links on kernels without openat2" {
    tool=${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/no_openat2
    [ -x "$tool" ] || fail "'$tool' is not built"
    links_are_not_followed "$tool"
}

@test "extract into a folder that is a link itself is what the user asked for" {
    mkdir real
    ln -s real named
    run_flatnet bundle extract b.tar --only addons/one.yml -o named
    assert_status 0
    cmp real/addons/one.yml addons/one.yml
}

@test "a full disk leaves no half file under its name" {
    mkdir disk
    mount -t tmpfs -o size=64k tmpfs disk
    run_flatnet bundle extract b.tar -o disk/out
    left=$(find disk -type f -printf '%P\n' | sort)
    umount disk
    assert_status 6
    assert_contains "'disk/out/bin/linux-amd64/flatnet" stderr
    assert_equal "$left" $'out/addons/one.yml\nout/addons/sub/two.yml'
}

@test "a damaged entry is not written" {
    at=$(LC_ALL=C grep -obaF 'kind: two' b.tar | head -n 1 | cut -d : -f 1)
    printf X | dd of=b.tar bs=1 seek="$at" conv=notrunc 2>/dev/null
    run_flatnet bundle extract b.tar -o out
    assert_status 4
    assert_contains 'addons/sub/two.yml' stderr
    [ ! -e out/addons/sub/two.yml ]
    run_flatnet bundle extract b.tar --only addons/one.yml -o out
    assert_status 0
}
