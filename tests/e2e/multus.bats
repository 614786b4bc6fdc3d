#!/usr/bin/env bats
# The walk in mode multus, as the manual of 2019 has it: pods ask with three annotations, and multus gives them
# their interface. From a registry and two bare hosts to a network that is proved, and out of it whole, flannel
# too.
# timeout: 3000
# apart

load ../bats/helper
export E2E_MODE=multus
for part in e2e site life proof; do
    # shellcheck source=/dev/null
    . "$REPO_ROOT/tests/e2e/$part.bash"
done

setup_file() {
    e2e_setup
    site_begin
}

@test "one file, hosts that are ready for it, addons in rancher-server, nodes that are Ready by multus" {
    local node
    site_bundle
    site_hosts
    site_rancher
    site_join
    for node in n1 n2; do
        assert_equal "$(at_node "$node" ls /etc/cni/net.d | paste -sd ' ')" '70-multus.conf flatnet.d multus.d'
    done
}

@test "every kind of workload on two subnets; pods reach each other as their VLANs have it" {
    life_workloads
    life_traffic
    life_job
}

# What multus tells of a pod is what the pod has.
@test "networks-status of each pod has its interface, address and MAC" {
    life_told | awk '{ sub("/.*", "", $4); print $1, $3, $4, $5 }' >told
    kubectl get pods -n life -o json | jq -r '.items[] | (.metadata.annotations["k8s.v1.cni.cncf.io/networks-status"] | fromjson) as $nets |
        ($nets[] | select(.default)) as $eth0 | ($nets[] | select(.name == "static-macvlan-cni-attach")) as $eth1 |
        select($eth1.interface == "eth1") | [.metadata.name, $eth0.ips[0], $eth1.ips[0], $eth1.mac] | join(" ")' | sort | diff told -
}

@test "a pod that asks for an address, and not multus for an interface, is told so" {
    kubectl create -n life -f - <<YAML >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: half, annotations: {macvlan.pandaria.cattle.io/ip: auto, macvlan.pandaria.cattle.io/subnet: blue}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "docker.io/lab/busybox:1"}]
YAML
    kubectl wait -n life --for condition=Ready pod/half --timeout "$(lab_patience 200)s" >/dev/null
    assert_equal "$(kubectl exec -n life half -- busybox ls /sys/class/net | paste -sd ' ')" 'eth0 lo' 'links of the pod'
    lab_wait 60 half_is_told || fail "$(kubectl describe pod -n life half)"
    kubectl delete -n life pod/half >/dev/null
    lab_wait 60 refute kubectl get macvlanip -n life half
}

half_is_told() {
    kubectl get events -n life --field-selector involvedObject.name=half,type=Warning -o jsonpath='{.items[*].message}' |
        grep -F k8s.v1.cni.cncf.io/networks
}

@test "test node on both nodes; test cluster: all that can be asked" {
    proof_nodes
    proof_all
}

@test "all of it goes: what the nodes have is what they had" {
    local node
    life_end
    tool undeploy --purge --yes
    assert_status 0
    assert_contains 'flannel goes too' stderr
    assert_equal "$(kubectl get crd -o name)" ''
    assert_equal "$(kubectl get ds,deploy,cm,secret,sa -n kube-system -o name | grep -E 'flannel|multus|network-c' || true)" ''
    for node in n1 n2; do
        assert_equal "$(at_node "$node" find /etc/cni/net.d -mindepth 1)" ''
        assert_equal "$(at_node "$node" sh -c 'ls /opt/cni/bin | grep macvlan; ip -o link show type vlan')" ''
    done
}
