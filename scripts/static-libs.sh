#!/bin/bash
# Builds libcurl, libarchive and cJSON for the static programs out of Debian's own source packages,
# in the versions of the -dev packages that are installed here, and prints the folder they are in.
# About a minute; later calls answer at once. The rest of what is linked comes from Debian's
# static archives.
#
#   scripts/static-libs.sh [ARCH]      Debian's name of an architecture; this machine's by default
#
# For another architecture that folder is a sysroot: its -dev packages, and in usr/local what is built
# here. The packages come from the archives that this machine uses, whose apt and dpkg are asked, not
# changed.
#
# Why not Debian's: its libcurl.a needs Kerberos and LDAP, for which there are no archives, cJSON has
# none, and its libarchive converts names with iconv, which would load modules of the host.
set -euo pipefail

native=$(dpkg --print-architecture)
arch=${1:-$native}
case $arch in
    "$native") triplet='' compiler=gcc ;;
    arm64) triplet=aarch64-linux-gnu compiler=gcc-aarch64-linux-gnu ;;
    *)
        echo "static-libs: no compiler for '$arch' is known" >&2
        exit 2
        ;;
esac

cache=${FLATNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flatnet}
sources=(libcurl4-openssl-dev libarchive-dev libcjson-dev)
# What else is linked, by us and by those.
linked=(libc6-dev linux-libc-dev libssl-dev zlib1g-dev libzstd-dev libyaml-dev libnl-3-dev
    libnl-route-3-dev libevent-dev uthash-dev libbsd-dev libmd-dev libc-ares-dev libnghttp2-dev
    liblzma-dev libbz2-dev)
versions=$(dpkg-query -W -f '${source:Package}=${source:Version}\n' "${sources[@]}" libc6-dev "$compiler")
key=$({ echo "$versions"; cat "$0"; } | sha256sum | cut -c 1-16)
prefix=$cache/static-${triplet:+$arch-}$key

if [ -d "$prefix" ]; then
    echo "$prefix"
    exit 0
fi
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -d "$prefix" ]; then
    echo "$prefix"
    exit 0
fi
echo "static-libs: building libcurl, libarchive and cJSON for $arch (once, a few minutes)" >&2
work=$(mktemp -d "${TMPDIR:-/tmp}/flatnet-static.XXXXXX")
exec 3>&2
trap 'tail -n "$(($? ? 40 : 0))" "$work/log" >&3; rm -rf "$work"' EXIT
cd "$work"

export CC=${CC:-gcc} AR=${AR:-ar}
# Where they will find themselves, and what is moved to the folder in the end.
home=$prefix result=$work/root$prefix
host=()
if [ -n "$triplet" ]; then
    home=/usr/local result=$work/root
    host=(--host="$triplet" LDFLAGS=-static)
    CC="$triplet-gcc --sysroot=$work/root" AR=$triplet-ar
    export PKG_CONFIG_SYSROOT_DIR=$work/root PKG_CONFIG_LIBDIR=$work/root/usr/lib/$triplet/pkgconfig
fi
export CFLAGS="-O2 -g0 -fstack-protector-strong -ffunction-sections -fdata-sections -fPIC \
-ffile-prefix-map=$work=."
export CPPFLAGS=-D_FORTIFY_SOURCE=2

# apt_for NAME TYPE COMMAND...: apt with the archives that this machine already uses, as "deb" or
# "deb-src", for $arch. It has folders of its own and finds nothing installed.
apt_for() {
    local of=$1 type=$2
    shift 2
    # shellcheck disable=SC2016
    local format='$(REPO_URI) $(RELEASE) $(COMPONENT)'
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    if [ ! -d "$of" ]; then
        mkdir -p "$of/lists/partial" "$of/archives/partial"
        : >"$of/status"
        apt-get indextargets --format "$type [signed-by=$keyring arch=$arch] $format" \
            'Created-By: Packages' 'Origin: Debian' | sort -u >"$of/sources.list"
        if [ ! -s "$of/sources.list" ]; then
            echo "static-libs: apt knows no Debian archive, run 'apt-get update' first"
            exit 1
        fi
        apt_for "$of" "$type" apt-get -qq update
    fi
    "$1" -o "Dir::Etc::sourcelist=$work/$of/sources.list" -o Dir::Etc::sourceparts=- \
        -o "Dir::State::Lists=$work/$of/lists" -o "Dir::State::status=$work/$of/status" \
        -o "Dir::Cache=$work/$of" -o APT::Sandbox::User=root \
        -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" "${@:2}"
}

