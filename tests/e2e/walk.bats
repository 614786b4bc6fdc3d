#!/usr/bin/env bats
# The whole way, as an operator meets it, on one cluster and in this order: from a registry and two bare hosts
# to a network of VLANs that is proved, on to the next version, and out again. Faults are in faults.bats.
# timeout: 3600
# apart: guests that share the processors with all other files take minutes for what kubelets give seconds.

load ../bats/helper
for part in e2e site life proof deploy; do
    # shellcheck source=/dev/null
    . "$REPO_ROOT/tests/e2e/$part.bash"
done

setup_file() {
    e2e_setup
    site_begin
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

@test "every kind of workload on two subnets has the addresses, MACs and VLANs that it is promised" {
    life_workloads
}

@test "pods of one subnet reach each other and the gateway from both nodes, those of two do not" {
    life_traffic
}

@test "a Job does its work by eth1, and its address is free afterwards" {
    life_job
}

@test "test node on both nodes: NICs, VLANs, and flannel's path to the other" {
    proof_nodes
}

@test "test cluster: the matrix, addresses, gateways, isolation, services and names, fixed addresses" {
    proof_all
}

@test "the next version under traffic: no answer is missing, nothing in the pods changes" {
    life_told >told.before
    deploy_upgrade
    life_told | diff told.before -
}

@test "the workloads go" {
    life_end
}

@test "undeploy, killed in the middle: the nodes are as they were, running pods keep their interfaces" {
    deploy_undeploy
}

@test "purge is refused while pods use addresses; then nothing is left" {
    deploy_again
    deploy_purge promiscuous
}
