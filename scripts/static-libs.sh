#!/bin/bash
# Builds libcurl, libarchive and cJSON for the static program out of Debian's own source packages,
# in the versions of the -dev packages that are installed here, and prints the folder they are in.
# About a minute; later calls answer at once. The rest of what is linked comes from Debian's
# static archives.
#
# Why not Debian's: its libcurl.a needs Kerberos and LDAP, for which there are no archives, cJSON has
# none, and its libarchive converts names with iconv, which would load modules of the host.
set -euo pipefail

cache=${FLATNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flatnet}
sources=(libcurl4-openssl-dev libarchive-dev libcjson-dev)
versions=$(dpkg-query -W -f '${source:Package}=${source:Version}\n' "${sources[@]}" libc6-dev gcc)
key=$({ echo "$versions"; cat "$0"; } | sha256sum | cut -c 1-16)
prefix=$cache/static-$key

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
echo "static-libs: building libcurl, libarchive and cJSON (once, a few minutes)" >&2
work=$(mktemp -d "${TMPDIR:-/tmp}/flatnet-static.XXXXXX")
exec 3>&2
trap 'tail -n "$(($? ? 40 : 0))" "$work/log" >&3; rm -rf "$work"' EXIT
cd "$work"

export CC=${CC:-gcc}
export CFLAGS="-O2 -g0 -fstack-protector-strong -ffunction-sections -fdata-sections -fPIC \
-ffile-prefix-map=$work=."
export CPPFLAGS=-D_FORTIFY_SOURCE=2

# The archives that this machine already uses, asked from apt; its configuration is left alone.
fetch_sources() {
    # shellcheck disable=SC2016
    local format='$(REPO_URI) $(RELEASE) $(COMPONENT)' apt wanted dsc
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p lists/partial archives/partial
    apt-get indextargets --format "deb-src [signed-by=$keyring] $format" \
        'Created-By: Packages' 'Origin: Debian' | sort -u >sources.list
    if [ ! -s sources.list ]; then
        echo "static-libs: apt knows no Debian archive, run 'apt-get update' first"
        exit 1
    fi
    apt=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root)
    apt-get "${apt[@]}" -qq update
    mapfile -t wanted < <(grep -E '^(curl|libarchive|cjson)=' <<<"$versions")
    apt-get "${apt[@]}" -qq source --download-only "${wanted[@]}"
    for dsc in *.dsc; do
        dpkg-source -x "$dsc" "${dsc%%_*}"
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
    ./configure -q --prefix="$prefix" --disable-shared --disable-dependency-tracking \
        --with-openssl --with-zlib --with-nghttp2 --enable-ares --without-ca-bundle \
        --without-ca-path --without-ca-fallback "${off[@]/#/--disable-}" "${without[@]/#/--without-}"
    make -s -j2 -C lib install DESTDIR="$work/root"
    make -s -C include install DESTDIR="$work/root"
    make -s install-pkgconfigDATA DESTDIR="$work/root"
}

build_libarchive() {
    # Debian patches configure.ac, but not in a way that matters here.
    touch aclocal.m4 && touch configure config.h.in Makefile.in
    ./configure -q --prefix="$prefix" --disable-shared --disable-dependency-tracking \
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
    mkdir -p "$work/root$prefix/lib/pkgconfig"
    install -D -m 644 cJSON.h "$work/root$prefix/include/cjson/cJSON.h"
    ar rcsD "$work/root$prefix/lib/libcjson.a" cJSON.o
    printf '%s\n' 'Name: libcjson' 'Description: JSON' "Version: $(sed -n \
        's/^#define CJSON_VERSION_MINOR /1./p' cJSON.h)" "Cflags: -I$prefix/include" \
        "Libs: -L$prefix/lib -lcjson" >"$work/root$prefix/lib/pkgconfig/libcjson.pc"
}

{
    fetch_sources
    pids=()
    for name in curl libarchive cjson; do
        (cd "$name" && "build_$name") &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid"
    done
    mv "root$prefix" "$prefix"
} >"$work/log" 2>&1
echo "$prefix"
