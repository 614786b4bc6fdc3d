# shellcheck shell=bash
# Images of the lab. Content follows from the reference, so the same call gives the same digests.
# ADDR is HOST:PORT (lab_registry_addr NAME); user and password are always at hand for a challenge.
# Sourced by lab.bash.

# lab_skopeo_push SOURCE ADDR/REPO:TAG [ARG...]: skopeo copy into a registry of the lab.
lab_skopeo_push() {
    local from=$1 to=$2
    shift 2
    skopeo --insecure-policy copy --quiet --dest-tls-verify=false --dest-creds "$LAB_USER:$LAB_PASSWORD" \
        "$@" "$from" "docker://$to"
}

# lab_image_push ADDR REPO:TAG [--base-shared] [--layers N] [--layer-kb K] [--format docker|oci] [--add DIR]:
# an image made by umoci: static busybox, then N (1) layers of K (64) KiB, and a last one of what is in
# DIR. Images with --base-shared have the same first layer. The format is docker (schema 2) unless oci is
# asked for.
lab_image_push() {
    local addr=$1 ref=$2 base=$2 layers=1 kb=64 format=v2s2 add=
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
            --base-shared) base=shared ;;
            --layers) layers=$2; shift ;;
            --layer-kb) kb=$2; shift ;;
            --add) add=$2; shift ;;
            --format)
                [ "$2" = docker ] || format=oci
                shift
                ;;
            *) lab_fail "lab_image_push: unknown option '$1'"; return 1 ;;
        esac
        shift
    done
    local dir
    dir=$(mktemp -d "$LAB_DIR/image.XXXXXX")
    lab_image_umoci "$dir" "$base" "$ref" "$layers" "$kb" || return 1
    [ -z "$add" ] || umoci insert --image "$dir/layout:new" "$add" / || return 1
    lab_skopeo_push "oci:$dir/layout:new" "$addr/$ref" --format "$format" || return 1
    rm -rf "$dir"
}

lab_image_umoci() {
    local dir=$1 base=$2 seed=$3 layers=$4 kb=$5 n
    local created=2024-01-01T00:00:00Z
    umoci init --layout "$dir/layout" || return 1
    umoci new --image "$dir/layout:new" || return 1
    lab_rootfs "$dir/root" "$base" || return 1
    umoci insert --image "$dir/layout:new" --history.created "$created" "$dir/root" / || return 1
    for ((n = 1; n <= layers; n++)); do
        lab_noise "$seed $n" "$kb" >"$dir/noise"
        touch -d "$created" "$dir/noise"
        umoci insert --image "$dir/layout:new" --history.created "$created" "$dir/noise" "/data/$n" || return 1
    done
    umoci config --image "$dir/layout:new" --created "$created" --history.created "$created" \
        --config.cmd /bin/sh --config.env PATH=/bin --architecture amd64 --os linux
}

# lab_rootfs DIR NOTE: a root that runs: static busybox, a few names of it, /etc/note.
lab_rootfs() {
    local name
    mkdir -p "$1/bin" "$1/etc"
    cp /bin/busybox "$1/bin/busybox"
    for name in sh sleep cat ls true; do
        ln -s busybox "$1/bin/$name"
    done
    printf '%s\n' "$2" >"$1/etc/note"
    find "$1" -exec touch -h -d 2024-01-01T00:00:00Z {} +
}

# lab_noise SEED KB: write KB KiB of bytes that follow from the seed and do not compress.
lab_noise() {
    local key
    key=$(printf '%s' "$1" | sha256sum | cut -c 1-32)
    head -c "$(($2 * 1024))" /dev/zero | openssl enc -aes-128-ctr -nosalt -K "$key" -iv 00000000000000000000000000000000
}

# lab_layout_push DIR REF ADDR REPO:TAG: push an image of a layout byte for byte (nested indexes too).
lab_layout_push() {
    local -a tls=()
    ! curl -sk -o /dev/null "https://$3/v2/" || tls=(--tls)
    "$LAB_HOME/make-image.py" push "$1" "$2" "$3/$4" "${tls[@]}"
}

# lab_image_multi ADDR REPO:TAG [oci|docker|nested|attestation]: an image for linux/amd64 and
# linux/arm64: an OCI index, a docker manifest list, an index inside an index (with linux/arm/v7), or
# an index that also has an attestation for unknown/unknown.
lab_image_multi() {
    lab_image_made multi "$1" "$2" --variant "${3:-oci}"
}

