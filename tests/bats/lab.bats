#!/usr/bin/env bats
# Proves that each piece of the lab works with clients that are not ours.
# timeout: 900
# Each test is a subshell, and they all set the same names:
# shellcheck disable=SC2030,SC2031

load helper
# shellcheck source=tests/lab/guest.bash
. "$REPO_ROOT/tests/lab/guest.bash"

SCHEMA2='Accept: application/vnd.docker.distribution.manifest.v2+json'
SCHEMA1='Accept: application/vnd.docker.distribution.manifest.v1+prettyjws'

setup_file() {
    start_lab
    lab_registry plain
    lab_registry safe tls basic
    lab_registry guarded token
    lab_dockerd one
    lab_containerd cri cri
    lab_proxy faulty "$(lab_registry_addr plain)"
    lab_proxy elsewhere "$(lab_registry_addr plain)"
    lab_image_push "$(lab_registry_addr plain)" lab/blob:1 --layer-kb 512
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    addr=$(lab_registry_addr plain)
    lab_proxy_rules faulty '[]'
    lab_proxy_forget faulty
    lab_proxy_forget elsewhere
}

# The path of the 512 KiB layer.
blob_path() {
    lab_curl plain /v2/lab/blob/manifests/1 -H "$SCHEMA2" | jq -r '"/v2/lab/blob/blobs/" + .layers[1].digest'
}

