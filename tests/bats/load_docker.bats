#!/usr/bin/env bats
# flatnet images load into a real dockerd, and through a proxy that fails.
# timeout: 900
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load helper
load load_common

setup_file() {
    start_lab
    load_images
    lab_dockerd d tls
    docker_proxy p d
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    use_docker d
    empty_docker d
}

# assert_loaded LAYOUT: the image stands under its name with the id that it must have.
assert_loaded() {
    assert_equal "$(lab_docker_id d "docker.io/load/$1:1")" "$(layout_config "$1")" "id of load/$1:1"
}

assert_absent() {
    ! lab_docker_id d "$1" 2>/dev/null || fail "'$1' is in docker"
}

@test "images arrive under their names and ids, and run" {
    run_flatnet images load "$BUNDLE"
    assert_status 0
    assert_contains "3 images loaded, 0 tagged, 0 already there, 0 failed"
    assert_contains "all 3 verified by name and id"
    assert_contains "DOCKER_HOST is set" stderr
    for name in one two three; do
        assert_loaded "$name"
    done
    lab_docker d create --name check --network none load/three:1 >"$T/container"
    lab_docker d export check | tar -tf - >"$T/files"
    lab_docker d rm check >/dev/null
    assert_contains data/one "$T/files"
    assert_contains data/three "$T/files"
    assert_contains bin/busybox "$T/files"
}

@test "a second run sends nothing" {
    run_flatnet images load "$BUNDLE"
    assert_status 0
    use_docker_proxy p
    docker_proxy_rules p '{}'
    run_flatnet images load --format json "$BUNDLE"
    assert_status 0
    assert_json '.schemaVersion == 1 and (.images | length) == 3 and all(.images[]; .result == "present")'
    assert_json '.summary.present == 3 and .summary.bytesSent == 0 and .summary.verified == 3'
    assert_equal "$(docker_proxy_log p 'map(select(.method == "POST")) | length')" 0 "requests that change"
    assert_equal "$(docker_proxy_log p length)" 5 "requests: ping, info, three images"
}

@test "layers that docker has are not sent" {
    load_bundle one.tar one
    run_flatnet images load one.tar
    assert_status 0
    use_docker_proxy p
    docker_proxy_rules p '{}'
    run_flatnet images load --format json "$BUNDLE"
    assert_status 0
    assert_json '.images | map(.result) == ["present", "loaded", "loaded"]'
    assert_json '.images | map(.layersOmitted) == [0, 1, 2]'
    assert_equal "$(docker_proxy_log p 'map(select(.path == "/images/load").absent | length) | join(" ")')" "1 2"
    assert_equal "$(docker_proxy_log p 'map(select(.path == "/images/load").whole) | all')" true
    for name in one two three; do
        assert_loaded "$name"
    done
}

@test "what one image of a run brings is not sent for the next" {
    use_docker_proxy p
    docker_proxy_rules p '{}'
    run_flatnet images load --format json "$BUNDLE"
    assert_status 0
    assert_json '.images | map(.layersOmitted) == [0, 1, 2]'
}

@test "all layers are sent once when docker disagrees about what it has" {
    load_bundle one.tar one
    run_flatnet images load one.tar
    load_bundle three.tar three
    use_docker_proxy p
    docker_proxy_rules p '{"refuse_omitted": true}'
    run_flatnet images load --format json three.tar
    assert_status 0
    assert_json '.summary.loaded == 1'
    assert_contains "sending all" stderr
    assert_equal "$(docker_proxy_log p 'map(select(.path == "/images/load").absent | length) | join(" ")')" "2 0"
    assert_loaded three
}

@test "an image that is there under another name is tagged, not sent" {
    run_flatnet images load --only 'load/one:*' "$BUNDLE"
    lab_docker d tag load/one:1 other/name:7
    lab_docker d rmi load/one:1 >/dev/null
    run_flatnet images load --format json --only 'load/one:*' "$BUNDLE"
    assert_status 0
    assert_json '.images[0].result == "tagged" and .summary.bytesSent == 0'
    assert_loaded one
}

@test "another image under the name is replaced" {
    run_flatnet images load --only load/two:1 "$BUNDLE"
    lab_docker d tag load/two:1 load/one:1
    run_flatnet images load --only load/one:1 "$BUNDLE"
    assert_status 0
    assert_loaded one
}

@test "--only takes full and short names, and refuses a pattern without match" {
    run_flatnet images load --format json --only 'docker.io/load/t*' --only load/one:1 "$BUNDLE"
    assert_json '.images | map(.reference) == ["docker.io/load/one:1", "docker.io/load/two:1", "docker.io/load/three:1"]'
    run_flatnet images load --only load/one:2 "$BUNDLE"
    assert_status 2
    assert_contains "no image of the bundle matches 'load/one:2'; did you mean 'load/one:1'?" stderr
}

