#!/usr/bin/env bash
# A ramp of 10, 25 and 50 connections over 10 client ids, by wrk: every answer must be 200 or 429.
# usage: load/ramp.sh [URL [ADMIN]]; without URL it uses the demo on port 8080, and starts one if there is none.
# SECONDS_EACH=5 is how long each step takes; CAPACITY=100 and RATE=10 are the limits of each client.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v wrk >/dev/null || { echo "wrk is needed: apt install wrk" >&2; exit 2; }
url=${1-http://127.0.0.1:8080} admin=${2-http://127.0.0.1:9800}
work=$(mktemp -d)
demo=
finish() {
    [ -z "$demo" ] || kill -TERM "$demo" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

ready() { curl -fs -o /dev/null "$admin/readyz"; }
if ! ready; then
    [ $# = 0 ] || { echo "nothing answers at $admin" >&2; exit 1; }
    program=artifacts/bin/Penstock/release/penstock
    [ -x $program ] || dotnet build src/Penstock -c Release -v quiet --nologo
    $program demo --access-log off >"$work/demo.log" 2>&1 &
    demo=$!
    for _ in $(seq 100); do
        ready && break
        sleep 0.1
    done
    ready || { cat "$work/demo.log" >&2; exit 1; }
fi

for id in $(seq 10); do
    curl -fs -o /dev/null -X PUT "$admin/clients/load$id" \
        -d "{\"capacity\":${CAPACITY-100},\"rate_per_sec\":${RATE-10}}"
done

echo "connections  requests     200     429  other  p95 ms"
for connections in 10 25 50; do
    CONNECTIONS=$connections wrk -t 1 -c $connections -d "${SECONDS_EACH-5}s" --timeout 10s -s load/clients.lua "$url/" >"$work/$connections"
    sed -n 's/^row //p' "$work/$connections"
    grep -q '^row ' "$work/$connections" || { cat "$work/$connections" >&2; exit 1; }
    grep -q '^every answer was 200 or 429$' "$work/$connections" ||
        { echo "an answer was neither 200 nor 429, or there was none" >&2; exit 1; }
done
echo "every answer was 200 or 429"
