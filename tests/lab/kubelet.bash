# shellcheck shell=bash
# A kubelet of the lab: real pods in a private dockerd, for a control plane of kube.bash. Pods use
# the host's network (hostNetwork), since no network plugin is configured. Sourced after kube.bash.
#
# The machine stays as it is: what a kubelet 1.20 writes to fixed places (/var/log, kernel settings)
# is covered by files of the lab, in a mount namespace of its own; its root folder alone is shared
# with dockerd.

# What a kubelet sets to values of its own, whatever its options are.
LAB_KUBELET_SYSCTLS='vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes'

# lab_kubelet NAME KUBE DOCKERD [ARG...]: start a kubelet over dockerd DOCKERD and wait until its node
# is Ready. The node's name is the address 127.0.0.1: from a name the kubelet would look for another
# address, and loopback is refused as --node-ip.
lab_kubelet() {
    local name=$1 try
    mkdir -p "$LAB_DIR/$name.kubelet"/{root,log,sysctl}
    lab_kubelet_runtime "$3" || return 1
    lab_kubelet_pause "$3" || return 1
    for try in 1 2 3 4 5; do
        lab_free_port >"$LAB_DIR/$name.port"
        if lab_kubelet_start "$@"; then
            return 0
        fi
        grep -q 'address already in use' "$LAB_DIR/$name.log" || return 1
        : >"$LAB_DIR/$name.log"
    done
    lab_fail "no port for kubelet '$name' after $try attempts"
}

# lab_kubelet_node: print the name of the node, for a pod's nodeName.
lab_kubelet_node() {
    printf '127.0.0.1\n'
}

lab_kubelet_start() {
    local name=$1 kube=$2 docker=$3 dir=$LAB_DIR/$1.kubelet
    shift 3
    # shellcheck disable=SC2016
    lab_spawn "$name" unshare --mount --propagation unchanged bash -c '
        dir=$1 sysctls=$2; shift 2
        mount --make-private / && mount --make-private /proc && mount --bind "$dir/log" /var/log || exit
        for name in $sysctls; do
            cat "/proc/sys/$name" >"$dir/sysctl/${name//\//.}"
            mount --bind "$dir/sysctl/${name//\//.}" "/proc/sys/$name" || exit
        done
        exec "$@"' kubelet "$dir" "$LAB_KUBELET_SYSCTLS" \
        "$(cat "$LAB_DIR/$kube.kube/bin")/kubelet" --kubeconfig "$(lab_kube_config "$kube")" \
        --hostname-override "$(lab_kubelet_node)" --address 127.0.0.1 --port "$(cat "$LAB_DIR/$name.port")" \
        --healthz-port 0 --read-only-port 0 --anonymous-auth --authorization-mode AlwaysAllow \
        --docker-endpoint "unix://$(lab_docker_sock "$docker")" --pod-infra-container-image lab/pause:1 \
        --root-dir "$dir/root" --cert-dir "$dir/root/pki" --volume-plugin-dir "$dir/root/plugins" \
        --experimental-dockershim-root-directory "$dir/root/dockershim" --feature-gates DevicePlugins=false \
        --cgroup-driver cgroupfs --cgroups-per-qos=false --enforce-node-allocatable= --fail-swap-on=false \
        --make-iptables-util-chains=false --image-gc-high-threshold 100 --eviction-hard= --resolv-conf= "$@"
    lab_ready "$name" 60 lab_kubelet_is_ready "$kube"
}

lab_kubelet_is_ready() {
    local path='{.status.conditions[?(@.type=="Ready")].status}'
    [ "$(lab_kubectl "$1" get node "$(lab_kubelet_node)" -o jsonpath="$path")" = True ]
}

# Every pod has a container that only sleeps.
lab_kubelet_pause() {
    lab_rootfs "$LAB_DIR/pause" pause || return 1
    tar -C "$LAB_DIR/pause" -c . |
        lab_docker "$1" import -c 'ENTRYPOINT ["/bin/sleep", "1000000"]' - lab/pause:1 >/dev/null
}

# A kubelet asks for negative OOM scores.
lab_kubelet_runtime() {
    local dir=$LAB_DIR/$1.docker
    if (($(sed -n 's/^CapEff:\t*/0x/p' /proc/self/status) >> 24 & 1)); then
        return 0
    fi
    lab_runc "$dir/runtime"
    printf '{"runtimes": {"lab": {"path": "%s"}}, "default-runtime": "lab"}\n' "$dir/runtime" >"$dir/daemon.json"
    kill -s HUP "$(lab_pid "$1")"
    lab_wait 30 lab_kubelet_runtime_is_set "$1" || lab_fail "dockerd '$1' does not take another runtime"
}

lab_kubelet_runtime_is_set() {
    [ "$(lab_docker "$1" info -f '{{.DefaultRuntime}}')" = lab ]
}
