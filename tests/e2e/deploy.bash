# shellcheck shell=bash
# shellcheck disable=SC2046,SC2154
# flatnet deploy, status and undeploy on nodes that are machines, one function for each step; sourced
# behind e2e.bash. What the steps assume is a cluster "c" of two nodes, and where it is not said
# otherwise the addons in chained mode (by flatnet deploy, or by kubectl apply), the subnets blue and red,
# and the machine "wire" that is their gateways. Pods of these steps are in the namespace default and
# have the label walk=deploy; others are let be.
#
#   deploy_is_planned              a dry run: what is to come is shown, and nothing was done. Nothing of
#                                  flatnet may be there before, nor is afterwards.
#   deploy_is_killed_and_finished  from nothing: killed in the middle, given again, then once more. It
#                                  leaves the addons, without subnets.
#   deploy_status_tells            what does not work is named, and mended. It leaves all as it was.
#   deploy_upgrade                 the next version under traffic between pods. It leaves that version
#                                  deployed, and the pods up-n1, up-n2 (blue) and mid-n1, mid-n2.
#   deploy_undeploy                killed in the middle, given again, under traffic between up-n1 and
#                                  up-n2, which it makes where they are not there. It leaves the nodes as
#                                  without flatnet, the pods with their interfaces, all custom resources.
#   deploy_again                   behind deploy_undeploy: everything is back, with the same addresses. It
#                                  leaves what deploy_upgrade leaves.
#   deploy_purge [promiscuous]     refused while pods use addresses; then the pods of these steps are
#                                  deleted, and nothing is left of flatnet. No other pods may use
#                                  addresses any more. The argument says that the masters were promiscuous
#                                  before flatnet was there.
#
# A pod network that came with the addons is the cluster's own for these steps: all have --skip-flannel.

NODES=(n1 n2)

# deploy_tool ARG...: as `tool`, with the version that the last step has deployed.
deploy_tool() {
    local FLATNET=$FLATNET
    [ ! -x "$LAB_DIR/newer/flatnet" ] || FLATNET=$LAB_DIR/newer/flatnet
    tool "$@"
}

# deploy_begin OUT ARG...: the same in the background, to be killed; sets $pid. nsenter becomes the
# program, where a function would be a shell of its own.
deploy_begin() {
    local out=$1 program=$FLATNET
    shift
    [ ! -x "$LAB_DIR/newer/flatnet" ] || program=$LAB_DIR/newer/flatnet
    KUBECONFIG=$(lab_cluster_config c) nsenter -t "$(lab_pid c-switch)" -n "$program" "$@" $(tool_limits "$1") \
        >"$out" 2>"$out.err" &
    pid=$!
}

deploy_kill() {
    kill -s KILL "$pid"
    wait "$pid" || true
}

# --- what is there ---

# deploy_objects: all that bears our label, and our ConfigMap: what they are to be, not how they fare.
deploy_objects() {
    kubectl get crd,sa,clusterrole,clusterrolebinding,role,rolebinding,cm,ds,deploy,svc -A \
        -l app.kubernetes.io/part-of=flatnet -o json | jq -r '.items[] | [.kind, .metadata.name, .metadata.uid,
            if .status then .metadata.generation else .metadata.resourceVersion end,
            (.metadata.managedFields[]? | select(.manager == "flatnet") | .time)] | join(" ")'
}

# deploy_files NODE: network configurations and plugins, with a star before ours.
deploy_files() {
    at_node "$1" sh -c 'find /etc/cni/net.d /opt/cni/bin -mindepth 1 -printf "%P\n"' | sort |
        sed -E 's/^(05-flatnet\.conflist|flatnet\.d.*|static-macvlan-cni|static-ipam)$/*&/'
}

# deploy_has NODE FILE...: these of ours are there.
deploy_has() {
    local node=$1
    shift
    assert_equal "$(deploy_files "$node" | sed -n 's/^\*//p')" "$(printf '%s\n' "$@")" "ours on $node"
}

# deploy_others: what is not ours, on both nodes.
deploy_others() {
    local node
    for node in "${NODES[@]}"; do
        deploy_files "$node" | sed "/^\*/d; s/^/$node /"
    done
}

DEPLOY_FILES=(05-flatnet.conflist flatnet.d flatnet.d/flatnet.kubeconfig static-ipam static-macvlan-cni)

deploy_uses_conflist() {
    at_node "$1" jq -r '[.plugins[].type] | last' /etc/cni/net.d/05-flatnet.conflist | grep -qx static-macvlan-cni
}

