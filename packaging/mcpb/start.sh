#!/bin/sh
# What a client starts on macOS and Linux: it finds the program for this machine and becomes it.
#
# The client starts this through /bin/sh, so it works from a bundle that was unpacked without its execute bits; the program's
# own bit is set here, or, where the folder cannot be written to, on a copy in the user's cache.

case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
# Clients strip the environment; uname and chmod are found all the same.
PATH=${PATH:+$PATH:}/usr/bin:/bin
export PATH

system=$(uname -s) machine=$(uname -m)
case $system in
Darwin) system=darwin ;;
Linux) system=linux ;;
esac
case $machine in
arm64 | aarch64) machine=arm64 ;;
x86_64 | amd64) machine=x64 ;;
esac
program=$here/$system-$machine/planhat-mcp

if [ ! -f "$program" ]; then
    echo "planhat-mcp: this bundle has no program for $system on $machine; see its README for other packages" >&2
    exit 1
fi
if [ ! -x "$program" ] && ! chmod +x "$program" 2>/dev/null; then
    cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/planhat-mcp
    # A copy that is the same is used again: the name carries the size and the sum.
    copy=$cache/planhat-mcp-$(cksum <"$program" | tr ' ' -)
    if [ ! -x "$copy" ]; then
        (umask 077 && mkdir -p "$cache" && cp "$program" "$copy.$$" && chmod 700 "$copy.$$" && mv "$copy.$$" "$copy") || exit 1
    fi
    program=$copy
fi
exec "$program" "$@"
