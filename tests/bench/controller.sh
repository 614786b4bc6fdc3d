#!/usr/bin/env bash
# network-controller, the static one, which clusters run, on a real etcd and kube-apiserver 1.20: how
# fast it gives addresses, beside a bare client that makes the same writes with as many requests at a
# time; how long a pod waits; what 10,000 pods cost; what it asks in a quiet minute. Absolute times say
# something on an idle machine only; the load is printed. BENCH_ROUNDS (3) rounds, the best of each
# contender.
set -euo pipefail

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
build=${FLATNET_BUILD:?names the build folder}
static=${FLATNET_STATIC:?names the program that make dist has made}
controller=${static%/*}/network-controller
rounds=${BENCH_ROUNDS:-3}
pods=${BENCH_PODS:-1000}
many=${BENCH_MANY:-10000}
# shellcheck source=tests/bench/bench.bash
. "$here/bench.bash"
# shellcheck source=tests/lab/lab.bash
. "$here/../lab/lab.bash"
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"

lowest() { sort -g "$1" | head -n 1; }
now() { date +%s.%N; }
since() { awk "BEGIN { printf \"%.4f\", $(now) - $1 }"; }

load() { timeout 180 "$build/tests/tools/kube_load" "$1" "$(lab_kube_config k)" "${@:2}"; }

# subnet NAME VLAN CIDR
subnet() {
    lab_kubectl k create -f - >/dev/null <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: $1, namespace: kube-system}
spec: {master: eth0, vlan: $2, cidr: "$3"}
YAML
}

start() {
    : >"$LAB_DIR/c.log"
    lab_spawn c "$controller" --kubeconfig "$LAB_DIR/controller.config" --listen 127.0.0.1:0
}

leads() { grep -q '^note: leading' "$LAB_DIR/c.log"; }

# ask PATH: of the controller's own port.
ask() {
    curl -sf "http://127.0.0.1:$(sed -n 's/.*listening port=\([0-9]*\).*/\1/p' "$LAB_DIR/c.log")$1"
}

# patched N: so many pods have got their labels.
patched() {
    ask /metrics | awk -v n="$1" '/^rest_client_requests_total.*code="200".*method="PATCH"/ { ok = $2 >= n }
        END { exit !ok }'
}

# The pods are there before the controller, which begins with all of them once it leads.
bench_rate() {
    local round began
    subnet rate 10 10.16.0.0/16
    for round in $(seq "$rounds"); do
        lab_kubectl k create namespace "rate-$round" >/dev/null
        load pods "rate-$round" "bare$round-" "$pods" bare 900
        load pods "rate-$round" "ours$round-" "$pods" rate 900
        load bare "rate-$round" "bare$round-" "$pods" >>"$LAB_DIR/bare.runs"
        start
        lab_wait 30 leads
        began=$(now)
        lab_wait 60 patched "$pods"
        since "$began" >>"$LAB_DIR/ours.runs"
        printf '\n' >>"$LAB_DIR/ours.runs"
        lab_stop c
        lab_kubectl k delete namespace "rate-$round" --wait=false >/dev/null
    done
    printf 'addresses of %d pods in %s s; the same writes by a bare client in %s s\n' "$pods" \
        "$(lowest "$LAB_DIR/ours.runs")" "$(lowest "$LAB_DIR/bare.runs")"
    verdict 'rate: over the rate of the bare client' \
        "$(ratio "$(lowest "$LAB_DIR/bare.runs")" "$(lowest "$LAB_DIR/ours.runs")")" '>=' 0.8
    verdict 'rate: pods a second on a /16' "$(ratio "$pods" "$(lowest "$LAB_DIR/ours.runs")")" '>=' 150 1/s
}

