#!/usr/bin/env bash
# Runs all tests. Installs what they need where it can, names what is missing where it cannot, and ends with one line
# of counts. Options are for scripts; see --help.
set -uo pipefail
cd "$(dirname "$0")"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

usage() {
    cat <<'TEXT'
usage: ./test.sh [--no-install] [--no-skips] [--no-native] [PROJECT...]

Builds the solution and the native program, runs the test projects (unit and integration tests, or those named, such as Penstock.BrowserTests)
and ends with "N passed, N failed, N skipped". Exit code: 0 when nothing failed.

  --no-install   do not install missing packages; tests that need them are skipped and named
  --no-skips     a skipped test counts as a failure
  --no-native    do not build the native program; its smoke tests are skipped
TEXT
}

install=1 skips_fail=0 native=1 projects=()
for argument in "$@"; do
    case $argument in
        --no-install) install=0 ;;
        --no-skips) skips_fail=1 ;;
        --no-native) native=0 ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) projects+=("$argument") ;;
    esac
done
[ ${#projects[@]} -gt 0 ] || projects=(Penstock.UnitTests Penstock.IntegrationTests)

# One row for each thing that some tests need: what proves that it is there | Debian's package | the tests that need it.
needs=(
    "/usr/sbin/nginx|nginx|nginx as a backend and as the reference for hostile requests"
    "/usr/sbin/haproxy|haproxy|HAProxy as the reference for hostile requests"
    "/usr/lib/postgresql/*/bin/initdb|postgresql|the client store in PostgreSQL and limits that nodes share"
    "/usr/bin/pebble|pebble|certificates from a CA"
    "/usr/sbin/pgbouncer|pgbouncer|PostgreSQL behind PgBouncer"
    "/usr/bin/node|nodejs|WebSockets of Node"
    "/usr/share/nodejs/ws|node-ws|WebSockets of Node"
    "/sbin/mkfs.ext4|e2fsprogs|disks that get full or break"
    "/sbin/ip|iproute2|a network whose cable is pulled"
    "/usr/bin/promtool|prometheus|metrics and alert rules for Prometheus"
    "/usr/bin/chromium|chromium|browser tests, and a browser that trusts a certificate"
    "/usr/bin/certutil|libnss3-tools|a browser that trusts a certificate"
    "/usr/bin/ab|apache2-utils|the load of users of other balancers"
    "/usr/bin/wrk|wrk|the load test of the documents"
    "/usr/bin/make|make|the load test of the documents"
    "/usr/bin/jq|jq|commands of the documents"
    "/usr/bin/curl|curl|commands of the documents"
    "/usr/bin/openssl|openssl|what a scanner asks of TLS"
    "/usr/bin/groff|groff-base|the manual page"
    "/usr/bin/zsh|zsh|completions in zsh"
    "/usr/bin/fish|fish|completions in fish"
    "/usr/bin/clang|clang|the native program"
    "/usr/include/zlib.h|zlib1g-dev|the native program"
)

missing=()
look_for_needs() {
    missing=()
    local row pattern
    for row in "${needs[@]}"; do
        pattern=${row%%|*}
        compgen -G "$pattern" >/dev/null || missing+=("${row#*|}")
    done
}

# The SDK is the one thing that this script does not install.
dotnet --version >/dev/null || { echo "the .NET 10 SDK is needed: https://dot.net" >&2; exit 2; }

look_for_needs
if [ ${#missing[@]} -gt 0 ] && [ $install = 1 ]; then
    packages=("${missing[@]%%|*}")
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
        echo "installing for the tests: ${packages[*]}"
        log=$(mktemp)
        "${as_root[@]}" apt-get update -qq >"$log" 2>&1
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${packages[@]}" >>"$log" 2>&1 || { echo "apt-get install failed:"; tail -5 "$log"; }
        rm -f "$log"
        look_for_needs
    else
        echo "not installed, since that takes root (or sudo without a password) and apt-get. By hand:"
        echo "    sudo apt-get install --no-install-recommends ${packages[*]}"
    fi
fi
for row in "${missing[@]}"; do
    echo "missing: ${row%%|*}; left out: ${row#*|}"
done
[ "$(id -u)" = 0 ] || echo "not root; left out: full disks, pulled cables, processor and memory bounds, commands of the documents"

echo "building"
dotnet build -c Release -v quiet --nologo || exit 1

if [ $native = 1 ] && compgen -G /usr/bin/clang >/dev/null && [ -e /usr/include/zlib.h ]; then
    echo "building the native program"
    folder=$PWD/artifacts/native
    if dotnet publish src/Penstock -c Release -r "$(dotnet --info | sed -n 's/^ *RID: *//p')" -v quiet --nologo \
        -o "$folder"; then
        export PENSTOCK_NATIVE=$folder/penstock
    else
        exit 1
    fi
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
code=0
run() { # TITLE PROJECT OPTION...
    local title=$1 project=$2
    shift 2
    echo "running $title"
    "artifacts/bin/$project/release/$project" -noLogo -reporter quiet -result-xml "$results/$title.xml" "$@" || code=1
    [ -s "$results/$title.xml" ] || { echo "$title ended without results"; code=1; }
}

over_tls=()
for part in Attacks Backends Limits Reload Requests Soak; do
    over_tls+=(-namespace "Penstock.IntegrationTests.$part")
done

for project in "${projects[@]}"; do # one after the other, so that they share no cores
    run "$project" "$project"
    [ "$project" = Penstock.IntegrationTests ] || continue
    # The same requests, attacks, faults and storms once more, with TLS on both sides of the proxy.
    PENSTOCK_TEST_TLS=1 run "$project over TLS" "$project" -trait- tls=no "${over_tls[@]}"
done

# The results are one XML line with the counts in the element "assembly" and a reason in each skipped test.
count() { # one attribute, summed over the test projects
    cat "$results"/*.xml 2>/dev/null | grep -o '<assembly [^>]*' | grep -o " $1=\"[0-9]*\"" | tr -dc '0-9\n' |
        awk '{ total += $1 } END { print total + 0 }'
}
passed=$(count passed) skipped=$(count skipped) failed=$(($(count failed) + $(count errors)))

if [ "$skipped" -gt 0 ]; then
    echo "skipped, and why:"
    cat "$results"/*.xml | sed 's/<reason>/\n<reason>/g' | sed -n 's/^<reason><!\[CDATA\[\(.*\)\]\]><\/reason>.*/\1/p' |
        sort | uniq -c | sort -rn
    [ $skips_fail = 0 ] || { echo "skipped tests count as failures here"; code=1; }
fi
[ "$passed" -gt 0 ] || { echo "no test ran"; code=1; }
[ "$failed" -eq 0 ] || code=1
echo "$passed passed, $failed failed, $skipped skipped"
exit $code
