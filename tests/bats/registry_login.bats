#!/usr/bin/env bats
# flatnet registry login and logout, and how bundle create finds credentials and certificates.
# timeout: 300
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load helper

setup_file() {
    start_lab
    lab_registry basic tls basic
    lab_registry token tls token
    lab_registry plain
    lab_image_push "$(lab_registry_addr basic)" team/app:1
    lab_image_push "$(lab_registry_addr token)" team/app:1
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    basic=$(lab_registry_addr basic)
    token=$(lab_registry_addr token)
    auth=$HOME/.config/containers/auth.json
}

# login HOST ARG...: with the right password.
login() {
    run_flatnet registry login "$1" --username "$LAB_USER" --password-stdin "${@:2}" <<<"$LAB_PASSWORD"
}

# create_from HOST ARG...: a bundle of the image that every registry here has.
create_from() {
    run_flatnet bundle create -f - -o out.tar "${@:2}" <<<"$1/team/app:1"
}

# trust HOST: our CA, in the certs.d folder of HOST.
trust() {
    mkdir -p "$HOME/.config/containers/certs.d/$1"
    cp "$LAB_DIR/ca.crt" "$HOME/.config/containers/certs.d/$1/ca.crt"
}

@test "login to a registry with Basic, stored where create and skopeo find it" {
    login "$basic" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    assert_equal "$output" "login succeeded for $basic, stored in $auth"
    assert_equal "$(stat -c %a "$auth")" 600
    assert_equal "$(jq -r --arg h "$basic" '.auths[$h].auth' "$auth" | base64 -d)" "$LAB_USER:$LAB_PASSWORD"
    create_from "$basic" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    skopeo inspect --tls-verify=false "docker://$basic/team/app:1" >/dev/null
    assert_lacks "$LAB_PASSWORD" stderr
}

@test "login to a registry with a token server" {
    : >"$LAB_DIR/token.tokens"
    login "$token" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    assert_equal "$(lab_token_count token '.grant == "basic" and .status == 200')" 1
    create_from "$token" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    # One more for the image's scope, however many requests there were.
    assert_equal "$(lab_token_count token '.scopes == ["repository:team/app:pull"]')" 1
    assert_equal "$(lab_token_count token)" 2
}

@test "a wrong password is not stored" {
    for host in "$basic" "$token"; do
        run_flatnet registry login "$host" -u "$LAB_USER" --password-stdin --ca-file "$LAB_DIR/ca.crt" <<<wrong
        assert_status 7
        assert_contains "'$host' does not take these credentials" stderr
        assert_lacks wrong stderr
    done
    [ ! -e "$auth" ]
}

@test "without credentials the message says how to get some" {
    for host in "$basic" "$token"; do
        create_from "$host" --ca-file "$LAB_DIR/ca.crt"
        assert_status 5
        assert_contains "flatnet registry login $host" stderr
        [ ! -e out.tar ]
    done
}

@test "a CA that is not known, and certs.d" {
    login "$basic"
    assert_status 7
    assert_contains "signed by a CA that is not trusted here" stderr
    assert_contains "--ca-file" stderr
    trust "$basic"
    login "$basic"
    assert_status 0
    # Of two hosts that are talked to, the registry and its token server, each needs its own.
    trust "$token"
    login "$token"
    assert_status 7
    assert_contains "'$(cat "$LAB_DIR/token-token.addr")' is signed by a CA" stderr
    trust "$(cat "$LAB_DIR/token-token.addr")"
    login "$token"
    assert_status 0
}

@test "--tls-verify=false" {
    login "$basic" --tls-verify=false
    assert_status 0
    create_from "$basic" --tls-verify=false
    assert_status 0
}

@test "a registry without TLS" {
    local plain
    plain=$(lab_registry_addr plain)
    login "$plain"
    assert_status 7
    assert_contains "'$plain' does not speak TLS (https); if that is meant, use --plain-http $plain" stderr
    login "$plain" --plain-http
    assert_status 0
    assert_contains "does not ask for credentials" stderr
}

