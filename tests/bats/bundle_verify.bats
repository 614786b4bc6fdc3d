#!/usr/bin/env bats
# bundle verify: every byte of a bundle, and the image files of other tools.
# timeout: 900
# The variables that run_flatnet sets:
# shellcheck disable=SC2154

load helper
load bundle

setup_file() {
    start_source
    lab_dockerd one
    make_images v/x:1=x:1 v/y:1=x:1,y:2 v/run:1=root,z:20 v/run:2=root,z:20,w:5
    make_images --format oci v/oci:1=root,z:20 v/oci:2=x:1
    mkdir "$LAB_DIR/addons"
    printf 'kind: x\n' >"$LAB_DIR/addons/a.yml"
    local addr
    addr=$(lab_registry_addr src)
    printf '%s\n' "$addr/v/x:1" "$addr/v/y:1" >"$LAB_DIR/list"
    "$FLATNET" bundle create -q --plain-http "$addr" -f "$LAB_DIR/list" --addons "$LAB_DIR/addons" \
        -o "$LAB_DIR/good.tar"
    printf '%s\n' "$addr/v/x:1" >"$LAB_DIR/list"
    "$FLATNET" bundle create -q --plain-http "$addr" -f "$LAB_DIR/list" --addons "$LAB_DIR/addons" \
        -o "$LAB_DIR/small.tar"
}

teardown_file() {
    lab_cleanup
}

setup() {
    source_setup
    cp "$LAB_DIR/good.tar" good.tar
}

# verify_piped FILE: the same through a pipe.
verify_piped() {
    # shellcheck disable=SC2002
    run_flatnet bundle verify - < <(cat "$1")
}

# found ARG...: verify says that it is damaged.
found() {
    run_flatnet bundle verify "$@"
    assert_status 4
    assert_equal "$output" ""
}

# flip FILE OFFSET: one bit.
flip() {
    local byte
    byte=$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null | od -An -tu1)
    # shellcheck disable=SC2059
    printf "\\x$(printf %x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# offset_in FILE TEXT: where the text stands first.
offset_in() {
    LC_ALL=C grep -obaF -m 1 -- "$2" "$1" | head -n 1 | cut -d : -f 1
}

@test "a whole bundle: one line, with the receipt" {
    receipt=$(tar -xOf good.tar flatnet.json | sha256sum | cut -c 1-64)
    entries=$(tar -tf good.tar | wc -l)
    verified good.tar
    assert_equal "$(wc -l <"$stdout_file")" 1
    assert_contains "verified good.tar: bundle, 2 images, $entries entries"
    assert_contains "receipt sha256:$receipt"
    verify_piped good.tar
    assert_status 0
    assert_contains "verified -: bundle, 2 images, $entries entries"
    assert_contains "receipt sha256:$receipt"
    for jobs in 1 7; do
        verified good.tar --format json --jobs "$jobs"
        assert_json '.schemaVersion == 1 and .verified and .kind == "bundle" and .images == 2 and .volumes == 0'
        # shellcheck disable=SC2016
        assert_json '.receipt == "sha256:" + $r and .bytes == ($n | tonumber) and .entries == ($m | tonumber)' \
            --arg r "$receipt" --arg n "$(stat -c %s good.tar)" --arg m "$entries"
    done
    run_flatnet bundle verify --format json - <good.tar
    assert_json '.verified and .file == "-"'
}

@test "a flipped bit anywhere is found, named and placed" {
    "$LAB_HOME/damage.py" flips "$LAB_DIR/small.tar" 97
}

@test "any other length is found" {
    "$LAB_HOME/damage.py" lengths "$LAB_DIR/small.tar"
}

