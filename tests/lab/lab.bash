# shellcheck shell=bash
# The lab: real registries, container runtimes and images for tests, the demo and the benchmarks.
# Everything listens on loopback only, keeps its state below $LAB_DIR and is stopped by pid.
# Source this file; it works under `set -euo pipefail`. Each function is described where it stands.
#
#   lab_init [OWNER_PID]                 make $LAB_DIR; a watchdog cleans up if the owner just dies
#   lab_cleanup                          stop, unmount, remove everything (LAB_KEEP=1 keeps the files)
#   lab_free_port | lab_wait SECONDS CMD... | lab_patience SECONDS | lab_pid NAME | lab_stop NAME [SIGNAL] | lab_certs
#   lab_tmpfs NAME SIZE -> folder        a small file system, for disks that fill
#
# registry.bash
#   lab_registry NAME [plain|tls] [basic|token]      lab_registry_stop NAME, lab_registry_restart NAME
#   lab_registry_addr NAME -> HOST:PORT              lab_registry_url NAME -> http[s]://HOST:PORT
#   lab_registry_blobs NAME -> folder                lab_curl NAME PATH [CURL_ARG...]
#   lab_token_config NAME JSON                       lab_token_count NAME [JQ_FILTER]
#   lab_token_refresh NAME -> refresh token          lab_token_url NAME -> realm
#   lab_proxy NAME UPSTREAM [--tls] [--rules JSON]   lab_proxy_rules NAME JSON
#   lab_proxy_count NAME [JQ_FILTER]                 lab_proxy_forget NAME
#   lab_forward_proxy NAME [HOST:PORT=ADDR...]       for http_proxy and https_proxy
#   The user is $LAB_USER with $LAB_PASSWORD; the private CA is $LAB_DIR/ca.crt.
#   Request logs, one JSON object a line: $LAB_DIR/NAME.requests (proxy), NAME.tokens (token server).
#
# runtime.bash
#   lab_dockerd NAME [tls]    lab_docker NAME ARG...    lab_docker_id NAME REF    lab_docker_sock NAME
#   lab_docker_tcp NAME -> tcp://127.0.0.1:PORT, certificates in $LAB_DIR/docker-certs
#   lab_dockerd_stop NAME, lab_dockerd_restart NAME
#   lab_containerd NAME [cri]    lab_ctr NAME ARG... (namespace k8s.io)    lab_containerd_sock NAME
#
# images.bash (ADDR is HOST:PORT)
#   lab_image_push ADDR REPO:TAG [--base-shared] [--layers N] [--layer-kb K] [--format docker|oci] [--add DIR]
#   lab_image_multi ADDR REPO:TAG [oci|docker|nested|attestation]
#   lab_image_zstd ADDR REPO:TAG    lab_image_plain ADDR REPO:TAG
#   lab_image_schema1 ADDR REPO:TAG [--unflagged]
#   lab_schema1_file REPO:TAG FILE [--unflagged] [--unsigned]    (a manifest for the proxy to serve)
#   lab_image_docker_build DOCKERD ADDR REPO:TAG
#   lab_docker_archive REPO:TAG FILE         as `docker save` of docker 25 and later
#   lab_layout_push DIR REF ADDR REPO:TAG    lab_skopeo_push SOURCE ADDR/REPO:TAG [ARG...]
#   lab_bench_images ADDR    lab_rootfs DIR NOTE    lab_noise SEED KB
#
# Four more are sourced by those who need them: guest.bash (machines with a kernel of their own),
# kube.bash (etcd and the API server), kubelet.bash, and cluster.bash (nodes that are such machines).
# Their heads list their functions.

# Debian's own programs come first, whatever else of those names is installed.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
LAB_HOME=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
LAB_USER=flat
LAB_PASSWORD='s3cret pass:word'
export LAB_HOME LAB_USER LAB_PASSWORD

# shellcheck source=tests/lab/registry.bash
. "$LAB_HOME/registry.bash"
# shellcheck source=tests/lab/runtime.bash
. "$LAB_HOME/runtime.bash"
# shellcheck source=tests/lab/images.bash
. "$LAB_HOME/images.bash"

