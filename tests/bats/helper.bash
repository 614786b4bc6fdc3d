# shellcheck shell=bash
# Helpers of the whole-program tests. A bats file starts like this:
#
#   load helper
#   setup_file() { start_lab; lab_registry src; }     # only where real components are needed
#   teardown_file() { lab_cleanup; }
#   setup() { common_setup; }
#
#   @test "..." {
#       run_flatnet bundle ls missing.tar
#       assert_status 1
#       assert_contains "'missing.tar'" stderr
#   }
#
# common_setup makes $T, the folder of this test, the working directory; HOME and the places where
# credentials and settings may lie are below it. run_flatnet sets $status, $output (the same text is
# in $json and the file $stdout_file) and $stderr (file $stderr_file). What is required and not there
# is a failure, never a skip.

REPO_ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
: "${FLATNET:=$REPO_ROOT/build/bin/flatnet}"
export REPO_ROOT FLATNET
# shellcheck source=tests/lab/lab.bash
. "$REPO_ROOT/tests/lab/lab.bash"

# start_lab: for setup_file. Call lab_cleanup in teardown_file; if that never runs, the lab's
# watchdog sees that this process is gone.
start_lab() {
    need docker-registry dockerd containerd ctr skopeo umoci jq curl python3 openssl htpasswd zstd
    lab_init "$$"
}

# common_setup: for setup.
common_setup() {
    T=$BATS_TEST_TMPDIR
    stdout_file=$T/.stdout stderr_file=$T/.stderr
    status='' output='' json='' stderr=''
    mkdir -p "$T/.home/run" "$T/.home/cache"
    export T HOME=$T/.home XDG_CONFIG_HOME=$T/.home/.config XDG_RUNTIME_DIR=$T/.home/run
    unset REGISTRY_AUTH_FILE DOCKER_CONFIG DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH SOURCE_DATE_EPOCH \
        CONTAINERD_ADDRESS CONTAINERD_NAMESPACE SSL_CERT_FILE SSL_CERT_DIR NO_COLOR
    cd "$T" || return 1
}

# need PROGRAM...: fail when a program is missing.
need() {
    local program
    for program in "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || fail "'$program' is not installed" || return 1
    done
}

# fail TEXT...: the test failed; shows what the last run_flatnet did.
fail() {
    {
        printf 'failed: %s\n' "$*"
        [ -z "${status:-}" ] || printf 'status: %s\nstdout: %s\nstderr: %s\n' \
            "$status" "$(head -c 4000 <<<"$output")" "$(tail -c 4000 <<<"$stderr")"
    } >&2
    return 1
}

# run_flatnet ARG...: run the program under test, at most $RUN_SECONDS (300). Standard input is the
# caller's. A crash, a sanitizer's finding and a hang fail the test here.
run_flatnet() {
    status=0
    timeout --foreground -k 5 "$(lab_patience "${RUN_SECONDS:-300}")" "$FLATNET" "$@" >"$stdout_file" 2>"$stderr_file" || status=$?
    output=$(tr -d '\0' <"$stdout_file")
    stderr=$(tr -d '\0' <"$stderr_file")
    # shellcheck disable=SC2034
    json=$output
    case $status in
        99 | 124 | 126 | 127 | 132 | 134 | 135 | 136 | 137 | 139) fail "flatnet $*: crashed, hung or not found" ;;
    esac
}

# assert_status N: the exit status of the last run_flatnet.
assert_status() {
    [ "$status" -eq "$1" ] || fail "exit status $status, expected $1"
}

# assert_contains TEXT [output|stderr|FILE]: TEXT stands in the last output (default), or elsewhere.
assert_contains() {
    grep -qF -- "$1" "$(file_of "${2:-output}")" || fail "'$1' is not in ${2:-output}"
}

# assert_lacks TEXT [output|stderr|FILE]: the opposite.
assert_lacks() {
    local found=0
    grep -qF -- "$1" "$(file_of "${2:-output}")" || found=$?
    [ "$found" -eq 1 ] || fail "'$1' is in ${2:-output}, or that is missing"
}

file_of() {
    case $1 in
        output) printf '%s\n' "$stdout_file" ;;
        stderr) printf '%s\n' "$stderr_file" ;;
        *) printf '%s\n' "$1" ;;
    esac
}

# assert_json JQ_EXPR [JQ_ARG...]: the last output is JSON for which the expression is true.
assert_json() {
    local expression=$1
    shift
    jq -e "$@" "$expression" "$stdout_file" >/dev/null || fail "not true of the output: $expression"
}

# assert_equal GOT EXPECTED [TEXT]
assert_equal() {
    [ "$1" = "$2" ] || fail "${3:-value}: got '$1', expected '$2'"
}

# refute CMD...: CMD fails. (A plain `! CMD` does not fail a bats test.)
refute() {
    if "$@"; then
        fail "succeeded, and should not have: $*"
    fi
}

# assert_no_leftovers DIR [NAME...]: DIR holds exactly the named entries (hidden ones count).
assert_no_leftovers() {
    local dir=$1 got
    shift
    got=$(LC_ALL=C ls -A "$dir")
    assert_equal "$got" "$([ $# -eq 0 ] || printf '%s\n' "$@" | LC_ALL=C sort)" "entries of '$dir'"
}

# wait_until CMD...: poll until CMD succeeds, at most $WAIT_SECONDS (60).
wait_until() {
    lab_wait "${WAIT_SECONDS:-60}" "$@" || fail "waited ${WAIT_SECONDS:-60} s in vain for: $*"
}
