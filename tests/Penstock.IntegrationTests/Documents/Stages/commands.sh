# Each command is shown by itself: before each block there is the same running Penstock, with the same clients, plans
# and files.
stage() {
    export SERVERS=brief
    address 10.0.0.3
    address 10.0.0.4
    address 10.0.0.5
    mkdir -p /etc/penstock /etc/nginx configs
    echo '{"time":"2026-11-21T04:05:06.000Z","client":"a","client_address":"192.0.2.9","status":200,"duration_ms":1.5}' \
        >access.log
    echo '192.0.2.9 - - [21/Nov/2026:04:05:06 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"' >nginx.log
    printf 'client_id,capacity,rate_per_sec\nuser7,100,10\n' >clients.csv
    echo '{"client_id":"user8","capacity":100,"rate_per_sec":10}' >clients.jsonl
    printf 'events {}\nhttp {\n  upstream web { server 127.0.0.1:9001; }\n' >/etc/nginx/nginx.conf
    printf '  server { listen 8080; location / { proxy_pass http://web; } }\n}\n' >>/etc/nginx/nginx.conf
    printf 'port: 8080\nbackends: ["http://127.0.0.1:9001"]\n' >configs/config.yaml
    cat >served.yaml <<'TEXT'
listen: 127.0.0.1:8088
admin: { listen: 0.0.0.0:9800, token: "0123456789abcdef0123456789abcdef" }
limits: { search: { capacity: 5, rate: 30/m } }
upstreams: { web: { backends: [10.0.0.3:80, 10.0.0.4:80], health_check: tcp } }
routes: [{ upstream: web, limit: [search] }]
store: memory
TEXT
    $PENSTOCK_PROGRAM backends --count 1 --start-port 8000 >/dev/null 2>&1 &
    printf 'listen: 10.0.0.3:80\nbackends: [127.0.0.1:8000]\nadmin: off\nstore: memory\n' >backend.yaml
    $PENSTOCK_PROGRAM run backend.yaml >/dev/null 2>&1 &
    $PENSTOCK_PROGRAM run served.yaml >served.log 2>&1 &
    export PENSTOCK_TOKEN=0123456789abcdef0123456789abcdef
    ready
    for _ in 1 2 3 4 5 6 7 8; do curl -s -o /dev/null http://127.0.0.1:8088/; done
}

before_each() { # BLOCK
    echo 'backends: [127.0.0.1:9001]' >penstock.yaml
    cp penstock.yaml /etc/penstock/penstock.yaml
    if grep -q 'config init' "$1"; then rm penstock.yaml /etc/penstock/penstock.yaml; fi
    call() { curl -sS -f -o /dev/null -H "Authorization: Bearer $PENSTOCK_TOKEN" "$@"; }
    call -X PUT http://127.0.0.1:9800/plans/gold -d '{"capacity":1000,"rate_per_sec":50}'
    if grep -q 'plans delete' "$1"; then
        call -X DELETE http://127.0.0.1:9800/clients/user1
    else
        call -X PUT http://127.0.0.1:9800/clients/user1 -d '{"capacity":100,"rate_per_sec":10}'
    fi
}

# The pager's formatter, where there is no man.
man() { groff -man -Tutf8 -; }