# lab_init [OWNER_PID]: make $LAB_DIR (unless it is set) and a watchdog that cleans up when the
# owner (default: this shell) is gone without having called lab_cleanup.
lab_init() {
    if [ -z "${LAB_DIR:-}" ]; then
        LAB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX")
    fi
    mkdir -p "$LAB_DIR/run"
    export LAB_DIR
    # Everything here is on loopback, and not every client leaves the user's proxy out for that.
    unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
    # shellcheck disable=SC2016
    lab_spawn watchdog bash -c 'while [ -e "/proc/$1" ]; do sleep 0.5; done; . "$2/lab.bash"; lab_cleanup' \
        watchdog "${1:-$$}" "$LAB_HOME"
}

# lab_cleanup: stop every daemon, the last one first, unmount and remove $LAB_DIR.
# LAB_KEEP=1 leaves the files for a look. Can be called twice, and after a failed start.
lab_cleanup() {
    local name
    [ -n "${LAB_DIR:-}" ] && [ -d "$LAB_DIR/run" ] || return 0
    lab_kill_containers
    for name in $(tac "$LAB_DIR/run/started" 2>/dev/null || true); do
        lab_stop "$name" || true
    done
    lab_kill_containers
    lab_kill_strays
    lab_unmount
    [ -n "${LAB_KEEP:-}" ] || rm -rf "$LAB_DIR"
}

# lab_fail MESSAGE...: say it on stderr and return 1.
lab_fail() {
    printf 'lab: %s\n' "$*" >&2
    return 1
}

# lab_free_port: print a loopback port that is free now. Another process may take it, so whoever
# listens there tries again with a new one when the bind fails.
lab_free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# lab_patience SECONDS: print the limit of a wait. The numbers in the tests are for a machine that is not slow;
# $LAB_PATIENCE (1) stretches all of them.
lab_patience() {
    printf '%d\n' $(($1 * ${LAB_PATIENCE:-1}))
}

# lab_wait SECONDS CMD...: poll CMD until it succeeds; 1 when the time is over. Between two questions it rests
# four times as long as the last one took, and 0.05 to 1 s: asking takes from the processor that what is awaited
# needs.
lab_wait() {
    local end=$((SECONDS + $1 * ${LAB_PATIENCE:-1})) asked pause
    shift
    while asked=${EPOCHREALTIME//[!0-9]/}; ! "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        pause=$((4 * (${EPOCHREALTIME//[!0-9]/} - asked)))
        ((pause >= 50000)) || pause=50000
        ((pause <= 1000000)) || pause=1000000
        printf -v pause '%d.%06d' $((pause / 1000000)) $((pause % 1000000))
        sleep "$pause"
    done
}

# lab_spawn NAME CMD...: run CMD as a daemon: log in $LAB_DIR/NAME.log, none of the caller's file
# descriptors (bats waits for the last holder of its own), no job of the calling shell.
lab_spawn() {
    local name=$1 fd
    shift
    [ -d "$LAB_DIR/run" ] || lab_fail "'$name' is not started, the lab is gone" || return 1
    (
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || exec {fd}>&-
        done
        "$@" &
        printf '%s %s\n' "$!" "$(lab_birth "$!")" >"$LAB_DIR/run/$name.pid"
    ) </dev/null >>"$LAB_DIR/$name.log" 2>&1
    printf '%s\n' "$name" >>"$LAB_DIR/run/started"
}

# lab_birth PID: print when the process was started, in clock ticks since boot; nothing if it is
# gone or a zombie. A pid together with this is unique.
lab_birth() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    read -ra stat <<<"${stat##*) }"
    [ "${stat[0]}" = Z ] || printf '%s\n' "${stat[19]}"
}

# lab_pid NAME: print the daemon's pid; 1 when it does not run.
lab_pid() {
    local pid birth
    read -r pid birth 2>/dev/null <"$LAB_DIR/run/$1.pid" || return 1
    [ -n "$birth" ] && [ "$(lab_birth "$pid")" = "$birth" ] && printf '%s\n' "$pid"
}

# lab_stop NAME [SIGNAL]: end the daemon (default TERM, KILL after 15 s) and wait until it is gone.
lab_stop() {
    local pid
    if pid=$(lab_pid "$1") && [ "$pid" != "$$" ]; then
        kill -s "${2:-TERM}" "$pid" 2>/dev/null || true
        if ! lab_wait 15 lab_is_gone "$1"; then
            kill -s KILL "$pid" 2>/dev/null || true
            lab_wait 5 lab_is_gone "$1" || lab_fail "$1 (pid $pid) does not die"
        fi
    fi
    rm -f "$LAB_DIR/run/$1.pid"
}

