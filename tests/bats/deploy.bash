# shellcheck shell=bash
# Shared by the tests of deploy, undeploy and status: a control plane with its controllers, two nodes
# whose pods pod-status.py looks after, and a network-controller that leads. Loaded after helper.
# shellcheck disable=SC2154

# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

# deploy_setup_file NAME: control plane NAME; what lab_kube takes from the environment counts.
deploy_setup_file() {
    local name=$1
    lab_kube "$name" controllers
    lab_kube_node "$name" n1 >/dev/null
    lab_kube_node "$name" n2 >/dev/null
    lab_kube_pods "$name"
    lab_spawn "$name-controller" "${FLATNET_BUILD:-$REPO_ROOT/build}/bin/network-controller" --listen 127.0.0.1:0 \
        --kubeconfig "$(lab_kube_config "$name")" --leader-elect-lease-duration 4 \
        --leader-elect-renew-deadline 3 --leader-elect-retry-period 1
}

deploy_setup() {
    common_setup
    use k
}

# use NAME: from here on kubectl and flatnet speak to that control plane.
use() {
    kube=$1
    KUBECONFIG=$(lab_kube_config "$1")
    export KUBECONFIG
}

kubectl() {
    lab_kubectl "$kube" "$@"
}

# faults JSON: what pod-status.py does from now on.
faults() {
    printf '%s\n' "$1" >"$LAB_DIR/$kube.faults.new"
    mv "$LAB_DIR/$kube.faults.new" "$LAB_DIR/$kube.faults"
}

# clean: nothing of flatnet is there.
clean() {
    faults '{}'
    "$FLATNET" undeploy --purge --force --yes --quiet >/dev/null
    kubectl delete configmap -n kube-system --ignore-not-found rke-user-includes-addons >/dev/null
}

# versions: name and resourceVersion of all that flatnet has deployed, but for what others count in it.
versions() {
    kubectl get crd,sa,clusterrole,clusterrolebinding,role,rolebinding,cm,ds,deploy -A \
        -l app.kubernetes.io/part-of=flatnet -o json | jq -r '.items[] | "\(.kind) \(.metadata.name) \(.metadata.uid)
        \(.metadata.resourceVersion)"'
}

ds() {
    kubectl get ds -n kube-system "$1" -o json | jq -c "$2"
}

# older: what 'kubectl apply' of an older rendering leaves, and others have added to.
older() {
    "$FLATNET" addons render --quiet --mode chained --kube-version 1.20 -o older >/dev/null
    sed -i 's|image: flatnet/static-macvlan-cni.*|image: flatnet/static-macvlan-cni:0.0.9\n        env: [{name: OLD, value: x}]|
        s|^  replicas: 2|  replicas: 1|' older/macvlan-network.yml
    kubectl apply -f older/macvlan-network.yml >/dev/null
    kubectl annotate ds -n kube-system network-cni-ds site.example/note=keep >/dev/null
    kubectl set env -n kube-system ds/network-cni-ds THEIRS=1 --field-manager admin >/dev/null
}

# subnet_and_ip POD_UID: custom resources, as a controller and people make them.
subnet_and_ip() {
    kubectl wait --for condition=established --timeout 60s crd --all >/dev/null
    kubectl create -f - >/dev/null <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: s, namespace: kube-system, finalizers: [macvlan.cluster.cattle.io/in-use]}
spec: {master: eth0, vlan: 7, cidr: 10.1.0.0/24}
---
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanIP
metadata: {name: p, namespace: default, finalizers: [macvlan.panda.io/ipDelayReuse]}
spec: {subnet: s, podId: "$1", cidr: 10.1.0.2/24}
YAML
}
