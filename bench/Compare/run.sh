#!/usr/bin/env bash
# Penstock, nginx and HAProxy on the same work in one sitting: CPU time of the proxy per request.
#
#   bench/Compare/run.sh                       everything, as a Markdown table on standard output
#   ROUNDS=3 SECONDS_PER_ROUND=2 …             shorter
#   PENSTOCK=none …                            without Penstock; PENSTOCK=/path/to/penstock another build
#   NATIVE=/path/to/penstock …                 the native program beside it
#   PROXIES="penstock nginx"  WORKS="small"    a selection
#   ACCESS_LOG=1 …                             Penstock (JSON) and nginx (combined) log each request to a file;
#                                              ACCESS_LOG="buffer=64k flush=1s": nginx collects lines, as Penstock does
#
#   TLS=1 …                                    also over TLS 1.3: keep-alive, 1 MiB, full and resumed handshakes
#
# One core for the proxy (one worker, thread or loop each), another for the load and the backends. Every proxy
# forwards X-Forwarded-For and -Proto, checks a limit per address, keeps connections to backends, and logs nothing,
# unless ACCESS_LOG is set.
# Rounds are interleaved, because the machine's speed drifts; each figure is the median of its rounds.
set -euo pipefail
cd "$(dirname "$0")/../.."

