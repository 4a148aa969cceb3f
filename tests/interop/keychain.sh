#!/bin/bash
# The keychain backend against a real Secret Service (gnome-keyring): unlocked, locked, restarted, absent.
#
# Needs dbus, gnome-keyring and gdbus (Debian: dbus gnome-keyring libglib2.0-bin). Everything happens in a private home and
# runtime directory; the user's own keychain is not touched.
set -eu

secrets=org.freedesktop.secrets
path=/org/freedesktop/secrets

unlock() { printf %s secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; }
restart() { printf %s secret | gnome-keyring-daemon --replace --unlock --components=secrets >/dev/null 2>&1; wait_for_service; }
lock() {
    gdbus call --session --dest $secrets --object-path $path \
        --method org.freedesktop.Secret.Service.Lock "[objectpath \"$path/collection/login\"]" >/dev/null
}
# Returns when the service answers for the collection that the test needs.
wait_for_service() {
    for _ in $(seq 100); do
        gdbus call --session --dest $secrets --object-path $path \
            --method org.freedesktop.Secret.Service.ReadAlias default 2>/dev/null | grep -q login && return
        sleep 0.1
    done
    return 1
}
# A bus where clients look when the environment does not name one.
start_bus() {
    export DBUS_SESSION_BUS_ADDRESS="unix:path=$XDG_RUNTIME_DIR/bus"
    dbus-daemon --session --fork --print-pid="1" --address="$DBUS_SESSION_BUS_ADDRESS" 2>/dev/null >"$XDG_RUNTIME_DIR/bus.pid"
    unlock
    wait_for_service
}

# The tests call this script back to change the state of the service.
if [ $# -gt 0 ]; then
    "$1"
    exit
fi

cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
finish() {
    for pid in "$scratch"/*/bus.pid; do [ -s "$pid" ] && kill "$(cat "$pid")" 2>/dev/null; done
    rm -rf "$scratch"
}
trap finish EXIT
KEYCHAIN_RIG=$(realpath "$0")
tests=$(cargo test --locked --lib --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"profile":{[^}]*"test":true}.*"executable":"\([^"]*\)".*/\1/p' | tail -1)
[ -x "$tests" ] || { echo "the tests do not build" >&2; exit 1; }
export KEYCHAIN_RIG tests
unset DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS

fresh() {
    export HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch/$1"
    rm -rf "$HOME"
    mkdir -m 700 "$HOME" "$XDG_RUNTIME_DIR"
}
run() { "$tests" --ignored --exact "store::keychain::tests::$1" 2>&1 | grep -E '^test |panicked|^[a-z].*Err' ; }
in_session() {
    # shellcheck disable=SC2016
    dbus-run-session -- bash -c '"$KEYCHAIN_RIG" unlock && "$tests" --ignored --exact "store::keychain::tests::$0"' "$1" 2>"$scratch/log" |
        grep '^test ' || { cat "$scratch/log" >&2; exit 1; }
}

failed=0
for name in unlocked_keeps_records_of_any_size locked_is_told_from_absent_and_from_empty a_restarted_service_is_connected_to_anew; do
    fresh "$name"
    in_session "$name" | tee "$scratch/out"
    grep -q '^test .* ok$' "$scratch/out" || failed=1
done
name=absent_is_found_out_and_does_not_last_longer_than_it_is_true
fresh "$name"
run "$name" | tee "$scratch/out"
grep -q '^test .* ok$' "$scratch/out" || failed=1
exit $failed
