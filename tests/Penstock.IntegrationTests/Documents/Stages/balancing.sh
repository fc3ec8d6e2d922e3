stage() {
    export SESSION_SECRET=0123456789abcdef0123456789abcdef
    echo 'upstreams: { web: { backends: [127.0.0.1:9001, 127.0.0.1:9002] } }' >penstock.yaml
    printf 'routes: [{ upstream: web }]\n' >>penstock.yaml
    penstock backends --count 2
    penstock run
}
