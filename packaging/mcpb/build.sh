#!/usr/bin/env bash
# Makes Claude Desktop's one-click bundle:
#
#   packaging/mcpb/build.sh target/release/planhat-mcp [DIST]     for this machine's platform (planhat-mcp.exe: for Windows)
#   packaging/mcpb/build.sh BINARIES_DIR [DIST]                   for all whose TARGET/planhat-mcp is there
#
# The bundle goes to DIST (dist). Needs Node 20; the packer comes from npm, or is what MCPB names. LICENSES names the file with the
# licences of others that goes in (packaging/pack.sh makes it).
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

from=$(realpath "${1:?usage: build.sh BINARY or BINARIES_DIR [DIST]}")
dist=$(realpath -m "${2:-$root/dist}")
mcpb=${MCPB:-npx --yes @anthropic-ai/mcpb@2.1.2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Claude Desktop knows systems, not machines: start.sh chooses among them.
put() {
  case $(platform_of "$1") in
  # Windows on arm64 runs the x86_64 program.
  win32-arm64) ;;
  win32-*) install -D -m 755 "$2" "$work/server/$name.exe" ;;
  *) install -D -m 755 "$2" "$work/server/$(platform_of "$1")/$name" ;;
  esac
}

if [ -d "$from" ]; then
  # Those of a release last: they win over what was built in the place of one.
  for target in "${tries[@]}" "${targets[@]}"; do
    [ ! -f "$from/$target/$(program_of "$target")" ] || put "$target" "$from/$target/$(program_of "$target")"
  done
else
  case $from/$(uname -s) in
  *.exe/*) put x86_64-windows "$from" ;;
  */Darwin) put "$(uname -m | sed s/arm64/aarch64/)-darwin" "$from" ;;
  */Linux) put "$(uname -m)-linux" "$from" ;;
  *) fail "no bundle for $(uname -s)" ;;
  esac
fi
[ -d "$work/server" ] || fail "there is no program in $from"

install -m 755 "$packaging/mcpb/start.sh" "$work/server/"
install -m 644 "$root/LICENSE" "$packaging/mcpb/icon.png" "$work/"
[ -z "${LICENSES:-}" ] || install -m 644 "$LICENSES" "$work/THIRD-PARTY-LICENSES.md"
node "$packaging/mcpb/manifest.mjs" "$packaging/mcpb/manifest.json" "$work" "$version" "$repository"
mkdir -p "$dist"
$mcpb validate "$work/manifest.json"
$mcpb pack "$work" "$dist/$name-$version.mcpb"
