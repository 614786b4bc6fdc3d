# shellcheck shell=bash
# A Kubernetes 1.20 control plane for the lab: etcd, kube-apiserver and, where asked for,
# kube-controller-manager. No kubelet: pods and nodes are objects only. Sourced after lab.bash.

# lab_kube NAME [controllers]: start a private control plane on loopback and wait until it answers.
# Its administrator is in lab_kube_config NAME. The programs are built on the first call, which takes
# minutes (kubernetes-from-debian.sh). Without controllers nobody makes service accounts' secrets, so
# that a pod needs none; with them, whoever makes a pod waits for the account first. The words in
# LAB_APISERVER_ARGS and LAB_CONTROLLERS_ARGS are further arguments of the two. LAB_KUBE_COMPACT ("2s")
# is how long etcd keeps old versions; 5 minutes without it.
lab_kube() {
    local name=$1 dir=$LAB_DIR/$1.kube
    mkdir -p "$dir"
    "$LAB_HOME/kubernetes-from-debian.sh" >"$dir/bin" || return 1
    lab_certs || return 1
    [ -e "$dir/sa.key" ] || lab_openssl genrsa -out "$dir/sa.key" 2048 || return 1
    printf '%s,admin,admin,system:masters\n' "$(openssl rand -hex 16)" >"$dir/tokens.csv"
    lab_etcd "$name-etcd" || return 1
    lab_kube_apiserver "$name" "${2:-}" || return 1
    [ "${2:-}" != controllers ] || lab_kube_controllers "$name"
}

# lab_kube_url NAME: print https://127.0.0.1:PORT; the CA is $LAB_DIR/ca.crt.
lab_kube_url() {
    printf 'https://127.0.0.1:%s\n' "$(cat "$LAB_DIR/$1.port")"
}

# lab_kube_config NAME: print the path of the administrator's kubeconfig.
lab_kube_config() {
    printf '%s\n' "$LAB_DIR/$1.kube/kubeconfig"
}

# lab_kube_relay NAME NETNS PORT ADDRESS: PORT of loopback in the network namespace NETNS (as of ip netns)
# leads to the API server, or the proxy before it, at ADDRESS of this one.
lab_kube_relay() {
    local socket
    socket=$(mktemp -u "$LAB_DIR/relay.XXXXXXXX")
    lab_spawn "$1-out" socat "UNIX-LISTEN:$socket,fork" "TCP:$4"
    lab_spawn "$1-in" nsenter --net="/run/netns/$2" socat "TCP-LISTEN:$3,bind=127.0.0.1,fork,reuseaddr" "UNIX-CONNECT:$socket"
    lab_ready "$1-in" 30 nsenter --net="/run/netns/$2" curl -sk "https://127.0.0.1:$3/version" -o /dev/null
}

# lab_kubectl NAME ARG...: kubectl 1.20 as administrator, or as another with --token.
lab_kubectl() {
    local dir=$LAB_DIR/$1.kube kubectl
    kubectl=$(cat "$dir/bin")/kubectl
    [ -x "$kubectl" ] || kubectl=kubectl
    shift
    # Not the function of that name that calls this one.
    command "$kubectl" --kubeconfig "$dir/kubeconfig" --cache-dir "$dir/cache" "$@"
}

# lab_kube_token NAME NAMESPACE ACCOUNT: print a token of a service account.
lab_kube_token() {
    printf '{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}' |
        lab_kubectl "$1" create --raw "/api/v1/namespaces/$2/serviceaccounts/$3/token" -f - | jq -er .status.token
}