# Gets the layer through the proxy under one rule that does $1; curl's status lands in $rc, the HTTP
# status in $code, the digest it should have in $digest, the body in ./body, the headers in ./head.
get_with() {
    local do=$1 path
    shift
    path=$(blob_path)
    digest=${path##*/}
    lab_proxy_rules faulty "[{\"path\": \"/blobs/\", \"do\": $do}]"
    rc=0
    code=$(curl -s --max-time 20 -o body -D head -w '%{http_code}' "$@" "$(lab_registry_url faulty)$path") || rc=$?
}

is_blob() {
    assert_equal "sha256:$(sha256sum <body | cut -c 1-64)" "$digest" "digest of the body"
}

skopeo_inspect() {
    skopeo inspect --tls-verify=false --creds "$LAB_USER:$LAB_PASSWORD" "$@"
}

@test "a plain registry answers and keeps address and contents over a restart" {
    lab_image_push "$addr" keep/it:1
    lab_registry_stop plain
    refute curl -s "http://$addr/v2/"
    lab_registry_restart plain
    assert_equal "$(lab_registry_addr plain)" "$addr"
    lab_curl plain /v2/keep/it/tags/list | jq -e '.tags == ["1"]'
}

@test "a registry deletes" {
    lab_image_push "$addr" gone/soon:1
    digest=$(skopeo_inspect "docker://$addr/gone/soon:1" | jq -r .Digest)
    lab_curl plain "/v2/gone/soon/manifests/$digest" -X DELETE
    assert_equal "$(curl -s -o /dev/null -w '%{http_code}' "http://$addr/v2/gone/soon/manifests/1")" 404
}

@test "TLS needs the private CA, Basic auth needs the user" {
    url=$(lab_registry_url safe)
    rc=0
    curl -s "$url/v2/" || rc=$?
    assert_equal "$rc" 60 "curl without the CA"
    assert_equal "$(curl -s --cacert "$LAB_DIR/ca.crt" -o /dev/null -w '%{http_code}' "$url/v2/")" 401
    lab_image_push "$(lab_registry_addr safe)" safe/it:1
    lab_curl safe /v2/safe/it/tags/list | jq -e '.tags == ["1"]'
}

@test "the token server: Basic, refresh token, anonymous, expired, counted" {
    addr=$(lab_registry_addr guarded)
    lab_image_push "$addr" a/b:1
    before=$(lab_token_count guarded)
    skopeo_inspect "docker://$addr/a/b:1" | jq -e '.Digest'
    [ "$(lab_token_count guarded)" -gt "$before" ]
    lab_token_count guarded '.grant == "basic" and .status == 200' | grep -qvx 0

    refresh=$(lab_token_refresh guarded)
    token=$(curl -sf "$(lab_token_url guarded)" -d grant_type=refresh_token -d service=guarded \
        -d "refresh_token=$refresh" -d scope='repository:a/b:pull repository:c/d:pull' | jq -r .access_token)
    curl -sf -H "Authorization: Bearer $token" "http://$addr/v2/a/b/tags/list"
    refute curl -sf "$(lab_token_url guarded)" -d grant_type=refresh_token -d refresh_token=wrong

    refute skopeo inspect --tls-verify=false "docker://$addr/a/b:1"
    lab_token_config guarded '{"anonymous": true, "field": "access_token", "omit_expires": true}'
    skopeo inspect --tls-verify=false "docker://$addr/a/b:1"
    lab_token_config guarded '{"backdate": 1000}'
    refute skopeo_inspect "docker://$addr/a/b:1"
    lab_token_config guarded '{}'
}

@test "a token server over TLS" {
    lab_registry both tls token
    lab_image_push "$(lab_registry_addr both)" a/b:1
    lab_image_multi "$(lab_registry_addr both)" a/c:1
    skopeo_inspect "docker://$(lab_registry_addr both)/a/c:1" | jq -e '.Digest'
    lab_stop both
}

@test "the proxy passes requests, pushes and Range, and logs them" {
    proxy=$(lab_registry_addr faulty)
    lab_image_push "$proxy" through/proxy:1
    assert_equal "$(skopeo_inspect "docker://$proxy/through/proxy:1")" \
        "$(skopeo_inspect "docker://$addr/through/proxy:1" | sed "s/$addr/$proxy/")"
    lab_proxy_forget faulty
    get_with '{"delay": 0}' -r 100-199 -H 'Authorization: Basic eDp5'
    assert_equal "$rc $code $(wc -c <body)" "0 206 100"
    assert_equal "$(lab_proxy_count faulty '.status == 206 and .sent == 100 and .range == "bytes=100-199"')" 1
    assert_equal "$(lab_proxy_count faulty '.auth == "Basic"')" 1
    refute grep -q eDp5 "$LAB_DIR/faulty.requests"
}

@test "faults: body cut, reset, stalled" {
    get_with '{"cut": 1000}'
    assert_equal "$rc $code $(wc -c <body)" "18 200 1000"
    get_with '{"cut": 0}'
    assert_equal "$rc" 18
    get_with '{"cut": 1000, "chunked": true}'
    assert_equal "$rc $(wc -c <body)" "18 1000"
    get_with '{"cut": 1000, "reset": true}'
    assert_equal "$rc" 56
    get_with '{"stall": 2000}' --max-time 1
    assert_equal "$rc $(wc -c <body)" "28 2000"
    get_with '{"slow": 200000}' -r 0-99999 -w '%{http_code} %{time_total}'
    awk 'BEGIN { exit !(ARGV[1] > 0.4) }' "${code#* }"
}

@test "faults: wrong bytes, wrong lengths, wrong digest header" {
    get_with '{"flip": -1}'
    assert_equal "$rc $(wc -c <body)" "0 $(sed -n 's/^Content-Length: \([0-9]*\).*/\1/ip' head)"
    [ "sha256:$(sha256sum <body | cut -c 1-64)" != "$digest" ]
    get_with '{"length": 10}'
    assert_equal "$rc" 18
    is_blob
    get_with '{"length": -10}'
    assert_equal "$rc" 0
    refute is_blob
    get_with '{"headers": {"Docker-Content-Digest": "sha256:00", "ETag": null}}'
    grep -qi '^docker-content-digest: sha256:00' head
    refute grep -qi '^etag' head
    is_blob
}

@test "faults: chunked, gzip encoding, Range ignored: the bytes are the same" {
    get_with '{"chunked": true}'
    grep -qi '^transfer-encoding: chunked' head
    refute grep -qi '^content-length' head
    is_blob
    get_with '{"gzip": true}'
    grep -qi '^content-encoding: gzip' head
    refute is_blob
    get_with '{"gzip": true}' --compressed
    is_blob
    get_with '{"ignore_range": true}' -r 100-199
    assert_equal "$code" 200
    is_blob
}

@test "faults: answers of our own, at a chosen time, as often as wanted" {
    get_with '{"status": 429, "headers": {"Retry-After": "7"}, "body": "slow down"}'
    assert_equal "$code $(cat body)" "429 slow down"
    grep -qi '^retry-after: 7' head
    printf 'from a file' >served
    get_with "{\"status\": 200, \"body_file\": \"$T/served\", \"headers\": {\"Content-Type\": \"a/b\"}}"
    assert_equal "$(cat body)" "from a file"
    get_with '{"endless": "["}' --max-time 1
    assert_equal "$rc" 28
    [ "$(wc -c <body)" -gt 1000000 ]
    wait_until grep -q '"aborted": true' "$LAB_DIR/faulty.requests"

    lab_proxy_rules faulty '[{"method": "HEAD|GET", "path": "^/v2/$", "lacks": ["X-Skip"], "nth": 2, "times": 2,
        "do": {"status": 503}}]'
    for expected in 200 503 503 200; do
        assert_equal "$(curl -s -o /dev/null -w '%{http_code}' "$(lab_registry_url faulty)/v2/")" "$expected"
    done
    lab_proxy_rules faulty '[{"has": ["X-Fail"], "do": {"status": 503}}]'
    assert_equal "$(curl -s -o /dev/null -w '%{http_code}' "$(lab_registry_url faulty)/v2/")" 200
    assert_equal "$(curl -s -H 'X-Fail: 1' -o /dev/null -w '%{http_code}' "$(lab_registry_url faulty)/v2/")" 503
}

