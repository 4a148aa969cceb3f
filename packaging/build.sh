#!/usr/bin/env bash
# Builds release binaries:
#
#   packaging/build.sh [TARGET...]        -> target/binaries/TARGET/planhat-mcp
#
# Without a target, those of packaging/common.sh that this machine can build. Linux is linked statically, through
# cargo-zigbuild, which brings the C compiler and musl; Windows (msvc) and macOS are built on such a machine. What cannot
# be built here is named and left out; when it was asked for by name, that is a failure.
#
# The dependency list stands inside each binary where cargo-auditable is installed; RELEASE=1 insists on it.
# A target whose standard library is not installed is built with that library's source, where the toolchain has it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$root"
target_dir=${CARGO_TARGET_DIR:-$root/target}
out=${BINARIES:-$target_dir/binaries}
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')

asked=1
if [ $# -eq 0 ]; then
  asked=0
  set -- "${targets[@]}"
fi

skip() {
  [ $asked -eq 0 ] || fail "$1 cannot be built here: $2"
  say "left out  $1: $2"
}

# No path of the machine that builds ends up in the binary.
flags="--remap-path-prefix=$root=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo --remap-path-prefix=$sysroot=rust"

auditable=()
if cargo auditable --version >/dev/null 2>&1; then
  auditable=(auditable)
elif [ -n "${RELEASE:-}" ]; then
  fail "cargo-auditable is not installed; see packaging/tools.sh"
else
  say 'note      cargo-auditable is not installed: the binaries carry no dependency list'
fi

for target; do
  verb=build own=$flags std=()
  case $target in
  *-linux-musl)
    cargo zigbuild --help >/dev/null 2>&1 || { skip "$target" 'cargo-zigbuild is not installed; see packaging/tools.sh'; continue; }
    verb=zigbuild own="$flags -C link-self-contained=no"
    ;;
  *-apple-darwin) [[ $host == *-apple-darwin ]] || { skip "$target" 'it is linked on macOS alone'; continue; } ;;
  *-windows-msvc) [[ $host == *-windows-msvc ]] || { skip "$target" 'it is linked on Windows alone'; continue; } ;;
  esac
  if [ ! -d "$sysroot/lib/rustlib/$target/lib" ]; then
    if [ -d "$sysroot/lib/rustlib/src/rust/library" ]; then
      std=('-Zbuild-std=std,panic_unwind')
      export RUSTC_BOOTSTRAP=1
    else
      skip "$target" "its standard library is not installed: rustup target add $target"
      continue
    fi
  fi
  say "building  $target"
  RUSTFLAGS="${RUSTFLAGS:-} $own" cargo ${auditable[@]+"${auditable[@]}"} $verb ${std[@]+"${std[@]}"} \
    --quiet --release --locked --package $name --bin $name --target "$target"
  mkdir -p "$out/$target"
  cp "$target_dir/$target/release/$(program_of "$target")" "$out/$target/"
  say "built     $out/$target/$(program_of "$target")"
done
