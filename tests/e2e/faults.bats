#!/usr/bin/env bats
# What happens to a network that works, on one cluster and in this order: faults on the wire, on a node and
# in the cluster, which have to be named; a node that loses its power, a rolling update, twenty pods that come
# and go; `deploy` and `undeploy` that are killed.
# timeout: 3000
# apart

load ../bats/helper
for part in e2e life proof deploy; do
    # shellcheck source=/dev/null
    . "$REPO_ROOT/tests/e2e/$part.bash"
done

setup_file() {
    e2e_setup && e2e_cluster && e2e_addons && e2e_wire && e2e_subnets
}

@test "every kind of workload on two subnets, and all is well" {
    life_workloads
    life_traffic
}

@test "a port without a VLAN and an intruder with the pods' addresses: each is named, the rest is well" {
    proof_vlan
}

@test "promiscuous mode is off, and the switch knows only the node's own MAC: each is named" {
    proof_promisc
}

@test "the controller does not run: the pods that wait are named, with their cause" {
    proof_controller
}

@test "test cluster: an interrupt in the middle leaves nothing; what it does not take" {
    proof_interrupt
    proof_refusals
}

@test "flannel of a node on the wrong interface: named by both; put right by a start of the node" {
    proof_flannel
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

@test "the workloads go, and the addons" {
    life_end
    tool undeploy --purge --skip-flannel --yes
    assert_status 0
}

@test "into a cluster that is there: a dry run shows what is to come, and nothing happens" {
    deploy_is_planned
}

@test "deploy killed in the middle: the next run finishes, and the one behind it writes nothing" {
    deploy_is_killed_and_finished
    e2e_subnets
}

@test "status: a node without a configuration, a controller that was scaled down; both mended" {
    deploy_status_tells
}
