# A Penstock whose limits have the names of the page.
stage() {
    penstock backends --count 1
    everybody_is_limited
    echo '{"time":"2026-11-21T04:05:06.000Z","client":"a","client_address":"192.0.2.9","status":200,"duration_ms":1.5}' \
        >access.log
}

everybody_is_limited() {
    cat >served.yaml <<'TEXT'
listen: 127.0.0.1:8080
backends: [127.0.0.1:9001]
limits: { default: { capacity: 100, rate: 10/s }, search: { capacity: 20, rate: 2/s } }
TEXT
    penstock run served.yaml
    ready
}

strangers_stay_out() {
    printf 'listen: 127.0.0.1:8080\nbackends: [127.0.0.1:9001]\nclients: { unknown: reject }\n' >served.yaml
    penstock run served.yaml
}
