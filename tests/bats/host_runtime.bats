#!/usr/bin/env bats
# flatnet host check: the items about docker and containerd, on a real daemon of each.
# timeout: 300
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load helper
load load_common

setup_file() {
    start_lab
    load_images
    lab_dockerd d
    lab_containerd c
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
}

# item NAME RESULT [TEXT] [ARG...]
item() {
    local name=$1 result=$2 text=${3:-} expected=0
    shift 3 || shift $#
    [ "$result" != fail ] || expected=3
    run_flatnet host check --only "$name" --format json "$@"
    assert_status "$expected"
    assert_json '.items[0].result == $r' --arg r "$result"
    assert_json '(.items[0].seen + " " + (.items[0].mend // "")) | contains($t)' --arg t "$text"
}

@test "docker: version, drivers; none that answers" {
    export DOCKER_HOST
    DOCKER_HOST=unix://$(lab_docker_sock d)
    item docker pass "docker $(lab_docker d version -f '{{.Server.Version}}')"
    item docker pass "storage driver $(lab_docker d info -f '{{.Driver}}')"
    item docker pass "cgroup driver $(lab_docker d info -f '{{.CgroupDriver}}')"
    DOCKER_HOST=unix://$T/none.sock
    item docker fail 'install docker and start it'
    export CONTAINERD_ADDRESS
    CONTAINERD_ADDRESS=$(lab_containerd_sock c)
    item docker warn 'if RKE is to make the cluster'
}

@test "room in docker's root for the images of a bundle" {
    export DOCKER_HOST
    DOCKER_HOST=unix://$(lab_docker_sock d)
    item docker-space pass "$(lab_docker d info -f '{{.DockerRootDir}}') has"
    item docker-space pass "the bundle's images take" --bundle "$BUNDLE"
    item docker-space fail 'flatnet bundle verify' --bundle "$T/none.tar"
}

@test "containerd: used or not" {
    export CONTAINERD_ADDRESS
    CONTAINERD_ADDRESS=$(lab_containerd_sock c)
    item containerd pass "containerd "
    CONTAINERD_ADDRESS=$T/none.sock
    item containerd pass 'not used'
}
