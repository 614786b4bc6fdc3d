# shellcheck shell=bash
# Registries of the lab, the token server, and the proxy that injects faults. Sourced by lab.bash.

# lab_registry NAME [plain|tls] [basic|token]: start Debian's docker-registry on a loopback port and
# wait until it answers. tls: certificate by the CA in $LAB_DIR/ca.crt. basic: $LAB_USER and
# $LAB_PASSWORD. token: a token server of its own (settings: lab_token_config). Deletes are allowed.
lab_registry() {
    local name=$1 dir=$LAB_DIR/$1.registry option
    shift
    mkdir -p "$dir"
    : >"$dir/options"
    for option in "$@"; do
        printf '%s\n' "$option" >>"$dir/options"
    done
    if lab_registry_has "$name" tls; then
        lab_certs || return 1
    fi
    if lab_registry_has "$name" token; then
        lab_token_server "$name" || return 1
    fi
    lab_registry_config "$name" 0 >"$dir/config.yml"
    lab_registry_start "$name"
}

# lab_registry_addr NAME: print HOST:PORT of a registry.
lab_registry_addr() {
    cat "$LAB_DIR/$1.addr"
}

# lab_registry_url NAME: print http://HOST:PORT or https://HOST:PORT.
lab_registry_url() {
    local scheme=http
    ! lab_registry_has "$1" tls || scheme=https
    printf '%s://%s\n' "$scheme" "$(lab_registry_addr "$1")"
}

# lab_registry_stop NAME, lab_registry_restart NAME: the port and the contents stay.
lab_registry_stop() {
    lab_stop "$1"
}

lab_registry_restart() {
    local addr
    addr=$(lab_registry_addr "$1")
    lab_stop "$1" || return 1
    lab_registry_config "$1" "${addr##*:}" >"$LAB_DIR/$1.registry/config.yml"
    lab_registry_start "$1"
}

# lab_registry_blobs NAME: print the folder that holds a registry's blobs (sha256/xx/HEX/data).
lab_registry_blobs() {
    printf '%s\n' "$LAB_DIR/$1.registry/data/docker/registry/v2/blobs"
}

# lab_curl NAME PATH [CURL_ARG...]: curl to a registry, with its CA and its user.
lab_curl() {
    local name=$1 path=$2
    local -a args=(--silent --show-error --fail-with-body)
    shift 2
    ! lab_registry_has "$name" tls || args+=(--cacert "$LAB_DIR/ca.crt")
    ! lab_registry_has "$name" basic || args+=(--user "$LAB_USER:$LAB_PASSWORD")
    curl "${args[@]}" "$@" "$(lab_registry_url "$name")$path"
}

lab_registry_has() {
    grep -qx "$2" "$LAB_DIR/$1.registry/options"
}

lab_registry_config() {
    local name=$1 port=$2 dir=$LAB_DIR/$1.registry
    cat <<YAML
version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $dir/data}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
compatibility: {schema1: {enabled: true}}
http:
  addr: 127.0.0.1:$port
  secret: lab
YAML
    if lab_registry_has "$name" tls; then
        printf '  tls: {certificate: %s/server.crt, key: %s/server.key}\n' "$LAB_DIR" "$LAB_DIR"
    fi
    if lab_registry_has "$name" basic; then
        htpasswd -Bbn "$LAB_USER" "$LAB_PASSWORD" >"$dir/htpasswd"
        printf 'auth: {htpasswd: {realm: lab, path: %s/htpasswd}}\n' "$dir"
    elif lab_registry_has "$name" token; then
        printf 'auth: {token: {realm: "%s", service: %s, issuer: lab, rootcertbundle: %s/token.crt}}\n' \
            "$(lab_token_url "$name")" "$name" "$dir"
    fi
}

# The registry takes port 0 and logs what it got, so there is no race for a port.
lab_registry_start() {
    local name=$1
    : >"$LAB_DIR/$name.log"
    lab_spawn "$name" docker-registry serve "$LAB_DIR/$name.registry/config.yml"
    lab_ready "$name" 60 lab_registry_find "$name"
}

lab_registry_find() {
    local name=$1 addr
    addr=$(sed -n 's/.*listening on \([0-9.]*:[0-9]*\).*/\1/p' "$LAB_DIR/$name.log" | tail -n 1)
    [ -n "$addr" ] || return 1
    printf '%s\n' "$addr" >"$LAB_DIR/$name.addr"
    case $(curl -s -o /dev/null -w '%{http_code}' -k "$(lab_registry_url "$name")/v2/") in
        200 | 401) return 0 ;;
        *) return 1 ;;
    esac
}

# lab_token_server NAME: the token server of registry NAME; lab_registry calls it. Every request is
# a JSON line in $LAB_DIR/NAME.tokens.
lab_token_server() {
    local name=$1 dir=$LAB_DIR/$1.registry
    local -a tls=()
    lab_openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=lab tokens' \
        -keyout "$dir/token.key" -out "$dir/token.crt" || return 1
    [ -e "$LAB_DIR/$name.token.json" ] || printf '{}\n' >"$LAB_DIR/$name.token.json"
    ! lab_registry_has "$name" tls || tls=(--tls-cert "$LAB_DIR/server.crt" --tls-key "$LAB_DIR/server.key")
    lab_spawn "$name-token" "$LAB_HOME/token-server.py" --addr-file "$LAB_DIR/$name-token.addr" \
        --key "$dir/token.key" --cert "$dir/token.crt" --service "$name" --issuer lab \
        --config "$LAB_DIR/$name.token.json" --log "$LAB_DIR/$name.tokens" "${tls[@]}"
    lab_ready "$name-token" 60 test -s "$LAB_DIR/$name-token.addr"
}

