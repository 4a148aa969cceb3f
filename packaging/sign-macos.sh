#!/usr/bin/env bash
# Signs a program with the Developer ID and has it notarised: sign-macos.sh PROGRAM. Without CERTIFICATE (a .p12 in base64) it
# says so and leaves the program as it is; without NOTARY_KEY (a .p8 in base64) it signs only.
#
# A program alone cannot carry the ticket of its notarisation: macOS asks for it when the program is first started.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

program=${1:?usage: sign-macos.sh PROGRAM}
if [ -z "${CERTIFICATE:-}" ]; then
  say 'not signed: CERTIFICATE is not set'
  exit 0
fi
work=$(mktemp -d)
keychain=$work/signing.keychain-db
word=$(openssl rand -hex 16)
trap 'security delete-keychain "$keychain" 2>/dev/null || true; rm -rf "$work"' EXIT

printf '%s' "$CERTIFICATE" | base64 --decode >"$work/certificate.p12"
security create-keychain -p "$word" "$keychain"
security unlock-keychain -p "$word" "$keychain"
security import "$work/certificate.p12" -k "$keychain" -P "$CERTIFICATE_PASSWORD" -T /usr/bin/codesign
security set-key-partition-list -S apple-tool:,apple: -s -k "$word" "$keychain" >/dev/null
# The identifier stays what it is, whatever the file is called: the keychain remembers "always allow" for it.
codesign --force --options runtime --timestamp --identifier "io.github.$owner.$name" --keychain "$keychain" --sign "$IDENTITY" "$program"
codesign --verify --strict --verbose=2 "$program"

if [ -z "${NOTARY_KEY:-}" ]; then
  say 'signed, not notarised: NOTARY_KEY is not set'
  exit 0
fi
printf '%s' "$NOTARY_KEY" | base64 --decode >"$work/key.p8"
ditto -c -k "$program" "$work/program.zip"
xcrun notarytool submit "$work/program.zip" --key "$work/key.p8" --key-id "$NOTARY_KEY_ID" --issuer "$NOTARY_ISSUER" --wait --timeout 30m
say 'signed and notarised'