@test "login keeps what else is in the file, and goes where --authfile or REGISTRY_AUTH_FILE say" {
    printf '{"auths":{"other.example":{"auth":"QQ=="}},"credHelpers":{"a.example":"x"},"other":[1]}' >mine.json
    login "$basic" --ca-file "$LAB_DIR/ca.crt" --authfile mine.json --format json
    assert_status 0
    assert_json '.schemaVersion == 1 and .result == "stored" and .host == $h and .file == "mine.json"' --arg h "$basic"
    jq -e '.auths["other.example"].auth == "QQ==" and .credHelpers["a.example"] == "x" and .other == [1]' mine.json
    [ ! -e "$auth" ]
    create_from "$basic" --ca-file "$LAB_DIR/ca.crt" --authfile mine.json
    assert_status 0
    export REGISTRY_AUTH_FILE=$T/env.json
    login "$basic" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    jq -e --arg h "$basic" '.auths[$h].auth' env.json
}

@test "logout" {
    login "$basic" --ca-file "$LAB_DIR/ca.crt"
    login "$token" --ca-file "$LAB_DIR/ca.crt"
    run_flatnet registry logout "$basic"
    assert_status 0
    assert_equal "$output" "removed the credentials for $basic from $auth"
    jq -e --arg b "$basic" --arg t "$token" '.auths | has($t) and (has($b) | not)' "$auth"
    run_flatnet registry logout "$basic"
    assert_status 1
    create_from "$basic" --ca-file "$LAB_DIR/ca.crt"
    assert_status 5
}

@test "logout leaves docker's file alone and says that it counts" {
    mkdir -p "$HOME/.docker"
    printf '{"auths":{"%s":{"auth":"%s"}}}' "$basic" "$(printf '%s:%s' "$LAB_USER" "$LAB_PASSWORD" | base64 -w0)" \
        >"$HOME/.docker/config.json"
    cp "$HOME/.docker/config.json" before.json
    login "$basic" --ca-file "$LAB_DIR/ca.crt"
    run_flatnet registry logout "$basic"
    assert_status 0
    assert_contains "'$HOME/.docker/config.json'" stderr
    cmp before.json "$HOME/.docker/config.json"
    create_from "$basic" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
}

@test "credentials from a helper" {
    mkdir -p bin "$HOME/.docker"
    cat >bin/docker-credential-lab <<'SH'
#!/bin/sh
read -r server
echo "$1 $server" >>"$T/calls"
printf '{"Username":"%s","Secret":"%s"}' "$LAB_USER" "$LAB_PASSWORD"
SH
    chmod +x bin/docker-credential-lab
    printf '{"credsStore":"lab"}' >"$HOME/.docker/config.json"
    PATH=$T/bin:$PATH create_from "$basic" --ca-file "$LAB_DIR/ca.crt"
    assert_status 0
    assert_equal "$(cat calls)" "get $basic"
    printf '{"credsStore":"absent"}' >"$HOME/.docker/config.json"
    create_from "$basic" --ca-file "$LAB_DIR/ca.crt"
    assert_status 5
    assert_contains "docker-credential-absent" stderr
}

@test "an identity token" {
    local refresh
    refresh=$(curl -sf --cacert "$LAB_DIR/ca.crt" -u "$LAB_USER:$LAB_PASSWORD" \
        "$(lab_token_url token)?service=token&offline_token=true" | jq -r .refresh_token)
    printf '{"auths":{"%s":{"identitytoken":"%s"}}}' "$token" "$refresh" >mine.json
    create_from "$token" --ca-file "$LAB_DIR/ca.crt" --authfile mine.json
    assert_status 0
    assert_equal "$(lab_token_count token '.grant == "refresh_token" and .status == 200')" 1
    printf '{"auths":{"%s":{"identitytoken":"stale"}}}' "$token" >mine.json
    create_from "$token" --ca-file "$LAB_DIR/ca.crt" --authfile mine.json
    assert_status 5
    assert_contains "an identity token from 'mine.json'" stderr
    assert_lacks stale stderr
}