lab_is_gone() {
    ! lab_pid "$1" >/dev/null
}

# lab_ready NAME SECONDS CMD...: wait until CMD succeeds; when the daemon dies or the time is over,
# show the end of its log and return 1.
lab_ready() {
    local name=$1 seconds=$2
    shift 2
    if lab_wait "$seconds" lab_answers_or_dead "$name" "$@" && ! lab_is_gone "$name"; then
        return 0
    fi
    tail -n 20 "$LAB_DIR/$name.log" >&2
    lab_fail "'$name' did not come up"
}

lab_answers_or_dead() {
    local name=$1
    shift
    lab_is_gone "$name" || "$@" >/dev/null 2>&1
}

# lab_shims: print the pids of the processes that hold containers of the lab's runtimes.
lab_shims() {
    { grep -alP -- "containerd-shim.*-address\\x00\\Q$LAB_DIR\\E/" /proc/[0-9]*/cmdline 2>/dev/null || true; } |
        cut -d / -f 3
}

# lab_kill_containers: end every container, so that no runtime waits for it when it stops.
lab_kill_containers() {
    local shim child
    for shim in $(lab_shims); do
        # shellcheck disable=SC2013
        for child in $(cat "/proc/$shim/task/$shim/children" 2>/dev/null); do
            kill -s KILL "$child" 2>/dev/null || true
        done
    done
}

# lab_kill_strays: end what a runtime that was stopped hard has left behind, and what a test that was
# stopped hard has started meanwhile: whatever has the lab's folder in its command line, but us.
lab_kill_strays() {
    local pid
    while read -r pid; do
        [ "$pid" = "$$" ] || [ "$pid" = "$BASHPID" ] || kill -s KILL "$pid" 2>/dev/null || true
    done < <(grep -alF -- "$LAB_DIR/" /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3)
}

# lab_tmpfs NAME SIZE: mount a file system of that size (as mount takes it: 20m) and print its path.
lab_tmpfs() {
    mkdir -p "$LAB_DIR/$1.tmpfs"
    mount -t tmpfs -o "size=$2" lab "$LAB_DIR/$1.tmpfs" || return 1
    printf '%s\n' "$LAB_DIR/$1.tmpfs"
}

# lab_unmount: undo every mount below $LAB_DIR, the innermost first.
lab_unmount() {
    local point
    awk -v dir="$LAB_DIR/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r point; do
            umount -l "$point" || true
        done
}

# lab_certs: make a private CA ($LAB_DIR/ca.crt), a server certificate for 127.0.0.1 and localhost
# (server.crt, server.key), a client certificate (client.crt, client.key), and the same as a docker
# certificate folder ($LAB_DIR/docker-certs: ca.pem, cert.pem, key.pem). Does nothing the second time.
lab_certs() {
    local d=$LAB_DIR
    [ ! -e "$d/docker-certs/key.pem" ] || return 0
    lab_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=lab CA' \
        -keyout "$d/ca.key" -out "$d/ca.crt" -addext 'keyUsage=critical,keyCertSign,cRLSign' || return 1
    lab_cert server 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry-1.docker.io,DNS:registry.example' \
        'extendedKeyUsage=serverAuth' || return 1
    lab_cert client 'subjectAltName=DNS:client' 'extendedKeyUsage=clientAuth' || return 1
    mkdir -p "$d/docker-certs"
    cp "$d/ca.crt" "$d/docker-certs/ca.pem"
    cp "$d/client.crt" "$d/docker-certs/cert.pem"
    cp "$d/client.key" "$d/docker-certs/key.pem"
}

# lab_cert NAME EXTENSION...: make NAME.key and NAME.crt, signed by the private CA.
lab_cert() {
    local base=$LAB_DIR/$1 name=$1
    shift
    printf '%s\n' "$@" >"$base.ext"
    lab_openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -keyout "$base.key" -out "$base.csr" || return 1
    lab_openssl x509 -req -in "$base.csr" -CA "$LAB_DIR/ca.crt" -CAkey "$LAB_DIR/ca.key" \
        -CAcreateserial -days 30 -extfile "$base.ext" -out "$base.crt"
    rm -f "$base.csr" "$base.ext"
}

lab_openssl() {
    local log=$LAB_DIR/openssl.log
    openssl "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}
