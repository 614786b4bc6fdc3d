#!/usr/bin/env bats
# bundle create from registries that break off, lie, are busy or lead elsewhere. What needs a fault
# to the byte or to the second is in tests/unit/test_registry.c.
# timeout: 600
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load helper

setup_file() {
    start_lab
    lab_registry src
    lab_registry basic basic
    lab_registry token token
    lab_registry safe tls basic
    local name
    for name in src basic token safe; do
        lab_image_push "$(lab_registry_addr "$name")" team/app:1 --layers 2 --layer-kb 2000
    done
    lab_proxy p "$(lab_registry_addr src)"
    lab_proxy q "$(lab_registry_addr src)"
    export HOME=$BATS_FILE_TMPDIR
    p=$(lab_registry_addr p)
    whole=$BATS_FILE_TMPDIR/whole.tar
    "$FLATNET" bundle create --quiet -f - -o "$whole" --plain-http "$p" <<<"$p/team/app:1"
    export whole
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    p=$(lab_registry_addr p)
    q=$(lab_registry_addr q)
    rules '[]'
    lab_proxy_rules q '[]'
    lab_proxy_forget p
    lab_proxy_forget q
    printf '{"auths":{' >auth.json
    local name
    for name in basic token safe; do
        printf '"%s":{"auth":"%s"},' "$(lab_registry_addr "$name")" \
            "$(printf '%s:%s' "$LAB_USER" "$LAB_PASSWORD" | base64 -w0)" >>auth.json
    done
    printf '"unused.example":{}}}' >>auth.json
}

rules() {
    lab_proxy_rules p "$1"
}

# create ARG...: a bundle of the image behind the proxy.
create() {
    create_from "$p" "$@"
}

create_from() {
    rm -f out.tar
    run_flatnet bundle create -f - -o out.tar --plain-http "$1" --plain-http "$q" "${@:2}" <<<"$1/team/app:1"
}

# Whatever happened on the way, the bytes are the same.
assert_same() {
    assert_status 0
    cmp out.tar "$whole"
    assert_no_leftovers "$T" .home .stderr .stdout auth.json out.tar
}

assert_failed() {
    assert_status 5
    assert_contains "$1" stderr
    assert_contains "$1" out.tar.failed
    [ ! -e out.tar ]
}

requests() {
    lab_proxy_count p "$1"
}

@test "every blob breaks off once, and goes on where it stopped" {
    rules '[{"path": "/blobs/", "lacks": ["Range"], "do": {"cut": 150}}]'
    create
    assert_same
    assert_contains "trying again" stderr
    assert_equal "$(requests '.status == 206')" "$(requests '.range != null')"
    [ "$(requests '.range == "bytes=150-"')" -ge 3 ]
}

@test "blobs break off by a reset, and Range is not understood" {
    rules '[{"path": "/blobs/", "lacks": ["Range"], "do": {"cut": 100000, "reset": true}},
        {"path": "/blobs/", "has": ["Range"], "do": {"ignore_range": true}}]'
    create
    assert_same
    [ "$(requests '.range != null and .status == 200')" -ge 2 ]
}

@test "many breaks, each after some bytes, are not too many" {
    rules '[{"path": "/blobs/", "do": {"cut": 300000}}]'
    create --retries 1
    assert_same
    [ "$(requests '.status == 206')" -ge 12 ]
}

@test "breaks without a byte are, at last" {
    rules '[{"path": "/blobs/", "do": {"cut": 0}}]'
    create --retries 1
    assert_failed "connection to '$p' broke"
}

@test "503, 429 and 408 pass" {
    rules '[{"path": "/manifests/", "times": 1, "do": {"status": 503, "headers": {"Retry-After": "0"}}},
        {"path": "/manifests/", "nth": 2, "times": 1, "do": {"status": 408, "headers": {"Retry-After": "0"}}},
        {"path": "/blobs/", "times": 3, "do": {"status": 429, "headers": {"Retry-After": "0"}}}]'
    create
    assert_same
    assert_contains "rate limit of '$p' reached (429)" stderr
}

@test "a registry that is always down, or has no such image" {
    rules '[{"path": "/manifests/", "do": {"status": 502, "headers": {"Retry-After": "0"}}}]'
    create --retries 2
    assert_failed "answered 502"
    assert_equal "$(requests true)" 3
    rules '[]'
    lab_proxy_forget p
    run_flatnet bundle create -f - -o out.tar --plain-http "$p" <<<"$p/team/absent:1"
    assert_failed "not at '$p' (404): MANIFEST_UNKNOWN: manifest unknown"
    assert_equal "$(requests true)" 1
}

