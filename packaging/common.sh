# shellcheck shell=bash disable=SC2034
# What the scripts of this folder share; they source it, nobody runs it.
set -euo pipefail

packaging=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$packaging/.." && pwd)
name=planhat-mcp

# The facts of the release stand once, in Cargo.toml.
fact() { sed -n '/^\[package\]/,/^\[/s/^'"$1"' = "\(.*\)"/\1/p' "$root/Cargo.toml"; }
version=$(fact version)
description=$(fact description)
repository=$(fact repository)
# Who answers for the packages.
maintainer='The planhat-mcp contributors <planhat-mcp@users.noreply.github.com>'
# What the server is called in the MCP registry: io.github.OWNER/planhat-mcp, of the repository's owner.
owner=$(printf '%s' "$repository" | cut -d/ -f4)
mcp_name=io.github.$owner/$name

# The same sources make the same files: every time inside them is that of the last commit.
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 1767225600)}"
export SOURCE_DATE_EPOCH

# Every target that is released. Linux is static, so that one binary runs on any distribution.
targets=(
  x86_64-unknown-linux-musl aarch64-unknown-linux-musl
  x86_64-apple-darwin aarch64-apple-darwin
  x86_64-pc-windows-msvc aarch64-pc-windows-msvc
)

# What a developer's machine builds in the place of one of them: to try packages with, not to release.
tries=(x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-pc-windows-gnu)

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# The name of a target's program.
program_of() {
  case $1 in
  *windows*) echo $name.exe ;;
  *) echo $name ;;
  esac
}

# A target as npm and Claude Desktop call it: linux-x64, darwin-arm64, win32-x64.
platform_of() {
  local system machine
  case $1 in
  *linux*) system=linux ;;
  *darwin*) system=darwin ;;
  *windows*) system=win32 ;;
  *) fail "there is no platform for $1" ;;
  esac
  case $1 in
  x86_64*) machine=x64 ;;
  aarch64*) machine=arm64 ;;
  *) fail "there is no machine for $1" ;;
  esac
  echo $system-$machine
}

# Runs a built program of a target on this machine: as it is, or under an emulator.
run_target() {
  local target=$1 program=$2
  shift 2
  case $(uname -s)/$(uname -m)/$target in
  Linux/x86_64/x86_64*linux* | Linux/aarch64/aarch64*linux* | Darwin/arm64/*darwin | Darwin/x86_64/x86_64*darwin)
    "$program" "$@"
    ;;
  Linux/*/aarch64*linux*) qemu-aarch64-static "$program" "$@" ;;
  Linux/*/x86_64*linux*) qemu-x86_64-static "$program" "$@" ;;
  MINGW*/*/*windows* | MSYS*/*/*windows*) "$program" "$@" ;;
  *) return 125 ;;
  esac
}
