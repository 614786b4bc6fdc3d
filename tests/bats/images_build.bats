#!/usr/bin/env bats
# `make images`: what is in the layout, that everybody takes it, that the images run as the addons run
# them, on both platforms, and that the same bytes come from any folder.
# timeout: 1800
# The variables that run_flatnet sets, and jq's own:
# shellcheck disable=SC2154,SC2016

load helper

PROGRAMS=(flatnet static-macvlan-cni network-controller)

setup_file() {
    STATIC=${FLATNET_STATIC:-$REPO_ROOT/dist/linux-amd64/flatnet}
    OUT=${STATIC%/*/*}
    # The tests have a HOME of their own; what was built once is not built again.
    FLATNET_CACHE=${FLATNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flatnet}
    FLATNET_BUILD=${FLATNET_BUILD:-$REPO_ROOT/build}
    VERSION=$("$STATIC" version | sed 's/flatnet //')
    export STATIC OUT FLATNET_CACHE FLATNET_BUILD VERSION
    start_lab
    lab_registry r tls
    lab_dockerd d
    lab_containerd c
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    need qemu-aarch64 objdump
    LAYOUT=$OUT/images FLATNET=$STATIC
    R=$(lab_registry_addr r)
}

# blob DIGEST: the path of a blob.
blob() {
    printf '%s/blobs/%s\n' "$LAYOUT" "${1/://}"
}

# index_of NAME: digest of the image's index.
index_of() {
    jq -er --arg n "docker.io/flatnet/$1:$VERSION" \
        '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $n) | .digest' "$LAYOUT/index.json"
}

# manifest_of NAME ARCH: digest of the platform's manifest.
manifest_of() {
    jq -er --arg a "$2" '.manifests[] | select(.platform == {architecture: $a, os: "linux"}) | .digest' \
        "$(blob "$(index_of "$1")")"
}

# config_of NAME ARCH: the configuration.
config_of() {
    cat "$(blob "$(jq -er .config.digest "$(blob "$(manifest_of "$1" "$2")")")")"
}

# security OBJECT: the security context of an addon as options of docker.
security() {
    "$FLATNET" addons render -o addons >/dev/null 2>&1
    python3 - addons/macvlan-network.yml "$1" <<'PY'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
document = next(d for d in text.split("\n---") if re.search(r"kind: (DaemonSet|Deployment)\n", d)
                and f"\n  name: {sys.argv[2]}\n" in d)
context = document.split("securityContext:")[1].split("Probe:")[0]
user = re.search(r"runAsUser: (\d+)", context).group(1)
assert "readOnlyRootFilesystem: true" in context and "allowPrivilegeEscalation: false" in context
assert 'drop: ["ALL"]' in context
added = re.findall(r'add: \["(\w+)"\]', context)
print("--user", user, "--read-only --security-opt no-new-privileges --cap-drop ALL",
      *(f"--cap-add {name}" for name in added))
PY
}

@test "three images for two platforms, each blob named and true, nothing else" {
    local name arch
    jq -e '. == {imageLayoutVersion: "1.0.0"}' "$LAYOUT/oci-layout"
    assert_no_leftovers "$LAYOUT" blobs index.json manifest.json oci-layout
    jq -e '.manifests | length == 3' "$LAYOUT/index.json"
    for name in "${PROGRAMS[@]}"; do
        index_of "$name"
        jq -e '[.manifests[].platform.architecture] == ["amd64", "arm64"]' "$(blob "$(index_of "$name")")" >&2
        for arch in amd64 arm64; do
            manifest_of "$name" "$arch"
            jq -er '.config.digest, .layers[].digest' "$(blob "$(manifest_of "$name" "$arch")")"
        done
    done | grep ^sha256: | sort >named
    (cd "$LAYOUT/blobs/sha256" && sha256sum -- *) | awk '$1 != $2 { exit 1 } { print "sha256:" $1 }' | sort >have
    [ "$(wc -l <have)" = 21 ]
    diff named have
}

@test "a layer holds the static program and its folder, root's" {
    local name arch manifest layer
    for name in "${PROGRAMS[@]}"; do
        for arch in amd64 arm64; do
            manifest=$(blob "$(manifest_of "$name" "$arch")")
            jq -e '.layers | length == 1' "$manifest"
            layer=$(blob "$(jq -er '.layers[0].digest' "$manifest")")
            tar --numeric-owner -tvzf "$layer" | awk '{ print $1, $2, $4, $6 }' >listed
            diff listed - <<END
drwxr-xr-x 0/0 1970-01-01 bin/
-rwxr-xr-x 0/0 1970-01-01 bin/$name
END
            tar -xOzf "$layer" "bin/$name" | cmp - "$OUT/linux-$arch/$name"
            assert_equal "$(gzip -dc "$layer" | sha256sum)" \
                "$(config_of "$name" "$arch" | jq -er '.rootfs.diff_ids | if length == 1 then .[0][7:] else empty end')  -"
            [ "$(jq '[.config.size, .layers[].size] | add' "$manifest")" -lt 12000000 ]
        done
    done
}

@test "a configuration says what runs, as whom, and what it is" {
    local name arch
    for name in "${PROGRAMS[@]}"; do
        for arch in amd64 arm64; do
            config_of "$name" "$arch" >config
            jq -e --arg a "$arch" --arg n "$name" --arg v "$VERSION" '
                .architecture == $a and .os == "linux" and .created == "1970-01-01T00:00:00Z" and
                .config.Entrypoint == ["/bin/" + $n] and
                .config.Labels["org.opencontainers.image.title"] == $n and
                .config.Labels["org.opencontainers.image.version"] == $v and
                (.config.Labels["org.opencontainers.image.description"] | length > 20)' config
        done
    done
    # No more rights than the addon asks for.
    security network-controller >context
    assert_contains "--user $(jq -r '.config.User | split(":")[0]' <(config_of network-controller amd64)) " context
    security network-cni-ds >context
    assert_contains '--user 0 ' context
}

@test "the programs for arm64 are static, small, and run" {
    local program
    for program in "$OUT"/linux-arm64/*; do
        aarch64-linux-gnu-objdump -p "$program" >headers
        refute grep -E 'INTERP|NEEDED|RPATH|RUNPATH' headers
        assert_contains 'file format elf64-littleaarch64' headers
        aarch64-linux-gnu-objdump -h "$program" >sections
        refute grep -E '\.symtab|\.debug|\.note\.gnu\.build-id' sections
        [ "$(stat -c %s "$program")" -lt 10000000 ]
        qemu-aarch64 "$program" --version | grep -qx "${program##*/} $VERSION"
    done
    CNI_COMMAND=VERSION qemu-aarch64 "$OUT/linux-arm64/static-macvlan-cni" <<<'{"cniVersion":"1.0.0"}' |
        jq -e '.supportedVersions | index("0.3.1")'
    qemu-aarch64 "$OUT/linux-arm64/flatnet" addons render -o on-arm64 >arm64.yml
    "$STATIC" addons render -o on-amd64 >amd64.yml
    cmp <(sed s/on-arm64/on-amd64/ arm64.yml) amd64.yml
    diff -r on-arm64 on-amd64
}

