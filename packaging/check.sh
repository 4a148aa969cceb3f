#!/usr/bin/env bash
# Installs each package of DIST (dist) as its users do, and uses it: the version, a sign-in, a call.
#
#   packaging/check.sh [DIST]
#
# PARTS says which, in the words of packaging/pack.sh. Runs on Linux; needs dpkg, rpm, npm, Python 3, lintian, rpmlint, and the
# sandbox (cargo build -p planhat-sandbox). Packages for arm64 are used under qemu-aarch64-static where that is installed; what is
# for another system is looked into, not started.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

export VERSION=$version MCP_NAME=$mcp_name
exec python3 "$packaging/check.py" "$(realpath "${1:-$root/dist}")"
