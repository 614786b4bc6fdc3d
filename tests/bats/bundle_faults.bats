#!/usr/bin/env bats
# What bundle create does when the disk is full, when it is killed or interrupted, and when it is run
# again.
# timeout: 900
# The variables that run_flatnet sets:
# shellcheck disable=SC2030,SC2031,SC2154

load helper
load bundle

setup_file() {
    start_source
    # About 14 MB in layers of 4, 4, 3 and 2 MB and small ones.
    make_images big/a:1=base:4000,a:4000 big/b:1=base:4000,b:3000,c:1 big/c:1=c:1,d:2000 small/it:1=e:8
}

teardown_file() {
    lab_cleanup
}

setup() {
    source_setup
    list all "$WIRE/big/a:1" "$WIRE/big/b:1" "$WIRE/big/c:1"
}

teardown() {
    if mountpoint -q "$T/disk"; then
        umount -l "$T/disk"
    fi
}

# slow N: layers drip at N bytes a second.
slow() {
    lab_proxy_rules wire "[{\"path\": \"/blobs/\", \"do\": {\"slow\": $1}}]"
}

# kill_when SIGNAL CMD...: wait for the condition and send the signal to the running create.
kill_when() {
    local signal=$1
    shift
    wait_until "$@"
    kill -s "$signal" "$creator" 2>/dev/null || true
    finish_create
}

# disk SIZE: a small disk in the folder disk.
disk() {
    mkdir -p disk
    mount -t tmpfs -o "size=$1" tmpfs disk
}

# undisturbed FILE [ARG...]: what create makes of the list without any trouble.
undisturbed() {
    lab_proxy_rules wire '[]'
    created -f all -o "$@"
}

# finishes FILE EXPECTED [ARG...]: the same command again works, and the result is the expected one.
finishes() {
    local file=$1 expected=$2
    shift 2
    lab_proxy_rules wire '[]'
    lab_proxy_forget wire
    created -f all -o "$file" "$@"
    cmp "$file" "$expected"
}

@test "no room: exit 6 before the first byte, and nothing is left" {
    disk 8m
    create -f all -o disk/b.tar
    assert_status 6
    assert_contains "'disk/b.tar' needs" stderr
    assert_contains 'has only' stderr
    assert_equal "$(lab_proxy_count wire '.length > 100000')" 0 "layers that were asked for"
    assert_no_leftovers disk
    create -f all -o disk/b.tar --volume-size 3MB
    assert_status 6
    assert_no_leftovers disk
}

@test "a disk that fills midway: exit 6, and after making room it goes on" {
    undisturbed expected.tar
    disk 16m
    slow 600000
    start_create -f all -o disk/b.tar --jobs 3
    wait_until has_journalled disk/b.tar 3000000
    dd if=/dev/zero of=disk/filler bs=64k 2>/dev/null || true
    WAIT_SECONDS=60 wait_until refute kill -0 "$creator" 2>/dev/null
    finish_create
    assert_status 6
    assert_contains 'the disk is full while writing' stderr
    assert_contains 'run the same command again' stderr
    assert_no_leftovers disk b.tar.journal b.tar.partial filler
    had=$(journal_bytes disk/b.tar)
    [ "$had" -ge 3000000 ]
    rm disk/filler
    finishes disk/b.tar expected.tar
    [ "$(wire_bytes)" -le "$(($(stat -c %s expected.tar) - had))" ]
    [ "$(lab_proxy_count wire '.status == 206')" -ge 1 ]
    assert_no_leftovers disk b.tar
}

@test "no room for the journal is no room" {
    undisturbed expected.tar
    disk 4k
    ln -s disk/journal b.tar.journal
    slow 600000
    start_create -f all -o b.tar --jobs 1
    kill_when KILL has_journalled b.tar 1000000
    yes '' | head -c "$((4096 - $(stat -c %s disk/journal)))" >padding
    cat padding >>disk/journal
    create -f all -o b.tar --jobs 1
    assert_status 6
    assert_contains 'the disk is full' stderr
    mount -o remount,size=1m disk
    finishes b.tar expected.tar
}