@test "a rule that says nothing known is refused" {
    refute lab_proxy_rules faulty '[{"do": {"cutt": 1}}]'
    refute lab_proxy_rules faulty '[{"pth": "x", "do": {}}]'
    refute lab_proxy_rules faulty '[{"path": "x"}]'
    refute lab_proxy_rules faulty '{}'
    refute lab_proxy_rules faulty 'nonsense'
}

@test "faults: redirects, to another host and from https to http" {
    get_with "{\"redirect\": \"$(lab_registry_url elsewhere)\"}" -L -H 'Authorization: Bearer x'
    is_blob
    assert_equal "$(lab_proxy_count faulty '.status == 307 and .auth == "Bearer"')" 1
    assert_equal "$(lab_proxy_count elsewhere '.status == 200 and .auth == null')" 1

    lab_proxy secure "$(lab_registry_url safe)" --tls --rules "[{\"path\": \"/blobs/\",
        \"do\": {\"redirect\": \"$(lab_registry_url elsewhere)\"}}]"
    path=$(blob_path)
    curl -sf --cacert "$LAB_DIR/ca.crt" -L "$(lab_registry_url secure)$path" >body
    digest=${path##*/}
    is_blob
    refute curl -sf --cacert "$LAB_DIR/ca.crt" -L --proto-redir =https "$(lab_registry_url secure)$path"
    lab_proxy_rules secure '[]'
    lab_image_push "$(lab_registry_addr secure)" through/tls:1
    lab_curl safe /v2/through/tls/tags/list
    lab_stop secure
}

@test "faults: an upload is cut, Location is relative, the registry is down" {
    url=$(lab_registry_url faulty)
    lab_proxy_rules faulty '[{"method": "POST", "do": {"relative": true}}, {"method": "PUT", "do": {"cut_upload": 1000}}]'
    place=$(curl -s -X POST -D - -o /dev/null "$url/v2/up/load/blobs/uploads/" | sed -n 's/^location: \(.*\)\r/\1/ip')
    assert_equal "${place%%\?*}" "/v2/up/load/blobs/uploads/$(basename "${place%%\?*}")"
    head -c 3000000 /dev/zero >zeros
    refute curl -sf -T zeros "$url$place&digest=sha256:00"
    wait_until grep -q '"method": "PUT".*"status": null' "$LAB_DIR/faulty.requests"
    lab_registry_stop plain
    assert_equal "$(curl -s -o /dev/null -w '%{http_code}' "$url/v2/")" 502
    lab_registry_restart plain
}

@test "a forward proxy reaches loopback and mapped names, nothing else" {
    lab_forward_proxy out "registry-1.docker.io:443=$(lab_registry_addr safe)" "registry.example:80=$addr"
    proxy=$(lab_registry_url out)
    curl -sf -x "$proxy" "http://registry.example/v2/_catalog" | jq -e '.repositories | length > 0'
    curl -sf -x "$proxy" --cacert "$LAB_DIR/ca.crt" -u "$LAB_USER:$LAB_PASSWORD" https://registry-1.docker.io/v2/_catalog
    refute curl -sf -x "$proxy" http://registry.invalid/
    refute curl -sf -x "$proxy" https://registry.invalid/
    assert_equal "$(lab_proxy_count out '.method == "CONNECT" and .status == 200')" 1
    lab_stop out
}

@test "umoci images: same reference, same digest; shared bases are shared" {
    lab_image_push "$addr" share/a:1 --base-shared
    lab_image_push "$addr" share/b:1 --base-shared --layers 3 --layer-kb 8 --format oci
    lab_image_push "$(lab_registry_addr safe)" share/a:1 --base-shared
    a=$(skopeo_inspect "docker://$addr/share/a:1") b=$(skopeo_inspect "docker://$addr/share/b:1")
    assert_equal "$(skopeo_inspect "docker://$(lab_registry_addr safe)/share/a:1" | jq .Digest)" "$(jq .Digest <<<"$a")"
    assert_equal "$(jq '.Layers | length' <<<"$a") $(jq '.Layers | length' <<<"$b")" "2 4"
    assert_equal "$(jq '.Layers[0]' <<<"$a")" "$(jq '.Layers[0]' <<<"$b")"
    skopeo_inspect --raw "docker://$addr/share/a:1" | jq -e '.mediaType | test("docker")'
    skopeo_inspect --raw "docker://$addr/share/b:1" | jq -e '.config.mediaType | test("oci")'
}

@test "images for two platforms, in four forms" {
    for form in oci docker nested attestation; do
        lab_image_multi "$addr" "multi/$form:1" "$form"
        skopeo_inspect --raw "docker://$addr/multi/$form:1" >"$form"
        jq -e '.mediaType | test("index|list")' "$form"
        skopeo_inspect --override-arch amd64 "docker://$addr/multi/$form:1" | jq -e '.Architecture == "amd64"'
    done
    for form in oci docker attestation; do
        skopeo_inspect --override-arch arm64 "docker://$addr/multi/$form:1" | jq -e '.Architecture == "arm64"'
    done
    jq -e '.manifests[1].mediaType | test("index")' nested
    jq -e '.manifests[2].platform.os == "unknown"' attestation
}

@test "zstd layers and bare layers" {
    lab_image_zstd "$addr" packed/z:1
    lab_image_plain "$addr" packed/p:1
    skopeo_inspect --raw "docker://$addr/packed/z:1" >z
    jq -e '.layers | all(.mediaType | endswith("tar+zstd"))' z
    lab_curl plain "/v2/packed/z/blobs/$(jq -r '.layers[0].digest' z)" | zstd -dc | tar -t | grep -qx bin/busybox
    skopeo copy -q --src-tls-verify=false "docker://$addr/packed/z:1" "oci:$T/out:z"
    skopeo copy -q --src-tls-verify=false "docker://$addr/packed/p:1" "oci:$T/out:p"
    lab_ctr cri images pull --plain-http "$addr/packed/z:1"
}

@test "schema 1: signed, accepted, converted by others" {
    lab_image_schema1 "$addr" old/flagged:1
    lab_image_schema1 "$addr" old/bare:1 --unflagged
    lab_curl plain /v2/old/flagged/manifests/1 -H "$SCHEMA2" >manifest
    jq -e '.schemaVersion == 1 and (.fsLayers | length) == 5 and (.signatures | length) == 1' manifest
    for name in flagged bare; do
        skopeo copy -q --src-tls-verify=false "docker://$addr/old/$name:1" "oci:$T/out:$name"
    done
    assert_equal "$(skopeo inspect "oci:$T/out:flagged" | jq '.Layers | length')" 2
    assert_equal "$(skopeo inspect "oci:$T/out:bare" | jq '.Layers | length')" 5
    lab_docker one pull "$addr/old/flagged:1"

    lab_schema1_file old/flagged:1 served
    lab_schema1_file old/flagged:1 unsigned --unsigned
    jq -e '[.history[].v1Compatibility | fromjson | select(.throwaway)] | length == 3' unsigned
    assert_equal "$(jq -S 'del(.signatures)' served)" "$(jq -S . unsigned)"
    assert_equal "$(curl -sI -H "$SCHEMA2" "http://$addr/v2/old/flagged/manifests/1" |
        sed -n 's/^docker-content-digest: \(.*\)\r/\1/ip')" "sha256:$(sha256sum <unsigned | cut -c 1-64)"
}

