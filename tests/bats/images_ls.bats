#!/usr/bin/env bats
# flatnet images ls: a bundle beside what docker and containerd have.
# timeout: 300
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load helper
load load_common

setup_file() {
    start_lab
    load_images
    lab_dockerd d
    lab_containerd c
    "$FLATNET" bundle create -q --from "$LAYOUTS/one" --from "$LAYOUTS/two" --from "$LAYOUTS/multi" \
        --platform linux/amd64 --platform linux/arm64 -o "$BATS_FILE_TMPDIR/ls.tar"
    DOCKER_HOST=unix://$(lab_docker_sock d) "$FLATNET" images load -q --only load/one:1 "$BATS_FILE_TMPDIR/ls.tar"
    lab_docker d tag load/one:1 load/two:1
    "$FLATNET" images load -q --address "$(lab_containerd_sock c)" --only 'load/[om]*' "$BATS_FILE_TMPDIR/ls.tar"
    lab_ctr c images tag docker.io/load/one:1 docker.io/load/two:1
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    bundle=$BATS_FILE_TMPDIR/ls.tar
}

@test "docker: present, other id, absent" {
    use_docker d
    run_flatnet images ls "$bundle"
    assert_status 0
    assert_equal "$stderr" ""
    short=$(layout_config one)
    short=${short#sha256:}
    grep -qE "^docker.io/load/one:1 +linux/amd64 +[0-9.]+ [KM]?B +${short:0:12} +present$" "$stdout_file" ||
        fail "no row for one"
    grep -qE '^docker.io/load/two:1 .* other id$' "$stdout_file" || fail "no row for two"
    grep -qE '^docker.io/load/multi:1 +linux/amd64, linux/arm64 .* absent$' "$stdout_file" || fail "no row for multi"
    run_flatnet images ls --format json "$bundle"
    assert_json '.schemaVersion == 1 and .runtime.kind == "docker"'
    assert_json '.images | map(.state) == ["present", "other id", "absent"]'
    assert_json '.images[1].foundId == $id and .images[1].id == $own' --arg id "$(layout_config one)" \
        --arg own "$(layout_config two)"
    assert_json '.images[2] | .platforms == ["linux/amd64", "linux/arm64"] and has("foundId") == false'
}

@test "containerd: manifest digests, and any platform counts" {
    export CONTAINERD_ADDRESS
    CONTAINERD_ADDRESS=$(lab_containerd_sock c)
    run_flatnet images ls --format json "$bundle"
    assert_status 0
    assert_json '.images | map(.state) == ["present", "other id", "present"]'
    assert_json '.images[0].id == $id' --arg id "$(layout_digest one)"
    run_flatnet images load --platform linux/arm64 --only load/multi:1 "$bundle"
    run_flatnet images ls --format json --runtime k3s "$bundle"
    assert_json '.images[2].state == "present" and .images[2].foundId != .images[2].id'
}

@test "sizes count what the bundle holds once" {
    run_flatnet images ls --format json --only load/one:1 "$bundle"
    wanted=$(cd "$LAYOUTS/one/blobs/sha256" && cat ./* | wc -c)
    assert_json '.images | length == 1 and .[0].size == ($size | tonumber)' --arg size "$wanted"
}

@test "without a runtime the states are unknown, with the reason" {
    run_flatnet images ls --root "$T" "$bundle"
    assert_status 0
    assert_contains "states are unknown: no container runtime answers here" stderr
    assert_equal "$(grep -c ' unknown$' "$stdout_file")" 3
    run_flatnet images ls --root "$T" --format json "$bundle"
    assert_json 'all(.images[]; .state == "unknown") and has("runtime") == false'
    run_flatnet images ls --root "$T"
    assert_status 7
}

@test "without a bundle: what the runtime has" {
    use_docker d
    run_flatnet images ls --format json
    assert_status 0
    assert_json '.images | map(.reference) == ["docker.io/load/one:1", "docker.io/load/two:1"]'
    assert_json 'all(.images[]; .id == $id and .size > 0)' --arg id "$(layout_config one)"
    run_flatnet images ls --only '*/two:*'
    assert_status 0
    assert_contains docker.io/load/two:1
    assert_lacks docker.io/load/one:1
    run_flatnet images ls --format json --address "$(lab_containerd_sock c)"
    assert_json '.images | map(.reference) == ["docker.io/load/multi:1", "docker.io/load/one:1", "docker.io/load/two:1"]'
}

@test "usage" {
    run_flatnet images ls "$bundle" "$bundle"
    assert_status 2
    run_flatnet images ls --only nothing:1 "$bundle"
    assert_status 2
    run_flatnet images ls --help
    assert_status 0
    assert_contains "usage: flatnet images ls [BUNDLE]"
}
