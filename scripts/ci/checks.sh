# Read by arm64 and compilers beside this file: runs checks, and sums them.
# shellcheck shell=sh
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Runs a command, quiet unless it fails.
check() {
  name=$1
  shift
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "$name failed:"
    cat "$log"
  fi
}

# Prints the last line. Must be the last command.
sum() {
  echo "$passed passed, $failed failed, 0 skipped"
  [ "$failed" = 0 ]
}