@test "a wait that is too long is not waited for" {
    rules '[{"path": "/manifests/", "do": {"status": 429, "headers": {"Retry-After": "21600", "Content-Type": "application/json"},
        "body": "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"You have reached your pull rate limit\"}]}"}}]'
    create
    assert_failed "TOOMANYREQUESTS: You have reached your pull rate limit; it asks to wait 360 minutes"
    assert_equal "$(requests true)" 1
}

@test "a flipped bit" {
    rules '[{"path": "/blobs/", "do": {"flip": 1000}}]'
    create
    assert_failed SHA-256
}

@test "a blob of the wrong length" {
    rules '[{"path": "/blobs/", "do": {"length": 7}}]'
    create --retries 1
    assert_failed "its manifest leaves"
    rules '[{"path": "/blobs/", "do": {"length": -7}}]'
    create --retries 1
    assert_failed "its manifest leaves"
}

@test "a manifest that is not the one that the index names" {
    lab_image_multi "$(lab_registry_addr src)" team/multi:1
    rules '[{"path": "/manifests/sha256", "do": {"flip": 20}}]'
    run_flatnet bundle create -f - -o out.tar --plain-http "$p" <<<"$p/team/multi:1"
    assert_failed "served other bytes"
}

@test "an endless manifest" {
    rules '[{"path": "/manifests/", "do": {"endless": "{\"a\":[", "headers": {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}}}]'
    create
    assert_failed "larger than the 4 MiB allowed"
}

@test "chunked bodies, slow bodies, and gzip that nobody asked for" {
    rules '[{"path": "/blobs/", "do": {"chunked": true}}]'
    create
    assert_same
    rules '[{"path": "/manifests/", "do": {"slow": 1000}}]'
    create
    assert_same
    rules '[{"do": {"gzip": true}}]'
    create
    assert_same
    assert_equal "$(requests '.accept_encoding != null')" 0
}

@test "gzip that breaks off starts over" {
    rules '[{"path": "/blobs/", "do": {"gzip": true, "cut": 100}, "times": 2}, {"path": "/blobs/", "do": {"gzip": true}}]'
    create
    assert_same
    assert_equal "$(requests '.range != null')" 0
}

@test "credentials do not follow a redirect to another host" {
    local basic
    lab_proxy b "$(lab_registry_addr basic)" --rules '[{"path": "/blobs/", "do": {"redirect": "http://'"$q"'"}}]'
    basic=$(lab_registry_addr b)
    sed -i "s/$(lab_registry_addr basic)/$basic/" auth.json
    create_from "$basic" --authfile auth.json
    assert_status 0
    [ "$(lab_proxy_count b '.auth == "Basic" and (.path | test("/blobs/")) and .status == 307')" -ge 2 ]
    assert_equal "$(lab_proxy_count q true)" "$(lab_proxy_count q '.auth == null and .status == 200')"
    [ "$(lab_proxy_count q true)" -ge 2 ]
    lab_stop b
}

@test "from https to http no redirect is followed" {
    local safe
    lab_proxy s "$(lab_registry_url safe)" --tls --rules '[{"path": "/blobs/", "do": {"redirect": "http://'"$q"'"}}]'
    safe=$(lab_registry_addr s)
    sed -i "s/$(lab_registry_addr safe)/$safe/" auth.json
    run_flatnet bundle create -f - -o out.tar --ca-file "$LAB_DIR/ca.crt" --authfile auth.json <<<"$safe/team/app:1"
    assert_failed "leads from https to http, which is not followed"
    assert_equal "$(lab_proxy_count q true)" 0
    lab_stop s
}

@test "a token server without TLS gets nothing from a registry with TLS" {
    local safe
    lab_proxy s "$(lab_registry_url safe)" --tls --rules '[{"do": {"status": 401, "headers":
        {"WWW-Authenticate": "Bearer realm=\"http://'"$q"'/token\",service=\"x\""}}}]'
    safe=$(lab_registry_addr s)
    sed -i "s/$(lab_registry_addr safe)/$safe/" auth.json
    run_flatnet bundle create -f - -o out.tar --ca-file "$LAB_DIR/ca.crt" --authfile auth.json <<<"$safe/team/app:1"
    assert_failed "names the token server 'http://$q' without TLS, which gets no credentials"
    assert_equal "$(lab_proxy_count q true)" 0
    lab_stop s
}

@test "redirects without end" {
    rules '[{"path": "/blobs/", "do": {"redirect": "http://'"$p"'"}}]'
    create
    assert_failed "redirects more than 5 times"
}

