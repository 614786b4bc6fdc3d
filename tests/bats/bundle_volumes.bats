#!/usr/bin/env bats
# Volumes: written by create and by split, read by every command, joined again, and rescued without
# flatnet.
# timeout: 600
# The variables that run_flatnet sets, and jq's own:
# shellcheck disable=SC2030,SC2031,SC2154,SC2016

load helper
load bundle

setup_file() {
    start_source
    make_images v/a:1=a:100,b:100,c:250 v/b:1=a:100,d:700 v/c:1=x:1 v/d:1=y:1
    local addr
    addr=$(lab_registry_addr src)
    mkdir "$LAB_DIR/addons" "$LAB_DIR/set"
    printf 'kind: x\n' >"$LAB_DIR/addons/a.yml"
    printf '%s\n' "$addr/v/a:1" "$addr/v/b:1" "$addr/v/c:1" >"$LAB_DIR/list"
    "$FLATNET" bundle create -q --plain-http "$addr" -f "$LAB_DIR/list" --addons "$LAB_DIR/addons" \
        -o "$LAB_DIR/whole.tar"
    "$FLATNET" bundle create -q --plain-http "$addr" -f "$LAB_DIR/list" --addons "$LAB_DIR/addons" \
        -o "$LAB_DIR/set/b.tar" --volume-size 300KB
}

teardown_file() {
    lab_cleanup
}

setup() {
    source_setup
    WHOLE=$LAB_DIR/whole.tar
    cp "$LAB_DIR"/set/b.tar.* .
    count=$(find . -name 'b.tar.*' | wc -l)
    receipt=$(tar -xOf "$WHOLE" flatnet.json | sha256sum | cut -c 1-64)
}

# field FILE NAME: a line of a volume's header.
field() {
    head -c 512 "$1" | tr -d '\0' | sed -n "s/^$2 //p"
}

@test "volumes have the size that was asked for, and say what they are" {
    [ "$count" -ge 4 ]
    at=0 n=0
    for file in b.tar.*; do
        n=$((n + 1))
        assert_equal "$file" "$(printf 'b.tar.%03d' "$n")"
        [ "$(stat -c %s "$file")" -le 300000 ]
        assert_equal "$(head -n 1 "$file")" 'flatnet-volume 1'
        assert_equal "$(field "$file" set)" "$receipt"
        assert_equal "$(field "$file" volume) $(field "$file" count)" "$n $count"
        assert_equal "$(field "$file" offset)" "$at"
        assert_equal "$(field "$file" length)" "$(($(stat -c %s "$file") - 512))"
        assert_equal "$(field "$file" total)" "$(stat -c %s "$WHOLE")"
        assert_equal "$(field "$file" sha256)" "$(tail -c +513 "$file" | sha256sum | cut -c 1-64)"
        at=$((at + $(field "$file" length)))
    done
    assert_equal "$at" "$(stat -c %s "$WHOLE")"
}

@test "without flatnet: tail puts them together" {
    tail -q -c +513 b.tar.0* >rescued.tar
    cmp rescued.tar "$WHOLE"
}

@test "cuts are between entries, but for blobs that are larger than a volume" {
    python3 - "$WHOLE" 300000 b.tar.* <<'PY'
import sys, tarfile
members = tarfile.open(sys.argv[1]).getmembers()
starts = [m.offset for m in members] + [10 ** 12]
room = int(sys.argv[2]) - 512
cuts = sorted(int(open(f, "rb").read(512).split(b"offset ")[1].split()[0]) for f in sys.argv[3:])
inside = 0
for cut in cuts:
    n = max(n for n in range(len(members)) if starts[n] <= cut)
    if starts[n] != cut:
        inside += 1
        assert starts[n + 1] - starts[n] > room, (cut, members[n].name)
assert 0 < inside < len(cuts) - 1, (inside, cuts)
PY
}