# lab_token_config NAME JSON: set the token server's settings (keys: head of token-server.py); they
# count from the next request on.
lab_token_config() {
    lab_put "$LAB_DIR/$1.token.json" "$2"
}

# lab_token_refresh NAME: print a refresh token of registry NAME, as a credential helper may hold one.
lab_token_refresh() {
    local -a tls=()
    ! lab_registry_has "$1" tls || tls=(--cacert "$LAB_DIR/ca.crt")
    curl -sf "${tls[@]}" -u "$LAB_USER:$LAB_PASSWORD" "$(lab_token_url "$1")?service=$1&offline_token=true" |
        jq -r .refresh_token
}

# lab_token_url NAME: print the realm of registry NAME.
lab_token_url() {
    local scheme=http
    ! lab_registry_has "$1" tls || scheme=https
    printf '%s://%s/token\n' "$scheme" "$(cat "$LAB_DIR/$1-token.addr")"
}

# lab_token_count NAME [JQ_FILTER]: print how many token requests there were (that match the filter).
lab_token_count() {
    lab_count "$LAB_DIR/$1.tokens" "${2:-true}"
}

# lab_proxy NAME UPSTREAM [--tls] [--rules JSON]: a reverse proxy with faults in front of UPSTREAM
# (HOST:PORT or a URL). --tls: it speaks TLS with our server certificate. lab_registry_addr and
# lab_registry_url tell where it is; rules and actions stand at the head of fault-proxy.py. Every
# request is a JSON line in $LAB_DIR/NAME.requests.
lab_proxy() {
    local name=$1 upstream=$2 rules='[]'
    local -a args=()
    shift 2
    mkdir -p "$LAB_DIR/$name.registry"
    : >"$LAB_DIR/$name.registry/options"
    while [ $# -gt 0 ]; do
        case $1 in
            --tls)
                printf 'tls\n' >"$LAB_DIR/$name.registry/options"
                lab_certs || return 1
                args+=(--tls-cert "$LAB_DIR/server.crt" --tls-key "$LAB_DIR/server.key")
                ;;
            --rules)
                rules=$2
                shift
                ;;
            *)
                lab_fail "lab_proxy: unknown option '$1'"
                return 1
                ;;
        esac
        shift
    done
    case $upstream in
        https://*) args+=(--upstream-ca "$LAB_DIR/ca.crt") ;;
        http://*) ;;
        *) upstream=http://$upstream ;;
    esac
    lab_proxy_start "$name" "$rules" --upstream "$upstream" "${args[@]}"
}

# lab_forward_proxy NAME [HOST:PORT=ADDR...]: a proxy for http_proxy and https_proxy, with the same log.
# It reaches loopback, and the given names at the given addresses; anything else is a 502.
# The server certificate is also good for registry-1.docker.io and registry.example.
lab_forward_proxy() {
    local name=$1 entry
    local -a args=()
    shift
    mkdir -p "$LAB_DIR/$name.registry"
    : >"$LAB_DIR/$name.registry/options"
    for entry in "$@"; do
        args+=(--map "$entry")
    done
    lab_proxy_start "$name" '[]' "${args[@]}"
}

lab_proxy_start() {
    local name=$1
    lab_proxy_rules "$name" "$2" || return 1
    shift 2
    rm -f "$LAB_DIR/$name.addr"
    lab_spawn "$name" "$LAB_HOME/fault-proxy.py" --addr-file "$LAB_DIR/$name.addr" \
        --rules "$LAB_DIR/$name.rules" --log "$LAB_DIR/$name.requests" "$@"
    lab_ready "$name" 60 test -s "$LAB_DIR/$name.addr"
}

# lab_proxy_rules NAME JSON: replace the rules; they count from the next request on, from zero.
lab_proxy_rules() {
    "$LAB_HOME/fault-proxy.py" --check "$2" || return 1
    lab_put "$LAB_DIR/$1.rules" "$2"
}

# lab_proxy_count NAME [JQ_FILTER]: print how many logged requests match, e.g. '.status == 206'.
lab_proxy_count() {
    lab_proxy_log "$1" | jq -s "map(select(${2:-true})) | length"
}

# lab_proxy_forget NAME: only requests that come from now on count, even though one before may end later.
lab_proxy_forget() {
    : >"$LAB_DIR/$1.requests"
    date +%s.%3N >"$LAB_DIR/$1.since"
}

# lab_proxy_log NAME: print the log's lines since then.
lab_proxy_log() {
    local since=0
    [ ! -e "$LAB_DIR/$1.since" ] || since=$(cat "$LAB_DIR/$1.since")
    [ ! -e "$LAB_DIR/$1.requests" ] || jq -c "select(.time >= $since)" "$LAB_DIR/$1.requests"
}

lab_count() {
    [ -e "$1" ] || { printf '0\n'; return 0; }
    jq -s "map(select($2)) | length" "$1"
}

# A new file under the old name: readers see the old text or the new one, and a new inode.
lab_put() {
    printf '%s\n' "$2" >"$1.new"
    mv "$1.new" "$1"
}
