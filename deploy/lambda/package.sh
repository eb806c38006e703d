#!/usr/bin/env bash
# Builds a program as a Lambda function: package.sh BIN [x86_64|arm64] -> deploy/lambda/build/bootstrap
#
# The runtime provided.al2023 has glibc 2.34. A build for another processor needs its Rust target and linker (CARGO_TARGET_…_LINKER),
# or is done in a container of that processor with Amazon Linux 2023.
set -euo pipefail
cd "$(dirname "$0")/../.."

bin=${1:?usage: package.sh BIN [x86_64|arm64]}
architecture=${2:-x86_64}
case $architecture in
  x86_64) target=x86_64-unknown-linux-gnu ;;
  arm64) target=aarch64-unknown-linux-gnu ;;
  *) printf 'error: %s is neither x86_64 nor arm64\n' "$architecture" >&2; exit 2 ;;
esac
if [ "$(rustc -vV | sed -n 's/^host: //p')" = "$target" ]; then
  cargo build --release --locked --bin "$bin"
  built=target/release/$bin
else
  cargo build --release --locked --bin "$bin" --target "$target"
  built=target/$target/release/$bin
fi

# What the program asks of glibc is in its table of versions.
asks=$(grep -aoE 'GLIBC_2\.[0-9]+' "$built" | sort -uV | tail -1)
if [ "$(printf '%s\n' GLIBC_2.34 "$asks" | sort -V | tail -1)" != GLIBC_2.34 ]; then
  printf 'error: %s asks for %s, and provided.al2023 has 2.34: build it on Amazon Linux 2023 or an older Linux\n' \
    "$built" "$asks" >&2
  exit 1
fi

mkdir -p deploy/lambda/build
cp "$built" deploy/lambda/build/bootstrap
printf 'deploy/lambda/build/bootstrap: %s, %s, %s bytes\n' "$bin" "$architecture" "$(stat -c %s deploy/lambda/build/bootstrap)"
