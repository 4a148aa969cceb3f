# shellcheck shell=bash
# What the scripts of this folder share; they source it, nobody runs it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One stream, so that the last line is the last that happened.
exec 2>&1

export CARGO_TERM_COLOR=never PYTHONDONTWRITEBYTECODE=1 DEBIAN_FRONTEND=noninteractive

name=start
# shellcheck disable=SC2034 # for the last line of each script
began=$SECONDS
step() {
  name=$1
  shift
  local start=$SECONDS
  printf '\n=== %s\n' "$name"
  "$@" </dev/null
  printf -- '--- %s: %s s\n' "$name" $((SECONDS - start))
}
# Says which step it was that failed: trap tell_failure EXIT.
tell_failure() {
  local code=$?
  [ "$code" -eq 0 ] || printf '\nFAILED in the step "%s" (code %s)\n' "$name" "$code"
}

# As root, or with sudo.
root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# Installs those of these packages of Debian that are not there.
debian() {
  local wanted=() package
  for package; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted+=("$package")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  root apt-get -qq update
  root apt-get -qq install --yes --no-install-recommends "${wanted[@]}"
}

# --- Rust for other systems --------------------------------------------------------------------------------------------------

# The folder that keeps what takes long to make, for the next run: 30 MB for Rust, and 600 MB for Wine's Windows.
parts=${CROSS_PARTS:-${TMPDIR:-/tmp}/planhat-mcp-cross}

# The standard library of another system is built from its source, which has to be the compiler's own version. Debian packages
# one for each version that it ever had; the newest are in the backports of the release that is current.
library_source() {
  local version=$1 mirror options suite package
  mkdir -p "$parts/lists/partial"
  # The mirror that this machine uses already.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -n 1)
  options=(-o "Dir::Etc::sourcelist=$parts/sources" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::Lists=$parts/lists")
  for suite in trixie-backports sid; do
    echo "deb [trusted=yes] $mirror $suite main" >"$parts/sources"
    apt-get "${options[@]}" -qq update
    package=$(apt-cache "${options[@]}" madison rust-src |
      awk -F'|' -v v="$version" '{gsub(/ /, "", $2)} index($2, v) == 1 {print $2; exit}')
    [ -z "$package" ] || break
  done
  if [ -z "$package" ]; then
    echo "Debian has no rust-src of Rust $version; with rustup: rustup component add rust-src"
    return 1
  fi
  (cd "$parts" && apt-get "${options[@]}" -qq download "rust-src=$package" && dpkg-deb --extract rust-src_*.deb unpacked)
  mv "$parts/unpacked/usr/src/rustc-$version/library" "$parts/library"
  rm -rf "$parts/unpacked" "$parts"/rust-src_*.deb "$parts/lists"
}

# The installed toolchain stays as it is: one beside it, of links, has the source where cargo looks for it.
toolchain() {
  local version sysroot
  version=$(rustc --version | cut -d' ' -f2)
  sysroot=$(rustc --print sysroot)
  if [ -e "$parts/toolchain/lib/rustlib/src/rust/library" ] &&
    [ "$("$parts/toolchain/bin/rustc" --version | cut -d' ' -f2)" = "$version" ]; then
    return
  fi
  rm -rf "$parts/toolchain"
  mkdir -p "$parts"
  cp -rs "$sysroot/." "$parts/toolchain/"
  # Both find their folder by where they lie, and would follow a link.
  cp --remove-destination "$sysroot/bin/rustc" "$parts/toolchain/bin/"
  cp --remove-destination "$sysroot"/lib/librustc_driver-*.so "$parts/toolchain/lib/"
  if [ ! -e "$parts/toolchain/lib/rustlib/src/rust/library" ]; then
    library_source "$version"
    mkdir -p "$parts/toolchain/lib/rustlib/src/rust"
    mv "$parts/library" "$parts/toolchain/lib/rustlib/src/rust/"
  fi
}

# What it builds lies apart: it says so to build scripts, and cargo would build each time anew what the other has built.
cross=$(realpath -m "${CARGO_TARGET_DIR:-target}/cross")

# Runs a command with that toolchain.
with_source() {
  env CARGO_TARGET_DIR="$cross" PATH="$parts/toolchain/bin:$PATH" RUSTC="$parts/toolchain/bin/rustc" RUSTC_BOOTSTRAP=1 "$@"
}