# The networks take turns, so that each meets the same load.
bench_latency() {
    local round size
    subnet net24 24 10.24.0.0/24
    subnet net8 8 11.0.0.0/8
    subnet net64 64 fd00:64::/64
    lab_kubectl k create namespace latency >/dev/null
    start
    lab_wait 30 leads
    for round in 1 2; do
        for size in 24 8 64; do
            load latency latency "net$size-$round-" 100 "net$size" 50 >>"$LAB_DIR/$size.runs"
        done
    done
    lab_stop c
    for size in 24 8 64; do
        printf '50 pods a second on a /%d: ' "$size"
        sort -g -k 2 "$LAB_DIR/$size.runs" | head -n 1 | tee "$LAB_DIR/$size.best"
        verdict "latency: p99 on a /$size" "$(cut -d' ' -f2 "$LAB_DIR/$size.best")" '<' 100 ms
    done
    for size in 8 64; do
        verdict "latency: median on a /$size over that on a /24" \
            "$(ratio "$(cut -d' ' -f1 "$LAB_DIR/$size.runs" | sort -g | head -n 1)" \
                "$(cut -d' ' -f1 "$LAB_DIR/24.runs" | sort -g | head -n 1)")" '<=' 1.3
    done
}

bench_alloc() {
    local figures
    read -ra figures <<<"$("$build/tests/tools/kube_load" alloc)"
    verdict 'allocator: 100,000 in a row, each' "${figures[0]}" '<' 1 us
    verdict 'allocator: the same into holes, each' "${figures[1]}" '<' 1 us
    verdict 'allocator: memory of 100,000' "$(ratio "${figures[2]}" 1048576)" '<' 2 MiB
    verdict 'allocator: memory with every second one free' "$(ratio "${figures[3]}" 1048576)" '<' 2 MiB
}

memory() { awk -v f="$1:" '$1 == f { printf "%.3f", $2 / 1024 }' "/proc/$(lab_pid c)/status"; }

# The least that a start takes: the list of all pods, once, and not a byte of it looked at.
curl_pods() {
    curl -s --cacert "$LAB_DIR/ca.crt" -H "Authorization: Bearer $(cut -d, -f1 "$LAB_DIR/k.kube/tokens.csv")" \
        -o /dev/null -w '%{time_total}' "$(lab_kube_url k)/api/v1/pods?resourceVersion=0"
}

bench_many() {
    local began
    lab_kubectl k create namespace many >/dev/null
    load pods many m "$many" bare 3000
    load bare many m "$many" >/dev/null
    began=$(now)
    start
    lab_wait 60 ask /readyz >/dev/null 2>&1
    began=$(since "$began")
    verdict "start: ready with $many pods and MacvlanIPs" "$began" '<' 3 s
    printf 'curl reads the pods alone in %s s\n' "$(curl_pods)"
    lab_wait 60 leads
    verdict 'start: peak resident memory until then' "$(memory VmHWM)" '<' 32 MiB
}

# Requests for what only the controller works on. The lease is not among it.
requests() {
    lab_kubectl k get --raw /metrics | awk '/^apiserver_request_total/ && !/verb="WATCH"/ &&
        /resource="(pods|macvlanips|macvlansubnets|network-attachment-definitions|events)"/ { n += $NF }
        END { print n + 0 }'
}

# settled: nothing was asked for a few seconds.
settled() {
    local before
    before=$(requests)
    sleep 3
    [ "$(requests)" -eq "$before" ]
}

bench_quiet() {
    local before
    lab_wait 60 settled
    before=$(requests)
    sleep 60
    verdict 'quiet: requests in a minute besides lease and watches' "$(($(requests) - before))" '==' 0 req
    verdict 'quiet: resident memory' "$(memory VmRSS)" '<' 32 MiB
}

# plane: a control plane of its own, with what the controller needs.
plane() {
    lab_kube k
    lab_kubectl k apply -f addons/macvlan-network.yml >/dev/null
    lab_kubectl k wait --for condition=established crd --all --timeout 60s >/dev/null
    sed "s/token: .*}/token: $(lab_kube_token k kube-system network-controller)}}/" \
        "$(lab_kube_config k)" >controller.config
    subnet bare 9 10.128.0.0/9
}

bench_alloc
lab_init "$$"
trap lab_cleanup EXIT
cd "$LAB_DIR"
"${FLATNET:?names the program}" addons render --mode multus --kube-version 1.20 -o addons >/dev/null 2>&1
printf 'load before: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
plane
bench_many
bench_quiet
lab_stop c
lab_stop k
lab_stop k-etcd
rm -rf "$LAB_DIR/k-etcd.data" "$LAB_DIR/k-etcd.log" "$LAB_DIR/k.log"
plane
bench_rate
bench_latency
printf 'load after: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
[ "$misses" -eq 0 ] || printf '%d of the limits were missed on this machine\n' "$misses"