@test "flatnet for arm64 makes, checks and pushes a bundle, by TLS" {
    lab_image_multi "$R" t/multi:1
    cat >flatnet-arm64 <<END
#!/bin/sh
exec qemu-aarch64 '$OUT/linux-arm64/flatnet' "\$@"
END
    chmod +x flatnet-arm64
    printf '%s\n' "$R/t/multi:1" >list
    run_flatnet bundle create -f list --ca-file "$LAB_DIR/ca.crt" -o want.tar --platform linux/arm64
    FLATNET=$T/flatnet-arm64 run_flatnet bundle create -f list --ca-file "$LAB_DIR/ca.crt" -o b.tar --platform linux/arm64
    assert_status 0
    cmp want.tar b.tar
    FLATNET=$T/flatnet-arm64 run_flatnet bundle verify b.tar
    assert_status 0
    FLATNET=$T/flatnet-arm64 run_flatnet images push b.tar --registry "$R/from-arm64" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    assert_equal "sha256:$(skopeo inspect --raw --tls-verify=false "docker://$R/from-arm64/t/multi:1" | sha256sum)" \
        "$(skopeo inspect --raw --tls-verify=false "docker://$R/t/multi:1" |
            jq -er '.manifests[] | select(.platform.architecture == "arm64").digest')  -"
    printf 'x' | dd of=b.tar bs=1 seek=20000 conv=notrunc status=none
    FLATNET=$T/flatnet-arm64 run_flatnet bundle verify b.tar
    assert_status 4
}