@test "a client certificate from certs.d" {
    local port host
    port=$(lab_free_port)
    host=127.0.0.1:$port
    lab_spawn mtls socat "openssl-listen:$port,bind=127.0.0.1,reuseaddr,fork,cert=$LAB_DIR/server.crt,key=$LAB_DIR/server.key,cafile=$LAB_DIR/ca.crt,verify=1" \
        "tcp:$(lab_registry_addr plain)"
    lab_image_push "$(lab_registry_addr plain)" team/app:1
    lab_ready mtls 60 curl -sf --cacert "$LAB_DIR/ca.crt" --cert "$LAB_DIR/client.crt" --key "$LAB_DIR/client.key" "https://$host/v2/"
    create_from "$host" --ca-file "$LAB_DIR/ca.crt" --retries 0
    assert_status 5
    mkdir -p "$HOME/.config/containers/certs.d/$host"
    cp "$LAB_DIR/ca.crt" "$LAB_DIR/client.key" "$HOME/.config/containers/certs.d/$host"
    cp "$LAB_DIR/client.crt" "$HOME/.config/containers/certs.d/$host/client.cert"
    create_from "$host"
    assert_status 0
    lab_stop mtls
}

# on_terminal COMMAND...: runs it on a terminal of its own; input comes from the file `keys`, one
# line per prompt. What the terminal showed is in `screen`, the exit status in `code`, and whether
# the terminal echoes afterwards in `echo`.
on_terminal() {
    python3 - "$@" <<'PY'
import os, pty, sys, termios
keys = [line.encode().decode("unicode_escape").encode() for line in open("keys").read().splitlines()]
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
screen = b""
while True:
    try:
        got = os.read(fd, 4096)
    except OSError:
        break
    screen += got
    if keys and screen.endswith(b": "):
        # The prompt comes before the echo goes; what is typed in between is dropped.
        if b"password" in screen:
            while termios.tcgetattr(fd)[3] & termios.ECHO:
                pass
        os.write(fd, keys.pop(0))
        screen += b"|"
open("screen", "wb").write(screen)
open("code", "w").write(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
PY
}

@test "it asks on the terminal, and the password is not shown" {
    printf '%s\\n\n%s\\n\n' "$LAB_USER" "$LAB_PASSWORD" >keys
    on_terminal "$FLATNET" registry login "$basic" --ca-file "$LAB_DIR/ca.crt"
    assert_equal "$(cat code)" 0
    assert_contains "user name for $basic: " screen
    assert_contains "password for $basic: " screen
    assert_contains "login succeeded" screen
    assert_lacks "$LAB_PASSWORD" screen
    jq -e --arg h "$basic" '.auths[$h].auth' "$auth"
}

@test "Ctrl-C at the password leaves a terminal that echoes" {
    printf '\\x03\n' >keys
    # shellcheck disable=SC2016
    on_terminal /bin/sh -c '"$0" registry login "$1" -u x; echo "status $?"; stty -a' "$FLATNET" "$basic"
    assert_contains "status 130" screen
    assert_contains " echo " screen
    assert_lacks "-echo " screen
    assert_contains isig screen
    assert_lacks "-isig" screen
    [ ! -e "$auth" ]
}

@test "usage errors" {
    run_flatnet registry login
    assert_status 2
    run_flatnet registry login nodots -u x --password-stdin <<<x
    assert_status 2
    assert_contains "'nodots' is not a registry's host" stderr
    run_flatnet registry login "$basic" --password-stdin <<<x
    assert_status 2
    assert_contains "needs '--username'" stderr
    run_flatnet registry login "$basic" -u x --password-stdin </dev/null
    assert_status 2
    run_flatnet registry login "$basic" -u a:b --password-stdin <<<x
    assert_status 2
    run setsid -w "$FLATNET" registry login "$basic" -u x
    assert_equal "$status" 2
    [[ $output == *"no terminal"* ]]
    run_flatnet registry login "$basic" -u x --password-stdin --authfile bad.json --ca-file absent.pem <<<x
    assert_status 2
    assert_contains "'absent.pem'" stderr
}

@test "a registry that cannot be reached" {
    run_flatnet registry login "127.0.0.1:$(lab_free_port)" -u x --password-stdin <<<x
    assert_status 7
    assert_contains "Connection refused" stderr
    run_flatnet registry login no-such-host.invalid -u x --password-stdin <<<x
    assert_status 7
    assert_contains "cannot resolve the host name of 'no-such-host.invalid'" stderr
}

@test "a malformed file of credentials is named" {
    printf '{' >bad.json
    create_from "$basic" --authfile bad.json
    assert_status 2
    assert_contains "'bad.json'" stderr
    create_from "$basic" --authfile absent.json
    assert_status 2
    assert_contains "'absent.json'" stderr
}