@test "every rule of the format holds, in a file and in a pipe" {
    "$LAB_HOME/craft-bundle.py" good.tar crafted
    cmp crafted/same.tar good.tar
    verified crafted/same.tar
    rm crafted/same.tar
    [ "$(find crafted -type f | wc -l)" -ge 40 ]
    for file in crafted/*; do
        run_flatnet bundle verify "$file"
        [ "$status" -eq 4 ] || fail "$file"
        assert_contains "'$file'" stderr
        verify_piped "$file"
        [ "$status" -eq 4 ] || fail "$file, through a pipe"
        assert_lacks $'\e' stderr
    done
    run_flatnet bundle verify crafted/another-format-version.tar
    assert_contains 'format version 2' stderr
    # What only the index says is refused by every command, and nothing is written.
    for name in absolute-path dotted-path parent-path path-of-another-folder entry-repeated-and-listed; do
        run_flatnet bundle extract "crafted/$name.tar" -o out
        assert_status 4
        run_flatnet bundle ls "crafted/$name.tar"
        assert_status 4
    done
    [ ! -e out ]
}

@test "what is no bundle at all" {
    found /bin/busybox
    verify_piped /bin/busybox
    assert_status 4
    : >empty
    found empty
    verify_piped empty
    assert_status 4
    tar -cf other.tar good.tar
    found other.tar
    assert_contains 'neither an OCI layout nor a docker archive' stderr
    run_flatnet bundle verify absent.tar
    assert_status 1
    assert_contains "'absent.tar'" stderr
    mkdir folder
    found folder
}

# layout DIR TAG...: an OCI layout with images from `src`.
layout() {
    local dir=$1 ref
    shift
    for ref in "$@"; do
        skopeo copy -q --src-tls-verify=false "docker://$SRC/$ref" "oci:$dir:${ref//[:\/]/-}"
    done
}

@test "an OCI layout: folder, tar, gzip, pipe" {
    layout lay v/run:1 v/run:2
    verified lay
    assert_contains 'OCI layout, 2 images'
    tar -C lay -cf lay.tar .
    verified lay.tar --format json
    assert_json '.kind == "OCI layout" and .images == 2 and (has("receipt") | not)'
    verify_piped lay.tar
    assert_status 0
    gzip -k lay.tar
    zstd -q lay.tar
    for file in lay.tar.gz lay.tar.zst; do
        verified "$file"
        assert_contains 'OCI layout, 2 images'
        verify_piped "$file"
        assert_status 0
    done
    skopeo copy -q --src-tls-verify=false "docker://$SRC/v/run:1" "oci-archive:$T/archive.tar:v/run:1"
    verified archive.tar
    assert_contains 'OCI layout, 1 image,'
}

@test "damage in an OCI layout" {
    layout lay v/run:1
    for digest in $(cd lay/blobs/sha256 && echo *); do
        cp -r lay bad
        flip "bad/blobs/sha256/$digest" 5
        found bad
        rm -r bad
        cp -r lay bad
        rm "bad/blobs/sha256/$digest"
        found bad
        assert_contains "$digest" stderr
        rm -r bad
    done
    cp -r lay bad
    truncate -s -1 "bad/blobs/sha256/$digest"
    found bad
    rm -r bad
    cp -r lay bad
    rm bad/index.json
    found bad
    mkdir outside
    rm -r bad
    cp -r lay bad
    mv "bad/blobs/sha256/$digest" outside
    ln -s "$T/outside/$digest" "bad/blobs/sha256/$digest"
    found bad
}

@test "docker save of 20.10, with layers that are shared" {
    for name in v/run:1 v/run:2 v/x:1; do
        lab_docker one pull -q "$SRC/$name"
    done
    lab_docker one save -o saved.tar "$SRC/v/run:1" "$SRC/v/run:2" "$SRC/v/x:1"
    refute grep -qx oci-layout <(tar -tf saved.tar)
    tar -tvf saved.tar | grep -q '^l'
    verified saved.tar
    assert_contains 'docker archive, 3 images'
    verify_piped saved.tar
    assert_status 0
    gzip -k saved.tar
    verified saved.tar.gz
    verify_piped saved.tar.gz
    assert_status 0
    run_flatnet bundle verify - < <(lab_docker one save "$SRC/v/run:1")
    assert_status 0
}

# content_offset ARCHIVE MEMBER: where the bytes of a member begin.
content_offset() {
    python3 -c 'import sys, tarfile; print(tarfile.open(sys.argv[1]).getmember(sys.argv[2]).offset_data)' "$@"
}

@test "damage in a docker archive" {
    lab_docker one pull -q "$SRC/v/run:1"
    lab_docker one save -o saved.tar "$SRC/v/run:1"
    config=$(tar -xOf saved.tar manifest.json | jq -r '.[0].Config')
    mapfile -t layers < <(tar -xOf saved.tar manifest.json | jq -r '.[0].Layers[]')
    assert_equal "${#layers[@]}" 2
    for member in "${layers[@]}"; do
        cp saved.tar bad.tar
        flip bad.tar "$(($(content_offset saved.tar "$member") + 1000))"
        found bad.tar
        verify_piped bad.tar
        assert_status 4
    done
    # A letter in the configuration, which stays JSON.
    cp saved.tar bad.tar
    at=$(offset_in bad.tar '"Env"')
    flip bad.tar "$((at + 8))"
    found bad.tar
    assert_contains "$config" stderr
    cp saved.tar bad.tar
    truncate -s "$(($(content_offset saved.tar "${layers[1]}") + 700))" bad.tar
    found bad.tar
    tar --delete -f saved.tar "${layers[0]}"
    found saved.tar
    assert_contains "${layers[0]}" stderr
}

@test "docker save of 25 and later, and damage in it" {
    lab_docker_archive v/new:1 new.tar
    verified new.tar
    assert_contains 'OCI layout, 1 image,'
    verify_piped new.tar
    assert_status 0
    for member in $(tar -tf new.tar | grep 'blobs/sha256/.'); do
        cp new.tar bad.tar
        flip bad.tar "$(($(content_offset new.tar "$member") + 3))"
        found bad.tar
        assert_contains "${member##*/}" stderr
    done
}

@test "docker archives of skopeo" {
    skopeo copy -q --src-tls-verify=false "docker://$SRC/v/run:1" "docker-archive:$T/sk.tar:v/run:1"
    verified sk.tar
    assert_contains 'docker archive, 1 image,'
}

@test "archives with odd entries are refused" {
    mkdir lay && layout lay/in v/oci:2
    python3 - <<'PY'
import io, tarfile
odd = {"absolute": "/etc/cron.d/x", "parent": "../x", "inner": "blobs/../../x"}
for name, path in odd.items():
    with tarfile.open(f"{name}.tar", "w") as out:
        out.add("lay/in", "", filter=lambda info: info if info.isfile() or info.isdir() else None)
        info = tarfile.TarInfo(path)
        info.size = 1
        out.addfile(info, io.BytesIO(b"x"))
PY
    for name in absolute parent inner; do
        found "$name.tar"
        assert_contains 'which is refused' stderr
    done
}

@test "a bundle is an OCI layout to others, but is checked as what it is" {
    mkdir unpacked
    tar -C unpacked -xf good.tar
    verified unpacked
    assert_contains 'OCI layout, 2 images'
    flip good.tar "$(offset_in good.tar 'kind: x')"
    found good.tar
    assert_contains "entry 'addons/a.yml'" stderr
}