# lab_kube_node NAME NODE [KEY=VALUE:EFFECT...]: a node with these taints, that no kubelet stands
# behind.
lab_kube_node() {
    local name=$1 node=$2
    shift 2
    lab_kubectl "$name" create -f - <<YAML || return 1
apiVersion: v1
kind: Node
metadata:
  name: $node
  labels: {kubernetes.io/hostname: $node, kubernetes.io/arch: amd64, kubernetes.io/os: linux,
           beta.kubernetes.io/arch: amd64, beta.kubernetes.io/os: linux}
YAML
    [ $# -eq 0 ] || lab_kubectl "$name" taint node "$node" "$@"
}

# lab_etcd NAME: an etcd of one member. It takes port 0 and logs what it got.
lab_etcd() {
    local name=$1 any=http://127.0.0.1:0
    lab_spawn "$name" etcd --name lab --data-dir "$LAB_DIR/$name.data" --unsafe-no-fsync --initial-cluster "lab=$any" \
        --listen-client-urls "$any" --advertise-client-urls "$any" \
        --listen-peer-urls "$any" --initial-advertise-peer-urls "$any"
    lab_ready "$name" 30 lab_etcd_find "$name"
}

# lab_etcd_restart NAME: kill it and start it again on its data, where it was.
lab_etcd_restart() {
    local name=$1 url
    url=http://$(cat "$LAB_DIR/$name.addr")
    lab_stop "$name" KILL
    lab_again "$name" lab_etcd_start_at "$name" "$url"
}

lab_etcd_start_at() {
    lab_spawn "$1" etcd --name lab --data-dir "$LAB_DIR/$1.data" --unsafe-no-fsync \
        --listen-client-urls "$2" --advertise-client-urls "$2" --listen-peer-urls http://127.0.0.1:0
    lab_ready "$1" 60 curl -sf "$2/health"
}

# lab_again NAME CMD...: start a daemon on the port that it had. While it was gone, a client of its
# own may have got just that port for its attempts to reach it.
lab_again() {
    local name=$1 try
    shift
    for try in 1 2 3 4 5 6 7 8 9 10; do
        : >"$LAB_DIR/$name.log"
        "$@" 2>"$LAB_DIR/$name.again" && return 0
        grep -q 'address already in use' "$LAB_DIR/$name.log" || break
        sleep 0.2
    done
    cat "$LAB_DIR/$name.again" >&2
    lab_fail "'$name' does not come back, after $try attempts"
}

lab_etcd_find() {
    local addr
    addr=$(sed -n 's/.*serving insecure client requests on \([0-9.]*:[0-9]*\).*/\1/p' "$LAB_DIR/$1.log" | tail -n 1)
    [ -n "$addr" ] || return 1
    printf '%s\n' "$addr" >"$LAB_DIR/$1.addr"
    curl -sf "http://$addr/health"
}

lab_kube_apiserver() {
    local name=$1 try
    for try in 1 2 3 4 5; do
        lab_free_port >"$LAB_DIR/$name.port"
        if lab_kube_apiserver_start "$@"; then
            return 0
        fi
        grep -q 'address already in use' "$LAB_DIR/$name.log" || return 1
        : >"$LAB_DIR/$name.log"
    done
    lab_fail "no port for kube-apiserver '$name' after $try attempts"
}

# lab_kube_restart NAME: kill the API server and start it again where it was. What it had in its cache
# of versions is forgotten.
lab_kube_restart() {
    lab_stop "$1" KILL
    lab_again "$1" lab_kube_apiserver_start "$1" ''
}

lab_kube_apiserver_start() {
    local name=$1 dir=$LAB_DIR/$1.kube
    local -a args=(--etcd-servers "http://$(cat "$LAB_DIR/$name-etcd.addr")" --bind-address 127.0.0.1
        --secure-port "$(cat "$LAB_DIR/$name.port")" --tls-cert-file "$LAB_DIR/server.crt"
        --tls-private-key-file "$LAB_DIR/server.key" --service-cluster-ip-range 10.43.0.0/16 --allow-privileged=true
        --service-account-key-file "$dir/sa.key" --service-account-signing-key-file "$dir/sa.key"
        --service-account-issuer https://kubernetes.default.svc
        --token-auth-file "$dir/tokens.csv" --authorization-mode RBAC)
    [ "$2" = controllers ] || args+=(--disable-admission-plugins ServiceAccount)
    # shellcheck disable=SC2206
    args+=(${LAB_APISERVER_ARGS:-})
    [ -z "${LAB_KUBE_COMPACT:-}" ] || args+=(--etcd-compaction-interval "$LAB_KUBE_COMPACT")
    lab_kube_write_config "$name"
    lab_spawn "$name" "$(cat "$dir/bin")/kube-apiserver" "${args[@]}"
    lab_ready "$name" 120 lab_kube_answers "$name"
}

# The server makes the namespace kube-system itself, a moment after it says that it is ready.
lab_kube_answers() {
    lab_kubectl "$1" get --raw /readyz && lab_kubectl "$1" get namespace kube-system
}

lab_kube_write_config() {
    cat >"$(lab_kube_config "$1")" <<YAML
apiVersion: v1
kind: Config
current-context: lab
clusters:
- {name: lab, cluster: {server: "$(lab_kube_url "$1")", certificate-authority: "$LAB_DIR/ca.crt"}}
users:
- {name: admin, user: {token: $(cut -d , -f 1 "$LAB_DIR/$1.kube/tokens.csv")}}
contexts:
- {name: lab, context: {cluster: lab, user: admin}}
YAML
}

# lab_kube_collector NAME: only the garbage collector of kube-controller-manager, which deletes what
# has no owner any more.
lab_kube_collector() {
    local name=$1 dir=$LAB_DIR/$1.kube
    lab_spawn "$name-collector" "$(cat "$dir/bin")/kube-controller-manager" --kubeconfig "$dir/kubeconfig" \
        --port 0 --secure-port 0 --leader-elect=false --controllers garbagecollector
    lab_ready "$name-collector" 120 grep -q 'Garbage collector: all resource monitors have synced' "$LAB_DIR/$name-collector.log"
}

# It serves nothing itself; it works once it has made the first service accounts.
lab_kube_controllers() {
    local name=$1 dir=$LAB_DIR/$1.kube
    # shellcheck disable=SC2086
    lab_spawn "$name-controllers" "$(cat "$dir/bin")/kube-controller-manager" --kubeconfig "$dir/kubeconfig" \
        --port 0 --secure-port 0 --leader-elect=false --service-account-private-key-file "$dir/sa.key" \
        --root-ca-file "$LAB_DIR/ca.crt" --use-service-account-credentials \
        --allocate-node-cidrs --cluster-cidr 10.42.0.0/16 --service-cluster-ip-range 10.43.0.0/16 ${LAB_CONTROLLERS_ARGS:-}
    lab_ready "$name-controllers" 120 lab_kubectl "$name" get serviceaccount default -n kube-system
}

# lab_kube_pods NAME: say about pods what scheduler and kubelets would (pod-status.py). Faults are in
# $LAB_DIR/NAME.faults.
lab_kube_pods() {
    local name=$1
    printf '{}\n' >"$LAB_DIR/$name.faults"
    lab_spawn "$name-pods" "$LAB_HOME/pod-status.py" --server "$(lab_kube_url "$name")" --ca "$LAB_DIR/ca.crt" \
        --token "$(cut -d , -f 1 "$LAB_DIR/$name.kube/tokens.csv")" --faults "$LAB_DIR/$name.faults"
    lab_ready "$name-pods" 30 grep -q ready "$LAB_DIR/$name-pods.log"
}
