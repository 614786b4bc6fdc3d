#!/usr/bin/env bats
# bundle create --base, and what verify, ls, diff and extract make of a delta.
# timeout: 300
# The variables that run_flatnet sets, and jq's own:
# shellcheck disable=SC2030,SC2031,SC2154,SC2016

load helper
load bundle

setup_file() {
    start_source
    make_images d/a:1=x:200,y:50 d/a:2=x:200,z:50 d/b:1=w:40
}

teardown_file() {
    lab_cleanup
}

setup() {
    source_setup
    list old "$SRC/d/a:1"
    list new "$SRC/d/a:1" "$SRC/d/a:2" "$SRC/d/b:1"
    created -q -f old -o base.tar
    receipt=$(tar -xOf base.tar flatnet.json | sha256sum | cut -c 1-64)
}

@test "layers of the base stay out, and are recorded" {
    created --format json -f new --base base.tar -o delta.tar
    tar -tf delta.tar >entries
    for n in 0 1; do
        assert_lacks "$(layer_of d/a:1 $n | cut -d : -f 2)" entries
    done
    for digest in "$(layer_of d/a:2 1)" "$(layer_of d/b:1 0)" "$(config_of d/a:1)" "$(config_of d/a:2)"; do
        assert_contains "${digest#sha256:}" entries
    done
    tar -xOf delta.tar flatnet.json >index.json
    jq -e --arg d "sha256:$receipt" '.base.receipt == $d' index.json
    jq -e --arg d "$(layer_of d/a:1 0)" '[.base.missing[].digest] | index($d) != null' index.json
    [ "$(stat -c %s delta.tar)" -lt "$(stat -c %s base.tar)" ]
}

@test "what the base has is not asked of the registry" {
    sed "s|$SRC|$WIRE|" new >wired
    sed "s|$SRC|$WIRE|" old >wired.old
    created -q -f wired.old -o wired.tar
    lab_proxy_forget wire
    created -q -f wired --base wired.tar -o delta.tar
    assert_equal "$(lab_proxy_count wire ".path | test(\"$(layer_of d/a:1 0)\")")" 0 "requests for a layer of the base"
    assert_equal "$(lab_proxy_count wire ".path | test(\"$(layer_of d/b:1 0)\")")" 1 "requests for a new layer"
}

@test "verify wants the base, and reads what is missing there" {
    created -q -f new --base base.tar -o delta.tar
    run_flatnet bundle verify delta.tar
    assert_status 1
    assert_contains "name with --base the bundle with the receipt sha256:$receipt" stderr
    assert_contains "$(layer_of d/a:1 0)" stderr
    assert_contains "$(layer_of d/a:1 1)" stderr
    verified delta.tar --base base.tar
    # The base's own bytes count.
    cp base.tar harmed.tar
    layer=$(layer_of d/a:1 0)
    offset=$(python3 -c 'import sys, tarfile
m = tarfile.open(sys.argv[1]).getmember("blobs/sha256/" + sys.argv[2][7:])
print(m.offset_data + 1000)' harmed.tar "$layer")
    printf '\377\376\375' | dd of=harmed.tar bs=1 seek="$offset" conv=notrunc status=none
    run_flatnet bundle verify delta.tar --base harmed.tar
    assert_status 4
    assert_contains "${layer#sha256:}" stderr
    assert_contains harmed.tar stderr
}

@test "another base, no base, and a base for what is no delta" {
    created -q -f new --base base.tar -o delta.tar
    list other "$SRC/d/b:1"
    created -q -f other -o other.tar
    run_flatnet bundle verify delta.tar --base other.tar
    assert_status 2
    assert_contains "'other.tar' is not the base of 'delta.tar'" stderr
    run_flatnet bundle verify base.tar --base base.tar
    assert_status 2
    assert_contains 'is no delta' stderr
    run_flatnet bundle verify delta.tar --base missing.tar
    assert_status 1
    assert_contains "'missing.tar'" stderr
    create -f new --base missing.tar -o never.tar
    assert_status 1
    create -f new --base old -o never.tar
    assert_status 4
    create -f new --base base.tar -o base.tar
    assert_status 2
    assert_contains 'would replace its base' stderr
    refute [ -e never.tar ]
}

@test "the base may be volumes, and so may the delta" {
    mkdir parts
    run_flatnet bundle split base.tar --volume-size 100KB -o parts/base.tar
    assert_status 0
    created -q -f new --base parts/base.tar -o delta.tar --volume-size 64KiB
    refute [ -e delta.tar ]
    [ -e delta.tar.002 ]
    verified delta.tar --base base.tar
    verified delta.tar.001 --base parts/base.tar.002
}

@test "ls and diff say what is left to the base" {
    created -q -f new --base base.tar -o delta.tar
    run_flatnet bundle ls delta.tar
    assert_status 0
    assert_contains "$SRC/d/a:1"
    assert_contains "sha256:$receipt"
    run_flatnet bundle diff base.tar delta.tar
    assert_status 3
    assert_contains "$SRC/d/b:1"
    # Images that both have are the same ones, whatever file has their layers.
    refute grep -E "^[-+~].*d/a:1" "$stdout_file"
}

@test "with nothing new it holds documents only, and is whole with its base" {
    created -q -f old --base base.tar -o same.tar
    refute grep -qE "$(layer_of d/a:1 0 | cut -d : -f 2)" <(tar -tf same.tar)
    verified same.tar --base base.tar
}

@test "killed and given again, it ends with the same bytes" {
    sed "s|$SRC|$WIRE|" new >wired
    created -q -f wired --base base.tar -o want.tar
    lab_proxy_rules wire '[{"path": "/blobs/", "do": {"slow": 20000}}]'
    start_create -q -f wired --base base.tar -o got.tar
    wait_until test -e got.tar.journal
    kill -9 "$creator"
    finish_create
    assert_status 137
    lab_proxy_rules wire '[]'
    created -q -f wired --base base.tar -o got.tar
    cmp want.tar got.tar
}
