# shellcheck shell=bash
# Container runtimes of the lab: private dockerd and containerd. Sourced by lab.bash.

# lab_containerd NAME [cri]: start a private containerd (own root, state, socket). With cri its CRI
# plugin runs too, as under a kubelet. Sockets: lab_containerd_sock NAME.
lab_containerd() {
    local name=$1 dir=$LAB_DIR/$1.containerd disabled='"io.containerd.grpc.v1.cri"'
    [ "${2:-}" != cri ] || disabled=
    mkdir -p "$dir"
    cat >"$dir/config.toml" <<TOML
version = 2
root = "$dir/root"
state = "$dir/state"
disabled_plugins = [$disabled]
[grpc]
address = "$dir/s"
[ttrpc]
address = "$dir/s.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
disable_tcp_service = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$dir/cni/bin"
conf_dir = "$dir/cni/net.d"
TOML
    lab_spawn "$name" containerd --config "$dir/config.toml"
    lab_ready "$name" 60 ctr -a "$dir/s" version
}

# lab_runc FILE: make a runtime of runc that asks for no limits and no OOM scores, which cannot be given
# without CAP_SYS_RESOURCE.
lab_runc() {
    cat >"$1" <<'SH'
#!/bin/bash
for ((i = 1; i < $#; i++)); do
    file=${*:i+1:1}/config.json
    if [ "${*:i:1}" = --bundle ] && [ -e "$file" ]; then
        text=$(jq 'del(.process.oomScoreAdj) | del(.process.rlimits)' "$file") && printf '%s\n' "$text" >"$file"
    fi
done
exec runc "$@"
SH
    chmod +x "$1"
}

# lab_containerd_sock NAME: print the path of its socket (also of the one under dockerd NAME).
lab_containerd_sock() {
    printf '%s\n' "$LAB_DIR/$1.containerd/s"
}

# lab_ctr NAME ARG...: ctr against a private containerd; the namespace is k8s.io unless -n says other.
lab_ctr() {
    local sock
    sock=$(lab_containerd_sock "$1")
    shift
    CONTAINERD_NAMESPACE=${CONTAINERD_NAMESPACE:-k8s.io} ctr -a "$sock" "$@"
}

# lab_dockerd NAME [tls]: start a private dockerd over a containerd of its own. The machine's network
# stays as it is: no bridge, no iptables, no forwarding. tls: it listens on a loopback port too, for
# clients that have a certificate (lab_docker_tcp NAME, $LAB_DIR/docker-certs).
# LAB_STORAGE_DRIVER chooses the driver; otherwise dockerd does.
lab_dockerd() {
    local name=$1 try
    mkdir -p "$LAB_DIR/$name.docker"
    lab_containerd "$name.docker" || return 1
    if [ "${2:-}" != tls ]; then
        lab_dockerd_start "$name"
        return
    fi
    lab_certs || return 1
    for try in 1 2 3 4 5; do
        lab_free_port >"$LAB_DIR/$name.port"
        if lab_dockerd_start "$name"; then
            return 0
        fi
        grep -q 'address already in use' "$LAB_DIR/$name.log" || return 1
        : >"$LAB_DIR/$name.log"
    done
    lab_fail "no port for dockerd '$name' after $try attempts"
}

lab_dockerd_start() {
    local name=$1 dir=$LAB_DIR/$1.docker
    local -a args=(--data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" --config-file "$dir/daemon.json"
        --containerd "$(lab_containerd_sock "$name.docker")" -H "unix://$dir/s" --bridge none --iptables=false
        --ip-masq=false --ip-forward=false --userland-proxy=false --shutdown-timeout 2)
    if [ -e "$LAB_DIR/$name.port" ]; then
        args+=(-H "tcp://127.0.0.1:$(cat "$LAB_DIR/$name.port")" --tlsverify --tlscacert "$LAB_DIR/ca.crt"
            --tlscert "$LAB_DIR/server.crt" --tlskey "$LAB_DIR/server.key")
    fi
    if [ -n "${LAB_STORAGE_DRIVER:-}" ]; then
        args+=(--storage-driver "$LAB_STORAGE_DRIVER")
    fi
    printf '{}\n' >"$dir/daemon.json"
    lab_spawn "$name" /usr/sbin/dockerd "${args[@]}"
    lab_ready "$name" 60 curl -sf --unix-socket "$dir/s" http://docker/_ping
}

# lab_dockerd_stop NAME, lab_dockerd_restart NAME: its images stay.
lab_dockerd_stop() {
    lab_stop "$1"
}

lab_dockerd_restart() {
    lab_stop "$1" || return 1
    lab_dockerd_start "$1"
}

# lab_docker_sock NAME: print the path of its socket.
lab_docker_sock() {
    printf '%s\n' "$LAB_DIR/$1.docker/s"
}

# lab_docker_tcp NAME: print tcp://127.0.0.1:PORT of a daemon that was started with tls.
lab_docker_tcp() {
    printf 'tcp://127.0.0.1:%s\n' "$(cat "$LAB_DIR/$1.port")"
}

# lab_docker NAME ARG...: the docker command line against a private daemon, without the user's settings.
lab_docker() {
    local sock
    sock=$(lab_docker_sock "$1")
    shift
    DOCKER_CONFIG=$LAB_DIR/docker-config DOCKER_API_VERSION=1.41 DOCKER_BUILDKIT=0 docker -H "unix://$sock" "$@"
}

# lab_docker_id NAME REFERENCE: print the image's id (sha256:...); 1 when it is not there.
lab_docker_id() {
    lab_docker "$1" image inspect --format '{{.Id}}' "$2"
}