PENSTOCK=${PENSTOCK:-artifacts/bin/Penstock/release/penstock}
ROUNDS=${ROUNDS:-5}
SECONDS_PER_ROUND=${SECONDS_PER_ROUND:-5}
WARMUP_SECONDS=${WARMUP_SECONDS:-10} # the JIT's second tier needs that long
CONNECTIONS=${CONNECTIONS:-64}
IDLE_CONNECTIONS=${IDLE_CONNECTIONS:-1000}
PROXY_CORE=${PROXY_CORE:-0}
LOAD_CORE=${LOAD_CORE:-1}
TLS=${TLS:-}
WORKS=${WORKS:-small limited big ${TLS:+tls tls_big full resumed}}
NATIVE=${NATIVE:-}
ACCESS_LOG=${ACCESS_LOG:-}
PROXIES=${PROXIES:-penstock ${NATIVE:+native} nginx haproxy}
[[ $PENSTOCK == none ]] && PROXIES=${PROXIES//penstock/}

declare -A TITLE=([small]='65-byte response' [limited]='429, limit exceeded' [big]='1 MiB response'
    [tls]='65-byte response, TLS' [tls_big]='1 MiB response, TLS'
    [full]='full handshake and a request' [resumed]='resumed handshake and a request')
declare -A TARGET=([small]=/ [limited]=/limited [big]=/big [tls]=/ [tls_big]=/big)
declare -A PORT TLS_PORT PIDS IDLE_KB IDLE_TLS_KB FRESH_KB FIRST_MS CPU_US RATE # PIDS by proxy; CPU_US and RATE hold a figure per round, by "work proxy"

fail() { echo "bench: $*" >&2; exit 1; }

for tool in nginx haproxy wrk taskset openssl ${TLS:+python3}; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install nginx haproxy wrk util-linux openssl python3"
done
((PROXY_CORE < $(nproc) && LOAD_CORE < $(nproc) && PROXY_CORE != LOAD_CORE)) ||
    fail "two processor cores are needed; PROXY_CORE=$PROXY_CORE LOAD_CORE=$LOAD_CORE, $(nproc) here"
[[ $PROXIES != *penstock* || -x $PENSTOCK ]] ||
    fail "$PENSTOCK is missing: dotnet build -c Release, or PENSTOCK=none"
[[ $(ulimit -Hn) == unlimited ]] || (($(ulimit -Hn) >= IDLE_CONNECTIONS * 4 + 2000)) ||
    fail "only $(ulimit -Hn) open files are allowed: raise 'ulimit -n' or lower IDLE_CONNECTIONS"
ulimit -Sn "$(ulimit -Hn)"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/penstock-compare.XXXXXX")
STARTED=()
cleanup() {
    ((${#STARTED[@]} == 0)) || kill "${STARTED[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

NEXT_PORT=$((20000 + RANDOM % 10000))
free_port() { # sets REPLY
    while listens $((++NEXT_PORT)); do :; done
    REPLY=$NEXT_PORT
}

# start NAME CORE PORT COMMAND…: runs it until the port answers
start() {
    local name=$1 core=$2 port=$3 pid
    shift 3
    taskset -c "$core" "$@" >"$WORK/$name.log" 2>&1 &
    pid=$!
    STARTED+=("$pid")
    for _ in {1..100}; do
        if listens "$port"; then
            PIDS[$name]="$pid $(pgrep -P "$pid" | tr '\n' ' ' || true)"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    fail "$name did not start: $(tail -5 "$WORK/$name.log")"
}

nginx_head() { # NAME [LOG]: what both nginx share
    ((EUID != 0)) || echo 'user root;' # or the workers could not read and write in $WORK
    cat <<NGINX
daemon off; worker_processes 1; pid $WORK/$1.pid; error_log /dev/null crit;
events { worker_connections $((IDLE_CONNECTIONS * 2 + 1000)); }
NGINX
    # shellcheck disable=SC2016 # $ names below are nginx's
    echo "http { access_log ${2:-off};"
    echo 'keepalive_requests 100000000; keepalive_timeout 300s; sendfile on; tcp_nopush on;'
    for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $WORK/$1-$kind;"; done
}

start_backends() {
    local ports=() body
    for _ in 1 2 3 4; do free_port; ports+=("$REPLY"); done
    BACKENDS=("${ports[@]}")
    printf -v body '%064d' 0
    head -c $((1024 * 1024)) /dev/zero >"$WORK/big"
    { nginx_head backend
      echo 'server {'
      printf 'listen 127.0.0.1:%d backlog=4096;\n' "${ports[@]}"
      echo "default_type text/plain; location / { return 200 '$body\n'; } location = /big { root $WORK; } } }"
    } >"$WORK/backend.conf"
    start backend "$LOAD_CORE" "${ports[0]}" nginx -p "$WORK" -c "$WORK/backend.conf"
}

make_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=bench \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
    cat "$WORK/cert.pem" "$WORK/key.pem" >"$WORK/both.pem"
}

start_penstock() { start_build penstock "$PENSTOCK"; }
start_native() { start_build native "$NATIVE"; }

start_build() { # NAME PROGRAM
    local admin
    free_port; admin=$REPLY
    { echo "listen:"
      echo "  - 127.0.0.1:${PORT[$1]}"
      if [[ $TLS ]]; then
          echo "  - address: 127.0.0.1:${TLS_PORT[$1]}"
          echo "    tls: { certificates: [{ cert: $WORK/cert.pem, key: $WORK/key.pem }] }"
      fi
      echo "admin: { listen: 127.0.0.1:$admin }"
      echo "store: memory"
      echo "loops: 1"
      if [[ $ACCESS_LOG ]]; then echo "access_log: $WORK/$1.log"; else echo "access_log: off"; fi
      echo "clients: { identify: [address] }"
      echo "limits: { default: { capacity: 1000000000, rate: 1000000/s }, strict: { capacity: 1, rate: 1/h } }"
      echo "upstreams: { web: { backends: ["
      printf '  "http://127.0.0.1:%d",\n' "${BACKENDS[@]}"
      echo "] } }"
      echo "routes: [ { path: /limited, upstream: web, limit: strict }, { upstream: web } ]"
    } >"$WORK/$1.yaml"
    for _ in 1 2 3 4 5; do FIRST_MS[$1]+=" $(first_request_ms "$1" "$2")"; done
    start "$1" "$PROXY_CORE" "${PORT[$1]}" "$2" run --config "$WORK/$1.yaml"
    FRESH_KB[$1]=$(memory_kb "$1")
}

start_nginx() {
    { nginx_head nginx "${ACCESS_LOG:+$WORK/nginx.log combined ${ACCESS_LOG#1}}"
      echo 'upstream web { keepalive 128; keepalive_requests 100000000;'
      printf 'server 127.0.0.1:%d;\n' "${BACKENDS[@]}"
      cat <<NGINX
}
limit_req_zone \$binary_remote_addr zone=wide:1m rate=1000000r/s;
limit_req_zone \$binary_remote_addr zone=strict:1m rate=1r/m;
limit_req_status 429;
server {
    listen 127.0.0.1:${PORT[nginx]} backlog=4096;
    ${TLS:+listen 127.0.0.1:${TLS_PORT[nginx]} ssl backlog=4096; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate $WORK/cert.pem; ssl_certificate_key $WORK/key.pem; ssl_session_cache none;}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host \$host;
    proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto \$scheme;
    location / { limit_req zone=wide burst=100000 nodelay; proxy_pass http://web; }
    location = /limited { limit_req zone=strict nodelay; proxy_pass http://web; }
} }
NGINX
    } >"$WORK/nginx.conf"
    start nginx "$PROXY_CORE" "${PORT[nginx]}" nginx -p "$WORK" -c "$WORK/nginx.conf"
}

start_haproxy() {
    { cat <<HAPROXY
global
    nbthread 1
    maxconn $((IDLE_CONNECTIONS + 500))
defaults
    mode http
    timeout connect 2s
    timeout client 300s
    timeout server 60s
    http-reuse always
    option splice-auto
frontend clients
    bind 127.0.0.1:${PORT[haproxy]} backlog 4096
    ${TLS:+bind 127.0.0.1:${TLS_PORT[haproxy]} backlog 4096 ssl crt $WORK/both.pem alpn http/1.1}
    stick-table type ip size 100k expire 60s store http_req_rate(60s)
    http-request track-sc0 src
    http-request deny deny_status 429 if { path /limited } { sc_http_req_rate(0) gt 1 }
    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 2000000000 }
    http-request set-header X-Forwarded-Proto http
    option forwardfor
    default_backend web
backend web
    balance roundrobin
HAPROXY
      local backend
      for backend in "${BACKENDS[@]}"; do echo "    server s$backend 127.0.0.1:$backend"; done
    } >"$WORK/haproxy.cfg"
    start haproxy "$PROXY_CORE" "${PORT[haproxy]}" haproxy -db -f "$WORK/haproxy.cfg"
}

# first_request_ms NAME PROGRAM: from its start to the answer to a proxied request; the program is ended again
first_request_ms() {
    local began pid answer='' fd
    began=$(date +%s%N)
    taskset -c "$PROXY_CORE" "$2" run --config "$WORK/$1.yaml" >"$WORK/$1.log" 2>&1 &
    pid=$!
    while [[ $answer != *200* ]]; do
        kill -0 "$pid" 2>/dev/null || fail "$1 did not start: $(tail -5 "$WORK/$1.log")"
        { exec {fd}<>"/dev/tcp/127.0.0.1/${PORT[$1]}"; } 2>/dev/null || continue
        printf 'GET / HTTP/1.1\r\nHost: bench\r\n\r\n' >&"$fd"
        IFS= read -r -u "$fd" answer || true
        exec {fd}>&-
    done
    echo $((($(date +%s%N) - began) / 1000000))
    kill "$pid"
    wait "$pid" 2>/dev/null || true
}

cpu_ticks() { # PROXY: user and system time of its processes, all threads
    local pid stat total=0 field
    for pid in ${PIDS[$1]}; do
        stat=$(<"/proc/$pid/stat") || fail "$1 died: $(tail -5 "$WORK/$1.log")"
        read -ra field <<<"${stat##*) }" # the name before it may hold blanks
        total=$((total + field[11] + field[12]))
    done
    echo "$total"
}

warmup() { if [[ $1 == penstock ]]; then echo "$WARMUP_SECONDS"; else echo 1; fi; }

memory_kb() {
    local pid
    # not VmRSS, whose count the kernel keeps only roughly
    for pid in ${PIDS[$1]}; do grep ^Rss "/proc/$pid/smaps_rollup"; done | awk '{ sum += $2 } END { print sum }'
}

program_mb() { # PROGRAM: with what must lie beside it
    local beside=("$1" "$(dirname "$1")"/*.dll "$(dirname "$1")"/libe_sqlite3.so)
    du -cLb "${beside[@]}" 2>/dev/null | awk 'END { printf "%.1f", $1 / 1e6 }'
}

# handshakes PROXY WORK SECONDS: sets REQUESTS; each connection sends one request
handshakes() {
    local report kind=-new
    [[ $2 == resumed ]] && kind=-reuse
    report=$(taskset -c "$LOAD_CORE" openssl s_time -connect "127.0.0.1:${TLS_PORT[$1]}" -www / "$kind" -time "$3" \
        -tls1_3 2>&1) || fail "$1 failed in '${TITLE[$2]}':"$'\n'"$report"
    REQUESTS=$(awk '/connections in .* real seconds/ { print $1 }' <<<"$report")
    ((REQUESTS > 0)) || fail "$1 did no handshakes:"$'\n'"$report"
}

# load PROXY WORK SECONDS: sets REQUESTS, and rejects a run in which the answers were not the expected ones
load() {
    local report bad url=http://127.0.0.1:${PORT[$1]}
    case $2 in
        full | resumed) handshakes "$@"; return ;;
        tls*) url=https://127.0.0.1:${TLS_PORT[$1]} ;;
    esac
    report=$(taskset -c "$LOAD_CORE" wrk -t1 -c"$CONNECTIONS" -d"$3s" "$url${TARGET[$2]}")
    REQUESTS=$(awk '/requests in/ { print $1 }' <<<"$report")
    bad=$(awk '/Non-2xx/ { print $NF }' <<<"$report")
    [[ $2 == limited ]] && bad=$((REQUESTS - ${bad:-0} > 10 ? REQUESTS : 0)) # a few pass before the limit bites
    [[ $report != *'Socket errors'* && ${bad:-0} == 0 && $REQUESTS -gt 0 ]] ||
        fail "$1 gave wrong answers to '${TITLE[$2]}':"$'\n'"$report"
}

measure() { # PROXY WORK
    local before after
    before=$(cpu_ticks "$1")
    load "$1" "$2" "$SECONDS_PER_ROUND"
    after=$(cpu_ticks "$1")
    CPU_US[$2 $1]+=" $(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" -v n="$REQUESTS" \
        'BEGIN { printf "%.2f", t / hz * 1e6 / n }')"
    RATE[$2 $1]+=" $((REQUESTS / SECONDS_PER_ROUND))"
}

median() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

idle_connection_kb() { # PROXY: growth of its memory by connections that had one request each
    local before after fd fds=()
    before=$(memory_kb "$1")
    for ((i = 0; i < IDLE_CONNECTIONS; i++)); do
        exec {fd}<>"/dev/tcp/127.0.0.1/${PORT[$1]}"
        printf 'GET / HTTP/1.1\r\nHost: bench\r\n\r\n' >&"$fd"
        IFS= read -r -u "$fd" _ # the answer has come
        fds+=("$fd")
    done
    after=$(memory_kb "$1")
    for fd in "${fds[@]}"; do exec {fd}>&-; done
    awk -v kb=$((after - before)) -v n="$IDLE_CONNECTIONS" 'BEGIN { printf "%.1f", kb / n }'
}

idle_tls_connection_kb() { # PROXY: the same over TLS
    local before after
    coproc HOLD { python3 -c "
import socket, ssl
context = ssl.create_default_context(cafile='$WORK/cert.pem')
held = []
for _ in range($IDLE_CONNECTIONS):
    one = context.wrap_socket(socket.create_connection(('127.0.0.1', ${TLS_PORT[$1]})), server_hostname='127.0.0.1')
    one.sendall(b'GET / HTTP/1.1\\r\\nHost: bench\\r\\n\\r\\n')
    one.recv(4096)
    held.append(one)
print('all', flush=True)
input()
"; }
    before=$(memory_kb "$1")
    IFS= read -r -u "${HOLD[0]}" _ || fail "$1 did not take $IDLE_CONNECTIONS connections with TLS"
    after=$(memory_kb "$1")
    echo >&"${HOLD[1]}"
    wait "$HOLD_PID"
    awk -v kb=$((after - before)) -v n="$IDLE_CONNECTIONS" 'BEGIN { printf "%.1f", kb / n }'
}

start_backends
make_certificate
for proxy in $PROXIES; do
    free_port; PORT[$proxy]=$REPLY
    free_port; TLS_PORT[$proxy]=$REPLY
    "start_$proxy"
    echo "idle connections: $proxy" >&2
    load "$proxy" small "$(warmup "$proxy")"
    # before the other works: what they free would be used again and hide the growth
    IDLE_KB[$proxy]=$(idle_connection_kb "$proxy")
    if [[ $TLS ]]; then
        handshakes "$proxy" full "$(warmup "$proxy")" # one connection at a time: OpenSSL's own memory, not that of many
        IDLE_TLS_KB[$proxy]=$(idle_tls_connection_kb "$proxy")
    fi
    for work in $WORKS; do
        echo "warming up $proxy: ${TITLE[$work]}" >&2
        load "$proxy" "$work" "$(warmup "$proxy")"
    done
done
for ((round = 1; round <= ROUNDS; round++)); do
    for work in $WORKS; do
        for proxy in $PROXIES; do
            measure "$proxy" "$work"
            echo "round $round/$ROUNDS ${TITLE[$work]}: $proxy ${CPU_US[$work $proxy]##* } µs," \
                "${RATE[$work $proxy]##* } requests/s" >&2
        done
    done
done

echo "$(nginx -v 2>&1 | cut -d/ -f2 | sed 's/^/nginx /'), $(haproxy -v | awk 'NR == 1 { print "HAProxy " $3 }')," \
    "kernel $(uname -r), $CONNECTIONS keep-alive connections, median of $ROUNDS rounds of $SECONDS_PER_ROUND s."
echo "Only the ratios travel to another machine."
echo
echo '| work | proxy | CPU µs/request | requests/s | CPU ratio to Penstock |'
echo '|---|---|---:|---:|---:|'
for work in $WORKS; do
    # shellcheck disable=SC2086 # the rounds' figures are separate words
    for proxy in $PROXIES; do
        cpu=$(median ${CPU_US[$work $proxy]})
        ours=${CPU_US[$work penstock]:-}
        ratio=$([[ -z $ours ]] && echo – || awk -v a="$cpu" -v b="$(median $ours)" 'BEGIN { printf "%.2f", a / b }')
        echo "| ${TITLE[$work]} | $proxy | $cpu | $(median ${RATE[$work $proxy]}) | $ratio |"
    done
done
echo
echo "| proxy | memory per idle keep-alive connection (of $IDLE_CONNECTIONS), kB | with TLS | memory in all, MB |"
echo '|---|---:|---:|---:|'
for proxy in $PROXIES; do
    echo "| $proxy | ${IDLE_KB[$proxy]} | ${IDLE_TLS_KB[$proxy]:-–} | $(($(memory_kb "$proxy") / 1024)) |"
done
echo
echo '| build | program, MB | memory at start, MB | start to first proxied request, ms (median of 5) |'
echo '|---|---:|---:|---:|'
for proxy in $PROXIES; do
    case $proxy in penstock) program=$PENSTOCK ;; native) program=$NATIVE ;; *) continue ;; esac
    # shellcheck disable=SC2086 # the figures are separate words
    echo "| $proxy | $(program_mb "$program") | $((FRESH_KB[$proxy] / 1024)) | $(median ${FIRST_MS[$proxy]}) |"
done
