# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154
# Workloads in the flat network from their first pod to their last: what they are promised at the start,
# when a node loses its power, in a rolling update and when they grow and shrink. For a cluster c of e2e.bash
# with nodes n1 and n2, addons of either mode, the machine "wire", and the subnets blue (VLAN 100) and
# red (200). Each function is a step, called by a test in its own folder, in this order; it ends with
# `subnet check` and `status` finding nothing.
#
#   life_workloads       needs no namespace life, nor pods with fixed addresses of 10.100.0.50 and
#                        10.200.0.51 to 53. Leaves in it, all Ready:
#                          deployment/auto    blue, 2 pods, one on each node
#                          deployment/one     blue, 1 pod, 10.100.0.50, by `workload enable`
#                          deployment/list    red, 3 pods, addresses 51 to 53 with MACs, by `workload enable`
#                          statefulset/db     red, 2 pods, one on each node
#                          daemonset/each     blue
#   life_traffic         needs these, and leaves them as they are
#   life_job             a Job, which is gone afterwards, and its address is free
#   life_reboot [NODE]   needs these, and leaves the same pods with the same addresses
#   life_rolling         needs these, and leaves list and db with other pods at the same addresses
#   life_scale           needs no deployment/many, and leaves none
#   life_end             takes the interface out of deployment/one, then removes the namespace; leaves none
#                        of its addresses used or reserved
#
# What others may call, between any two of the steps:
#
#   life_told            lines "POD NODE IP-OF-ETH0 CIDR MAC VLAN" of the pods, as the API server tells
#   life_well            pods, wire and nodes agree with that, `subnet check` and `status` find nothing

# life_workload KIND NAME ANNOTATIONS [FIELD...]: pods that sleep, spread over the nodes.
life_workload() {
    kubectl apply -n life -f - <<YAML >/dev/null
apiVersion: apps/v1
kind: $1
metadata: {name: $2}
spec:
  selector: {matchLabels: {app: $2}}
$(printf '  %s\n' "${@:4}")
  template:
    metadata: {labels: {app: $2}, annotations: {$3}}
    spec:
      terminationGracePeriodSeconds: 1
      automountServiceAccountToken: false
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule,
        labelSelector: {matchLabels: {app: $2}}}]
      containers: [{name: c, image: "docker.io/lab/busybox:1"}]
YAML
}

# life_asks SUBNET: the annotations of 2019.
life_asks() {
    printf 'macvlan.pandaria.cattle.io/ip: auto, macvlan.pandaria.cattle.io/subnet: %s' "$1"
    [ "$E2E_MODE" = chained ] ||
        printf ", k8s.v1.cni.cncf.io/networks: '%s'" '[{"name": "static-macvlan-cni-attach", "interface": "eth1"}]'
}

LIFE_LIST='10.200.0.51 0a:00:00:00:c8:01
10.200.0.52 0a:00:00:00:c8:02
10.200.0.53 0a:00:00:00:c8:03'

# One is enabled before it has pods, and one while its pod runs.
life_workloads() {
    kubectl create namespace life
    life_workload Deployment one '' 'replicas: 1'
    life_workload Deployment list '' 'replicas: 0' 'strategy: {rollingUpdate: {maxUnavailable: 2}}'
    life_enable deployment/list --subnet red --ip "$(cut -d ' ' -f 1 <<<"$LIFE_LIST" | paste -sd ,)" \
        --mac "$(cut -d ' ' -f 2 <<<"$LIFE_LIST" | paste -sd ,)"
    kubectl scale -n life deployment/list --replicas 3
    life_workload Deployment auto "$(life_asks blue)" 'replicas: 2'
    life_workload StatefulSet db "$(life_asks red)" 'replicas: 2' 'serviceName: db' 'podManagementPolicy: Parallel'
    life_workload DaemonSet each "$(life_asks blue)"
    life_rolled deployment/one
    life_enable deployment/one --subnet blue --ip 10.100.0.50
    life_ready
    life_told >told
    assert_equal "$(grep -c ' 100$' told) $(grep -c ' 200$' told)" '5 5' 'pods on VLAN 100, 200'
    assert_equal "$(life_of one)" "$(grep ' 10.100.0.50/24 ' told)" 'the pod with one address'
    life_list_is_listed
    assert_equal "$(life_of auto db each | cut -d ' ' -f 2 | sort | uniq -c | tr -s ' \n' ' ')" ' 3 n1 3 n2 ' 'pods on nodes'
    life_shown list 3
    life_well
}

