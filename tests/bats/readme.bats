# serial
# timeout: 1200
# Both READMEs hold the same commands, and every one of them works as it stands there. The names in
# them (registry.example, docker.io, harbor.example) are real names to the commands: a proxy leads each
# to a registry of the lab, whose certificates are good for them. At the site only the site's own
# registry can be reached.
#
# Before each ```sh block stands <!-- test: PLACE -->, or <!-- test: PLACE, exit N -->. PLACE is tree
# (the source tree, nothing else), online, site, cluster (a site with a kubeconfig; nodes and pods of
# that cluster are objects only), network (a cluster with the addons, but nothing that runs), host (a
# machine of its own at the site, rebooted for each block), or rescue (a site without flatnet).
load helper
load deploy
# shellcheck source=tests/lab/kube.bash
. "$LAB_HOME/kube.bash"
# shellcheck source=tests/lab/guest.bash
. "$LAB_HOME/guest.bash"
export LAB_USER=ci

setup_file() {
    # The reader has a HOME of its own here; what was built once is not built again.
    export FLATNET_CACHE=${FLATNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flatnet}
    export STATIC=${FLATNET_STATIC:-$REPO_ROOT/dist/linux-amd64/flatnet}
    start_lab
    need docker ctr make
    # Where make keeps what is slow to build; common_setup gives each test another one.
    export USER_HOME=$HOME
    lab_certs
    # In place of the usual one: good for every name in the README.
    lab_cert server 'subjectAltName=IP:127.0.0.1,DNS:registry-1.docker.io,DNS:quay.io,DNS:registry.example,DNS:harbor.example' \
        'extendedKeyUsage=serverAuth'
    lab_registry hub tls
    lab_registry ours tls basic
    lab_registry harbor tls basic
    lab_forward_proxy online "registry-1.docker.io:443=$(lab_registry_addr hub)" \
        "quay.io:443=$(lab_registry_addr hub)" "registry.example:443=$(lab_registry_addr ours)"
    lab_forward_proxy site "harbor.example:443=$(lab_registry_addr harbor)"
    make_images
    lab_dockerd host
    lab_dockerd spare
    lab_containerd spare-ctr
    lab_switch site-switch
    deploy_setup_file k
    make_server
    make_place
    make_network
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
}

make_images() {
    local ref maker
    local -a makers=()
    for ref in nfvpe/multus:v3.2 coreos/flannel:v0.10.0-amd64 cnrancher/rancher:v2.2.3 \
        cnrancher/static-macvlan-cni:v0.2.1 cnrancher/network-controller:v0.3.0 \
        cnrancher/k8s-net-attach-def-controller:v0.1.0 rancher/flannel-cni:v0.3.0-rancher6; do
        lab_image_push "$(lab_registry_addr hub)" "$ref" --base-shared &
        makers+=("$!")
    done
    for ref in tools/netcheck:1.4 tools/netcheck:1.5; do
        lab_image_push "$(lab_registry_addr ours)" "$ref" --base-shared &
        makers+=("$!")
    done
    for maker in "${makers[@]}"; do
        wait "$maker"
    done
}

# A container of that name with rancher-server's data folder; it need not run for `docker cp`.
make_server() {
    mkdir -p "$LAB_DIR/server/var/lib/rancher"
    tar -C "$LAB_DIR/server" -c . | lab_docker host import - server:1 >/dev/null
    lab_docker host create --name rancher-server --network none server:1 /none >/dev/null
}

# A control plane with the addons and a Deployment called web.
make_network() {
    lab_kube network
    "$FLATNET" addons render --mode multus --kube-version 1.20 -o "$LAB_DIR/addons" >/dev/null
    lab_kubectl network apply -f "$LAB_DIR/addons/macvlan-network.yml" >/dev/null
    lab_kubectl network wait --for condition=established crd --all --timeout "$(lab_patience 120)s" >/dev/null
    lab_kubectl network create deployment web --image web:1 --replicas 2 >/dev/null
}

