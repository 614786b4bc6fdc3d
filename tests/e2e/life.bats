#!/usr/bin/env bats
# Workloads in the flat network on two nodes with kernels of their own: what life.bash says.
# serial
# timeout: 2400

load ../bats/helper
# shellcheck source=tests/e2e/e2e.bash
. "$REPO_ROOT/tests/e2e/e2e.bash"
# shellcheck source=tests/e2e/life.bash
. "$REPO_ROOT/tests/e2e/life.bash"

setup_file() {
    e2e_setup && e2e_cluster && e2e_addons && e2e_wire
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
}

@test "every kind of workload on two subnets has the addresses, MACs and VLANs that it is promised" {
    life_workloads
}

@test "pods of one subnet reach each other and the gateway from both nodes, those of two do not" {
    life_traffic
}

@test "a Job does its work by eth1, and its address is free afterwards" {
    life_job
}

@test "a node loses its power: its pods come back as they were" {
    life_reboot n2
}

@test "a rolling update: no address is with two living pods, and in the end all is as it was" {
    life_rolling
}

@test "from 0 to 20 to 0: nothing is left in the cluster, nor in the nodes" {
    life_scale
}

@test "an interface is taken out of a workload, then all of them go" {
    life_end
}