life_enable() {
    tool workload enable "$@" -n life
    assert_status 0
    assert_contains "$1 enabled"
}

life_rolled() {
    kubectl rollout status -n life "$1" --timeout "$(lab_patience 400)s" >/dev/null
}

life_ready() {
    local workload
    for workload in deployment/{one,list,auto} statefulset/db daemonset/each; do
        life_rolled "$workload" || fail "$(kubectl get pods -n life -o wide; kubectl get events -n life)" || return 1
    done
    # What a rollout leaves behind is still being removed.
    lab_wait 600 life_has_no_more || fail "$(kubectl get pods -n life -o wide)"
}

life_has_no_more() {
    [ "$(kubectl get pods -n life -o name | wc -l)" -eq 10 ]
}

# life_of NAME...: the lines of these workloads' pods in the file told.
life_of() {
    local IFS='|'
    grep -E "^($*)-" told
}

life_list_is_listed() {
    assert_equal "$(life_of list | awk '{ sub("/24$", "", $4); print $4, $5 }' | sort)" "$LIFE_LIST" 'addresses and MACs of the list'
}

# life_shown NAME PODS: as `workload show` has them.
life_shown() {
    tool workload show "deployment/$1" -n life --format json
    assert_status 0
    assert_json '.pods | length == $n and all(.ready)' --argjson n "$2"
    assert_equal "$(jq -r '.pods[] | "\(.pod) \(.node) \(.cidr) \(.mac)"' "$stdout_file" | sort)" \
        "$(life_of "$1" | cut -d ' ' -f 1,2,4,5)" 'workload show'
}

# --- what is there, as different witnesses have it ---

life_told() {
    kubectl get -n life pods,macvlanips -o json | jq -r '[.items[] | select(.kind == "MacvlanIP")] as $ips | .items[] |
        select(.kind == "Pod") | . as $pod | [$ips[] | select(.spec.podId == $pod.metadata.uid)] as $own |
        [.metadata.name, .spec.nodeName, .status.podIP, ($own[].spec | .cidr, .mac, .network.vlan)] | map(tostring) | join(" ")' |
        LC_ALL=C sort
}

# The same from inside of the pods, and from the devices of their nodes. Needs the file told.
life_seen() {
    local node pod
    for node in n1 n2; do
        at_node "$node" ip -j -d link show type vlan |
            jq -r '.[] | select(.linkinfo.info_kind == "vlan") | "vlan \(.ifindex) \(.linkinfo.info_data.id)"' >"vlans.$node"
    done
    {
        while read -r pod node _; do
            life_look "$pod" "$node" &
        done <told
        wait
    } | LC_ALL=C sort
}

life_look() {
    kubectl exec -n life "$1" -- busybox sh -c 'busybox ip -4 -o addr show
        for name in address iflink; do echo "$name $(busybox cat /sys/class/net/eth1/$name 2>/dev/null)"; done' </dev/null |
        awk -v pod="$1" -v node="$2" '$1 == "vlan" { vlan[$2] = $3 }
            $3 == "inet" { address[$2] = address[$2] $4 }
            $1 == "address" { mac = $2 }
            $1 == "iflink" { lower = $2 }
            END { sub("/.*", "", address["eth0"]); print pod, node, address["eth0"], address["eth1"], mac, vlan[lower] }' "vlans.$2" - |
        sed 's/ *$//'
}

# Lines "ADDRESS MAC" of all that answers on the wire for the addresses in the file told, and that can be
# pinged from there.
life_answers() {
    on_wire "$(awk '{ sub("/.*", "", $4); printf "(busybox ping -c 3 -W 10 %s >ping.%s && busybox arping -b -c 3 -w 10 -I eth0.%s %s) 2>&1 &\n", $4, $4, $6, $4 }' told)
        wait; rm ping.*"
    # It leaves out zeros.
    sed -n 's/^.* reply from \([^ ]*\) \[\([^]]*\)\].*/\1 :\2/p' "$(lab_guest_share wire)/done" |
        sed 's/:\(.\)\b/:0\1/g; s/ :/ /' | sort -u
}

