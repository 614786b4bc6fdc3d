# shellcheck shell=bash
# Shared by the tests of `images load` and `images ls`. Loaded after helper.

# load_images: for setup_file. Makes the layouts of load-images.py in $LAYOUTS, and $BUNDLE of the
# first few of them.
load_images() {
    export LAYOUTS=$BATS_FILE_TMPDIR/layouts BUNDLE=$BATS_FILE_TMPDIR/bundle.tar
    "$LAB_HOME/load-images.py" "$LAYOUTS"
    load_bundle "$BUNDLE" one two three
}

# load_bundle FILE LAYOUT...: a bundle of those images, of both platforms where they have two.
load_bundle() {
    local file=$1 name
    local -a from=()
    shift
    for name in "$@"; do
        from+=(--from "$LAYOUTS/$name")
    done
    "$FLATNET" bundle create --quiet --platform linux/amd64 --platform linux/arm64 "${from[@]}" -o "$file"
}

# layout_digest LAYOUT: print the digest of a layout's manifest or index.
layout_digest() {
    jq -r '.manifests[0].digest' "$LAYOUTS/$1/index.json"
}

# layout_config LAYOUT: print the digest of a one-platform layout's configuration.
layout_config() {
    jq -r .config.digest "$LAYOUTS/$1/blobs/$(layout_digest "$1" | tr : /)"
}

# layout_layer LAYOUT N: print the digest of the Nth layer, from 0.
layout_layer() {
    jq -r ".layers[$2].digest" "$LAYOUTS/$1/blobs/$(layout_digest "$1" | tr : /)"
}

# corrupt_blob BUNDLE DIGEST: flip a bit in the middle of a blob.
corrupt_blob() {
    local offset size
    read -r offset size < <("$FLATNET" bundle ls --format json "$1" | jq -r --arg hex "${2#sha256:}" '
        (.entries | map(select(.path == "blobs/sha256/" + $hex))[0]) | "\(.offset) \(.size)"')
    /usr/bin/python3 - "$1" "$offset" "$size" <<'PY'
import sys
path, offset, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "r+b") as bundle:
    index = int(bundle.read(512)[124:135], 8)
    start = 512 + index + -index % 512
    bundle.seek(start + offset + size // 2)
    byte = bundle.read(1)[0]
    bundle.seek(-1, 1)
    bundle.write(bytes([byte ^ 1]))
PY
}

# docker_proxy NAME DOCKERD: a proxy in front of private dockerd DOCKERD, without rules yet; its
# socket is $LAB_DIR/NAME.proxy/s, its log $LAB_DIR/NAME.proxy/log.
docker_proxy() {
    local name=$1 dir=$LAB_DIR/$1.proxy
    mkdir -p "$dir"
    docker_proxy_rules "$name" '{}'
    lab_spawn "$name" "$LAB_HOME/docker-proxy.py" --listen "$dir/s" --upstream "$(lab_docker_sock "$2")" \
        --rules "$dir/rules" --log "$dir/log"
    lab_ready "$name" 60 curl -sf --unix-socket "$dir/s" http://docker/_ping
}

# docker_proxy_rules NAME JSON: set the rules and forget the log.
docker_proxy_rules() {
    lab_put "$LAB_DIR/$1.proxy/rules" "$2"
    : >"$LAB_DIR/$1.proxy/log"
}

# docker_proxy_log NAME JQ_FILTER: print what the filter makes of the array of logged requests.
docker_proxy_log() {
    jq -s -r "$2" "$LAB_DIR/$1.proxy/log"
}

# use_docker NAME: DOCKER_HOST of a private dockerd.
use_docker() {
    DOCKER_HOST=unix://$(lab_docker_sock "$1")
    export DOCKER_HOST
}

use_docker_proxy() {
    export DOCKER_HOST=unix://$LAB_DIR/$1.proxy/s
}

# empty_docker NAME: remove all images.
empty_docker() {
    local ids
    ids=$(lab_docker "$1" images -aq --no-trunc | sort -u)
    # shellcheck disable=SC2086
    [ -z "$ids" ] || lab_docker "$1" rmi -f $ids >/dev/null
}

# docker_layers NAME: print how many layers dockerd holds.
docker_layers() {
    find "$LAB_DIR/$1.docker/data/image/overlay2/layerdb/sha256" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l
}
