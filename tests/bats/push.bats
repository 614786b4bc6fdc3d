#!/usr/bin/env bats
# flatnet images push into real registries, and through a proxy that fails.
# timeout: 600
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load helper

setup_file() {
    local src
    start_lab
    lab_registry src
    src=$(lab_registry_addr src)
    lab_image_push "$src" team/one:1 --base-shared --layer-kb 300
    lab_image_push "$src" team/two:1 --base-shared --format oci
    lab_image_multi "$src" team/multi:1
    export BUNDLE=$BATS_FILE_TMPDIR/bundle.tar
    bundle_of "$BUNDLE" team/one:1 team/two:1 team/multi:1
}

teardown_file() {
    lab_cleanup
}

# Each test has a registry without anything in it, behind a proxy that counts.
setup() {
    common_setup
    src=$(lab_registry_addr src)
    n=$BATS_TEST_NUMBER
    lab_registry "dst$n"
    dst=$(lab_registry_addr "dst$n")
    lab_proxy "p$n" "$dst"
    p=$(lab_registry_addr "p$n")
}

teardown() {
    lab_stop "p$n"
    lab_registry_stop "dst$n"
}

# bundle_of FILE REPO:TAG... [-- ARG...]: a bundle of images of the source registry, of both
# platforms unless ARGs say other.
bundle_of() {
    local file=$1 list='' src
    local -a args=(--platform linux/amd64 --platform linux/arm64)
    shift
    src=$(lab_registry_addr src)
    while [ $# -gt 0 ]; do
        if [ "$1" = -- ]; then
            shift
            args=("$@")
            break
        fi
        list+=$src/$1$'\n'
        shift
    done
    "$FLATNET" bundle create --quiet -f - -o "$file" --plain-http "$src" "${args[@]}" <<<"$list"
}

# push ARG...: the bundle to the proxy.
push() {
    run_flatnet images push "$BUNDLE" --registry "$p" --plain-http "$p" "$@"
}

# digest_in ADDR REPO TAG: what a registry says its tag is.
digest_in() {
    curl -sfI -H 'Accept: application/vnd.oci.image.index.v1+json' \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
        -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        -H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' \
        "http://$1/v2/$2/manifests/$3" | tr -d '\r' | sed -n 's/^docker-content-digest: //Ip'
}

# assert_same REPO: the digest of REPO:1 is that of the source.
assert_same() {
    assert_equal "$(digest_in "$dst" "$1" 1)" "$(digest_in "$src" "$1" 1)" "digest of $1"
}

# assert_whole REPO:TAG: another client takes all of the image out of the registry.
assert_whole() {
    rm -rf "$T/copy"
    skopeo --insecure-policy copy --quiet --all --src-tls-verify=false "docker://$dst/$1" "dir:$T/copy"
}

count() {
    lab_proxy_count "p$n" "$1"
}

# A bit in the middle of a layer of team/one, which no other image has.
corrupt_one() {
    local hex
    hex=$(curl -sf -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        "http://$src/v2/team/one/manifests/1" | jq -r '.layers[1].digest | ltrimstr("sha256:")')
    cp "$BUNDLE" "$1"
    python3 - "$1" "$hex" <<'PY'
import sys, tarfile
path, digest = sys.argv[1:]
with tarfile.open(path) as tar:
    member = tar.getmember("blobs/sha256/" + digest)
with open(path, "r+b") as bundle:
    bundle.seek(member.offset_data + member.size // 2)
    byte = bundle.read(1)[0]
    bundle.seek(-1, 1)
    bundle.write(bytes([byte ^ 1]))
PY
}

@test "images keep their digests, and another client can read them" {
    push
    assert_status 0
    assert_contains "3 images pushed, 0 already there, 0 failed"
    for repo in team/one team/two team/multi; do
        assert_same "$repo"
        assert_whole "$repo:1"
    done
    # The mapping, for the YAML.
    assert_contains "$src/team/one:1    $p/team/one:1"
}

@test "what is there is not sent again" {
    push
    assert_status 0
    lab_proxy_forget "p$n"
    push --format json
    assert_status 0
    assert_json '.schemaVersion == 1 and .summary.present == 3 and .summary.pushed == 0 and .summary.bytesSent == 0'
    assert_equal "$(count '.method != "HEAD"')" 0 "requests that change"
    assert_equal "$(count true)" 3 "requests"
}

@test "a blob that another repository got is mounted, not sent" {
    push --format json
    assert_status 0
    assert_json '.summary.blobsMounted == 1'
    assert_equal "$(count '.method == "POST" and (.path | test("mount=")) and .status == 201')" 1
    # Each blob was sent once.
    assert_json '.summary.blobsSent == $sent' --argjson sent "$(count '.method == "PUT" and (.path | test("/uploads/")) and .status == 201')"
}

@test "names" {
    run_flatnet images push "$BUNDLE" --registry "$p/a/b" --plain-http "$p" --only '*/team/one:1' --format json
    assert_status 0
    assert_json '.images == [{reference: ($s + "/team/one:1"), target: ($p + "/a/b/team/one:1"), digest: .images[0].digest, result: "pushed"}]' \
        --arg s "$src" --arg p "$p"
    run_flatnet images push "$BUNDLE" --registry "$p/a/" --plain-http "$p" --only '*/team/one:1' --keep-host --format json
    assert_status 0
    assert_json '.images[0].target == $t' --arg t "$p/a/${src/:/-}/team/one:1"
    run_flatnet images push "$BUNDLE" --registry "$p" --plain-http "$p" --only '*/team/one:1' --flat --format json
    assert_status 0
    assert_json '.images[0].target == $t' --arg t "$p/one:1"
    assert_whole "a/b/team/one:1"
    assert_whole "a/${src/:/-}/team/one:1"
    assert_whole "one:1"
}

@test "two images for one name are refused before anything is sent" {
    lab_image_push "$src" other/one:1
    bundle_of two.tar team/one:1 other/one:1
    run_flatnet images push two.tar --registry "$p" --plain-http "$p" --flat
    assert_status 2
    assert_contains "would both become '$p/one:1'" stderr
    assert_equal "$(count true)" 0 "requests"
}

@test "an index of which only some platforms are there" {
    bundle_of part.tar team/multi:1 -- --platform linux/arm64
    run_flatnet images push part.tar --registry "$p" --plain-http "$p" --format json
    assert_status 0
    assert_whole team/multi:1
    # One platform is a plain manifest: the child of the original index.
    assert_json '.images[0].digest == $d' \
        --arg d "$(curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$src/v2/team/multi/manifests/1" |
            jq -r '.manifests[] | select(.platform.architecture == "arm64").digest')"
    lab_image_multi "$src" team/three:1 attestation
    bundle_of att.tar team/three:1
    run_flatnet images push att.tar --registry "$p" --plain-http "$p" --format json
    assert_status 0
    assert_whole team/three:1
    # The original names an attestation that the bundle has not.
    refute assert_same team/three
    assert_equal "$(digest_in "$dst" team/three 1)" "$(jq -r '.images[0].digest' <<<"$json")"
}

@test "an image named by its digest" {
    local digest
    digest=$(digest_in "$src" team/multi 1)
    "$FLATNET" bundle create --quiet -f - -o digest.tar --plain-http "$src" \
        --platform linux/amd64 --platform linux/arm64 <<<"$src/team/multi@$digest"
    run_flatnet images push digest.tar --registry "$p" --plain-http "$p" --format json
    assert_status 0
    assert_json '.images[0].target == $t' --arg t "$p/team/multi@$digest"
    assert_whole "team/multi@$digest"
}

@test "one image that is refused does not stop the others" {
    lab_proxy_rules "p$n" '[{"path": "/v2/team/two/", "method": "P.*", "do": {"status": 403,
        "headers": {"Content-Type": "application/json"}, "body": "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"read-only project\"}]}"}}]'
    push
    assert_status 5
    assert_contains "error: '$src/team/two:1': " stderr
    assert_contains "answered 403: DENIED: read-only project" stderr
    assert_contains "2 images pushed, 0 already there, 1 failed"
    assert_same team/one
    assert_same team/multi
    assert_equal "$(digest_in "$dst" team/two 1)" ""
}