@test "an expired token is fetched anew, once" {
    local token
    lab_proxy t "$(lab_registry_addr token)"
    token=$(lab_registry_addr t)
    sed -i "s/$(lab_registry_addr token)/$token/" auth.json
    # The registry refuses the token once, in the middle of the work.
    lab_proxy_rules t '[{"path": "/blobs/", "has": ["Authorization"], "times": 1, "do": {"status": 401, "headers":
        {"WWW-Authenticate": "Bearer realm=\"'"$(lab_token_url token)"'\",service=\"token\",scope=\"repository:team/app:pull\""}}}]'
    : >"$LAB_DIR/token.tokens"
    create_from "$token" --authfile auth.json -j 1
    assert_status 0
    assert_equal "$(lab_token_count token '.status == 200')" 2
    # A server whose tokens are never good: asked twice, not for ever.
    lab_proxy_rules t '[]'
    lab_token_config token '{"backdate": 1000}'
    : >"$LAB_DIR/token.tokens"
    create_from "$token" --authfile auth.json
    assert_failed "are not enough"
    [ "$(lab_token_count token)" -le 2 ]
    lab_token_config token '{}'
    lab_stop t
}

@test "what token servers say, and do not say" {
    local token
    token=$(lab_registry_addr token)
    lab_token_config token '{"field": "access_token", "omit_expires": true}'
    create_from "$token" --authfile auth.json
    assert_status 0
    lab_token_config token '{"status": 503, "headers": {"Retry-After": "0"}}'
    create_from "$token" --authfile auth.json --retries 1
    assert_failed "answered 503"
    lab_token_config token '{"status": 403}'
    create_from "$token" --authfile auth.json
    assert_failed "answered 403: DENIED: no token"
    assert_contains "user '$LAB_USER' from 'auth.json'" stderr
    lab_token_config token '{"anonymous": true}'
    create_from "$token"
    assert_status 0
    lab_token_config token '{}'
}

@test "mirrors" {
    # Of a host that nobody can reach, through the proxy.
    run_flatnet bundle create -f - -o out.tar --plain-http "$p" --registry-mirror "docker.io=http://$p" <<<team/app:1
    assert_status 0
    # A mirror that has not got it, and one that is off.
    rules '[{"do": {"status": 404}}]'
    run_flatnet bundle create -f - -o two.tar --plain-http "$q" --registry-mirror "$q=http://$p" \
        --registry-mirror "$q=http://127.0.0.1:$(lab_free_port)" <<<"$q/team/app:1"
    assert_status 0
    assert_contains "is passed over for a minute" stderr
    [ "$(requests '.status == 404')" -ge 2 ]
    # A mirror that breaks in the middle of each blob, and then for good: the host goes on there.
    lab_proxy_forget q
    rules '[{"path": "/blobs/", "lacks": ["Range"], "do": {"cut": 120}}, {"has": ["Range"], "do": {"status": 404}}]'
    run_flatnet bundle create -f - -o three.tar --plain-http "$q" --registry-mirror "$q=http://$p" -j 1 <<<"$q/team/app:1"
    assert_status 0
    [ "$(lab_proxy_count q '.range == "bytes=120-" and .status == 206')" -ge 2 ]
    cmp two.tar three.tar
}

@test "a proxy of the environment" {
    local name=registry.test:5000
    printf '[]' >"$LAB_DIR/fwd.rules.json"
    lab_spawn fwd python3 "$LAB_HOME/fault-proxy.py" --addr-file "$LAB_DIR/fwd.addr" --rules "$LAB_DIR/fwd.rules.json" \
        --log "$LAB_DIR/fwd.requests" --map "$name=$(lab_registry_addr src)"
    lab_ready fwd 60 test -s "$LAB_DIR/fwd.addr"
    http_proxy=http://$(cat "$LAB_DIR/fwd.addr") run_flatnet bundle create -f - -o out.tar --plain-http "$name" <<<"$name/team/app:1"
    assert_status 0
    [ "$(lab_proxy_count fwd '.status == 200')" -ge 4 ]
    http_proxy=http://$(cat "$LAB_DIR/fwd.addr") no_proxy=registry.test run_flatnet bundle create -f - -o no.tar \
        --plain-http "$name" --retries 0 <<<"$name/team/app:1"
    assert_status 5
    assert_contains "cannot resolve the host name of '$name'" stderr
    lab_stop fwd
}

@test "the types that are asked for" {
    create
    assert_status 0
    assert_equal "$(requests '(.path | test("/manifests/")) and (.accept | test("manifest.v2.json.*manifest.list.v2.json.*image.manifest.v1.json.*image.index.v1.json"))')" \
        "$(requests '.path | test("/manifests/")')"
    assert_equal "$(requests '.agent | startswith("flatnet/") | not')" 0
}