@test "a layer that stands twice in an image" {
    load_bundle twice.tar twice
    run_flatnet images load twice.tar
    assert_status 0
    assert_loaded twice
}

@test "zstd layers are unpacked for this docker, also where the media type hides them" {
    load_bundle zstd.tar zstd lie
    run_flatnet images load --format json zstd.tar
    assert_status 0
    assert_json '.summary.loaded == 2'
    assert_loaded zstd
    assert_loaded lie
}

@test "zstd layers are sent as they are to docker 23" {
    load_bundle zstd.tar zstd
    use_docker_proxy p
    docker_proxy_rules p '{"info": {"ServerVersion": "23.0.1"}}'
    run_flatnet images load zstd.tar
    # The daemon behind the proxy is older and cannot read them.
    assert_status 5
    hex=$(layout_layer zstd 1)
    docker_proxy_log p 'map(select(.path == "/images/load").entries[]) | unique[]' >entries
    assert_contains "blobs/sha256/${hex#sha256:}" entries
}

@test "a zstd layer that is not what its image says is not sent" {
    load_bundle wrong.tar wrong one
    use_docker_proxy p
    docker_proxy_rules p '{}'
    run_flatnet images load wrong.tar
    assert_status 5
    assert_contains "'docker.io/load/wrong:1': layer '$(layout_layer wrong 1)' unpacks to" stderr
    assert_absent load/wrong:1
    assert_loaded one
    assert_equal "$(docker_proxy_log p 'map(select(.path == "/images/load")) | length')" 1 loads
}

@test "of several platforms docker's own is loaded, or the one that is asked for" {
    load_bundle multi.tar multi
    run_flatnet images load --format json multi.tar
    assert_status 0
    assert_json '.images[0].platform == "linux/amd64"'
    assert_equal "$(lab_docker d image inspect -f '{{.Architecture}}' load/multi:1)" amd64
    run_flatnet images load --format json --platform linux/arm64 multi.tar
    assert_status 0
    assert_equal "$(lab_docker d image inspect -f '{{.Architecture}}' load/multi:1)" arm64
}

@test "an image without docker's platform fails, says so, and the others go on" {
    load_bundle arm.tar arm one
    run_flatnet images load --format json arm.tar
    assert_status 5
    assert_contains "'docker.io/load/arm:1': the bundle has it for linux/arm64 only, not for linux/amd64" stderr
    assert_json '.summary.failed == 1 and .summary.loaded == 1'
    assert_absent load/arm:1
    assert_loaded one
}