@test "the registry turns schema 2 into schema 1 for those who accept nothing else" {
    lab_curl plain /v2/lab/blob/manifests/1 -H "$SCHEMA1" | jq -e '.schemaVersion == 1 and .signatures'
}

@test "docker build in a private daemon, and a container of what was pushed" {
    lab_image_docker_build one "$addr" built/it:1
    skopeo_inspect "docker://$addr/built/it:1" | jq -e '.Layers | length == 3'
    lab_docker one image rm "$addr/built/it:1"
    lab_docker one pull -q "$addr/built/it:1"
    assert_equal "$(lab_docker one run --rm --network none "$addr/built/it:1" cat /made)" "built/it:1"
    lab_docker_id one "$addr/built/it:1" | grep -q '^sha256:'
}

@test "two daemons at once, one of them over TLS; images survive a restart" {
    lab_dockerd two tls
    lab_docker one save "$(lab_docker one images -q | head -n 1)" >saved.tar
    lab_docker two load -q -i saved.tar
    lab_dockerd_restart two
    export DOCKER_HOST DOCKER_CONFIG=$T DOCKER_API_VERSION=1.41
    DOCKER_HOST=$(lab_docker_tcp two)
    DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$LAB_DIR/docker-certs docker images -q | grep -q .
    refute docker images
    unset DOCKER_HOST
    lab_dockerd_stop two
    lab_docker one version
}