@test "docker load takes the layout as it is; the images run with the rights of the addons" {
    local name object
    local -a rights
    tar -C "$LAYOUT" -c . | lab_docker d load -q
    for name in "${PROGRAMS[@]}"; do
        assert_equal "$(lab_docker_id d "flatnet/$name:$VERSION")" \
            "$(jq -r .config.digest "$(blob "$(manifest_of "$name" amd64)")")"
        lab_docker d run --rm --network none "flatnet/$name:$VERSION" --version | grep -qx "$name $VERSION"
    done
    for object in network-controller=network-controller static-macvlan-cni=network-cni-ds; do
        name=${object%=*}
        read -ra rights < <(security "${object#*=}")
        [ "${#rights[@]}" -gt 5 ]
        lab_docker d run --rm --network none "${rights[@]}" "flatnet/$name:$VERSION" --version | grep -qx "$name $VERSION"
    done
    # Nothing else is in there.
    lab_docker d create --name one "flatnet/network-controller:$VERSION"
    lab_docker d export one | tar -t | grep -vE '/$|^(dev|etc)/(console|hosts|hostname|resolv.conf|mtab)$|^\.dockerenv$' >files
    assert_equal "$(cat files)" bin/network-controller
    lab_docker d rm one
}

# has_installed: the program is in the host's folder, as it is in the image, and its kubeconfig too.
has_installed() {
    cmp -s bin/static-macvlan-cni "$OUT/linux-amd64/static-macvlan-cni" && [ -s conf/flatnet.d/flatnet.kubeconfig ]
}

@test "the DaemonSet's container installs the plugin on the host, with no more rights than it has there" {
    local -a rights
    lab_docker_id d "flatnet/static-macvlan-cni:$VERSION" || tar -C "$LAYOUT" -c . | lab_docker d load -q
    mkdir bin conf account
    printf 'token-1' >account/token
    printf 'kube-system' >account/namespace
    cp "$LAB_DIR/ca.crt" account/
    read -ra rights < <(security network-cni-ds)
    lab_docker d run -d --name cni --network none -e KUBERNETES_SERVICE_HOST=10.43.0.1 -e KUBERNETES_SERVICE_PORT=443 \
        "${rights[@]}" -v "$T/bin:/host/opt/cni/bin" -v "$T/conf:/host/etc/cni/net.d" \
        -v "$T/account:/var/run/secrets/kubernetes.io/serviceaccount:ro" "flatnet/static-macvlan-cni:$VERSION" \
        install --mode=multus --conf-dir=/host/etc/cni/net.d --bin-dir=/host/opt/cni/bin --listen=:9479
    wait_until has_installed || {
        lab_docker d logs cni
        return 1
    }
    lab_docker d stop cni
    assert_equal "$(lab_docker d inspect -f '{{.State.ExitCode}}' cni)" 0 'exit status'
}

@test "ctr imports the layout, with both platforms, and runs an image" {
    local name
    tar -C "$LAYOUT" -c . | lab_ctr c images import --all-platforms -
    for name in "${PROGRAMS[@]}"; do
        lab_ctr c images ls "name==docker.io/flatnet/$name:$VERSION" >listed
        assert_contains "$(index_of "$name")" listed
        assert_contains 'linux/amd64,linux/arm64' listed
    done
    # The exit status is the program's; of what it prints ctr may lose the end.
    lab_ctr c run --rm --read-only "docker.io/flatnet/network-controller:$VERSION" one \
        /bin/network-controller --version
    run lab_ctr c run --rm --read-only "docker.io/flatnet/network-controller:$VERSION" two \
        /bin/network-controller --nonsense
    assert_equal "$status" 2
}

@test "skopeo copies an image of the layout, with all platforms" {
    local name=docker.io/flatnet/flatnet:$VERSION
    skopeo --insecure-policy copy -q --all --dest-tls-verify=false "oci:$LAYOUT:$name" "docker://$R/copied:1"
    skopeo inspect --raw --tls-verify=false "docker://$R/copied:1" | cmp - "$(blob "$(index_of flatnet)")"
    skopeo --override-arch arm64 inspect "oci:$LAYOUT:$name" | jq -e '.Architecture == "arm64"'
}