# The folder that the reader of the README works in, with what the text says is there.
make_place() {
    local work=$LAB_DIR/work
    mkdir -p "$work/home" "$work/network-addons" "$work/dist/linux-amd64" "$LAB_DIR/bin"
    ln -s "$FLATNET" "$LAB_DIR/bin/flatnet"
    cp "$STATIC" "$work/dist/linux-amd64/"
    cp -r "${STATIC%/*/*}/images" "$work/dist/"
    printf '%s\n' "$LAB_PASSWORD" >"$work/password.txt"
    printf '%s\n' 'apiVersion: v1' 'kind: Pod' 'metadata: {name: addons}' 'spec:' '  containers:' \
        '  - {name: multus, image: "nfvpe/multus:v3.2"}' \
        '  - {name: flannel, image: "quay.io/coreos/flannel:v0.10.0-amd64"}' \
        >"$work/network-addons/macvlan-network.yml"
}

# split_blocks README DIR: each command block as DIR/NN.sh with its marker in DIR/NN.mark.
split_blocks() {
    mkdir -p "$2"
    awk -v dir="$2" '
        /^<!-- test: .* -->$/ { mark = substr($0, 12, length($0) - 15); next }
        /^```/ && !inside {
            if ($0 != "```sh" || mark == "") { print FILENAME ":" FNR ": a block without a marker"; bad = 1 }
            inside = 1
            file = sprintf("%s/%02d", dir, ++n)
            print mark >(file ".mark")
            close(file ".mark")
            next
        }
        /^```$/ && inside { inside = 0; mark = ""; close(file ".sh"); next }
        inside { print >(file ".sh") }
        !inside && /[^ ]/ && mark != "" { print FILENAME ":" FNR ": a marker without a block"; bad = 1; mark = "" }
        END { exit bad || inside || n < 10 }' "$1"
}

# run_block SCRIPT PLACE: as the reader would, in the environment of that place. Standard output and
# error go to the caller. What the tree's Makefile builds and installs goes below $LAB_DIR.
run_block() (
    unset BATS_TEST_TMPDIR BATS_RUN_TMPDIR
    export HOME=$LAB_DIR/work/home PATH=$LAB_DIR/bin:$PATH SSL_CERT_FILE=$LAB_DIR/ca.crt
    unset XDG_CONFIG_HOME XDG_RUNTIME_DIR
    cd "$LAB_DIR/work" || exit 1
    case $2 in
        tree)
            export O=${FLATNET_BUILD#"$REPO_ROOT/"} DIST=$LAB_DIR/dist DESTDIR=$LAB_DIR/root
            HOME=$USER_HOME
            unset SSL_CERT_FILE
            cd "$REPO_ROOT" || exit 1
            ;;
        online)
            https_proxy=http://$(lab_registry_addr online)
            export https_proxy
            ;;
        host)
            run_on_host "$1"
            exit
            ;;
        site)
            https_proxy=http://$(lab_registry_addr site)
            DOCKER_HOST=unix://$(lab_docker_sock host)
            export https_proxy DOCKER_HOST
            ;;
        cluster)
            KUBECONFIG=$(lab_kube_config k)
            export KUBECONFIG
            ;;
        network)
            KUBECONFIG=$(lab_kube_config network)
            export KUBECONFIG
            unset SSL_CERT_FILE
            ;;
        rescue)
            https_proxy=http://$(lab_registry_addr site)
            DOCKER_HOST=unix://$(lab_docker_sock spare)
            CONTAINERD_ADDRESS=$(lab_containerd_sock spare-ctr)
            export https_proxy DOCKER_HOST CONTAINERD_ADDRESS
            rm "$LAB_DIR/bin/flatnet"
            ;;
        *) fail "no such place: '$2'" || exit 1 ;;
    esac
    # Descriptor 3 is bats's own, and make would take it for its job server.
    exec timeout -k 5 600 bash -euo pipefail "$1" 3>&- 4>&- </dev/null
)

# run_on_host SCRIPT: in a guest with a NIC, swap and a way to the other nodes.
run_on_host() {
    local share
    share=$(lab_guest_share host)
    lab_guest_program host "$FLATNET"
    cp "$1" "$share/block.sh"
    cat >"$share/host.sh" <<'END'
set -e
ip link set lo up
ip link set eth0 up
ip address add 192.0.2.11/24 dev eth0
ip route add default via 192.0.2.1
export PATH=/run/lab:$PATH HOME=/root
set +e
bash -euo pipefail /run/lab/block.sh
END
    lab_guest host "$share/host.sh" --switch site-switch 3>&-
}

# manifest REGISTRY REPOSITORY TAG: the bytes that it serves.
manifest() {
    lab_curl "$1" "/v2/$2/manifests/$3" -H 'Accept: application/vnd.docker.distribution.manifest.v2+json'
}

@test "README.md and README.zh-CN.md have the same commands in the same order" {
    split_blocks "$REPO_ROOT/README.md" "$T/en"
    split_blocks "$REPO_ROOT/README.zh-CN.md" "$T/zh"
    diff -r "$T/en" "$T/zh"
}

@test "every command of the README works as it stands there" {
    local script mark place wanted status
    split_blocks "$REPO_ROOT/README.md" "$T/blocks"
    for script in "$T"/blocks/*.sh; do
        mark=$(cat "${script%.sh}.mark")
        place=${mark%%,*} wanted=0 status=0
        [[ $mark != *', exit '* ]] || wanted=${mark##*, exit }
        run_block "$script" "$place" >"$script.log" 2>&1 || status=$?
        if [ "$status" != "$wanted" ]; then
            cat "$script" "$script.log" >&2
            fail "that block ($place) ended with $status, expected $wanted"
        fi
        cp "$script.log" "$LAB_DIR/"
    done
}

@test "and has done what the text says" {
    local work=$LAB_DIR/work name id
    [ -x "$LAB_DIR/root/usr/local/bin/flatnet" ]
    [ -s "$LAB_DIR/root/usr/local/share/man/man1/flatnet-bundle.1" ]
    [ -s "$LAB_DIR/root/usr/local/share/flatnet/images/index.json" ]
    [ -x "$LAB_DIR/dist/linux-amd64/flatnet" ]
    [ -x "$LAB_DIR/dist/linux-arm64/network-controller" ]
    jq -e '.manifests | length == 3' "$LAB_DIR/dist/images/index.json"
    assert_equal "$(tar -xOf "$work/default.tar" index.json | jq '.manifests | length')" 7 'images in the default bundle'
    for name in nfvpe/multus:v3.2 quay.io/coreos/flannel:v0.10.0-amd64 registry.example/tools/netcheck:1.4 \
        registry.example/tools/netcheck:1.5; do
        id=$(tar -xOf "$work/update.tar" manifest.json |
            jq -r --arg name "$name" '.[] | select(.RepoTags[0] | endswith($name)) | .Config | ltrimstr("blobs/sha256/")')
        assert_equal "$(lab_docker_id host "$name")" "sha256:$id" "$name in docker"
    done
    assert_equal "$(lab_docker host cp rancher-server:/var/lib/rancher/network-addons/macvlan-network.yml - |
        tar -xO)" "$(sed 's|"nfvpe/|"harbor.example/macvlan/nfvpe/|; s|"quay.io/|"harbor.example/macvlan/|' \
            "$work/network-addons/macvlan-network.yml")" 'the addon in rancher-server'
    manifest harbor macvlan/coreos/flannel v0.10.0-amd64 >pushed
    manifest hub coreos/flannel v0.10.0-amd64 | cmp - pushed
    [ -x "$work/bin/linux-amd64/flatnet" ]
    assert_contains 'registry.example/tools/gone:1' "$work/partial.tar.failed"
    assert_contains 'make check' "$REPO_ROOT/README.md"
    assert_contains 'make check' "$REPO_ROOT/README.zh-CN.md"
}

@test "and without flatnet, docker, containerd and skopeo had every image" {
    local name id
    for name in nfvpe/multus:v3.2 quay.io/coreos/flannel:v0.10.0-amd64 registry.example/tools/netcheck:1.4; do
        id=$(lab_docker_id spare "$name")
        assert_equal "$(lab_docker_id host "$name")" "$id" "$name in docker"
    done
    lab_ctr spare-ctr images check | grep -q '^docker.io/nfvpe/multus:v3.2 .* complete'
    lab_ctr spare-ctr images check | grep -q '^quay.io/coreos/flannel:v0.10.0-amd64 .* complete'
    assert_equal "$(manifest harbor rescued/flannel v0.10.0-amd64 | jq -r .config.digest)" \
        "$(manifest hub coreos/flannel v0.10.0-amd64 | jq -r .config.digest)" 'configuration of the rescued image'
    cmp "$LAB_DIR/work/joined.tar" "$LAB_DIR/work/macvlan.tar"
}

@test "the way to join volumes without flatnet holds for a set of many" {
    local command
    mkdir usb
    run_flatnet bundle split "$LAB_DIR/work/macvlan.tar" --volume-size 128KiB -o usb/macvlan.tar
    assert_status 0
    [ -e usb/macvlan.tar.010 ]
    command=$(grep '^for volume in' "$REPO_ROOT/README.md")
    bash -euc "$command"
    cmp joined.tar "$LAB_DIR/work/macvlan.tar"
}

# What stands in backquotes outside of the command blocks.
@test "verbs and options that the READMEs name in their text exist" {
    local readme span word
    local -r fence='^```' tick='`'
    "$FLATNET" --help >help
    for word in create verify ls diff split join extract; do
        "$FLATNET" bundle "$word" --help >>help
    done
    for word in load push ls; do
        "$FLATNET" images "$word" --help >>help
    done
    for word in check prepare restore status iface; do
        "$FLATNET" host "$word" --help >>help
    done
    for word in render lint copy; do
        "$FLATNET" addons "$word" --help >>help
    done
    for word in deploy undeploy status doctor; do
        "$FLATNET" "$word" --help >>help
    done
    for word in create ls show rm check; do
        "$FLATNET" subnet "$word" --help >>help
    done
    for word in enable disable show; do
        "$FLATNET" workload "$word" --help >>help
    done
    for word in node cluster; do
        "$FLATNET" test "$word" --help >>help
    done
    for readme in README.md README.zh-CN.md; do
        while read -r span; do
            for word in $span; do
                [[ $word != --* ]] || grep -qE -- " ${word%%=*}( |\$)" help ||
                    fail "$readme names '$word'" || return 1
            done
            if [[ $span =~ ^(flatnet\ )?(bundle|images|registry|host|addons|subnet|workload)\ ([a-z]+) ]]; then
                grep -qE "^  ${BASH_REMATCH[2]} +${BASH_REMATCH[3]} " help ||
                    fail "$readme names '$span'" || return 1
            fi
        done < <(sed "/$fence/,/$fence/d" "$REPO_ROOT/$readme" | tr '\n' ' ' |
            grep -o "${tick}[^$tick]*$tick" | tr -d "$tick")
    done
}

@test "links in the documents lead somewhere" {
    local file link
    for file in "$REPO_ROOT"/*.md "$REPO_ROOT"/docs/*.md; do
        while read -r link; do
            [ -e "${file%/*}/${link%%#*}" ] || fail "$file: '$link' leads nowhere" || return 1
        done < <(grep -o '](\([^)]*\))' "$file" | sed 's/^](//; s/)$//' | grep -v '^https\?:')
    done
}

@test "the demo that is interrupted leaves nothing behind" {
    local demo
    mkdir demo
    # Job control gives it a process group of its own and takes the ban on SIGINT off.
    set -m
    FLATNET=$STATIC TMPDIR=$T/demo "$REPO_ROOT/tests/lab/demo.sh" >demo.log 2>&1 3>&- &
    demo=$!
    set +m
    WAIT_SECONDS=200 wait_until grep -q 'bundle create' demo.log || {
        kill -INT -- "-$demo"
        return 1
    }
    kill -INT -- "-$demo"
    status=0
    wait "$demo" || status=$?
    assert_status 130
    assert_contains 'interrupted' demo.log
    assert_no_leftovers demo
    refute grep -l "$T/demo" /proc/[0-9]*/cmdline
    refute grep -q "$T/demo" /proc/self/mountinfo
}

@test "the demo that fails says so" {
    local status=0
    printf '#!/bin/sh\nexit 1\n' >false
    chmod +x false
    mkdir demo
    FLATNET=$T/false TMPDIR=$T/demo "$REPO_ROOT/tests/lab/demo.sh" >demo.log 2>&1 3>&- || status=$?
    assert_equal "$status" 1 'exit status'
    assert_contains 'FAILED' demo.log
    assert_no_leftovers demo
}
