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
    deploy_controller "$name"
}

# deploy_controller NAME: the one that leads. It ends when it cannot renew in time, and no kubelet
# starts it again; so it has the times of a real one.
deploy_controller() {
    lab_spawn "$1-controller" "${FLATNET_BUILD:-$REPO_ROOT/build}/bin/network-controller" --listen 127.0.0.1:0 \
        --kubeconfig "$(lab_kube_config "$1")"
}

deploy_setup() {
    common_setup
    KUBECONFIG=$(lab_kube_config k)
    export KUBECONFIG
    # One that has not seen the definitions go; those of a cluster go with them.
    lab_stop k-controller
    deploy_controller k
}

kubectl() {
    lab_kubectl k "$@"
}

# faults JSON: what pod-status.py does from now on.
faults() {
    printf '%s\n' "$1" >"$LAB_DIR/k.faults.new"
    mv "$LAB_DIR/k.faults.new" "$LAB_DIR/k.faults"
}

# hold KIND/NAME, release KIND/NAME: it does not go when it is deleted; it may.
hold() {
    kubectl patch -n kube-system "$1" --type merge -p '{"metadata": {"finalizers": ["site.example/hold"]}}' >/dev/null
}

release() {
    kubectl patch -n kube-system "$1" --type merge -p '{"metadata": {"finalizers": null}}' >/dev/null
}

# clean: nothing of flatnet is there.
clean() {
    faults '{}'
    release ds/network-cni-ds 2>/dev/null || true
    release deploy/network-controller 2>/dev/null || true
    kubectl delete pod -n default --ignore-not-found --force --grace-period 0 user >/dev/null 2>&1
    "$FLATNET" undeploy --purge --force --yes --quiet >/dev/null 2>&1
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
    rolled_out
}

rolled_out() {
    kubectl rollout status -n kube-system ds/network-cni-ds --timeout "$(lab_patience 120)s" >/dev/null
    kubectl rollout status -n kube-system deploy/network-controller --timeout "$(lab_patience 120)s" >/dev/null
}

# user: a pod with an address of the subnet s, as the controller gives it.
user() {
    kubectl wait --for condition=established --timeout "$(lab_patience 60)s" crd --all >/dev/null
    kubectl create -f - >/dev/null <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: s, namespace: kube-system}
spec: {master: eth0, vlan: 7, cidr: 10.1.0.0/24}
---
apiVersion: v1
kind: Pod
metadata:
  name: user
  namespace: default
  annotations: {macvlan.pandaria.cattle.io/ip: auto, macvlan.pandaria.cattle.io/subnet: s}
spec: {nodeName: n1, terminationGracePeriodSeconds: 0, containers: [{name: c, image: x}]}
YAML
    wait_until kubectl get macvlanip -n default user >/dev/null 2>&1
}

# resources: what upgrades must not touch.
resources() {
    kubectl get macvlansubnets,macvlanips -A -o json |
        jq -c '.items[] | [.metadata.name, .metadata.uid, .spec.cidr, .spec.mac, .spec.podId]'
}