fetch_sources() {
    local wanted dsc
    mapfile -t wanted < <(grep -E '^(curl|libarchive|cjson)=' <<<"$versions")
    apt_for sources deb-src apt-get -qq source --download-only "${wanted[@]}"
    for dsc in *.dsc; do
        dpkg-source -x "$dsc" "${dsc%%_*}"
    done
}

# Packages of the other architecture, the newest there are, unpacked.
fetch_sysroot() {
    local package
    apt_for packages deb apt-get -qq download "${linked[@]}"
    for package in *.deb; do
        dpkg-deb -x "$package" root
    done
}

# HTTP and HTTPS with proxies and unix sockets, nothing else.
build_curl() {
    local off=(ftp file ldap ldaps rtsp dict telnet tftp pop3 imap smb smtp gopher mqtt manual
        libcurl-option ntlm ntlm-wb tls-srp cookies doh mime netrc alt-svc hsts websockets
        sspi openssl-auto-load-config)
    local without=(brotli zstd libpsl libgsasl libssh2 libssh librtmp libidn2 gssapi ngtcp2 nghttp3)
    # c-ares would look into the host's nsswitch.conf for the order of files and DNS: it is fixed.
    sed -i -e 's/int optmask = ARES_OPT_SOCK_STATE_CB;/& optmask |= ARES_OPT_LOOKUPS;/' \
        -e 's/^  status = ares_init_options(/  options.lookups = (char *)"fb";\n&/' lib/asyn-ares.c
    grep -q 'options.lookups = ' lib/asyn-ares.c
    grep -q '|= ARES_OPT_LOOKUPS' lib/asyn-ares.c
    ./configure -q "${host[@]}" --prefix="$home" --disable-shared --disable-dependency-tracking \
        --with-openssl --with-zlib --with-nghttp2 --enable-ares --without-ca-bundle \
        --without-ca-path --without-ca-fallback "${off[@]/#/--disable-}" "${without[@]/#/--without-}"
    make -s -j2 -C lib install DESTDIR="$work/root"
    make -s -C include install DESTDIR="$work/root"
    make -s install-pkgconfigDATA DESTDIR="$work/root"
}

build_libarchive() {
    # Debian patches configure.ac, but not in a way that matters here.
    touch aclocal.m4 && touch configure config.h.in Makefile.in
    ./configure -q "${host[@]}" --prefix="$home" --disable-shared --disable-dependency-tracking \
        --disable-bsdtar --disable-bsdcat --disable-bsdcpio --disable-acl --disable-xattr \
        --without-iconv --without-libb2 --without-lz4 --without-openssl --without-xml2 \
        --without-expat
    make -s -j2 libarchive.la
    make -s install-libLTLIBRARIES install-includeHEADERS install-pkgconfigDATA \
        DESTDIR="$work/root"
}

build_cjson() {
    # shellcheck disable=SC2086
    $CC $CPPFLAGS $CFLAGS -std=c89 -c -o cJSON.o cJSON.c
    mkdir -p "$work/root$home/lib/pkgconfig"
    install -D -m 644 cJSON.h "$work/root$home/include/cjson/cJSON.h"
    $AR rcsD "$work/root$home/lib/libcjson.a" cJSON.o
    printf '%s\n' 'Name: libcjson' 'Description: JSON' "Version: $(sed -n \
        's/^#define CJSON_VERSION_MINOR /1./p' cJSON.h)" "Cflags: -I$home/include" \
        "Libs: -L$home/lib -lcjson" >"$work/root$home/lib/pkgconfig/libcjson.pc"
}

{
    fetch_sources
    [ -z "$triplet" ] || fetch_sysroot
    pids=()
    for name in curl libarchive cjson; do
        (cd "$name" && "build_$name") &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid"
    done
    mv "$result" "$prefix"
} >"$work/log" 2>&1
echo "$prefix"
