#!/bin/bash
# The main job from end to end, on real parts: a registry with images made here, one bundle, a real
# dockerd that loads it and a second registry that it is pushed to. Every command is shown before it
# runs. Everything listens on loopback, lies below one temporary folder and is gone at the end.
#
#   tests/lab/demo.sh          as root; needs only what `tests/lab/packages.sh demo` installs
#     FLATNET=FILE   the program to show (default dist/linux-amd64/flatnet); its images lie in ../images
#     NO_COLOR=1     no bold text on a terminal
#     LAB_KEEP=1     keep the temporary folder
set -euo pipefail

HERE=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
FLATNET=${FLATNET:-$HERE/../../dist/linux-amd64/flatnet}
# shellcheck source=tests/lab/lab.bash
. "$HERE/lab.bash"

BUNDLE=macvlan.tar
# What the default set takes from registries. What is behind the names here is small and made on the
# spot, but for flatnet's own images, which are those of `make images`.
SERVER=cnrancher/rancher:v2.2.3
LISTED=(
    nfvpe/multus:v3.2
    quay.io/coreos/flannel:v0.10.0-amd64
    rancher/flannel-cni:v0.3.0-rancher6
)
OURS=(flatnet static-macvlan-cni network-controller)
# A name that stands for one image per platform.
SEVERAL=flannelcni/flannel:v0.16.3

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi

say() {
    printf '\n%s# %s%s\n' "$bold" "$*" "$plain"
}

# type_in COMMAND...: print it as one would type it, on lines that fit.
type_in() {
    local arg word column=0
    printf '\n%s$' "$bold"
    for arg in "$@"; do
        word=$arg
        [[ $arg != *['*?;&|$ ']* ]] || word="'$arg'"
        if [[ $arg == -* ]] && ((column > 60)); then
            printf ' \\\n   '
            column=0
        fi
        printf ' %s' "$word"
        column=$((column + ${#word} + 1))
    done
    printf '%s\n' "$plain"
}

# show COMMAND...: print the command, and run it.
show() {
    type_in "$@"
    "$@"
}

die() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

check_needs() {
    local program
    [ "$(id -u)" = 0 ] || die 'run this as root: it starts a dockerd of its own'
    [ -x "$FLATNET" ] || die "'$FLATNET' is not there; build it with 'make images'"
    FLATNET=$(realpath "$FLATNET")
    VERSION=$("$FLATNET" version) && VERSION=${VERSION#flatnet }
    for program in dockerd containerd docker-registry skopeo umoci htpasswd jq curl openssl python3; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null ||
            die "'$program' is missing; run '$HERE/packages.sh demo'"
    done
}

# A folder to work in, `flatnet` in PATH, and none of the user's settings and credentials.
start() {
    # A lab that is around us already, as in a test, is not ours to use and to clean up.
    unset LAB_DIR
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    lab_init "$$"
    mkdir -p "$LAB_DIR/bin" "$LAB_DIR/home" "$LAB_DIR/work"
    ln -s "$FLATNET" "$LAB_DIR/bin/flatnet"
    export PATH=$LAB_DIR/bin:$PATH HOME=$LAB_DIR/home
    unset XDG_CONFIG_HOME XDG_RUNTIME_DIR REGISTRY_AUTH_FILE DOCKER_CONFIG DOCKER_HOST \
        DOCKER_TLS_VERIFY DOCKER_CERT_PATH CONTAINERD_ADDRESS CONTAINERD_NAMESPACE
    cd "$LAB_DIR/work"
    elapsed=$SECONDS
}

finish() {
    local status=$? maker
    trap '' INT TERM
    cd /
    for maker in "${makers[@]}"; do
        kill -s KILL -- "-$maker" 2>/dev/null || true
    done
    wait
    lab_cleanup
    case $status in
        0) ;;
        130 | 143) printf '\ndemo: interrupted; everything it made is gone\n' >&2 ;;
        *) printf 'demo: FAILED (exit status %s)\n' "$status" >&2 ;;
    esac
    exit "$status"
}

# repository NAME: the repository and tag of a full name, without its host.
repository() {
    case $1 in
        *.*/*) printf '%s\n' "${1#*/}" ;;
        *) printf '%s\n' "$1" ;;
    esac
}

# make_image COMMAND...: in the background, as a process group, so that nothing of it outlives us.
makers=()
make_image() {
    set -m
    "$@" &
    set +m
    makers+=("$!")
}

# Stands in for the Internet: one registry that has every image under its own name.
make_images() {
    local image maker
    lab_registry upstream || die 'the first registry does not start'
    UPSTREAM=$(lab_registry_addr upstream)
    say "making images in a registry at $UPSTREAM, which stands in for docker.io and quay.io"
    make_image lab_image_push "$UPSTREAM" "$SERVER" --base-shared --layers 3 --layer-kb 8192
    for image in "${LISTED[@]}"; do
        make_image lab_image_push "$UPSTREAM" "$(repository "$image")" --base-shared --layer-kb 2048
    done
    make_image lab_image_multi "$UPSTREAM" "$SEVERAL"
    for maker in "${makers[@]}"; do
        wait "$maker" || die 'an image could not be made'
    done
    makers=()
}

