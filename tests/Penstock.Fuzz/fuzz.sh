#!/usr/bin/env bash
# Coverage-guided fuzzing of one target: fuzz.sh TARGET [--cpu-minutes N] [--keep]
#   TARGET         request-head, response-head, chunked-body, proxy-protocol, path, identity, csv, tls,
#                  config-yaml, config-json
#   --cpu-minutes  how long (default 15), counted in the fuzzer's own CPU time, so that a busy machine costs nothing
#   --keep         afterwards, add the inputs that are needed for the coverage to Corpus/TARGET.txt
# Does all set-up: afl++ (Debian's package), the instrumenting tool, the build. Everything is in artifacts/fuzz/TARGET.
# Exit code 1: an input broke something; it is in artifacts/fuzz/TARGET/found/default/crashes or hangs.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
target=${1:?"usage: fuzz.sh TARGET [--cpu-minutes N] [--keep]"}
shift
minutes=15 keep=
while [ $# -gt 0 ]; do
    case $1 in
        --cpu-minutes) minutes=$2; shift 2 ;;
        --keep) keep=1; shift ;;
        *) echo "$1 is not known" >&2; exit 2 ;;
    esac
done
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
work=$root/artifacts/fuzz/$target
mkdir -p "$root/artifacts/fuzz"
exec 9>"$root/artifacts/fuzz/lock" # one set-up at a time; the fuzzing itself is not held up
flock 9

if ! command -v afl-fuzz >/dev/null; then
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq afl++ >/dev/null
fi
rm -rf "$work"
mkdir -p "$work"
(cd "$root" && dotnet tool restore >/dev/null)
dotnet publish -c Release -v q --nologo -o "$work/bin" 9>&- >"$work/build.log" || { cat "$work/build.log"; exit 1; }
dotnet "$work/bin/Penstock.Fuzz.dll" --files "$target" "$work/seeds" # before: instrumented, it needs the fuzzer
for assembly in Penstock.Proxy Penstock.Control YamlDotNet; do
    (cd "$root" && dotnet tool run sharpfuzz "$work/bin/$assembly.dll") >/dev/null
done
flock -u 9

export AFL_SKIP_BIN_CHECK=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_UI=1
export AFL_FORKSRV_INIT_TMOUT=120000 AFL_CMIN_ALLOW_ANY=1 DOTNET_gcConcurrent=0 DOTNET_TieredPGO=0
run=("$(command -v dotnet)" "$work/bin/Penstock.Fuzz.dll" --afl "$target")
afl-fuzz -i "$work/seeds" -o "$work/found" -x "$work/seeds.dict" -t 20000 -m none -- "${run[@]}" \
    >"$work/afl.log" 2>&1 9>&- &
fuzzer=$!
trap 'kill -TERM $fuzzer 2>/dev/null || true' EXIT

ticks() { # CPU time of the fuzzer and of all that it started
    local sum=0 pid
    sum=$(awk '{ print $14 + $15 + $16 + $17 }' "/proc/$fuzzer/stat" 2>/dev/null || echo 0)
    for pid in $(pgrep -P "$fuzzer" || true); do
        sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$pid/stat" 2>/dev/null || echo 0)))
    done
    echo "$sum"
}
edges() { tail -n 1 "$work/found/default/plot_data" 2>/dev/null | awk -F ', *' '!/^#/ { print $NF + 0 }'; }
executions() { tail -n 1 "$work/found/default/plot_data" 2>/dev/null | awk -F ', *' '!/^#/ { print $(NF - 1) + 0 }'; }
per_minute=$((60 * $(getconf CLK_TCK)))
used=0
echo "cpu_minutes edges executions" >"$work/coverage.txt"
for mark in 1 2 5 10 15 30 60 120 240 "$minutes"; do
    [ "$mark" -le "$minutes" ] || continue
    while used=$(ticks); [ "$used" -lt $((mark * per_minute)) ] && kill -0 $fuzzer 2>/dev/null; do sleep 5; done
    kill -0 $fuzzer 2>/dev/null || { tail -n 20 "$work/afl.log"; exit 1; }
    line="$mark $(edges) $(executions)"
    tail -n 1 "$work/coverage.txt" | grep -q "^$mark " || echo "$line" >>"$work/coverage.txt"
done
kill -TERM $fuzzer
wait $fuzzer || true
trap - EXIT

echo "$target:"
cat "$work/coverage.txt"
if [ -n "$keep" ]; then
    afl-cmin -i "$work/found/default/queue" -o "$work/min" -t 20000 -m none -- "${run[@]}" >"$work/cmin.log" 2>&1 ||
        { tail "$work/cmin.log"; exit 1; }
    (cd Corpus && dotnet "$root/artifacts/fuzz/$target/bin/Penstock.Fuzz.dll" --lines "$target" "$work/min")
fi
found=$(find "$work/found/default/crashes" "$work/found/default/hangs" -name 'id*' | wc -l)
echo "$found findings"
[ "$found" -eq 0 ]
