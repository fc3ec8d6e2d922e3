#!/usr/bin/env bash
# Tries the Debian package under a real systemd: boots a Debian 12 in a container of systemd-nspawn, without a network.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: deploy/debian/try-systemd.sh FOLDER [ROOT]

  FOLDER   what "dotnet publish src/Penstock -c Release -r linux-x64 -o FOLDER" has made
  ROOT     a fresh "debootstrap --variant=minbase bookworm ROOT", which is copied; default: it makes one

Needs root, and Debian's debootstrap and systemd-container.
TEXT
}

ok() { echo "ok: $*"; }
fail() {
    echo "FAILED: $*"
    systemctl status --no-pager --full penstock || true
    exit 1
}
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

# ---- the parts, inside the container

config=/etc/penstock/penstock.yaml
property() { systemctl show --value -p "$1" penstock; }
answers() { curl -fsSk --max-time 10 "$@"; }
of_process() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(property MainPID)/status"; }

try_installation() {
    dpkg -i /root/old.deb >/root/dpkg 2>&1 || fail "installation: $(cat /root/dpkg)"
    equal "the state" "active enabled" "$(systemctl is-active penstock) $(systemctl is-enabled penstock)"
    systemd-run --quiet --unit=backends penstock backends --count 2
    until_true "an answer through the service" answers http://127.0.0.1:8080/
    equal "mode of the state folder" "750 penstock penstock" "$(stat -c '%a %U %G' /var/lib/penstock)"
    equal "mode of the database" "600 penstock" "$(stat -c '%a %U' /var/lib/penstock/penstock.db)"
    equal "seccomp, no new privileges" "2 1" "$(of_process Seccomp) $(of_process NoNewPrivs)"
    equal "capabilities" "0000000000000400" "$(of_process CapBnd)" # CAP_NET_BIND_SERVICE
    ok "dpkg -i has started it: user $(property User), seccomp filter, MemoryDenyWriteExecute=$(property \
        MemoryDenyWriteExecute), descriptors $(property LimitNOFILE)"
    equal "what systemd-analyze verify says" "" "$(systemd-analyze verify --man=no penstock.service 2>&1)"
    ok "$(systemd-analyze security --no-pager penstock | tail -1 | sed 's/^[^A-Za-z]*//; s/ *[^ -~]*$//')"
}

try_reload() {
    local process
    process=$(property MainPID)
    echo 'watch: false' >>$config # otherwise the changed file is a reload by itself
    sed -i 's/capacity: 100/capacity: 77/' $config
    systemctl reload penstock || fail "reload"
    until_true "the new limit" bash -c 'curl -sSi http://127.0.0.1:8080/ | grep -q "q=77"'
    cp -p $config /root/good
    echo 'weigth: 3' >>$config
    systemctl reload penstock 2>/dev/null && fail "a reload with an invalid file has succeeded"
    journalctl --no-pager -u penstock | grep -q "unknown key 'weigth'" || fail "the journal does not name the error"
    cat /root/good >$config
    equal "the process after two reloads" "$process active" "$(property MainPID) $(systemctl is-active penstock)"
    ok "systemctl reload; with an invalid file it fails, the journal says why, and the service keeps running"
}

try_ports_and_tls() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout /etc/penstock/key.pem \
        -out /etc/penstock/cert.pem 2>/dev/null
    chown root:penstock /etc/penstock/key.pem
    chmod 0640 /etc/penstock/key.pem
    sed -i '/^listen:/d' $config
    cat >>$config <<'TEXT'
listen:
  - 0.0.0.0:80
  - { address: 0.0.0.0:443, tls: { certificates: [{ cert: /etc/penstock/cert.pem, key: /etc/penstock/key.pem }] } }
  - 0.0.0.0:8080
TEXT
    systemctl restart penstock || fail "restart"
    until_true "an answer on port 80" answers http://127.0.0.1:80/
    until_true "an answer over TLS on port 443" answers https://127.0.0.1:443/
    ok "ports 80 and 443 without root, TLS"
}

try_logrotate() {
    until_true "the access log" test -s /var/log/penstock/access.log
    logrotate --force /etc/logrotate.d/penstock
    until_true "a new access log" test -e /var/log/penstock/access.log
    ok "logrotate: $(echo /var/log/penstock/*)"
}