@test "bundle create takes them by --from; a registry gets them with their digests" {
    local name
    run_flatnet bundle create --from "$LAYOUT" --platform linux/amd64 --platform linux/arm64 -o b.tar
    assert_status 0
    run_flatnet bundle verify b.tar
    assert_status 0
    run_flatnet images push b.tar --registry "$R/site" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    for name in "${PROGRAMS[@]}"; do
        skopeo inspect --raw --tls-verify=false "docker://$R/site/flatnet/$name:$VERSION" |
            cmp - "$(blob "$(index_of "$name")")"
    done
}

# default_bundle ARG...: bundle create, with the lab's registry for what others make.
default_bundle() {
    run_flatnet bundle create -o b.tar --ca-file "$LAB_DIR/ca.crt" --registry-mirror "docker.io=https://$R" \
        --registry-mirror "quay.io=https://$R" "$@"
}

@test "the default bundle: all images, ours from beside the program, the addons, the program" {
    local name moved=$T/usr/bin/flatnet
    for name in cnrancher/rancher:v2.2.3 nfvpe/multus:v3.2 coreos/flannel:v0.10.0-amd64 rancher/flannel-cni:v0.3.0-rancher6; do
        lab_image_push "$R" "$name" --base-shared
    done
    default_bundle
    assert_status 0
    assert_lacks warning: stderr
    assert_contains "Kubernetes 1.13" stderr
    run_flatnet bundle verify b.tar
    assert_contains '7 images'
    tar -xOf b.tar bin/linux-amd64/flatnet | cmp - "$STATIC"
    "$STATIC" addons render -o rendered
    mkdir out
    tar -C out -xf b.tar addons
    diff -r rendered out/addons
    # Installed, it finds them; alone, it says what is missing.
    mkdir -p usr/bin usr/share/flatnet
    cp "$STATIC" "$moved"
    cp -r "$LAYOUT" usr/share/flatnet/images
    mv b.tar want.tar
    FLATNET=$moved default_bundle
    assert_status 0
    cmp want.tar b.tar
    rm -r usr/share/flatnet/images b.tar
    FLATNET=$moved default_bundle
    assert_status 2
    assert_contains "'docker.io/flatnet/flatnet:$VERSION' is in no registry: 'make images' makes it" stderr
    refute [ -e b.tar ]
    FLATNET=$moved default_bundle --from "$LAYOUT" --images default
    assert_status 0
    cmp want.tar b.tar
    FLATNET=$moved default_bundle --allow-missing
    assert_status 0
    assert_contains "network-controller:$VERSION' is not put into the bundle" stderr
    run_flatnet bundle verify b.tar
    assert_contains '4 images'
    # Addons that are named take the place of the set's.
    mkdir mine
    printf 'kind: Pod\n' >mine/own.yml
    default_bundle --addons mine
    assert_status 0
    assert_equal "$(tar -tf b.tar | grep ^addons/)" addons/own.yml
}

@test "what is no static program does not become an image; the time is taken from SOURCE_DATE_EPOCH" {
    local tool=$FLATNET_BUILD/static-amd64/bin/image-layout
    mkdir other
    cp "$OUT"/linux-amd64/* other/
    SOURCE_DATE_EPOCH=1700000000 "$tool" new other
    jq -e '.created == "2023-11-14T22:13:20Z"' "new/blobs/sha256/$(jq -r '.[0].Config | ltrimstr("blobs/sha256/")' new/manifest.json)"
    jq -e '.[0].Layers == $old[0][0].Layers' --slurpfile old "$LAYOUT/manifest.json" new/manifest.json
    run env SOURCE_DATE_EPOCH=yesterday "$tool" bad other
    assert_equal "$status" 2
    assert_contains "'yesterday' is no number of seconds" <(printf '%s' "$output")
    cp /bin/ls other/network-controller
    run "$tool" bad other
    assert_equal "$status" 2
    assert_contains "'other/network-controller': it needs the host's shared libraries" <(printf '%s' "$output")
    rm other/network-controller
    run "$tool" bad other
    assert_equal "$status" 1
    refute [ -e bad/index.json ]
}

@test "the same bytes come from another folder" {
    local folder
    mkdir -p "$T/elsewhere/tree"
    tar -C "$REPO_ROOT" -c --exclude='./build*' --exclude=./dist --exclude=./.git . | tar -C "$T/elsewhere/tree" -x
    make -s -C "$T/elsewhere/tree" O=build DIST=dist images >log 2>&1 || {
        tail -n 40 log
        return 1
    }
    for folder in linux-amd64 linux-arm64 images; do
        diff -r "$OUT/$folder" "$T/elsewhere/tree/dist/$folder"
    done
}
