#!/usr/bin/env bash
# Tries the Debian package in a Debian 12 of its own: installs it, runs what the unit runs, upgrades, removes, purges.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: deploy/debian/try.sh FOLDER [ROOT]

  FOLDER   what "dotnet publish src/Penstock -c Release -r linux-x64 -o FOLDER" has made
  ROOT     a fresh "debootstrap --variant=minbase bookworm ROOT", which is copied; default: it makes one

Needs root, and Debian's debootstrap, iproute2 and curl. There is no systemd in the Debian that it makes: the command
lines of the unit are run by hand, as the unit's user, in a network and process namespace of their own.
TEXT
}

here=$(dirname "$(realpath "$0")")

ok() { echo "ok: $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
equal() { # WHAT WANTED FOUND
    [ "$2" = "$3" ] || fail "$1 is '$3', not '$2'"
}
until_true() { # WHAT COMMAND...
    local what=$1 i
    shift
    for ((i = 0; i < 300; i++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "$what did not happen within 30 s"
}

in_root() { chroot "$root" "$@"; }
as_service() { # COMMAND LINE, run as systemd would, without its sandbox
    exec chroot --userspec=penstock:penstock "$root" \
        sh -c "cd /var/lib/penstock && umask 0027 && export MAINPID=${main:-} && exec $1"
}
of_unit() { sed -n "s/^$1=//p" "$root/lib/systemd/system/penstock.service"; }
ask() { curl -sS --max-time 10 "$@"; }
status() { ask -o /dev/null -w '%{http_code}' "$@"; }
mode() { stat -c '%a %U:%G' "$root$1" | sed "s/ .*/ $(in_root stat -c '%U:%G' "$1")/"; }
files() { # of the root, without what apt, dpkg and logrotate keep
    (cd "$root" && find etc lib usr var opt run -xdev \( -path var/lib/apt -o -path var/lib/dpkg -o -path var/cache -o \
        -path var/log/apt -o -path var/lib/logrotate \) -prune -o -printf '%y %p\n') |
        grep -v ' \(var/log/dpkg.log\|etc/[a-z]*-\)$' | sort
}

# ---- the parts, in namespaces of their own

try_bare() {
    mkdir -p "$root/opt/try"
    cp "$program/penstock" "$program/libe_sqlite3.so" "$root/opt/try"
    in_root /opt/try/penstock version
    local code=0
    in_root /opt/try/penstock demo >"$work/bare" 2>&1 || code=$?
    equal "the exit code without OpenSSL" 1 $code
    grep -q libssl3 "$work/bare" || fail "without OpenSSL the program does not name the package: $(cat "$work/bare")"
    rm -r "$root/opt/try"
    ok "without OpenSSL: $(cat "$work/bare")"
}

try_demo() {
    chroot "$root" penstock demo >"$work/demo" 2>&1 &
    local demo=$!
    until_true "the answer of the demo" ask -f http://127.0.0.1:8080/
    ok "penstock demo: $(ask http://127.0.0.1:8080/)"
    kill -TERM $demo
    wait $demo || fail "demo ended with $?"
}

start_service() {
    as_service "$(of_unit ExecStart)" >>"$work/service" 2>&1 &
    main=$!
    until_true "the start of the service" ask -f http://127.0.0.1:9800/readyz
}

stop_service() {
    kill -TERM $main
    local code=0
    wait $main || code=$?
    equal "the exit code of the stopped service" 0 $code
}

try_start() {
    equal "mode of /etc/penstock" "750 root:penstock" "$(mode /etc/penstock)"
    equal "mode of /var/lib/penstock" "750 penstock:penstock" "$(mode /var/lib/penstock)"
    in_root penstock backends --count 2 >"$work/backends" 2>&1 &
    start_service
    until_true "an answer through the service" ask -f http://127.0.0.1:8080/
    equal "mode of the database" "600 penstock:penstock" "$(mode /var/lib/penstock/penstock.db)"
    equal "mode of the log" "640 penstock:penstock" "$(mode /var/log/penstock/access.log)"
    equal "the status of a new client" 201 \
        "$(status http://127.0.0.1:9800/clients -d '{"client_id":"user1","capacity":5,"rate_per_sec":0.5}')"
    ok "ExecStart: $(of_unit ExecStart)"
}

try_reload() {
    local file=$root/etc/penstock/penstock.yaml line
    printf 'watch: false\n' >>"$file" # otherwise the changed file is a reload by itself
    sed -i 's/capacity: 100/capacity: 77/' "$file"
    while read -r line; do
        (as_service "$line") >>"$work/reload" || fail "ExecReload: $line"
    done < <(of_unit ExecReload)
    until_true "the new limit" bash -c 'curl -sSi http://127.0.0.1:8080/ | grep -q "q=77"'
    cp "$file" "$work/good"
    echo 'weigth: 3' >>"$file"
    local code=0
    (as_service "$(of_unit ExecReload | head -1)") >"$work/bad" || code=$?
    equal "the exit code of ExecReload with an invalid file" 2 $code
    cat "$work/good" >"$file"
    ok "ExecReload: the limit has changed; an invalid file ends with 2 and: $(head -1 "$work/bad")"
}

try_logrotate() {
    equal "the status before" 200 "$(status http://127.0.0.1:8080/before)"
    until_true "the line in the log" grep -q /before "$root/var/log/penstock/access.log"
    in_root logrotate --force /etc/logrotate.d/penstock
    until_true "a new access log" test -e "$root/var/log/penstock/access.log"
    equal "the status after" 200 "$(status http://127.0.0.1:8080/after)"
    until_true "the line in the new log" grep -q /after "$root/var/log/penstock/access.log"
    grep -q /before "$root/var/log/penstock/access.log.1" || fail "the old log has no line"
    ok "logrotate: $(cd "$root/var/log/penstock" && echo *)"
}

try_upgrade() {
    touch "$work/busy"
    while [ -e "$work/busy" ]; do status -H 'X-API-Key: none' http://127.0.0.1:8080/; echo; done >"$work/statuses" &
    local client=$!
    in_root dpkg -i /tmp/new.deb >"$work/dpkg" 2>&1 </dev/null || fail "upgrade: $(cat "$work/dpkg")"
    equal "the new version" 0.0.2 "$(in_root dpkg -s penstock | sed -n 's/^Version: //p')"
    kill -0 $main || fail "the upgrade has ended the running process"
    rm "$work/busy"
    wait $client
    grep -qvE '^(200|429)$' "$work/statuses" && fail "during the upgrade: $(sort "$work/statuses" | uniq -c)"
    ok "upgrade over the running one: $(wc -l <"$work/statuses") requests, all 200 or 429"
    stop_service
    start_service
    equal "the client after the restart" 200 "$(status http://127.0.0.1:9800/clients/user1)"
    grep -q 'capacity: 77' "$root/etc/penstock/penstock.yaml" || fail "the upgrade has replaced the configuration"
    ok "restart with the new program: the configuration and the client are there"
}

try_removal() {
    stop_service
    ok "stopped by TERM with exit code 0"
    in_root dpkg --remove penstock >"$work/dpkg" 2>&1
    [ ! -e "$root/usr/bin/penstock" ] || fail "the program is still there after removal"
    [ -e "$root/etc/penstock/penstock.yaml" ] || fail "removal has deleted the configuration"
    [ -e "$root/var/lib/penstock/penstock.db" ] || fail "removal has deleted the data"
    ok "dpkg --remove keeps configuration and data"
    in_root dpkg --purge penstock >"$work/dpkg" 2>&1
    grep -q 'kept /var/lib/penstock' "$work/dpkg" || fail "purge does not say what it keeps: $(cat "$work/dpkg")"
    files >"$work/after"
    local left
    left=$(comm -13 "$work/before" "$work/after" | grep -v ' var/lib/penstock' || true)
    equal "what purge leaves besides data" "" "$left"
    ok "dpkg --purge leaves only: $(cd "$root" && echo var/lib/penstock/*)"
    grep '^penstock:' "$work/dpkg"
}

run_parts() {
    root=$1 work=$2 main=
    ip link set lo up
    mount -t proc proc "$root/proc"
    try_demo
    try_start
    try_reload
    try_logrotate
    try_upgrade
    try_removal
}

if [ "${1:-}" = --inside ]; then
    run_parts "$2" "$3"
    exit
fi

[ $# = 1 ] || [ $# = 2 ] || { usage >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "this needs root" >&2; exit 2; }
program=$(realpath "$1") fresh=${2:-}
work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system "$work"' EXIT

"$here/build.sh" "$program" "$work/old.deb" 0.0.1
"$here/build.sh" "$program" "$work/new.deb" 0.0.2
if [ -n "$fresh" ]; then
    cp -a "$fresh" "$root"
else
    echo "making a Debian 12"
    debootstrap --variant=minbase bookworm "$root" >"$work/debootstrap" || { tail -5 "$work/debootstrap"; exit 1; }
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp "$work"/*.deb "$root/tmp"

try_bare
# What the package depends on and recommends comes first, so that "before" shows only the package itself.
in_root apt-get -qq update
in_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
    adduser ca-certificates libssl3 logrotate procps >"$work/apt" 2>&1 || { tail -5 "$work/apt"; exit 1; }
files >"$work/before"
in_root dpkg -i /tmp/old.deb >"$work/dpkg" 2>&1 || fail "installation: $(cat "$work/dpkg")"
ok "installed: $(in_root penstock version)"
unshare --net --mount --pid --fork --kill-child "$here/try.sh" --inside "$root" "$work"
echo "all parts passed"