try_upgrade() {
    local process
    process=$(property MainPID)
    curl -fsS http://127.0.0.1:9800/clients -d '{"client_id":"user1","capacity":5,"rate_per_sec":0.5}' >/dev/null
    echo 'weigth: 3' >>$config
    dpkg -i /root/new.deb >/root/dpkg 2>&1 </dev/null || fail "upgrade: $(cat /root/dpkg)"
    grep -q 'so the old one still runs' /root/dpkg || fail "the upgrade does not say that it did not restart"
    grep -q "unknown key 'weigth'" /root/dpkg || fail "the upgrade does not show the error"
    equal "the process" "$process active" "$(property MainPID) $(systemctl is-active penstock)"
    ok "upgrade with a configuration that the new version rejects: the old process keeps running"

    sed -i '/weigth/d' $config
    curl -fsS http://127.0.0.1:9800/clients -d '{"client_id":"load","capacity":1000000,"rate_per_sec":1000}' >/dev/null
    touch /root/loaded
    while [ -e /root/loaded ]; do
        curl -s -o /dev/null -w '%{http_code}\n' --max-time 10 -H 'X-API-Key: load' http://127.0.0.1:8080/
    done >/root/statuses &
    local restarts load=$!
    restarts=$(property NRestarts)
    dpkg -i /root/old.deb >/root/dpkg 2>&1 </dev/null || fail "second upgrade: $(cat /root/dpkg)"
    [ "$(property MainPID)" != "$process" ] || fail "no new process has taken over"
    until_true "the end of the old process" test ! -d "/proc/$process"
    rm /root/loaded
    wait $load
    equal "the state" "active $restarts" "$(systemctl is-active penstock) $(property NRestarts)"
    journalctl -u penstock --no-pager | grep -q '"event":"handed_over"' || fail "it was restarted"
    equal "the statuses during the upgrade" 200 "$(sort -u /root/statuses)"
    answers http://127.0.0.1:9800/clients/user1 >/dev/null || fail "the client is lost"
    ok "upgrade over the running one: a new process took over, $(wc -l </root/statuses) requests, all 200"
}

try_failures() {
    local process
    process=$(property MainPID)
    kill -KILL "$process"
    until_true "the restart after a kill" bash -c \
        "systemctl -q is-active penstock && [ \"\$(systemctl show --value -p MainPID penstock)\" != $process ]"
    ok "killed: systemd has started it again"
    echo 'weigth: 3' >>$config
    systemctl restart penstock 2>/dev/null && fail "it has started with an invalid configuration"
    sleep 2
    equal "state, exit code and restarts" "failed 2 0" \
        "$(systemctl is-failed penstock) $(property ExecMainStatus) $(property NRestarts)"
    sed -i '/weigth/d' $config
    systemctl start penstock
    ok "invalid configuration at start: exit code 2, no further start"
}

try_removal() {
    systemctl stop penstock
    equal "the result of the stop" "inactive success 0" \
        "$(systemctl is-active penstock || true) $(property Result) $(property ExecMainStatus)"
    systemctl start penstock
    dpkg --remove penstock >/root/dpkg 2>&1 || fail "removal: $(cat /root/dpkg)"
    pgrep -x penstock -u penstock >/dev/null && fail "a process is left"
    rm /etc/penstock/*.pem
    dpkg --purge penstock >/root/dpkg 2>&1 || fail "purge: $(cat /root/dpkg)"
    [ ! -e /etc/penstock ] || fail "purge has left /etc/penstock"
    [ -z "$(find /etc/systemd /var/lib/systemd -name '*penstock*')" ] || fail "purge has left links of the unit"
    ok "removal stops it; purge leaves: $(echo /var/lib/penstock/*)"
}

run_parts() {
    until_true "the start of the system" systemctl -q is-active dbus
    try_installation
    try_reload
    try_ports_and_tls
    try_logrotate
    try_upgrade
    try_failures
    try_removal
    echo "all parts passed"
}

if [ "${1:-}" = --inside ]; then
    run_parts
    exit
fi

[ $# = 1 ] || [ $# = 2 ] || { usage >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "this needs root" >&2; exit 2; }
here=$(dirname "$(realpath "$0")")
program=$(realpath "$1") fresh=${2:-}
work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system "$work"' EXIT

if [ -n "$fresh" ]; then
    cp -a "$fresh" "$root"
else
    echo "making a Debian 12"
    debootstrap --variant=minbase bookworm "$root" >"$work/debootstrap" || { tail -5 "$work/debootstrap"; exit 1; }
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
chroot "$root" apt-get -qq update
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends systemd systemd-sysv \
    dbus adduser ca-certificates curl libssl3 logrotate openssl procps >"$work/apt" 2>&1 ||
    { tail -5 "$work/apt"; exit 1; }
"$here/build.sh" "$program" "$root/root/old.deb" 0.0.1
"$here/build.sh" "$program" "$root/root/new.deb" 0.0.2
cp "$0" "$root/root/try"
cat >"$root/etc/systemd/system/try.service" <<'TEXT'
[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/root/try --inside
StandardOutput=append:/root/output
StandardError=append:/root/output
[Install]
WantedBy=multi-user.target
TEXT
chroot "$root" systemctl -q enable try.service
timeout 300 systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --private-network --boot \
    >"$work/boot" 2>&1 </dev/null || true
[ -s "$root/root/output" ] || { echo "the container did not boot:"; tail -20 "$work/boot"; exit 1; }
cat "$root/root/output"
tail -1 "$root/root/output" | grep -qx "all parts passed"