@test "an image known by digest alone gets a tag made of it" {
    digest=$(layout_digest one)
    "$FLATNET" bundle create -q --from "$LAYOUTS/one=quay.io/by/digest@$digest" \
        --from "$LAYOUTS/two=quay.io/by/both:3@$(layout_digest two)" -o digest.tar
    run_flatnet images load digest.tar
    assert_status 0
    tag=quay.io/by/digest:sha256-${digest#sha256:}
    assert_contains "'quay.io/by/digest@$digest' cannot be a name in docker; there it is '$tag'" stderr
    assert_equal "$(lab_docker_id d "$tag")" "$(layout_config one)"
    assert_equal "$(lab_docker_id d quay.io/by/both:3)" "$(layout_config two)"
    run_flatnet images load --format json digest.tar
    assert_json '.summary.present == 2'
}

@test "a corrupt layer never arrives, and the other images do" {
    load_bundle bad.tar one two
    corrupt_blob bad.tar "$(layout_layer two 1)"
    run_flatnet images load --only load/two:1 bad.tar
    assert_status 5
    hex=$(layout_layer two 1)
    assert_contains "blobs/sha256/${hex#sha256:}" stderr
    assert_contains "1 failed"
    assert_equal "$(lab_docker d images -aq | wc -l)" 0 "images in docker"
    assert_equal "$(docker_layers d)" 0 "layers in docker"
    run_flatnet images load --format json bad.tar
    assert_status 5
    assert_json '.images | map(.result) == ["loaded", "failed"]'
    assert_json '.images[1].error | contains("wrong SHA-256")'
    assert_loaded one
    assert_absent load/two:1
}

@test "a corrupt configuration never arrives" {
    load_bundle bad.tar one
    corrupt_blob bad.tar "$(layout_config one)"
    run_flatnet images load bad.tar
    assert_status 5
    assert_contains "wrong SHA-256" stderr
    assert_equal "$(docker_layers d)" 0 "layers in docker"
}

@test "a corrupt layer that docker has already is not needed" {
    load_bundle three.tar three
    load_bundle one.tar one
    run_flatnet images load one.tar
    corrupt_blob three.tar "$(layout_layer three 1)"
    run_flatnet images load three.tar
    assert_status 0
    assert_loaded three
}

@test "errors inside the 200 stream and other statuses are errors" {
    use_docker_proxy p
    docker_proxy_rules p '{"load_error": "disk on \u001b[31mfire"}'
    run_flatnet images load --only load/one:1 "$BUNDLE"
    assert_status 5
    assert_contains "'docker.io/load/one:1': docker cannot load it: disk on  [31mfire" stderr
    docker_proxy_rules p '{"load_error": "write /x: no space left on device"}'
    run_flatnet images load --only load/one:1 "$BUNDLE"
    assert_status 5
    assert_contains "needs room for the image twice" stderr
    docker_proxy_rules p '{"load_status": [500, "out of order"]}'
    run_flatnet images load "$BUNDLE"
    assert_status 5
    assert_contains "out of order" stderr
    assert_contains "3 failed"
    assert_equal "$(docker_layers d)" 0 "layers in docker"
}

@test "a large image that docker refuses at once" {
    load_bundle big.tar big
    use_docker_proxy p
    docker_proxy_rules p '{"load_status": [503, "come back later"]}'
    run_flatnet images load big.tar
    assert_status 5
    assert_contains "come back later" stderr
}

@test "a docker whose disk is full" {
    mkdir -p "$LAB_DIR/full.docker/data"
    mount -t tmpfs -o size=40m none "$LAB_DIR/full.docker/data"
    lab_dockerd full
    use_docker full
    load_bundle big.tar big one
    run_flatnet images load --format json big.tar
    assert_status 5
    assert_contains "no space left on device" stderr
    assert_contains "'$LAB_DIR/full.docker/data' needs room for the image twice" stderr
    assert_json '.images | map(.result) == ["failed", "loaded"]'
}

@test "an image that docker took and does not have is a failure" {
    use_docker_proxy p
    docker_proxy_rules p '{"forget": true}'
    run_flatnet images load --only load/one:1 "$BUNDLE"
    assert_status 5
    assert_contains "docker took it but does not have 'docker.io/load/one:1' now" stderr
    docker_proxy_rules p '{"wrong_id": true}'
    run_flatnet images load --only load/one:1 "$BUNDLE"
    assert_status 5
    assert_contains "has the id 'sha256:0000000000000000000000000000000000000000000000000000000000000000' there" stderr
    assert_contains "0 of 1 verified"
}

@test "containerd's image store gets whole OCI layouts, and its ids are manifest digests" {
    use_docker_proxy p
    docker_proxy_rules p '{"containerd_store": true, "info": {"ServerVersion": "25.0.3"}}'
    run_flatnet images load --format json "$BUNDLE"
    assert_status 0
    assert_json '.runtime.store == "containerd" and .summary.loaded == 3'
    assert_json '.images[0].id == $id' --arg id "$(layout_digest one)"
    assert_json 'all(.images[]; .layersOmitted == 0)'
    assert_equal "$(docker_proxy_log p 'map(select(.path == "/images/load").absent | length) | join(" ")')" "0 0 0"
    assert_equal "$(docker_proxy_log p 'map(select(.path == "/images/load").entries | contains(["oci-layout", "index.json"])) | all')" true
    run_flatnet images load --format json "$BUNDLE"
    assert_status 0
    assert_json '.summary.present == 3'
}

@test "the API version is the lower of docker's and ours" {
    use_docker_proxy p
    docker_proxy_rules p '{"ping": {"Api-Version": "1.99"}}'
    run_flatnet images load "$BUNDLE"
    assert_status 1
    assert_contains "client version 1.47 is too new" stderr
    docker_proxy_rules p '{"ping": {"Api-Version": "1.30"}, "info": {"ServerVersion": "17.06.0-ce"}}'
    run_flatnet images load "$BUNDLE"
    assert_status 0
    docker_proxy_rules p '{"ping": {"Api-Version": "two"}}'
    run_flatnet images load "$BUNDLE"
    assert_status 7
    assert_contains "'two' as its API version" stderr
}

@test "a delta needs its base, docker's layers, or --base" {
    load_bundle base.tar one
    "$FLATNET" bundle create -q --from "$LAYOUTS/one" --from "$LAYOUTS/three" --base base.tar -o delta.tar
    run_flatnet images load delta.tar
    assert_status 5
    assert_contains "neither the bundle nor the runtime has $(layout_layer one 0)" stderr
    assert_contains "--base" stderr
    assert_equal "$(docker_layers d)" 0 "layers in docker"
    run_flatnet images load --base base.tar --format json delta.tar
    assert_status 0
    assert_json '.summary.loaded == 2'
    assert_loaded three
    empty_docker d
    run_flatnet images load base.tar
    run_flatnet images load --format json delta.tar
    assert_status 0
    assert_json '.summary.loaded == 1 and .summary.present == 1'
    assert_loaded three
}

@test "volumes" {
    "$FLATNET" bundle create -q --from "$LAYOUTS/one" --from "$LAYOUTS/two" --volume-size 500KB -o v.tar
    [ -e v.tar.002 ] || fail "there is only one volume"
    run_flatnet images load v.tar.002
    assert_status 0
    assert_loaded one
    assert_loaded two
}

@test "TCP with TLS" {
    DOCKER_HOST=$(lab_docker_tcp d)
    export DOCKER_HOST DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$LAB_DIR/docker-certs
    run_flatnet images load --format json "$BUNDLE"
    assert_status 0
    assert_json '.summary.loaded == 3 and (.runtime.address | startswith("tcp://"))'
    # Another CA does not do, nor does a client without a certificate.
    mkdir certs
    cp "$LAB_DIR"/docker-certs/* certs
    cp "$LAB_DIR/client.crt" certs/ca.pem
    DOCKER_CERT_PATH=$T/certs run_flatnet images load "$BUNDLE"
    assert_status 7
    rm certs/key.pem
    DOCKER_CERT_PATH=$T/certs run_flatnet images load "$BUNDLE"
    assert_status 2
    assert_contains "'$T/certs/key.pem' cannot be read" stderr
    unset DOCKER_TLS_VERIFY
    run_flatnet images load "$BUNDLE"
    [ "$status" -ne 0 ] || fail "TLS was not needed"
}

@test "a docker that cannot be reached" {
    DOCKER_HOST=unix://$T/nothing run_flatnet images load "$BUNDLE"
    assert_status 7
    assert_contains "cannot reach docker at 'unix://$T/nothing'" stderr
    DOCKER_HOST=tcp://127.0.0.1:1 run_flatnet images load "$BUNDLE"
    assert_status 7
    DOCKER_HOST=ssh://root@host run_flatnet images load "$BUNDLE"
    assert_status 2
    assert_contains "DOCKER_HOST is 'ssh://root@host'" stderr
}

@test "an interrupt ends the run, says how far it came, and leaves nothing half done" {
    load_bundle big.tar big one
    use_docker_proxy p
    docker_proxy_rules p "$(jq -n --arg file "$T/go" '{hold: $file}')"
    "$FLATNET" images load --format json big.tar >out 2>err &
    pid=$!
    wait_until test -e go.held
    kill -INT "$pid"
    touch go
    wait "$pid" && status=0 || status=$?
    assert_equal "$status" 130 "exit status"
    assert_equal "$(jq -c .summary.notTried out)" 2
    assert_equal "$(docker_layers d)" 0 "layers in docker"
}

@test "a docker that dies while it is sent an image" {
    docker_proxy dying d
    docker_proxy_rules dying "$(jq -n --arg file "$T/go" '{hold: $file}')"
    use_docker_proxy dying
    load_bundle big.tar big one
    "$FLATNET" images load --format json big.tar >out 2>err &
    pid=$!
    wait_until test -e go.held
    lab_stop dying KILL
    wait "$pid" && status=0 || status=$?
    assert_equal "$status" 5 "exit status"
    assert_equal "$(jq -c .summary.failed out)" 2
    assert_contains "'docker.io/load/big:1': " err
    assert_contains dying.proxy/s err
    assert_equal "$(docker_layers d)" 0 "layers in docker"
}

@test "memory does not grow with the image" {
    load_bundle small.tar one
    load_bundle big.tar big
    for name in small big; do
        empty_docker d
        /usr/bin/python3 - "$FLATNET" images load -q "$name.tar" >"$name.rss" <<'PY'
import resource
import subprocess
import sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PY
    done
    small=$(<small.rss) big=$(<big.rss)
    [ "$big" -lt "$((small + 4096))" ] || fail "$small KiB for a small image, $big KiB for one of 64 MiB"
}

@test "--quiet says nothing, and usage errors are usage errors" {
    run_flatnet images load -q "$BUNDLE"
    assert_status 0
    assert_equal "$output$stderr" ""
    run_flatnet images load
    assert_status 2
    run_flatnet images load --runtime dokcer "$BUNDLE"
    assert_status 2
    assert_contains "did you mean 'docker'?" stderr
    run_flatnet images load --platform nonsense "$BUNDLE"
    assert_status 2
    run_flatnet images load "$T/missing.tar"
    assert_status 1
    printf 'junk' >junk.tar
    run_flatnet images load junk.tar
    assert_status 4
}