@test "archives like those of docker save before 25 and since" {
    lab_docker_archive save/new:1 new.tar
    lab_docker one load -i new.tar
    lab_docker one save -o old.tar save/new:1
    tar -tf new.tar | grep -qx oci-layout
    refute grep -qx oci-layout <(tar -tf old.tar)
    for file in new old; do
        skopeo inspect "docker-archive:$T/$file.tar" | jq -e '.Layers | length == 2'
        lab_ctr cri images import "$file.tar"
    done
    lab_ctr cri images ls -q | grep -qx docker.io/save/new:1
}

is_managed() {
    lab_ctr cri images ls "name==$1" | grep -q io.cri-containerd
}

@test "containerd with CRI manages what is imported into k8s.io" {
    lab_ctr cri plugins ls | awk '$2 == "cri" && $4 == "ok" { found = 1 } END { exit !found }'
    lab_docker_archive cri/it:1 it.tar
    lab_ctr cri images import it.tar
    wait_until is_managed docker.io/cri/it:1
}

@test "a small file system fills" {
    dir=$(lab_tmpfs small 1m)
    refute dd if=/dev/zero of="$dir/big" bs=1M count=2
    umount "$dir"
}

@test "what a guest's processes have in their registers stays there" {
    lab_guest_program registers "${FLATNET_BUILD:-$REPO_ROOT/build}/tests/tools/registers"
    printf 'exec /run/lab/registers 1500\n' >script
    lab_guest registers script
}