# life_macs NODE: lines "VLAN MAC" of the pods' interfaces that the node's VLAN devices listen for.
life_macs() {
    at_node "$1" bridge fdb show | awk '$1 ~ /^.[02468ace]:/ && $2 == "dev" && $3 ~ /^eth0\.[0-9]+$/ && /permanent/ {
        print substr($3, 6), $1 }' | sort
}

life_well() {
    local node
    life_told >told
    life_seen >seen
    diff told seen
    life_macs_agree
    diff <(awk '{ sub("/.*", "", $4); print $4, $5 }' told | sort) <(life_answers)
    for node in n1 n2; do
        assert_equal "$(cut -d ' ' -f 3 "vlans.$node" | sort | uniq -d)" '' "VLANs with two devices on $node"
    done
    life_checked
}

life_macs_agree() {
    local node
    for node in n1 n2; do
        diff <(awk -v node="$node" '$2 == node { print $6, $5 }' told | sort) <(life_macs "$node") || return 1
    done
}

life_checked() {
    tool subnet check
    assert_status 0
    tool status
    assert_status 0
}

# --- traffic ---

# Each pod to each other and to both gateways, by eth1 and by its routes: whoever is on its VLAN answers,
# and nobody else.
life_traffic() {
    local pod own
    life_told >told
    rm -f reached.*
    { awk '{ sub("/.*", "", $4); print $4, $6 }' told; printf '10.100.0.1 100\n10.200.0.1 200\n'; } >targets
    while read -r pod own; do
        life_pings "$pod" "$own" >"reached.$pod" &
    done < <(awk '{ sub("/.*", "", $4); print $1, $4 }' told)
    wait
    awk 'NR == FNR { vlan[$1] = $2; next } { sub("/.*", "", $4) } { for (a in vlan) if (a != $4 && vlan[a] == $6) {
        print $1, a, "eth1"; print $1, a, "route" } }' targets told | sort >expected
    sort reached.* | diff expected -
}

# life_pings POD OWN: lines "POD ADDRESS eth1|route" of those that it reaches.
life_pings() {
    # shellcheck disable=SC2046
    kubectl exec -n life "$1" -- busybox sh -c 'for a; do
            busybox ping -c 3 -W 10 -I eth1 $a >/dev/null 2>&1 && echo "$a eth1" &
            busybox ping -c 3 -W 10 $a >/dev/null 2>&1 && echo "$a route" &
        done; wait' sh $(awk -v own="$2" '$1 != own { print $1 }' targets) </dev/null | sed "s/^/$1 /"
}

# --- a Job ---

life_job() {
    local address
    kubectl apply -n life -f - <<YAML >/dev/null
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    metadata: {annotations: {$(life_asks red)}}
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: "docker.io/lab/busybox:1", command: [busybox, sh, -c,
        "busybox ip -4 -o addr show dev eth1 && busybox ping -c 3 -W 10 -I eth1 10.200.0.1"]}]
YAML
    kubectl wait -n life --for condition=complete job/once --timeout "$(lab_patience 300)s" >/dev/null
    address=$(kubectl logs -n life job/once | sed -n 's|.* inet \(10\.200\.0\.[0-9]*\)/24 .*|\1|p')
    [ -n "$address" ] || fail "$(kubectl logs -n life job/once)"
    kubectl delete -n life job/once >/dev/null
    lab_wait 120 life_is_free red "$address" || fail "'$address' is not free"
    assert_equal "$(kubectl get -n life macvlanips -o name | wc -l)" 10 MacvlanIPs
    life_checked
}

# life_is_free SUBNET ADDRESS
life_is_free() {
    tool subnet show "$1" --format json
    assert_json 'all(.holders[]; .ip != $address)' --arg address "$2" 2>/dev/null
}

# --- the power goes ---

# The pods are the same ones, in new sandboxes, so that all but eth0 is as it was.
life_reboot() {
    local node=${1:-n2}
    life_told | cut -d ' ' -f 1,2,4- >before
    life_uids >uids
    kubectl get pods --all-namespaces --field-selector "spec.nodeName=$node" -o json >old
    lab_cluster_kill c "$node"
    lab_cluster_boot c "$node"
    lab_cluster_ready c "$node"
    lab_wait 400 life_is_renewed "$node" || fail "$(kubectl get pods --all-namespaces -o wide; kubectl get events -n life)"
    e2e_addons_ready
    life_ready
    life_told | cut -d ' ' -f 1,2,4- | diff before -
    life_uids | diff uids -
    life_well
    life_traffic
}

