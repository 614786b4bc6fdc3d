#!/usr/bin/env bats
# flatnet addons copy into a real container, seen by docker's own client.
# timeout: 600
# shellcheck disable=SC2154

load helper

setup_file() {
    local rootfs=$BATS_FILE_TMPDIR/rootfs
    start_lab
    lab_dockerd d
    mkdir -p "$rootfs"/{bin,var/lib/rancher}
    cp /bin/busybox "$rootfs/bin/"
    ln -s busybox "$rootfs/bin/sh"
    tar -C "$rootfs" -c . | lab_docker d import - other/image:1 >/dev/null
    lab_docker d tag other/image:1 harbor.example/x/cnrancher/rancher:v2.2.3
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    DOCKER_HOST=unix://$(lab_docker_sock d)
    export DOCKER_HOST
    "$FLATNET" addons render --quiet -o network-addons >/dev/null
}

teardown() {
    local ids
    ids=$(lab_docker d ps -aq)
    # shellcheck disable=SC2086
    [ -z "$ids" ] || lab_docker d rm -fv $ids >/dev/null
}

# start NAME IMAGE [DOCKER_ARG...]
start() {
    local name=$1 image=$2
    shift 2
    lab_docker d run -d --name "$name" --network none "$@" "$image" /bin/busybox sleep 100000 >/dev/null
}

inside() {
    lab_docker d exec "$1" /bin/busybox "${@:2}"
}

@test "the folder arrives in rancher-server, byte for byte, plain and owned by root" {
    start rancher-server other/image:1
    chmod 600 network-addons/macvlan-network.yml
    chown 12:34 network-addons/macvlan-network.yml
    run_flatnet addons copy network-addons
    assert_status 0
    assert_equal "$output" "addons_include:
  - /var/lib/rancher/network-addons/macvlan-network.yml"
    assert_contains "container 'rancher-server' (other/image:1), found by its name" stderr
    assert_contains "8 files copied to '/var/lib/rancher/network-addons'" stderr
    assert_contains "is not on a volume of 'rancher-server'" stderr
    assert_equal "$(inside rancher-server ls -1 /var/lib/rancher/network-addons)" "$(ls -1 network-addons)" "names"
    for file in network-addons/*; do
        inside rancher-server cat "/var/lib/rancher/$file" | cmp - "$file"
        assert_equal "$(inside rancher-server stat -c '%a %u %g %F' "/var/lib/rancher/$file")" "644 0 0 regular file"
    done
    assert_equal "$(inside rancher-server stat -c '%a %u' /var/lib/rancher/network-addons)" "755 0"
}

@test "a second copy replaces files, and names what it did not bring" {
    start rancher-server other/image:1
    run_flatnet addons copy network-addons
    assert_status 0
    echo '# more' >>network-addons/macvlan-network.yml
    rm network-addons/rancher-roles.yml
    run_flatnet addons copy network-addons
    assert_status 0
    inside rancher-server cat /var/lib/rancher/network-addons/macvlan-network.yml | cmp - network-addons/macvlan-network.yml
    assert_contains "'/var/lib/rancher/network-addons/rancher-roles.yml' was there already" stderr
}

@test "folders that are missing are made, folders below come along" {
    start rancher-server other/image:1
    mkdir -p a/sub
    echo 'a: 1' >a/x.yml
    echo text >a/sub/notes
    echo hidden >a/.hidden
    run_flatnet addons copy a --path /srv/one/two
    assert_status 0
    assert_contains '  - /srv/one/two/x.yml'
    assert_equal "$(inside rancher-server cat /srv/one/two/sub/notes)" text
    assert_equal "$(inside rancher-server ls -A /srv/one/two)" "sub
x.yml"
}

@test "a volume is a place that stays" {
    lab_docker d volume create data >/dev/null
    start rancher-server other/image:1 -v data:/var/lib/rancher
    run_flatnet addons copy --format json network-addons
    assert_status 0
    assert_lacks 'is not on a volume' stderr
    assert_json '.schemaVersion == 1 and .container == "rancher-server" and .onVolume and .foundBy == "by its name"'
    assert_json '.addonsInclude == ["/var/lib/rancher/network-addons/macvlan-network.yml"] and (.files | length) == 8'
    assert_equal "$(jq -r '.files[] | select(.path == "macvlan-network.yml").digest' "$stdout_file")" \
        "sha256:$(sha256sum <network-addons/macvlan-network.yml | cut -d' ' -f1)" "digest"
    lab_docker d rm -f rancher-server >/dev/null
    start again other/image:1 -v data:/var/lib/rancher
    inside again cat /var/lib/rancher/network-addons/macvlan-network.yml | cmp - network-addons/macvlan-network.yml
    lab_docker d rm -f again >/dev/null
    lab_docker d volume rm data >/dev/null
}

@test "the container is found by its image; of several one must be named" {
    start festive harbor.example/x/cnrancher/rancher:v2.2.3
    start plain other/image:1
    run_flatnet addons copy network-addons
    assert_status 0
    assert_contains "container 'festive' (harbor.example/x/cnrancher/rancher:v2.2.3), found by its image" stderr
    inside festive cat /var/lib/rancher/network-addons/macvlan-network.yml | cmp - network-addons/macvlan-network.yml
    start second harbor.example/x/cnrancher/rancher:v2.2.3
    run_flatnet addons copy network-addons
    assert_status 2
    assert_contains "several containers run Rancher; name one with --container:" stderr
    assert_contains "  festive (harbor.example/x/cnrancher/rancher:v2.2.3)" stderr
    assert_contains "  second (harbor.example/x/cnrancher/rancher:v2.2.3)" stderr
    assert_lacks plain stderr
    run_flatnet addons copy network-addons --container plain
    assert_status 0
    assert_contains "found as named" stderr
    inside plain cat /var/lib/rancher/network-addons/macvlan-network.yml | cmp - network-addons/macvlan-network.yml
}

@test "a stopped container takes the files too" {
    start rancher-server other/image:1
    lab_docker d stop -t 0 rancher-server >/dev/null
    run_flatnet addons copy network-addons
    assert_status 0
    assert_contains "container 'rancher-server' is not running" stderr
    lab_docker d start rancher-server >/dev/null
    inside rancher-server cat /var/lib/rancher/network-addons/macvlan-network.yml | cmp - network-addons/macvlan-network.yml
}

@test "what cannot be done is said" {
    run_flatnet addons copy network-addons
    assert_status 1
    assert_contains "no container is called 'rancher-server'" stderr
    start rancher-server other/image:1
    run_flatnet addons copy network-addons --container nobody
    assert_status 1
    assert_contains "docker has no container 'nobody'" stderr
    mkdir empty
    run_flatnet addons copy empty
    assert_status 2
    assert_contains "no file is in 'empty'" stderr
    run_flatnet addons copy network-addons --path relative
    assert_status 2
    run_flatnet addons copy network-addons --path /a/../b
    assert_status 2
    mkfifo network-addons/pipe
    run_flatnet addons copy network-addons
    assert_status 2
    assert_contains "'network-addons/pipe' is neither a plain file nor a folder" stderr
    rm network-addons/pipe
    run_flatnet addons copy network-addons --path /bin/busybox/x
    [ "$status" -ne 0 ]
    assert_contains "container 'rancher-server'" stderr
    DOCKER_HOST=unix://$T/none run_flatnet addons copy network-addons
    assert_status 7
    assert_contains 'cannot reach docker' stderr
}