@test "every command reads them from any name" {
    for name in b.tar b.tar.001 "b.tar.$(printf %03d "$count")" "$T/b.tar"; do
        verified "$name"
        assert_contains "receipt sha256:$receipt"
        run_flatnet bundle ls "$name"
        assert_status 0
        assert_contains "$SRC/v/b:1"
    done
    verified b.tar.002 --format json
    assert_json '.volumes == ($n | tonumber) and .bytes == ($b | tonumber)' --arg n "$count" \
        --arg b "$(stat -c %s "$WHOLE")"
    run_flatnet bundle diff b.tar.003 "$WHOLE"
    assert_status 0
    run_flatnet bundle extract b.tar.002 -o out
    assert_status 0
    cmp out/addons/a.yml "$LAB_DIR/addons/a.yml"
    run_flatnet bundle verify - <b.tar.001
    assert_status 2
    assert_contains 'volumes cannot come through a pipe' stderr
}

@test "the headers tell the order, not the names" {
    mv b.tar.001 x
    mv b.tar.002 b.tar.001
    mv "b.tar.$(printf %03d "$count")" b.tar.002
    mv x "b.tar.$(printf %03d "$count")"
    verified b.tar
    mkdir 'odd [a-b] * \ name'
    for file in b.tar.*; do
        mv "$file" "odd [a-b] * \\ name/moved${file#b.tar}"
    done
    verified 'odd [a-b] * \ name/moved.001'
    run_flatnet bundle join 'odd [a-b] * \ name/moved' -o joined.tar
    assert_status 0
    cmp joined.tar "$WHOLE"
}

@test "a missing volume is named" {
    for n in 1 2 "$count"; do
        file=$(printf 'b.tar.%03d' "$n")
        mv "$file" away
        run_flatnet bundle verify b.tar
        assert_status 1
        assert_contains "volume $n of $count of 'b.tar' is missing" stderr
        run_flatnet bundle ls "b.tar.00$((n == 2 ? 1 : 2))"
        assert_status 1
        assert_contains "volume $n of $count of 'b.tar' is missing" stderr
        mv away "$file"
    done
    rm b.tar.*
    run_flatnet bundle verify b.tar
    assert_status 1
    assert_contains "no volumes 'b.tar.001'" stderr
}

@test "mixed sets are refused" {
    list other "$SRC/v/a:1" "$SRC/v/b:1" "$SRC/v/d:1"
    created -q -f other -o o.tar --volume-size 300KB
    cp o.tar.002 b.tar.002
    run_flatnet bundle verify b.tar
    assert_status 4
    assert_contains "are volumes of different bundles" stderr
    assert_contains "'b.tar.001' and 'b.tar.002'" stderr
    cp "$LAB_DIR/set/b.tar.002" .
    cp o.tar.001 "b.tar.$(printf %03d $((count + 1)))"
    run_flatnet bundle ls b.tar
    assert_status 4
    # A copy of one volume under another number.
    cp b.tar.001 "b.tar.$(printf %03d $((count + 1)))"
    run_flatnet bundle verify b.tar
    assert_status 4
    assert_contains 'stands twice' stderr
}

@test "damage in a volume is found: its header, its bytes, its end" {
    for file in b.tar.001 b.tar.003; do
        for at in 0 5 20 30 100 115 130 145 160 200 300 511 512 600 100000 -1; do
            cp "$LAB_DIR/set/$file" "$file"
            [ "$at" != -1 ] || at=$(($(stat -c %s "$file") - 1))
            python3 - "$file" "$at" <<'PY'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 2]))
PY
            run_flatnet bundle verify b.tar.002
            [ "$status" -eq 4 ] || fail "byte $at of $file"
        done
        cp "$LAB_DIR/set/$file" "$file"
        truncate -s -1 "$file"
        run_flatnet bundle verify b.tar
        assert_status 4
        assert_contains "'$file'" stderr
        truncate -s 0 "$file"
        run_flatnet bundle verify b.tar
        assert_status 4
        cp "$LAB_DIR/set/$file" "$file"
        printf x >>"$file"
        run_flatnet bundle verify b.tar
        assert_status 4
        cp "$LAB_DIR/set/$file" "$file"
    done
    verified b.tar
}