life_uids() {
    kubectl get pods -n life -o 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\n"}{end}'
}

# Until the kubelet is there again, the server says what was before.
life_is_renewed() {
    kubectl get pods --all-namespaces --field-selector "spec.nodeName=$1" -o json |
        jq -e --slurpfile old old '[$old[0].items[].status.containerStatuses[].containerID] as $ids |
            all(.items[]; .status.containerStatuses | length > 0 and all(.ready and ([.containerID] - $ids != [])))' >/dev/null
}

# --- a rolling update ---

life_rolling() {
    life_told >before
    life_uids >uids
    lab_cluster_spawn c life-checker "${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/ctl_checker" "$(lab_cluster_config c)"
    lab_ready life-checker 30 life_is_watched
    kubectl rollout restart -n life deployment/list statefulset/db >/dev/null
    life_ready
    lab_stop life-checker
    grep -q '^checked: .* 0 violations$' "$LAB_DIR/life-checker.log" || fail "$(<"$LAB_DIR/life-checker.log")"
    life_told >told
    # Five of the pods are others, and have what those before them had.
    assert_equal "$(life_uids | cut -d ' ' -f 2 | sort - <(cut -d ' ' -f 2 uids) | uniq -d | wc -l)" 5 'pods that have stayed'
    life_list_is_listed
    assert_equal "$(life_of db | cut -d ' ' -f 1,4-)" "$(grep ^db- before | cut -d ' ' -f 1,4-)" 'of the StatefulSet'
    assert_equal "$(life_of one auto each)" "$(grep -vE '^(db|list)-' before)" 'of the others'
    life_well
    life_traffic
}

# The checker has seen all that is there.
life_is_watched() {
    [ "$(grep -c ' life/' "$LAB_DIR/life-checker.log")" -ge 20 ]
}

# --- 0, 20, 0 ---

life_scale() {
    life_told >told
    life_macs_agree
    life_links >links
    tool subnet show blue --format json
    jq -S '[.addresses, .holders, .free]' "$stdout_file" >shown
    life_workload Deployment many "$(life_asks blue)" 'replicas: 0'
    kubectl scale -n life deployment/many --replicas 20
    life_rolled deployment/many || fail "$(kubectl get pods -n life -o wide; kubectl get events -n life)"
    life_told >told
    assert_equal "$(life_of many | cut -d ' ' -f 4 | sort -u | grep -c '^10\.100\.0\.')" 20 'addresses of 20 pods'
    assert_equal "$(life_of many | cut -d ' ' -f 2 | sort | uniq -c | tr -s ' \n' ' ')" ' 10 n1 10 n2 ' 'pods on nodes'
    life_shown many 20
    life_well
    kubectl scale -n life deployment/many --replicas 0
    life_ready
    tool subnet show blue --format json
    jq -S '[.addresses, .holders, .free]' "$stdout_file" | diff shown -
    assert_equal "$(kubectl get -n life macvlanips -o name | wc -l)" 10 MacvlanIPs
    kubectl delete -n life deployment/many >/dev/null
    lab_wait 120 life_links_are links || { life_links | diff links -; }
    life_well
}

# Links, network namespaces and MACs of both nodes, without VLAN devices, which stay for a while.
life_links() {
    local node
    for node in n1 n2; do
        at_node "$node" bash -c 'ip -o link; ls /run/netns' | awk -v node="$node" '$2 ~ /:$/ { print node, $2; next } { print node, $1 }' |
            grep -v ' eth0\.'
        life_macs "$node"
    done
}

life_links_are() {
    life_links | diff -q "$1" - >/dev/null
}

# --- the end ---

life_end() {
    local net
    tool workload disable deployment/one -n life
    assert_status 0
    life_rolled deployment/one
    lab_wait 120 life_is_free blue 10.100.0.50 || fail '10.100.0.50 is not free'
    life_told >told
    life_of one | grep -vq / || fail "$(life_of one)"
    assert_equal "$(life_seen | grep ^one-)" "$(life_of one)" 'the pod without eth1'
    life_checked
    kubectl delete namespace life --timeout "$(lab_patience 300)s" >/dev/null
    for net in blue red; do
        tool subnet show "$net" --format json
        assert_json 'all(.holders[]; .namespace != "life")'
    done
    life_checked
}