@test "a corrupt blob is never handed over" {
    corrupt_one bad.tar
    run_flatnet images push bad.tar --registry "$p" --plain-http "$p"
    assert_status 5
    assert_contains "error: '$src/team/one:1': " stderr
    assert_equal "$(digest_in "$dst" team/one 1)" ""
    assert_same team/two
    assert_same team/multi
}

@test "TLS and Basic, with credentials from login" {
    local safe
    lab_registry "safe$n" tls basic
    safe=$(lab_registry_addr "safe$n")
    run_flatnet images push "$BUNDLE" --registry "$safe" --ca-file "$LAB_DIR/ca.crt"
    assert_status 7
    assert_contains "flatnet registry login $safe" stderr
    run_flatnet registry login "$safe" -u "$LAB_USER" --password-stdin --ca-file "$LAB_DIR/ca.crt" <<<"$LAB_PASSWORD"
    assert_status 0
    run_flatnet images push "$BUNDLE" --registry "$safe/x" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    lab_curl "safe$n" /v2/x/team/multi/manifests/1 -o /dev/null -H 'Accept: application/vnd.oci.image.index.v1+json'
    lab_registry_stop "safe$n"
}

@test "a token server" {
    local token
    lab_registry "token$n" token
    token=$(lab_registry_addr "token$n")
    printf '{"auths":{"%s":{"auth":"%s"}}}' "$token" "$(printf '%s:%s' "$LAB_USER" "$LAB_PASSWORD" | base64 -w0)" >auth.json
    run_flatnet images push "$BUNDLE" --registry "$token" --plain-http "$token" --authfile auth.json --format json
    assert_status 0
    assert_json '.summary.pushed == 3 and .summary.blobsMounted == 1'
    # Three repositories to push to, and one mount across two.
    assert_equal "$(lab_token_count "token$n")" 4
    lab_stop "token$n-token"
    lab_registry_stop "token$n"
}

