# shellcheck shell=bash
# shellcheck disable=SC2154
# The first half of the walk, from nothing to a cluster with flatnet's addons: what the public registries
# have, one file of it, hosts, and rancher-server. Source it after e2e.bash; the steps follow each other.
#
#   site_begin       a registry with the images of the default set but flatnet's own; two hosts, n1 and n2,
#                    with containerd and without a kubelet, and a control plane that they have not joined
#   site_bundle      macvlan.tar out of the registry, which is stopped then, and on the hosts
#   site_hosts       the hosts are ready: checked, prepared, their NIC chosen, their images loaded
#   site_rancher     rancher-server has the addons, in a dockerd of its own
#   site_join        kubelets, the addons as RKE applies them, and nodes that are Ready by them; the
#                    gateways, and the subnets of e2e_subnets
#
# The mode is $E2E_MODE. What stands in: flanneld sleeps, for its data path is the lab's (cluster.bash), the
# flannel plugin is tests/lab/flannel-cni.sh, and multus is multus-entrypoint.sh and multus-cni.sh there, since
# Debian has none of them.

site_begin() {
    need docker-registry dockerd skopeo umoci
    cd "$LAB_DIR" || return 1
    lab_registry upstream || return 1
    site_images "$(lab_registry_addr upstream)" || return 1
    LAB_CLUSTER_BRIDGE=no lab_cluster_start c 2
}

# site_images ADDR
site_images() {
    mkdir -p flannel/opt/bin plugins/{bin,opt/cni/bin} multus/usr/src/multus-cni/bin
    printf '#!/bin/sh\nexec sleep 1000000\n' >flannel/opt/bin/flanneld
    chmod 755 flannel/opt/bin/flanneld
    cp /usr/lib/cni/{bridge,host-local,loopback,portmap} plugins/opt/cni/bin/
    cp "$LAB_HOME/flannel-cni.sh" plugins/opt/cni/bin/flannel
    cp "$LAB_HOME/multus-entrypoint.sh" multus/entrypoint.sh
    cp "$LAB_HOME/multus-cni.sh" multus/usr/src/multus-cni/bin/multus
    ln -s busybox plugins/bin/cp
    ln -s busybox plugins/bin/mv
    lab_image_push "$1" cnrancher/rancher:v2.2.3 --layers 2 --layer-kb 1024 &&
        lab_image_push "$1" nfvpe/multus:v3.2 --add multus &&
        lab_image_push "$1" coreos/flannel:v0.10.0-amd64 --add flannel &&
        lab_image_push "$1" rancher/flannel-cni:v0.3.0-rancher6 --add plugins
}

site_bundle() {
    local upstream node
    cd "$LAB_DIR" || return 1
    upstream=http://$(lab_registry_addr upstream)
    run_flatnet addons render --mode "$E2E_MODE" --kube-version 1.20 --iface eth0 -o network-addons
    assert_status 0
    run_flatnet bundle create --images default --addons network-addons -o macvlan.tar \
        --registry-mirror docker.io="$upstream" --registry-mirror quay.io="$upstream"
    assert_status 0
    run_flatnet bundle verify macvlan.tar
    assert_status 0
    lab_registry_stop upstream
    for node in n1 n2; do
        cp macvlan.tar "$(lab_cluster_share c "$node")/"
        at_node "$node" tar -xf /run/lab/macvlan.tar -C /usr/local --strip-components=2 --one-top-level=bin bin/linux-amd64/flatnet
        at_node "$node" /usr/local/bin/flatnet bundle verify /run/lab/macvlan.tar
    done
}

site_hosts() {
    local node job
    local -a jobs=()
    for node in n1 n2; do
        site_host "$node" >"$T/said.$node" 2>&1 &
        jobs+=("$!")
    done
    for job in "${jobs[@]}"; do
        wait "$job" || fail "$(cat "$T"/said.*)"
    done
}

# site_host NODE: what must be mended is told before, and is right after.
site_host() {
    local node=$1 flatnet=/usr/local/bin/flatnet peer=10.0.0.12 before=0
    [ "$node" = n1 ] || peer=10.0.0.11
    at_node "$node" "$flatnet" host check --master eth0 --format json >"$T/before.$node" || before=$?
    [ "$before" = 3 ] || return 1
    assert_equal "$(jq -r '[.items[] | select(.result == "fail").name] | join(" ")' "$T/before.$node")" \
        'modules modules-boot sysctl promisc' "what fails before" || return 1
    at_node "$node" "$flatnet" host prepare --master eth0 --yes &&
        at_node "$node" "$flatnet" host check --master eth0 --bundle /run/lab/macvlan.tar &&
        at_node "$node" "$flatnet" host iface --peer "$peer" --format json >"$T/iface.$node" &&
        jq -e '.wanted == "eth0" and .agrees and .flags[0] == "--iface=eth0"' "$T/iface.$node" &&
        at_node "$node" "$flatnet" images load --quiet /run/lab/macvlan.tar &&
        at_node "$node" "$flatnet" images ls /run/lab/macvlan.tar
}

site_rancher() {
    cd "$LAB_DIR" || return 1
    lab_dockerd rancher || return 1
    DOCKER_HOST=unix://$(lab_docker_sock rancher)
    export DOCKER_HOST
    run_flatnet images load macvlan.tar
    assert_status 0
    lab_docker rancher run -d --name rancher-server --network none cnrancher/rancher:v2.2.3 sleep 1000000 >/dev/null
    run_flatnet bundle extract macvlan.tar --only 'addons/*' -o site
    assert_status 0
    run_flatnet addons lint --kube-version 1.20 site/addons
    assert_status 0
    run_flatnet addons copy site/addons
    assert_status 0
    cp "$stdout_file" include
    unset DOCKER_HOST
}

site_join() {
    cd "$LAB_DIR" || return 1
    local file
    lab_cluster_join c
    # RKE makes one file of those that addons_include names, and a job applies it.
    sed -n 's/^  - //p' include | while read -r file; do
        lab_docker rancher exec rancher-server cat "$file"
        printf '\n---\n'
    done >user-addon.yml
    kubectl apply -f user-addon.yml
    lab_cluster_ready c
    e2e_addons_ready
    e2e_wire
    e2e_subnets
}