# More blocks of the partial files are on the disk than before.
has_grown() {
    [ "$(allocated "$1")" -gt "$2" ]
}

allocated() {
    local file sum=0
    for file in "$1".partial "$1".[0-9][0-9][0-9].partial; do
        [ ! -e "$file" ] || sum=$((sum + $(stat -c '%b' "$file" 2>/dev/null || echo 0)))
    done
    echo "$sum"
}

has_asked() {
    [ "$(wc -l <"$LAB_DIR/wire.requests")" -ge "$1" ]
}

# killed_often FILE TIMES ARG...: start create and kill it so often, at moments that are told by what it
# did: at some number of requests, or of blocks on the disk. When it was faster, it begins anew.
killed_often() {
    local file=$1 times=$2 n=0
    shift 2
    RANDOM=4711
    while ((n < times)); do
        start_create -f all -o "$file" "$@"
        if ((RANDOM % 4)); then
            kill_when KILL has_grown_or_ended "$file" "$(($(allocated "$file") + RANDOM % 1000))"
        else
            kill_when KILL has_asked_or_ended "$(($(wc -l <"$LAB_DIR/wire.requests") + RANDOM % 9))"
        fi
        case $status in
            137) n=$((n + 1)) ;;
            0) rm "$file"* ;;
            *) fail "create ended with $status" || return 1 ;;
        esac
    done
}

has_grown_or_ended() {
    has_grown "$@" || ! kill -0 "$creator" 2>/dev/null
}

has_asked_or_ended() {
    has_asked "$@" || ! kill -0 "$creator" 2>/dev/null
}

@test "kill -9 at twenty moments, then it finishes with the same bytes" {
    undisturbed expected.tar
    slow 2000000
    killed_often b.tar 20
    before=$(journal_bytes b.tar)
    finishes b.tar expected.tar
    verified b.tar
    # What the journal vouched for did not come again.
    [ "$(wire_bytes)" -le "$(($(stat -c %s expected.tar) - before))" ]
    assert_no_leftovers . .home .stderr .stdout all b.tar expected.tar
}

@test "kill -9 at moments, with volumes" {
    undisturbed expected --volume-size 3MB
    slow 2000000
    killed_often b 8 --volume-size 3MB
    lab_proxy_rules wire '[]'
    created -f all -o b --volume-size 3MB
    verified b
    for file in expected.*; do
        cmp "$file" "b${file#expected}"
    done
    rm expected.* b.[0-9]*
    assert_no_leftovers . .home .stderr .stdout all
}

# killed_at_rename N ARG...: create that is killed when it wants to do its Nth rename.
killed_at_rename() {
    local n=$1
    shift
    strace -f -qq -o /dev/null -e trace=rename -e "inject=rename:signal=KILL:when=$n" \
        "$FLATNET" bundle create --plain-http "$WIRE" -f all "$@" >/dev/null 2>&1 || true
}

@test "killed while the final names are given" {
    undisturbed expected.tar
    killed_at_rename 1 -o b.tar
    assert_no_leftovers . .home .stderr .stdout all b.tar.journal b.tar.partial expected.tar
    finishes b.tar expected.tar
    assert_equal "$(lab_proxy_count wire '.length > 100000')" 0 "layers that came again"
    undisturbed expected --volume-size 3MB
    killed_at_rename 3 -o b --volume-size 3MB
    ls b.001 b.002 b.003.partial b.004.partial
    lab_proxy_forget wire
    created -f all -o b --volume-size 3MB
    verified b
    assert_equal "$(lab_proxy_count wire '.length > 100000')" 0 "layers that came again"
    for file in expected.[0-9]*; do
        cmp "$file" "b${file#expected}"
    done
}