@test "uploads that break start anew" {
    lab_proxy_rules "p$n" '[{"method": "PUT", "path": "/uploads/", "times": 2, "do": {"cut_upload": 1000}},
        {"method": "PUT", "path": "/uploads/", "nth": 2, "times": 1, "do": {"status": 503, "headers": {"Retry-After": "0"}}},
        {"method": "PUT", "path": "/manifests/", "times": 1, "do": {"status": 429, "headers": {"Retry-After": "0"}}}]'
    push
    assert_status 0
    assert_contains "trying again" stderr
    for repo in team/one team/two team/multi; do
        assert_same "$repo"
        assert_whole "$repo:1"
    done
}

@test "a registry that takes no blob in one piece gets chunks" {
    local big
    bundle_of big.tar team/one:1
    lab_image_push "$src" team/big:1 --layer-kb 40000
    bundle_of big.tar team/big:1
    lab_proxy_rules "p$n" '[{"method": "PUT", "path": "/uploads/.*digest=", "has": ["Content-Type"], "do": {"status": 413}}]'
    run_flatnet images push big.tar --registry "$p" --plain-http "$p" -j 1
    assert_status 0
    assert_same team/big
    assert_whole team/big:1
    # 40 MB in chunks of 16 MiB, and the rest in one each; only the first blob was tried whole.
    big=$(count '.method == "PATCH" and .status == 202')
    [ "$big" -ge 5 ]
    assert_equal "$(count '.status == 413')" 1
}

@test "Locations may be relative, and never lead from https to http" {
    lab_proxy_rules "p$n" '[{"method": "P.*", "do": {"relative": true}}]'
    push --only '*/team/one:1'
    assert_status 0
    assert_same team/one
    lab_proxy "s$n" "$dst" --tls --rules '[{"method": "POST", "do": {"headers": {"Location": "http://127.0.0.1/upload"}}}]'
    run_flatnet images push "$BUNDLE" --registry "$(lab_registry_addr "s$n")/t" --ca-file "$LAB_DIR/ca.crt" --only '*/team/one:1'
    assert_status 7
    assert_contains "leads from https to http, which is not followed" stderr
    lab_stop "s$n"
}

@test "a registry that is not there" {
    SECONDS=0
    run_flatnet images push "$BUNDLE" --registry "127.0.0.1:$(lab_free_port)" --retries 1
    assert_status 7
    assert_contains "Connection refused" stderr
    assert_equal "$output" ""
}

@test "a delta without its base" {
    bundle_of base.tar team/one:1
    bundle_of delta.tar team/one:1 team/two:1 -- --base base.tar
    run_flatnet images push delta.tar --registry "$p" --plain-http "$p"
    assert_status 5
    assert_contains "--base" stderr
    run_flatnet images push delta.tar --base base.tar --registry "$p" --plain-http "$p"
    assert_status 0
    assert_whole team/two:1
    # Where the registry has the base, the delta is enough.
    run_flatnet images push base.tar --registry "$p/new" --plain-http "$p"
    assert_status 0
    run_flatnet images push delta.tar --registry "$p/new" --plain-http "$p"
    assert_status 0
    assert_whole new/team/two:1
    assert_contains "1 mounted"
}

@test "usage errors" {
    run_flatnet images push "$BUNDLE"
    assert_status 2
    assert_contains "'--registry' is needed" stderr
    run_flatnet images push "$BUNDLE" --registry "$p" --flat --keep-host
    assert_status 2
    run_flatnet images push "$BUNDLE" --registry team
    assert_status 2
    assert_contains "does not begin with a registry's host" stderr
    run_flatnet images push "$BUNDLE" --registry "http://$p"
    assert_status 2
    run_flatnet images push "$BUNDLE" --registry "$p/UPPER"
    assert_status 2
    run_flatnet images push "$BUNDLE" --registry "$p" --only nothing
    assert_status 2
    run_flatnet images push absent.tar --registry "$p"
    assert_status 1
    assert_equal "$(count true)" 0 "requests"
}
