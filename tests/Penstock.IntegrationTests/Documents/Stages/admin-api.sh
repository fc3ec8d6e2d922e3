# A Penstock whose upstream is called as on the page, with an access log of earlier requests.
stage() {
    address 10.0.0.9
    OPS_TOKEN_HASH=$(printf %s one | sha256sum | cut -d ' ' -f 1)
    GRAFANA_TOKEN_HASH=$(printf %s two | sha256sum | cut -d ' ' -f 1)
    printf 'upstreams: { web: { backends: [127.0.0.1:9001] } }\nroutes: [{ upstream: web }]\n' >served.yaml
    penstock backends --count 1
    penstock run served.yaml # the page has other files, which would be reloaded
    echo '{"time":"2026-11-21T04:05:06.000Z","client":"a","client_address":"192.0.2.9","status":200,"duration_ms":1.5}' \
        >access.log
}
