#!/bin/bash
# Builds the static programs of each named architecture (Debian's names) into DIST/linux-ARCH, and
# for images an OCI layout of our own images for all of them into DIST/images; docker takes the
# first. The same bytes come from any folder. For bench the static floors of tests/bench/cni.sh, too; for
# order the plugin without an order, and the linker's map of it, in BUILD/unordered.
#
#   MAKE=... scripts/dist.sh dist|images|bench|order BUILD DIST [ARCH...]    (amd64; for images amd64 arm64)
set -euo pipefail

what=$1 build=$2 dist=$3
shift 3
arches=("${@:-amd64}")
[ $# -gt 0 ] || [ "$what" != images ] || arches+=(arm64)
native=$(dpkg --print-architecture)

tests/lab/packages.sh build dist
for arch in "${arches[@]}"; do
    [ "$arch" = "$native" ] || tests/lab/packages.sh cross
done

# One at a time in a build folder: `make dist images` starts both.
mkdir -p "$build"
exec 7>"$build/dist.lock"
flock 7

# compile ARCH GOAL...: sets $strip to what strips its programs.
compile() {
    local arch=$1 prefix triplet='' find
    shift
    prefix=$(MAKEFLAGS='' scripts/static-libs.sh "$arch")
    local with=()
    if [ "$arch" = "$native" ]; then
        find="PKG_CONFIG_PATH=$prefix/lib/pkgconfig"
    else
        triplet=$(dpkg-architecture -a "$arch" -q DEB_HOST_GNU_TYPE 2>/dev/null)-
        with=("CC=${triplet}gcc --sysroot=$prefix" "AR=${triplet}ar" "OBJCOPY=${triplet}objcopy")
        find="PKG_CONFIG_SYSROOT_DIR=$prefix "
        find+="PKG_CONFIG_LIBDIR=$prefix/usr/local/lib/pkgconfig:$prefix/usr/lib/${triplet%-}/pkgconfig"
    fi
    strip=${triplet}strip
    # shellcheck disable=SC2086
    $MAKE "O=$build/static-$arch" STATIC=1 SAN= COVER= "PKG_CONFIG=env $find pkg-config" "${with[@]}" "$@"
}

if [ "$what" = order ]; then
    mkdir -p "$build/unordered"
    compile "$native" "O=$build/unordered" ORDER= "LDFLAGS=-Wl,-Map=$build/unordered/map" \
        "$build/unordered/bin/static-macvlan-cni"
    exit 0
fi

programs=()
for arch in "${arches[@]}"; do
    compile "$arch" all
    programs+=("$dist/linux-$arch")
    mkdir -p "$dist/linux-$arch"
    for name in flatnet network-controller static-macvlan-cni; do
        made=$build/static-$arch/$name
        "$strip" -s -o "$made" "$build/static-$arch/bin/$name"
        [ -z "${SOURCE_DATE_EPOCH:-}" ] || touch -d "@$SOURCE_DATE_EPOCH" "$made"
        mv "$made" "$dist/linux-$arch/$name"
    done
done
if [ "$what" = bench ]; then
    compile "$native" "$build/static-$native"/tests/tools/cni_floor_{api,link}
fi
[ "$what" = images ] || exit 0

tool=$build/static-$native/bin/image-layout
compile "$native" "$tool"
rm -rf "$dist/images.new"
"$tool" "$dist/images.new" "${programs[@]}"
rm -rf "$dist/images"
mv "$dist/images.new" "$dist/images"