@test "split and join go round" {
    cp "$WHOLE" w.tar
    run_flatnet bundle split w.tar --volume-size 300KB
    assert_status 0
    assert_contains 'w.tar.001'
    for file in b.tar.*; do
        cmp "$file" "w.tar${file#b.tar}"
    done
    rm w.tar b.tar.*
    run_flatnet bundle split w.tar.002 --volume-size 500kB -o again --format json
    assert_status 0
    assert_json '.schemaVersion == 1 and .volumes > 1 and .receipt == "sha256:" + $r' --arg r "$receipt"
    verified again
    run_flatnet bundle join again.001 -o back.tar
    assert_status 0
    cmp back.tar "$WHOLE"
    # A set is cut anew in its own place.
    run_flatnet bundle split again --volume-size 400KB
    assert_status 0
    verified again
    [ "$(find . -name 'again.*' | wc -l)" -gt 2 ]
    run_flatnet bundle split again --volume-size fat32
    assert_status 0
    assert_no_leftovers . .home .stderr .stdout again.001 back.tar w.tar.0*
    verified again
    run_flatnet bundle join again -o back.tar
    assert_status 0
    cmp back.tar "$WHOLE"
}

@test "split and join refuse what is damaged, and leave nothing" {
    printf X | dd of=b.tar.002 bs=1 seek=1000 conv=notrunc 2>/dev/null
    run_flatnet bundle join b.tar -o out.tar
    assert_status 4
    cp "$WHOLE" w.tar
    printf X | dd of=w.tar bs=1 seek=400000 conv=notrunc 2>/dev/null
    run_flatnet bundle split w.tar --volume-size 300KB
    assert_status 4
    rm b.tar.*
    assert_no_leftovers . .home .stderr .stdout w.tar
    run_flatnet bundle split "$WHOLE" --volume-size 300KB -o absent/x
    assert_status 1
}

@test "split without room: exit 6, nothing is left" {
    mkdir disk
    mount -t tmpfs -o size=600k tmpfs disk
    run_flatnet bundle split "$WHOLE" --volume-size 300KB -o disk/b
    left=$(find disk -type f)
    umount disk
    assert_status 6
    assert_contains "'disk/b' needs" stderr
    assert_equal "$left" ""
}

@test "presets and sizes" {
    list l "$SRC/v/c:1"
    for size in fat32 dvd 4.7GB 4GiB 64KiB; do
        created -f l -o "$size" --volume-size "$size"
        assert_contains "volumes $size.001 to $size.001"
        verified "$size"
    done
    for size in 64KB cd 0 4PB '' -1; do
        create -f l -o bad "--volume-size=$size"
        [ "$status" -eq 2 ] || fail "'$size'"
        run_flatnet bundle split "$WHOLE" "--volume-size=$size" -o bad
        [ "$status" -eq 2 ] || fail "'$size'"
    done
    refute ls bad.001 bad.001.partial 2>/dev/null
    run_flatnet bundle split "$WHOLE"
    assert_status 2
    assert_contains "'--volume-size' is needed" stderr
    run_flatnet bundle join b.tar
    assert_status 2
    assert_contains "'-o' is needed" stderr
    create -f l -o x --volume-size fat32 --allow-partial
    assert_status 2
    assert_contains 'do not go together' stderr
}

@test "a shorter set replaces a longer one of that name" {
    list l "$SRC/v/c:1"
    created -q -f l -o b.tar --volume-size 300KB
    assert_no_leftovers . .home .stderr .stdout b.tar.001 l
    verified b.tar
    # Another file with such a name stays.
    printf 'mine\n' >b.tar.002
    created -q -f l -o b.tar --volume-size 300KB
    assert_equal "$(cat b.tar.002)" mine
    verified b.tar
}

@test "images load from volumes as from the bundle" {
    lab_dockerd one
    DOCKER_HOST=unix://$(lab_docker_sock one) run_flatnet images load b.tar.002 --only '*v/c:1' --runtime docker
    assert_status 0
    assert_equal "$(lab_docker_id one "$SRC/v/c:1")" "$(config_of v/c:1)"
}
