#!/bin/sh
# Builds Claude Desktop's one-click bundle around a binary that is already built:
#
#   packaging/mcpb/build.sh target/release/planhat-mcp [DIRECTORY]
#
# The bundle goes to DIRECTORY (default: dist). It holds the binary of one platform: the name decides about Windows
# (planhat-mcp.exe), BUNDLE_PLATFORM (darwin, win32, linux) or else this machine about the rest.
# Needs Node 20; the packer comes from npm, or from MCPB when that names an installed one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
binary=${1:?usage: build.sh BINARY [DIRECTORY]}
mkdir -p "${2:-$root/dist}"
out=$(cd "${2:-$root/dist}" && pwd)
mcpb=${MCPB:-npx --yes @anthropic-ai/mcpb@2.1}

[ -f "$binary" ] || { echo "build.sh: there is no file $binary; build it first: cargo build --release" >&2; exit 1; }
case "$binary" in
*.exe) platform=win32 name=planhat-mcp.exe ;;
*)
    name=planhat-mcp
    case "${BUNDLE_PLATFORM:-$(uname -s)}" in
    [Dd]arwin) platform=darwin ;;
    [Ll]inux) platform=linux ;;
    *) echo "build.sh: say which platform the binary is for: BUNDLE_PLATFORM=darwin, win32 or linux" >&2; exit 1 ;;
    esac
    ;;
esac
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/server"
cp "$binary" "$stage/server/$name"
chmod 755 "$stage/server/$name"
cp "$root/LICENSE" "$stage/LICENSE"
# One platform, its binary, and the version of Cargo.toml; all else as it stands in the manifest here.
node - "$here/manifest.json" "$stage/manifest.json" "$version" "$platform" "$name" <<'SCRIPT'
const fs = require('fs');
const [from, to, version, platform, name] = process.argv.slice(2);
const manifest = JSON.parse(fs.readFileSync(from, 'utf8'));
manifest.version = version;
manifest.compatibility.platforms = [platform];
manifest.server.entry_point = `server/${name}`;
manifest.server.mcp_config.command = '${__dirname}/server/' + name;
delete manifest.server.mcp_config.platform_overrides;
fs.writeFileSync(to, JSON.stringify(manifest, null, 2) + '\n');
SCRIPT

$mcpb validate "$here/manifest.json"
$mcpb validate "$stage/manifest.json"
$mcpb pack "$stage" "$out/planhat-mcp-$version-$platform.mcpb"
