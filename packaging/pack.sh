#!/usr/bin/env bash
# Makes every package around binaries that are built already; compiles nothing:
#
#   packaging/pack.sh [BINARIES_DIR [DIST]]
#
# BINARIES_DIR (target/binaries) holds TARGET/planhat-mcp, or TARGET/planhat-mcp.exe, as packaging/build.sh leaves them; DIST
# (dist) is emptied first. Each kind of package is made of the targets that are there. RELEASE=1 insists on all of them.
#
# Runs on Linux (GNU tar, dpkg, Python 3, Node); packaging/tools.sh installs the rest. PARTS="archives debs" makes some alone.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$root"
binaries=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/binaries}")
dist=$(realpath -m "${2:-dist}")
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
parts=${PARTS:-archives debs rpms npm wheels bundle container sbom manifests sums}

there=() platforms=
for target in "${targets[@]}" "${tries[@]}"; do
  [ -f "$binaries/$target/$(program_of "$target")" ] || continue
  [[ $platforms != *" $(platform_of "$target") "* ]] || continue
  platforms+=" $(platform_of "$target") "
  there+=("$target")
done
[ ${#there[@]} -gt 0 ] || fail "there is no binary in $binaries; build some first: packaging/build.sh"
if [ -n "${RELEASE:-}" ]; then
  for target in "${targets[@]}"; do
    [[ " ${there[*]} " == *" $target "* ]] || fail "a release needs $target"
  done
fi

# --- What every package holds beside the binary ------------------------------------------------------------------------------

# Man pages and completions come from the program itself: any of them that runs on this machine, or TEXTS_FROM.
texts() {
  local target program=${TEXTS_FROM:-}
  for target in "${there[@]}"; do
    [ -n "$program" ] && break
    run_target "$target" "$binaries/$target/$(program_of "$target")" --version >/dev/null 2>&1 || continue
    program=$binaries/$target/$(program_of "$target")
    break
  done
  [ -n "$program" ] || fail 'no binary runs on this machine; name one in TEXTS_FROM'
  mkdir -p "$stage/man" "$stage/completions"
  "$program" man --out "$stage/man"
  "$program" completions bash >"$stage/completions/$name.bash"
  "$program" completions zsh >"$stage/completions/_$name"
  "$program" completions fish >"$stage/completions/$name.fish"
  "$program" completions powershell >"$stage/completions/_$name.ps1"
  "$program" completions elvish >"$stage/completions/$name.elv"
  if [ -z "${RELEASE:-}" ] && ! cargo about --version >/dev/null 2>&1; then
    say 'note      cargo-about is not installed: the packages lack the licences of others'
    echo 'cargo-about makes this list; it was not installed.' >"$stage/THIRD-PARTY-LICENSES.md"
  else
    third_party
  fi
}

third_party() {
  # The texts lie in the crates themselves; nothing is asked for elsewhere.
  cargo about generate --locked --offline --fail --config "$packaging/about.toml" "$packaging/third-party.hbs" \
    >"$stage/THIRD-PARTY-LICENSES.md"
}

# A target's files as they lie on a Linux system: tree TARGET FOLDER ZSH, where ZSH is where zsh looks there.
tree() {
  local to=$2/usr/share
  install -D -m 755 "$binaries/$1/$name" "$2/usr/bin/$name"
  install -D -m 644 -t "$to/man/man1" "$stage"/man/*.1
  gzip -9n "$to"/man/man1/*
  install -D -m 644 "$stage/completions/$name.bash" "$to/bash-completion/completions/$name"
  install -D -m 644 -t "$to/zsh/$3" "$stage/completions/_$name"
  install -D -m 644 -t "$to/fish/vendor_completions.d" "$stage/completions/$name.fish"
  install -D -m 644 -t "$to/doc/$name" README.md "$stage/THIRD-PARTY-LICENSES.md"
  install -D -m 644 "$packaging/linux/etc-readme" "$2/etc/$name/README"
}

# --- One function for each kind ----------------------------------------------------------------------------------------------

archives() {
  local target folder work
  work=$(mktemp -d)
  for target in "${there[@]}"; do
    folder=$name-$version-$target
    mkdir -p "$work/$folder"
    install -m 755 "$binaries/$target/$(program_of "$target")" "$work/$folder/"
    install -m 644 README.md LICENSE CHANGELOG.md "$stage/THIRD-PARTY-LICENSES.md" "$work/$folder/"
    install -D -m 644 -t "$work/$folder/man/man1" "$stage"/man/*.1
    install -D -m 644 -t "$work/$folder/completions" "$stage"/completions/*
    case $target in
    *windows*)
      python3 "$packaging/zip.py" "$dist/$folder.zip" "$work" "$folder"
      # winget takes the program as it is.
      install -m 755 "$binaries/$target/$name.exe" "$dist/$folder.exe"
      ;;
    *)
      tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$folder" |
        gzip -9n >"$dist/$folder.tar.gz"
      ;;
    esac
  done
  rm -rf "$work"
}

# The binary needs no library, so neither package needs another, and neither has a script.
debs() {
  local target machine work doc
  for target in "${there[@]}"; do
    [[ $target == *linux-musl ]] || continue
    case $target in x86_64*) machine=amd64 ;; *) machine=arm64 ;; esac
    work=$(mktemp -d)
    tree "$target" "$work" vendor-completions
    doc=$work/usr/share/doc/$name
    {
      printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: %s\nSource: %s\n' \
        $name "$repository"
      printf '\nFiles: *\nCopyright: %s\nLicense: MIT\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
      sed -e '1,/^Copyright/d' LICENSE | sed -e '1{/^$/d}' -e 's/^$/./' -e 's/^/ /'
    } >"$doc/copyright"
    # Debian's form of a changelog; the real one is the project's.
    printf '%s (%s-1) stable; urgency=medium\n\n  * Release %s: see CHANGELOG.md of the project.\n\n -- %s  %s\n' \
      $name "$version" "$version" "$maintainer" "$(date -uR -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.Debian.gz"
    install -D -m 644 "$packaging/linux/lintian-overrides" "$work/usr/share/lintian/overrides/$name"
    mkdir "$work/DEBIAN"
    sed -e "s|@VERSION@|$version-1|; s|@MACHINE@|$machine|; s|@MAINTAINER@|$maintainer|; s|@REPOSITORY@|$repository|" \
      -e "s|@SIZE@|$(du -sk --apparent-size "$work" | cut -f1)|" "$packaging/linux/control" >"$work/DEBIAN/control"
    echo "/etc/$name/README" >"$work/DEBIAN/conffiles"
    (cd "$work" && find usr etc -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    chmod -R u=rwX,go=rX "$work"
    dpkg-deb --root-owner-group -Zxz --build "$work" "$dist/${name}_$version-1_$machine.deb" >/dev/null
    rm -rf "$work"
  done
}

rpms() {
  local target work
  for target in "${there[@]}"; do
    [[ $target == *linux-musl ]] || continue
    work=$(mktemp -d)
    tree "$target" "$work/tree" site-functions
    # Where its kind of system keeps licences.
    install -D -m 644 -t "$work/tree/usr/share/licenses/$name" LICENSE
    mv "$work/tree/usr/share/doc/$name/THIRD-PARTY-LICENSES.md" "$work/tree/usr/share/licenses/$name/"
    rpmbuild -bb --quiet --target "${target%%-*}" --define "_topdir $work" --define "_rpmdir $dist" \
      --define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' --define "tree $work/tree" \
      --define "version $version" --define "repository $repository" --define "maintainer $maintainer" \
      --define "day $(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" "$packaging/linux/planhat-mcp.spec" 2>/dev/null
    rm -rf "$work"
  done
}

# One package; each platform's binary is a version of it, which npm installs by `os` and `cpu`. No script runs at install.
npm() {
  local target work platforms=()
  work=$(mktemp -d)
  for target in "${there[@]}"; do
    platforms+=("$(platform_of "$target")")
    mkdir -p "$work/$(platform_of "$target")/bin"
    install -m 755 "$binaries/$target/$(program_of "$target")" "$work/$(platform_of "$target")/bin/"
  done
  mkdir -p "$work/main/bin"
  install -m 755 "$packaging/npm/launch.js" "$work/main/bin/"
  node "$packaging/npm/packages.mjs" "$work" "$name" "$version" "$mcp_name" "$description" "$repository" \
    "${platforms[@]}"
  local folder
  for folder in "$work"/*/; do
    install -m 644 README.md LICENSE "$stage/THIRD-PARTY-LICENSES.md" "$folder"
    command npm pack --silent --ignore-scripts --pack-destination "$dist" "$folder" >/dev/null
  done
  rm -rf "$work"
}

wheels() {
  local target
  for target in "${there[@]}"; do
    python3 "$packaging/python/wheel.py" "$binaries/$target/$(program_of "$target")" "$target" "$version" "$dist" \
      --root "$root" --description "$description" --repository "$repository" \
      --licenses "$stage/THIRD-PARTY-LICENSES.md"
  done
}

# One bundle for all platforms.
bundle() {
  LICENSES=$stage/THIRD-PARTY-LICENSES.md "$packaging/mcpb/build.sh" "$binaries" "$dist" >/dev/null
}

# What the container image is built of: `docker buildx build dist/container`.
container() {
  local target machine
  for target in "${there[@]}"; do
    case $target in
    x86_64*linux*) machine=amd64 ;;
    aarch64*linux*) machine=arm64 ;;
    *) continue ;;
    esac
    install -D -m 755 "$binaries/$target/$name" "$dist/container/linux/$machine/$name"
  done
  install -D -m 644 -t "$dist/container" "$packaging/container/Containerfile" LICENSE "$stage/THIRD-PARTY-LICENSES.md"
}

