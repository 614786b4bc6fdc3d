# shellcheck shell=bash
# The variables that helper.bash sets and tests look at:
# shellcheck disable=SC2034,SC2154
# What the tests of the bundle commands share. Load it after helper:
#
#   setup_file() { start_source; make_images t/one:1=root,a:4; }
#   teardown_file() { lab_cleanup; }
#   setup() { source_setup; }
#
# The registry `src` is reached directly ($SRC) and through the proxy `wire` ($WIRE), which logs every
# request and can do harm. An image is named by whichever of the two it shall come from.

# start_source: the lab with the registry and the proxy, for setup_file.
start_source() {
    start_lab
    lab_registry src
    lab_proxy wire "$(lab_registry_addr src)"
}

# source_setup: for setup; a proxy that does no harm and has seen nothing.
source_setup() {
    common_setup
    SRC=$(lab_registry_addr src)
    WIRE=$(lab_registry_addr wire)
    export SRC WIRE
    lab_proxy_rules wire '[]'
    lab_proxy_forget wire
}

# make_images [--format oci|docker] REPO:TAG=LAYER[,LAYER]...: into `src` (lab/bundle-images.py).
make_images() {
    "$LAB_HOME/bundle-images.py" "$LAB_DIR/made" --to "$(lab_registry_addr src)" "$@"
}

# list FILE NAME...: an image list.
list() {
    local file=$1
    shift
    printf '%s\n' "$@" >"$file"
}

# create ARG...: bundle create from `src` and `wire`, without waiting long after a failure.
create() {
    run_flatnet bundle create --plain-http "$SRC" --plain-http "$WIRE" --retries 1 "$@"
}

# created ARG...: the same, and it must have worked.
created() {
    create "$@"
    assert_status 0
}

# layer_of REPO:TAG N: the digest of an image's layer (from 0) in `src`.
layer_of() {
    lab_curl src "/v2/${1%:*}/manifests/${1##*:}" -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json' | jq -er ".layers[$2].digest"
}

# config_of REPO:TAG: the digest of an image's configuration in `src`, which is its id.
config_of() {
    lab_curl src "/v2/${1%:*}/manifests/${1##*:}" -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json' | jq -er .config.digest
}

# start_create ARG...: the same as create in the background; pid in $creator. Its streams are the
# files out and err.
start_create() {
    "$FLATNET" bundle create --plain-http "$SRC" --plain-http "$WIRE" --retries 1 "$@" >out 2>err 3>&- &
    creator=$!
}

# finish_create: wait for it; as after run_flatnet.
finish_create() {
    status=0
    wait "$creator" || status=$?
    mv out "$stdout_file"
    mv err "$stderr_file"
    output=$(cat "$stdout_file") stderr=$(cat "$stderr_file")
}

# journal_bytes FILE: the bytes that the journal of FILE vouches for.
journal_bytes() {
    [ -e "$1.journal" ] || { echo 0; return; }
    awk 'NR > 1 && NF == 2 { have[$1] = $2 } END { for (n in have) sum += have[n]; print sum + 0 }' "$1.journal"
}

# has_journalled FILE BYTES: at least so many.
has_journalled() {
    [ "$(journal_bytes "$1")" -ge "$2" ]
}

# wire_bytes: the bytes of blobs that went through the proxy.
wire_bytes() {
    lab_proxy_log wire | jq -s 'map(select(.method == "GET" and (.path | test("/blobs/"))).sent) | add // 0'
}

# verified FILE [ARG...]: verify says that it is whole.
verified() {
    run_flatnet bundle verify "$@"
    assert_status 0
}

# digest_of FILE: its SHA-256 as hex digits.
digest_of() {
    sha256sum <"$1" | cut -c 1-64
}