@test "an earlier bundle is not touched by a run that does not finish" {
    list small "$SRC/small/it:1"
    created -f small -o b.tar
    before=$(digest_of b.tar)
    slow 600000
    start_create -f all -o b.tar
    kill_when KILL has_journalled b.tar 1000000
    assert_equal "$(digest_of b.tar)" "$before"
    # Someone makes room, but leaves the journal.
    rm b.tar.partial
    start_create -f all -o b.tar
    kill_when KILL has_grown b.tar 100
    assert_equal "$(digest_of b.tar)" "$before"
    undisturbed expected.tar
    finishes b.tar expected.tar
}

@test "an interrupt ends it with 130, and it goes on later" {
    undisturbed expected.tar
    slow 600000
    for signal in INT TERM; do
        start_create -f all -o b.tar
        kill_when "$signal" has_journalled b.tar "$(($(journal_bytes b.tar) + 1000000))"
        assert_status 130
        assert_contains 'interrupted' stderr
        assert_no_leftovers . .home .stderr .stdout all b.tar.journal b.tar.partial expected.tar
    done
    had=$(journal_bytes b.tar)
    finishes b.tar expected.tar
    [ "$(wire_bytes)" -le "$(($(stat -c %s expected.tar) - had))" ]
}

@test "an interrupt while images are looked up" {
    lab_proxy_rules wire '[{"path": "/manifests/", "do": {"delay": 20}}]'
    start_create -f all -o b.tar
    kill_when INT grep -q resolving err
    assert_status 130
    assert_no_leftovers . .home .stderr .stdout all
}

@test "a second flatnet that writes the same file is refused" {
    undisturbed expected.tar
    slow 2000000
    start_create -f all -o b.tar
    wait_until has_journalled b.tar 1
    kill -STOP "$creator"
    create -f all -o b.tar
    assert_status 1
    assert_contains 'another flatnet is writing here' stderr
    list small "$SRC/small/it:1"
    create -f small -o b.tar
    assert_status 1
    assert_contains 'another flatnet is writing here' stderr
    kill -CONT "$creator"
    finish_create
    assert_status 0
    cmp b.tar expected.tar
    assert_no_leftovers . .home .stderr .stdout all b.tar expected.tar small
}

@test "other inputs start afresh, and nothing of the old ones is left" {
    list small "$SRC/small/it:1"
    created -f small -o expected.tar
    slow 600000
    start_create -f all -o b.tar
    kill_when KILL has_journalled b.tar 1000000
    created -f small -o b.tar
    cmp b.tar expected.tar
    start_create -f all -o c.tar --volume-size 2MB
    kill_when KILL has_journalled c.tar 1000000
    created -f small -o c.tar
    cmp c.tar expected.tar
    start_create -f all -o d.tar
    kill_when KILL has_journalled d.tar 1000000
    created -f small -o d.tar --volume-size 2MB
    verified d.tar
    assert_no_leftovers . .home .stderr .stdout all b.tar c.tar d.tar.001 expected.tar small
}

@test "what an earlier run wrote is not believed" {
    undisturbed expected.tar
    slow 1500000
    start_create -f all -o b.tar --jobs 1
    kill_when KILL has_journalled b.tar 3000000
    # Zeros over everything but the first kilobytes.
    dd if=/dev/zero of=b.tar.partial bs=4k seek=8 count=200 conv=notrunc 2>/dev/null
    cp b.tar.partial c.tar.partial
    cp b.tar.journal c.tar.journal
    finishes b.tar expected.tar
    # A journal that claims too much: all layers whole, and more than that.
    for n in {3..16}; do
        echo "$n 1000000000"
    done >>c.tar.journal
    finishes c.tar expected.tar
    assert_no_leftovers . .home .stderr .stdout all b.tar c.tar expected.tar
}

@test "the folder must be there" {
    create -f all -o absent/b.tar
    assert_status 1
    assert_contains "'absent/b.tar.journal'" stderr
    assert_no_leftovers . .home .stderr .stdout all
}