# --- pods ---

# deploy_pod NAME NODE: with an address of the subnet blue.
deploy_pod() {
    kubectl create -f - <<YAML >/dev/null
apiVersion: v1
kind: Pod
metadata:
  name: $1
  labels: {walk: deploy}
  annotations: {macvlan.pandaria.cattle.io/ip: auto, macvlan.pandaria.cattle.io/subnet: blue}
spec:
  nodeName: $2
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "docker.io/lab/busybox:1"}]
YAML
}

deploy_pods_ready() {
    kubectl wait --for condition=Ready --timeout "$(lab_patience 300)s" "${@/#/pod/}" >/dev/null || fail "$(kubectl describe "${@/#/pod/}" | tail -n 30)"
}

deploy_up_pods() {
    local node
    for node in "${NODES[@]}"; do
        kubectl get pod "up-$node" >/dev/null 2>&1 || deploy_pod "up-$node" "$node"
    done
    deploy_pods_ready "${NODES[@]/#/up-}"
}

deploy_pods_gone() {
    kubectl delete --wait --timeout "$(lab_patience 300)s" "${@/#/pod/}" >/dev/null
}

deploy_node_of() {
    kubectl get pod "$1" -o jsonpath='{.spec.nodeName}'
}

# deploy_pid POD: of its container, on its node.
deploy_pid() {
    local id
    id=$(kubectl get pod "$1" -o jsonpath='{.status.containerStatuses[0].containerID}')
    at_node "$(deploy_node_of "$1")" ctr -n k8s.io tasks ls | awk -v id="${id#containerd://}" '$1 == id { print $2 }' | grep .
}

# deploy_in POD COMMAND...: in its network.
deploy_in() {
    local pod=$1
    shift
    at_node "$(deploy_node_of "$pod")" nsenter -t "$(deploy_pid "$pod")" -n "$@"
}

deploy_ip() {
    kubectl get macvlanip "$1" -o jsonpath='{.spec.cidr}' | cut -d / -f 1
}

deploy_has_eth1() {
    deploy_in "$1" ip -o -4 addr show eth1 | grep -qF " $(deploy_ip "$1")/" || fail "'$1' has not its address"
}

# deploy_network POD...: what must not change: links with their numbers, MACs and what they stand on,
# addresses, routes; and the VLAN devices of the nodes.
deploy_network() {
    local pod node
    for pod; do
        deploy_in "$pod" sh -c 'ip -o link; ip -o -4 addr; ip route' | sed "s/^/$pod /"
    done
    for node in "${NODES[@]}"; do
        at_node "$node" ip -o -d link show type vlan | sed "s/^/$node /"
    done
}

# --- traffic ---

# deploy_traffic: from up-n1 to up-n2 and back, and from the gateway to up-n2, five times a second.
deploy_traffic() {
    local to=([1]=n2 [2]=n1) n
    for n in 1 2; do
        # shellcheck disable=SC2016
        at_node "n$n" sh -c 'nsenter -t "$1" -n busybox ping -i 0.2 "$2" >/run/lab/traffic 2>&1 & echo $! >/run/traffic.pid' \
            sh "$(deploy_pid "up-n$n")" "$(deploy_ip "up-${to[n]}")"
    done
    on_wire "busybox ping -i 0.2 $(deploy_ip up-n2) >/run/lab/traffic 2>&1 & echo \$! >/run/traffic.pid"
    for n in c-n1 c-n2 wire; do
        wait_until grep -q seq=5 "$(lab_guest_share "$n")/traffic"
    done
}

# deploy_traffic_ends: nothing was away. A machine that has more guests than processors loses a frame now
# and then by itself; what is made anew, or changes its place, misses several in a row.
deploy_traffic_ends() {
    local n file
    for n in c-n1 c-n2 wire; do
        file=$(lab_guest_share "$n")/traffic
        wait_until deploy_has_answers "$file" $(($(grep -c ' seq=' "$file") + 5))
    done
    for n in "${NODES[@]}"; do
        # shellcheck disable=SC2016
        at_node "$n" sh -c 'kill -s INT "$(cat /run/traffic.pid)"'
    done
    # shellcheck disable=SC2016
    on_wire 'kill -s INT "$(cat /run/traffic.pid)"'
    for n in c-n1 c-n2 wire; do
        file=$(lab_guest_share "$n")/traffic
        wait_until grep -q 'packets transmitted' "$file"
        cat "$file" >>"$LAB_DIR/traffic.log"
        sed -n 's/.* seq=\([0-9]*\) .*/\1/p' "$file" | sort -n >answers
        deploy_answers <answers ||
            fail "traffic of $n: missing $(seq 0 "$(tail -n 1 answers)" | diff - answers; deploy_drops; tail -n 3 "$file")"
    done
}

# deploy_has_answers FILE COUNT
deploy_has_answers() {
    [ "$(grep -c ' seq=' "$1")" -ge "$2" ]
}

# deploy_answers: the answers' numbers come in. Not two in a row are missing, not one of a hundred, and none
# came twice.
deploy_answers() {
    awk 'BEGIN { last = -1 }
        { gap = $1 - last - 1; lost += gap; bad = bad || gap > 1 || gap < 0; last = $1; n++ }
        END { exit !(n && !bad && lost * 100 <= n) }'
}

# What the lab's own network has dropped.
deploy_drops() {
    local n
    for n in "${NODES[@]}"; do
        lab_cluster_run c ip -s link show "$(lab_cluster_tap c "$n")"
        at_node "$n" ip -s link show eth0
        at_node "$n" cat /proc/net/softnet_stat
    done
}

# --- from nothing ---

deploy_is_planned() {
    local node
    tool deploy --mode chained --skip-flannel --dry-run
    assert_status 0
    assert_contains '+++ DaemonSet kube-system/network-cni-ds (to be)'
    assert_contains '+++ CustomResourceDefinition macvlansubnets.macvlan.cluster.cattle.io (to be)'
    assert_lacks '+++ DaemonSet kube-system/kube-flannel-ds (to be)'
    assert_contains 'nothing was changed; to be: 16 created, 0 configured' stderr
    assert_equal "$(deploy_objects)" ''
    for node in "${NODES[@]}"; do
        deploy_has "$node" ''
    done
    tool status
    assert_status 3
    assert_contains 'flatnet is not deployed in this cluster' stderr
}

deploy_is_killed_and_finished() {
    local pid node
    deploy_others >others
    deploy_begin out deploy --mode chained --skip-flannel
    wait_until grep -q '^created  *DaemonSet kube-system/network-cni-ds' out
    deploy_kill
    tool status --timeout 1
    assert_status 3
    assert_contains 'a deploy or undeploy has not come to its end; give the same command again' stderr
    assert_contains 'Deployment kube-system/network-controller: missing' stderr
    tool deploy --mode chained --skip-flannel
    assert_status 0
    assert_contains 'unchanged   DaemonSet kube-system/network-cni-ds'
    assert_contains 'created     Deployment kube-system/network-controller'
    assert_contains 'waiting for DaemonSet kube-system/network-cni-ds: ' stderr
    grep -qE "^note: 'network-controller-.*' leads" "$stderr_file"
    for node in "${NODES[@]}"; do
        deploy_uses_conflist "$node"
        deploy_has "$node" "${DEPLOY_FILES[@]}"
    done
    deploy_others | diff others -
    deploy_is_stable
}

# A run that has nothing to do writes nothing.
deploy_is_stable() {
    deploy_objects >before
    deploy_tool deploy
    assert_status 0
    assert_equal "$(awk '{ print $1 }' <<<"$output" | sort -u)" unchanged
    deploy_objects | diff before -
}

# --- status ---

deploy_is_well() {
    deploy_tool status --format json
    assert_status 0
    assert_json '.ok and .mode == "chained" and .leader.renews and .errors == []
        and (.nodes | map([.name, .ready, .plugin]) == [["n1", true, true], ["n2", true, true]])
        and all(.objects[]; .ready)'
}

# One node whose own network configuration is gone, and controllers that somebody has scaled down.
deploy_status_tells() {
    wait_until deploy_subnets_active
    deploy_is_well
    assert_json '.subnets | map([.name, .total, .phase]) == [["blue", 90, "Active"], ["red", 90, "Active"]]'
    at_node n2 mv /etc/cni/net.d/10-bridge.conflist /root.conflist
    kubectl scale -n kube-system deploy/network-controller --replicas 0 >/dev/null
    WAIT_SECONDS=200 wait_until deploy_pods_are 1 0
    deploy_tool status --timeout 20
    assert_status 3
    assert_contains "node 'n2' has no working plugin: node 'n2': pod 'network-cni-ds-" stderr
    assert_contains "no network configuration in '/host/etc/cni/net.d' that ours could be chained to" stderr
    assert_contains 'DaemonSet kube-system/network-cni-ds: 1 of 2 nodes ready' stderr
    assert_contains 'no network-controller leads: ' stderr
    assert_lacks "node 'n1' has no working plugin" stderr
    # The plugin's pod puts its files right by itself.
    at_node n2 mv /root.conflist /etc/cni/net.d/10-bridge.conflist
    deploy_tool deploy --force-conflicts
    assert_status 0
    deploy_is_well
}

deploy_subnets_active() {
    [ "$(kubectl get macvlansubnets -A -o jsonpath='{.items[*].status.phase}')" = 'Active Active' ]
}

# deploy_pods_are READY REPLICAS: ready pods of the plugin, pods of the controller.
deploy_pods_are() {
    [ "$(kubectl get ds -n kube-system network-cni-ds -o jsonpath='{.status.numberReady}')" = "$1" ] &&
        [ "$(kubectl get pods -n kube-system -l app=network-controller -o name | wc -l)" = "$2" ]
}

# --- the next version ---

# deploy_newer: these programs with another digit in their version, as images on the nodes, so that the
# version is all that an upgrade changes.
deploy_newer() {
    local version name dir=$LAB_DIR/newer
    version=$("$FLATNET" version | cut -d ' ' -f 2)
    mkdir -p "$dir"
    for name in flatnet static-macvlan-cni network-controller; do
        LC_ALL=C sed "s/${version//./\\.}/${version%?}9/g" "${FLATNET%/*}/$name" >"$dir/$name"
        chmod 755 "$dir/$name"
    done
    for name in static-macvlan-cni network-controller; do
        lab_cluster_image "$dir/$name.layout" "docker.io/flatnet/$name:${version%?}9" "$dir/$name"
    done
    "$FLATNET" bundle create --quiet --from "$dir/static-macvlan-cni.layout" --from "$dir/network-controller.layout" -o newer.tar >/dev/null
    lab_cluster_load c newer.tar
    [ "$("$dir/flatnet" version | cut -d ' ' -f 2)" = "${version%?}9" ]
}

deploy_upgrade() {
    local pid version node
    deploy_newer
    version=$("$LAB_DIR/newer/flatnet" version | cut -d ' ' -f 2)
    deploy_up_pods
    deploy_network up-n1 up-n2 >network
    addresses walk=deploy >held
    kubectl get pods -n kube-system -l 'name=network-cni' -o name | sort >plugins
    deploy_traffic
    deploy_begin out deploy --mode chained --skip-flannel
    WAIT_SECONDS=120 wait_until grep -q '^configured  *DaemonSet kube-system/network-cni-ds' out
    # While the plugin is replaced on one node after the other.
    deploy_pod mid-n1 n1
    deploy_pod mid-n2 n2
    deploy_pods_ready mid-n1 mid-n2
    wait "$pid" || fail "$(cat out.err)"
    assert_contains 'configured  Deployment kube-system/network-controller' out
    assert_lacks 'unable to retrieve container logs' out.err
    addresses walk=deploy | grep ^up- | diff held -
    deploy_network up-n1 up-n2 | diff network -
    deploy_has_eth1 mid-n1
    deploy_has_eth1 mid-n2
    kubectl get pods -n kube-system -l 'name=network-cni' -o name | sort | comm -12 - plugins | diff /dev/null -
    for node in "${NODES[@]}"; do
        at_node "$node" /opt/cni/bin/static-macvlan-cni --version 2>&1 | grep -qF "$version"
    done
    deploy_is_well
    # shellcheck disable=SC2016
    assert_json '.version == $version and .by == "flatnet deploy"
        and ([.objects[].image | select(. and startswith("flatnet/"))] | length == 2 and all(endswith(":" + $version)))' --arg version "$version"
    deploy_is_stable
    deploy_traffic_ends
}

# --- out of it ---

deploy_subnets() {
    kubectl get macvlansubnets -A -o json | jq -c '.items[] | [.metadata.name, .metadata.uid, .spec]'
}

deploy_undeploy() {
    local pid node
    deploy_up_pods
    deploy_network up-n1 up-n2 >network
    kubectl get macvlanips -A -o json | jq -c '.items[] | [.metadata.name, .metadata.uid, .spec]' >ips
    deploy_subnets >subnets
    deploy_others >others
    deploy_traffic
    deploy_begin out undeploy --skip-flannel --yes
    WAIT_SECONDS=200 wait_until grep -q '^deleted  *DaemonSet kube-system/network-cni-ds' out
    wait_until kubectl get ds -n kube-system flatnet-cleanup >/dev/null 2>&1
    deploy_kill
    assert_contains 'waiting for Deployment kube-system/network-controller to go: ' out.err
    deploy_tool status --timeout 1
    assert_status 3
    assert_contains 'a deploy or undeploy has not come to its end; give the same command again' stderr
    deploy_tool undeploy --skip-flannel --yes
    assert_status 0
    assert_contains 'cleaned     DaemonSet kube-system/flatnet-cleanup'
    # The one of the run that was killed.
    assert_lacks 'deleted     DaemonSet'
    assert_lacks 'CustomResourceDefinition'
    for node in "${NODES[@]}"; do
        # Pods that were made with the plugin may be taken down by it.
        deploy_has "$node" static-ipam static-macvlan-cni
    done
    deploy_others | diff others -
    assert_equal "$(deploy_objects | awk '{ print $1 }' | sort -u)" CustomResourceDefinition
    kubectl get macvlanips -A -o json | jq -c '.items[] | [.metadata.name, .metadata.uid, .spec]' | diff ips -
    deploy_subnets | diff subnets -
    # What the kubelets use now.
    deploy_pod plain-n1 n1
    deploy_pod plain-n2 n2
    deploy_pods_ready plain-n1 plain-n2
    for node in "${NODES[@]}"; do
        assert_equal "$(deploy_in "plain-$node" ip -o link | awk -F '[ :@]+' '{ print $2 }' | sort | paste -sd ' ')" 'eth0 lo' "links of plain-$node"
    done
    deploy_pods_gone plain-n1 plain-n2
    deploy_network up-n1 up-n2 | diff network -
    deploy_tool undeploy --skip-flannel --yes
    assert_status 0
    assert_contains 'nothing of flatnet is deployed' stderr
    deploy_tool status
    assert_status 3
    assert_contains 'flatnet is not deployed in this cluster' stderr
    deploy_traffic_ends
}

# A pod that ended while nobody was there has its address given back.
deploy_again() {
    local node
    addresses walk=deploy | grep ^up- >held
    deploy_network up-n1 up-n2 >network
    [ "$(kubectl get pods -l walk=deploy -o name | grep -c mid-)" -eq 0 ] || deploy_pods_gone mid-n1 mid-n2
    deploy_traffic
    deploy_tool deploy --mode chained --skip-flannel
    assert_status 0
    for node in "${NODES[@]}"; do
        deploy_uses_conflist "$node"
        deploy_has "$node" "${DEPLOY_FILES[@]}"
    done
    addresses walk=deploy | diff held -
    deploy_network up-n1 up-n2 | diff network -
    deploy_pod mid-n1 n1
    deploy_pod mid-n2 n2
    deploy_pods_ready mid-n1 mid-n2
    deploy_has_eth1 mid-n1
    deploy_has_eth1 mid-n2
    addresses walk=deploy | awk '{ print $3, $4 }' | sort | uniq -d | diff /dev/null -
    deploy_in mid-n1 busybox ping -c 3 -w 20 "$(deploy_ip up-n2)" >/dev/null
    deploy_is_well
    deploy_is_stable
    deploy_traffic_ends
}

deploy_purge() {
    local node flag=0
    [ "${1:-}" != promiscuous ] || flag=1
    deploy_others >others
    deploy_tool undeploy --purge --skip-flannel --yes
    assert_status 3
    assert_contains ' in use by pods' stderr
    deploy_is_well
    kubectl delete pods -l walk=deploy --wait --timeout "$(lab_patience 300)s" >/dev/null
    deploy_tool undeploy --purge --skip-flannel --yes
    assert_status 0
    assert_equal "$(deploy_objects)" ''
    assert_equal "$(kubectl get crd -o name)" ''
    assert_equal "$(kubectl get lease,secret,cm,svc,sa -n kube-system -o name | grep -E 'flatnet|network-controller|macvlan' || true)" ''
    for node in "${NODES[@]}"; do
        deploy_has "$node" ''
        assert_equal "$(at_node "$node" ip -o link show type vlan)" ''
        assert_equal "$(at_node "$node" ip -o link show eth0 | grep -c PROMISC)" "$flag" "eth0 of $node promiscuous"
        assert_equal "$(at_node "$node" find /run/flatnet -mindepth 1)" ''
    done
    deploy_others | diff others -
}