# processors_of GUEST: where its kernel and its processes may run, a line for each of them that is still there.
processors_of() {
    local pid
    for pid in $(pgrep -f "uml_dir=$LAB_DIR/$1.guest/"); do
        sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$pid/status" 2>/dev/null || true
    done
}

@test "all processes of a guest are on one processor, those of the next guest on another" {
    local name seen last=none
    printf '%s\n' ': >/run/lab/begun' 'until [ -e /run/lab/end ]; do busybox sleep 0.1; done' >script
    for name in one-cpu next-cpu; do
        lab_guest_start "$name" script
        wait_until test -e "$(lab_guest_share "$name")/begun"
        seen=$(processors_of "$name")
        (($(wc -l <<<"$seen") > 2))
        seen=$(sort -u <<<"$seen")
        [[ $seen =~ ^[0-9]+$ ]] || fail "processors of '$name': $seen"
        [ "$(nproc)" = 1 ] || [ "$seen" != "$last" ]
        last=$seen
    done
    for name in one-cpu next-cpu; do
        : >"$(lab_guest_share "$name")/end"
        lab_guest_wait "$name"
    done
}

@test "a lab leaves nothing behind, also when its owner is killed" {
    cat >owner <<'SCRIPT'
set -euo pipefail
unset LAB_DIR
. "$LAB_HOME/lab.bash"
lab_init
lab_registry r
lab_dockerd d
lab_image_push "$(lab_registry_addr r)" a/b:1
lab_docker d pull -q "$(lab_registry_addr r)/a/b:1"
lab_docker d run -d --network none "$(lab_registry_addr r)/a/b:1" sleep 1000
lab_tmpfs small 1m
printf '%s\n' "$LAB_DIR" >dir
[ "$1" != kill ] || kill -s KILL "$$"
lab_cleanup
SCRIPT
    for how in clean kill; do
        bash owner "$how" || [ "$how" = kill ]
        wait_until test ! -e "$(cat dir)"
        refute pgrep -f -- "$(cat dir)"
        refute grep -F "$(cat dir)" /proc/self/mountinfo
    done
}

@test "a daemon that does not come up is an error, with its log" {
    : >"$LAB_DIR/broken.log"
    lab_spawn broken bash -c 'echo no such luck; exit 3'
    refute lab_ready broken 5 false 2>said
    assert_contains 'no such luck' said
    assert_contains "'broken' did not come up" said
}

@test "the assertions of the helper fail when they should" {
    export FLATNET=$T/program
    cat >program <<'SCRIPT'
#!/bin/sh
echo '{"a": 1}'
echo oops >&2
exit "$1"
SCRIPT
    chmod +x program
    run_flatnet 4
    assert_status 4
    assert_contains '"a"'
    assert_contains oops stderr
    assert_lacks oops
    assert_json '.a == 1'
    refute assert_status 0 2>/dev/null
    refute assert_contains oops 2>/dev/null
    refute assert_lacks oops stderr 2>/dev/null
    refute assert_json '.a == 2' 2>/dev/null
    refute run_flatnet 139 2>/dev/null
    refute need no-such-program 2>/dev/null
    mkdir some
    assert_no_leftovers some
    touch some/b some/.a
    assert_no_leftovers some b .a
    refute assert_no_leftovers some b 2>/dev/null
    export WAIT_SECONDS=0
    refute wait_until false 2>/dev/null
}
