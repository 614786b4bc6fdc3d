#!/usr/bin/env bash
# bundle create, bundle verify and images load beside what a user would take instead, each as a
# ratio of times measured in turn on the same machine, with the limit that the project sets itself.
# Five images over one base, about 600 MB of gzip layers, from a registry on loopback; all data is
# on the disk (sync -f) before a clock stops. BENCH_ROUNDS (3) rounds, the best of each contender.
set -euo pipefail

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
flatnet=${FLATNET_STATIC:-${FLATNET:?names the program}}
rounds=${BENCH_ROUNDS:-3}
# shellcheck source=tests/bench/bench.bash
. "$here/bench.bash"
# shellcheck source=tests/lab/lab.bash
. "$here/../lab/lab.bash"

# best NAME COMMAND...: runs it through measure.py and keeps the fastest line in $LAB_DIR/NAME.best.
best() {
    local name=$1
    shift
    "$here/measure.py" "$LAB_DIR/now" "$@" >"$LAB_DIR/$name.log" 2>&1 || {
        cat "$LAB_DIR/$name.log" >&2
        return 1
    }
    cat "$LAB_DIR/now" >>"$LAB_DIR/$name.runs"
    sort -g "$LAB_DIR/$name.runs" | head -n 1 >"$LAB_DIR/$name.best"
}

seconds() { cut -d' ' -f1 "$LAB_DIR/$1.best"; }
rss_kib() { cut -d' ' -f2 "$LAB_DIR/$1.runs" | sort -g | tail -n 1; }
disk() { cut -d' ' -f3 "$LAB_DIR/$1.runs" | sort -g | tail -n 1; }

with_skopeo() {
    local image
    rm -rf layout layout.tar
    for image in "${images[@]}"; do
        skopeo copy -q --src-tls-verify=false "docker://$image" "oci:layout:$image"
    done
    tar -cf layout.tar -C layout .
}

# The least that any tool must do: every blob once, six at a time, and a hash of each.
with_curl() {
    rm -rf blobs
    mkdir blobs
    xargs -P 6 -n 2 curl -sf -o <blobs.list
    find blobs -type f -print0 | xargs -0 -n 1 -P "$(nproc)" sha256sum >/dev/null
}

list_blobs() {
    local image name digest
    for image in "${images[@]}"; do
        name=${image#*/}
        skopeo inspect --raw --tls-verify=false "docker://$image" |
            jq -r '.config.digest, .layers[].digest' | while read -r digest; do
            printf '%s %s/v2/%s/blobs/%s\n' "$digest" "http://$address" "${name%:*}" "$digest"
        done
    done | sort -u -k1,1 | sed 's/^sha256:/blobs\//' >blobs.list
}

bench_create() {
    for _ in $(seq "$rounds"); do
        rm -rf out && mkdir out
        best create --disk out "$flatnet" bundle create -q -f images.list --plain-http "$address" -o out/b.tar
        best skopeo bash -c "$(declare -p images); $(declare -f with_skopeo); with_skopeo"
        rm -rf layout layout.tar
        best curl bash -c "$(declare -p address); $(declare -f with_curl); with_curl"
        rm -rf blobs
    done
    printf 'bundle create %s s; skopeo copy loop and tar %s s; parallel curl and sha256sum %s s\n' \
        "$(seconds create)" "$(seconds skopeo)" "$(seconds curl)"
    verdict 'create: times faster than skopeo copy and tar' "$(ratio "$(seconds skopeo)" "$(seconds create)")" '>=' 2.5
    verdict 'create: time over parallel curl and sha256sum' "$(ratio "$(seconds create)" "$(seconds curl)")" '<=' 1.4
    verdict 'create: peak resident memory' "$(ratio "$(rss_kib create)" 1024)" '<=' 32 MiB
    verdict 'create: peak disk over size of the bundle' "$(ratio "$(disk create)" "$(stat -c %s out/b.tar)")" '<=' 1.01
}

# verify reads from the page cache: what is measured is the hashing. Start and end are in it too.
bench_verify() {
    local rate have cores
    cores=$(nproc)
    cat out/b.tar >/dev/null
    for _ in $(seq "$rounds"); do
        best verify "$flatnet" bundle verify -q out/b.tar
        openssl speed -mr -seconds 1 -bytes 262144 -evp sha256 2>/dev/null |
            awk -F: '/^\+F/ { print $NF }' >>"$LAB_DIR/openssl.runs"
    done
    rate=$(sort -g "$LAB_DIR/openssl.runs" | tail -n 1)
    have=$(ratio "$(stat -c %s out/b.tar)" "$(seconds verify)")
    printf 'bundle verify %.0f MB/s; openssl speed SHA-256 %.0f MB/s a core, %d cores\n' \
        "$(ratio "$have" 1e6)" "$(ratio "$rate" 1e6)" "$cores"
    verdict 'verify: rate over openssl speed times the cores' "$(ratio "$have" "$(awk "BEGIN { print $rate * $cores }")")" '>=' 0.75
}

# docker inspect's own answer, once per image, through the same socket.
ask_docker() {
    local image
    for image in "${images[@]}"; do
        curl -sf --unix-socket "$socket" "http://d/images/$image/json" >/dev/null
    done
}

bench_load() {
    local socket per_image
    lab_dockerd ours
    lab_dockerd theirs
    socket=$(lab_docker_sock ours)
    best load env "DOCKER_HOST=unix://$socket" "$flatnet" images load -q out/b.tar
    best docker env "DOCKER_HOST=unix://$(lab_docker_sock theirs)" DOCKER_API_VERSION=1.41 docker load -q -i out/b.tar
    best again env "DOCKER_HOST=unix://$socket" "$flatnet" images load -q out/b.tar
    best answer bash -c "$(declare -p images socket); $(declare -f ask_docker); ask_docker"
    printf 'images load %s s; docker load %s s; load again %s s, the daemon alone answers in %s s\n' \
        "$(seconds load)" "$(seconds docker)" "$(seconds again)" "$(seconds answer)"
    verdict 'load: time over docker load of the same file' "$(ratio "$(seconds load)" "$(seconds docker)")" '<=' 1.1
    per_image=$(awk "BEGIN { t = ($(seconds again) - $(seconds answer)) / ${#images[@]}; print (t > 0 ? t : 0) }")
    verdict 'load again: time per image beyond the answer' "$per_image" '<' 0.1 s
    verdict 'load: peak resident memory' "$(ratio "$(rss_kib load)" 1024)" '<=' 32 MiB
}

lab_init "$$"
trap lab_cleanup EXIT
cd "$LAB_DIR"
lab_registry source
address=$(lab_registry_addr source)
lab_bench_images "$address"
images=()
for n in 1 2 3 4 5; do
    images+=("$address/bench/app$n:1")
done
printf '%s\n' "${images[@]}" >images.list
list_blobs
bench_create
bench_verify
bench_load
[ "$misses" -eq 0 ] || printf '%d of the limits were missed on this machine\n' "$misses"