sbom() {
  local work
  if [ -z "${RELEASE:-}" ] && ! cargo cyclonedx --version >/dev/null 2>&1; then
    say 'note      cargo-cyclonedx is not installed: there is no SBOM'
    return
  fi
  work=$(mktemp -d)
  # It writes beside the manifest: a copy of what it reads keeps the sources clean.
  cp -r Cargo.toml Cargo.lock src tests benches README.md "$work/"
  [ ! -f build.rs ] || cp build.rs "$work/"
  cargo cyclonedx --quiet --manifest-path "$work/Cargo.toml" --format json --spec-version 1.5 --target all \
    --override-filename "$name-$version.cdx"
  python3 "$packaging/sbom.py" "$work/$name-$version.cdx.json" "$work" >"$dist/$name-$version.cdx.json"
  rm -rf "$work"
}

# Whatever names the files above by their sums: the registry's server.json, Homebrew, Scoop, winget, AUR.
manifests() {
  python3 "$packaging/render.py" "$packaging/templates" "$dist" --version "$version" --description "$description" \
    --repository "$repository" --mcp-name "$mcp_name" ${RELEASE:+--release}
}

sums() {
  local list
  list=$(cd "$dist" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum)
  printf '%s\n' "$list" >"$dist/SHA256SUMS"
}

if [ -z "${PARTS:-}" ]; then
  rm -rf "$dist"
fi
mkdir -p "$dist"
texts
for part in $parts; do
  say "packing   $part"
  $part
done
say "packed    ${#there[@]} targets: ${there[*]}"
(cd "$dist" && find . -type f -printf '%10s  %P\n' | LC_ALL=C sort -k2)