# lab_image_zstd ADDR REPO:TAG: an OCI image whose layers are zstd.
lab_image_zstd() {
    lab_image_made image "$1" "$2" --compression zstd
}

# lab_image_plain ADDR REPO:TAG: an OCI image whose layers are not compressed.
lab_image_plain() {
    lab_image_made image "$1" "$2" --compression none
}

# lab_image_schema1 ADDR REPO:TAG [--unflagged]: a signed schema-1 image with two layers and three
# throwaway entries. With --unflagged those are not marked, as before docker 1.10: they are empty layers.
# (The registry of the lab also turns any schema-2 image with a tag into schema 1 when the client accepts
# neither schema 2 nor OCI.)
lab_image_schema1() {
    lab_image_made schema1 "$@"
}

# lab_schema1_file REPO:TAG FILE [--unflagged] [--unsigned]: write only that image's manifest, for the
# proxy to serve with "body_file". Its type is application/vnd.docker.distribution.manifest.v1+prettyjws,
# or v1+json when it is unsigned.
lab_schema1_file() {
    local ref=$1 file=$2 dir hex
    shift 2
    dir=$(mktemp -d "$LAB_DIR/image.XXXXXX")
    "$LAB_HOME/make-image.py" schema1 "$dir" "$ref" "$@" || return 1
    hex=$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$dir/index.json")
    cp "$dir/blobs/sha256/$hex" "$file"
    rm -rf "$dir"
}

# lab_docker_archive REPO:TAG FILE: an archive as `docker save` of docker 25 and later writes it: an OCI
# layout with manifest.json, layers not compressed. (That of 20.10: lab_docker NAME save.)
lab_docker_archive() {
    local dir
    dir=$(mktemp -d "$LAB_DIR/image.XXXXXX")
    "$LAB_HOME/make-image.py" image "$dir" "$1" --compression none || return 1
    "$LAB_HOME/make-image.py" archive "$dir" "$1" "$2" || return 1
    rm -rf "$dir"
}

# lab_image_made VERB ADDR REPO:TAG ARG...: make an image with make-image.py and push it.
lab_image_made() {
    local verb=$1 addr=$2 ref=$3 dir
    shift 3
    dir=$(mktemp -d "$LAB_DIR/image.XXXXXX")
    "$LAB_HOME/make-image.py" "$verb" "$dir" "$ref" "$@" || return 1
    lab_layout_push "$dir" "$ref" "$addr" "$ref" || return 1
    rm -rf "$dir"
}

# lab_image_docker_build DOCKERD ADDR REPO:TAG: an image made by `docker build` (a step that runs a
# program, a copy, an empty layer) in private dockerd DOCKERD; it stays there under the name
# ADDR/REPO:TAG and is pushed by the daemon itself. ADDR must be a plain registry without a user.
lab_image_docker_build() {
    local dockerd=$1 name=$2/$3 dir
    dir=$(mktemp -d "$LAB_DIR/image.XXXXXX")
    lab_rootfs "$dir/root" "$3"
    tar -C "$dir/root" -c . | lab_docker "$dockerd" import - lab-base:1 >/dev/null || return 1
    lab_noise "$3" 64 >"$dir/noise"
    printf '%s\n' 'FROM lab-base:1' 'RUN ["/bin/busybox", "cp", "/etc/note", "/made"]' \
        'COPY noise /data/1' 'ENV PATH=/bin' 'CMD ["/bin/sh"]' >"$dir/Dockerfile"
    rm -rf "$dir/root"
    lab_docker "$dockerd" build -q --network none -t "$name" "$dir" >/dev/null || return 1
    lab_docker "$dockerd" push -q "$name" >/dev/null || return 1
    rm -rf "$dir"
}

# lab_bench_images ADDR: five images bench/app1:1 ... bench/app5:1 over one base, about 600 MB of gzip
# layers in all. They are made once and kept in $FLATNET_LAB_CACHE (default: below ~/.cache).
lab_bench_images() {
    local cache=${FLATNET_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flatnet-lab} n
    local made=$cache/bench-1
    if [ ! -e "$made/index.json" ]; then
        mkdir -p "$cache"
        rm -rf "$made.new.$$"
        "$LAB_HOME/make-image.py" bench "$made.new.$$" || return 1
        rm -rf "$made"
        mv "$made.new.$$" "$made"
    fi
    for n in 1 2 3 4 5; do
        lab_layout_push "$made" "bench/app$n:1" "$1" "bench/app$n:1" || return 1
    done
}