online() {
    say 'on the online machine: the addons for a cluster, and one file of everything'
    printf '%s\n' "$SEVERAL" >image.list
    show cat image.list
    show flatnet addons render --kube-version 1.13 --iface eth0 -o network-addons -q
    show flatnet bundle create --images default -f image.list --addons network-addons -o "$BUNDLE" \
        --platform linux/amd64 --platform linux/arm64 \
        --registry-mirror docker.io="http://$UPSTREAM" --registry-mirror quay.io="http://$UPSTREAM"
    show flatnet bundle verify "$BUNDLE"
    show flatnet bundle ls "$BUNDLE"
}

# In the middle of the file, which is inside a layer, so that only its hash can tell.
damage() {
    local status=0 at byte
    say 'one bit that flips on the way is noticed'
    cp "$BUNDLE" damaged.tar
    at=$(($(stat -c %s damaged.tar) / 2))
    byte=$(od -An -tu1 -j "$at" -N 1 damaged.tar)
    printf '%b' "\\x$(printf %02x "$((byte ^ 1))")" |
        dd of=damaged.tar bs=1 seek="$at" conv=notrunc status=none
    show flatnet bundle verify damaged.tar || status=$?
    printf '(exit status %s)\n' "$status"
    [ "$status" = 4 ] || die 'the damage was not found'
    rm damaged.tar
}

site() {
    say 'at the site: a real dockerd of our own, and a registry that asks for a password'
    lab_dockerd host || die 'dockerd does not start'
    lab_registry site basic || die 'the second registry does not start'
    SITE=$(lab_registry_addr site)
    DOCKER_HOST=unix://$(lab_docker_sock host)
    type_in export DOCKER_HOST="$DOCKER_HOST"
    export DOCKER_HOST
    show flatnet images load "$BUNDLE"
    show flatnet images ls "$BUNDLE"

    printf '%s\n' "$LAB_PASSWORD" >password
    type_in flatnet registry login "$SITE" --plain-http --username "$LAB_USER" --password-stdin '<password'
    flatnet registry login "$SITE" --plain-http --username "$LAB_USER" --password-stdin <password
    show flatnet images push "$BUNDLE" --registry "$SITE/macvlan" --plain-http "$SITE"
    show flatnet bundle extract "$BUNDLE" --only 'addons/*' -o site
}

# manifest_digest ADDR/REPO:TAG: hash what the registry serves, without flatnet.
manifest_digest() {
    skopeo inspect --raw --tls-verify=false --creds "$LAB_USER:$LAB_PASSWORD" "docker://$1" | sha256sum
}

# digest_in_layout FOLDER NAME: without "sha256:".
digest_in_layout() {
    jq -er --arg name "$2" '.manifests[] | select(.annotations["io.containerd.image.name"] == $name).digest[7:]' \
        "$1/index.json"
}

# Asks docker, tar, skopeo and cmp whether what flatnet says is true.
prove() {
    local image wanted have name count=0
    for name in "${OURS[@]}"; do
        name=flatnet/$name:$VERSION
        wanted=$(digest_in_layout "${FLATNET%/*/*}/images" "docker.io/$name")
        have=$(manifest_digest "$SITE/macvlan/$name")
        [ "${have%% *}" = "$wanted" ] || die "'$name' has another digest in the second registry"
        show docker run --rm --read-only --cap-drop ALL --network none "$name" --version
        count=$((count + 1))
    done
    for image in "$SERVER" "${LISTED[@]}" "$SEVERAL"; do
        name=$(repository "$image")
        wanted=$(tar -xOf "$BUNDLE" manifest.json |
            jq -r --arg tag "$image" '.[] | select(.RepoTags[0] | endswith($tag)) | .Config')
        have=$(lab_docker_id host "$image") || die "docker has no '$image'"
        [ "${have#sha256:}" = "${wanted#blobs/sha256/}" ] || die "docker has '$image' with the id $have"
        wanted=$(manifest_digest "$UPSTREAM/$name")
        have=$(manifest_digest "$SITE/macvlan/$name")
        [ "$have" = "$wanted" ] || die "'$image' has another digest in the second registry"
        count=$((count + 1))
    done
    cmp network-addons/macvlan-network.yml site/addons/macvlan-network.yml
    say "proved, in $((SECONDS - elapsed)) s:"
    printf '%s\n' \
        "- docker has all $count images; their ids, as docker tells them, are those in the bundle" \
        "- the second registry has all $count; the digests of what it serves are those of the first," \
        '  the index over two platforms too, and those that make images wrote' \
        '- the addons came out of the bundle as they went in; a damaged bundle was refused'
}

check_needs
start
make_images
online
damage
site
prove
