# Sourced by the scripts of this folder. Strict mode; the root of the repository as working folder;
# rustup's cargo before any other, as a distribution's may stand in /usr/bin for the check of the oldest
# compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
export PATH
target=$PWD/target
case ${CARGO_TARGET_DIR:-} in
  '') ;;
  /*) target=$CARGO_TARGET_DIR ;;
  *) target=$PWD/$CARGO_TARGET_DIR ;;
esac
export CARGO_TARGET_DIR=$target

# The oldest compiler that the library crates are for, and where Debian's packages put it.
oldest=1.85
oldest_rustc=${OLDEST_RUSTC:-/usr/bin/rustc}
oldest_cargo=${OLDEST_CARGO:-/usr/bin/cargo}
foreign=aarch64-unknown-linux-gnu

say() {
  printf '%s: %s\n' "$(basename "$0")" "$*"
}

fail() {
  say "$*" >&2
  exit 1
}

# Says what is missing and ends the script as skipped, which .ci/run counts apart.
skip() {
  say "skipped: $*"
  exit 77
}

has_nightly() {
  command -v rustup >/dev/null && rustup toolchain list | grep -q '^nightly'
}

# Whether a program (rustc or cargo) is of the oldest version.
is_oldest() {
  local version
  version=$("$1" --version 2>/dev/null) || return 1
  [[ $version == *" $oldest."* ]]
}

# count KEY JSON: the number under the first such key in what a storm reports of the store itself. Where
# the report also has a part about the baseline, the store's part is named "enodev".
count() {
  local json=${2#*\"enodev\":} pattern="\"$1\"[[:space:]]*:[[:space:]]*([0-9]+)"
  [[ $json =~ $pattern ]] || fail "the report has no number \"$1\": $2"
  printf '%s\n' "${BASH_REMATCH[1]}"
}
