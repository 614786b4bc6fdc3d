#!/usr/bin/env bats
# The whole way, as an operator meets it, on one cluster and in this order: from a registry and two bare
# hosts to a network of VLANs that is proved, through faults, a reboot, an upgrade, and out again.
# timeout: 3000
# shellcheck disable=SC2154

load ../bats/helper
# shellcheck source=tests/e2e/e2e.bash
. "$REPO_ROOT/tests/e2e/e2e.bash"
# shellcheck source=tests/e2e/site.bash
. "$REPO_ROOT/tests/e2e/site.bash"

setup_file() {
    e2e_setup
    site_begin
}

teardown_file() {
    lab_cleanup
}

# After a step that failed the others would only say so again.
setup() {
    common_setup
    [ ! -e "$LAB_DIR/broken" ] || fail 'a step before this one has failed'
}

teardown() {
    [ -n "${BATS_TEST_COMPLETED:-}" ] || : >"$LAB_DIR/broken"
}

@test "one file of everything, from a registry that is gone then" {
    site_bundle
}

@test "the hosts are checked, prepared, and loaded from the file" {
    site_hosts
}

@test "the addons are handed to rancher-server" {
    site_rancher
}

@test "applied as RKE does it, they make the nodes Ready" {
    site_join
}
