#!/usr/bin/env bats
# flatnet deploy, status, undeploy, and an upgrade, on two nodes with kernels and kubelets of their own,
# while pods talk to each other.
# serial
# timeout: 2700
# shellcheck disable=SC2154

load ../bats/helper
# shellcheck source=tests/e2e/e2e.bash
. "$REPO_ROOT/tests/e2e/e2e.bash"
# shellcheck source=tests/e2e/deploy.bash
. "$REPO_ROOT/tests/e2e/deploy.bash"

setup_file() {
    e2e_setup
    e2e_cluster
}

teardown_file() {
    lab_cleanup
}

# Each step begins with what the one before has left.
setup() {
    common_setup
    [ ! -e "$LAB_DIR/failed" ] || fail 'an earlier step has failed'
}

# The seconds of each step, for those who look for where they go.
teardown() {
    [ -n "${BATS_TEST_COMPLETED:-}" ] || touch "$LAB_DIR/failed"
    printf '# %s: %d s\n' "$BATS_TEST_DESCRIPTION" "$SECONDS" >&3
}

@test "a dry run shows what is to come, and nothing happens" {
    deploy_is_planned
}

@test "killed in the middle, the next run finishes, and the one behind it writes nothing" {
    deploy_is_killed_and_finished
    e2e_wire
}

@test "status: a node without a configuration, a controller that was scaled down; both mended" {
    deploy_status_tells
}

@test "the next version under traffic: no answer is missing, nothing in the pods changes" {
    deploy_upgrade
}

@test "undeploy, killed in the middle: the nodes are as they were, running pods keep their interfaces" {
    deploy_undeploy
}

@test "deployed again: all addresses are where they were" {
    deploy_again
}

@test "purge is refused while pods use addresses; then nothing is left" {
    deploy_purge
}
