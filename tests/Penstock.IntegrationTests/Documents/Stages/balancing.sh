stage() {
    export SESSION_SECRET=0123456789abcdef0123456789abcdef
    echo 'upstreams: { web: { backends: [127.0.0.1:9001, 127.0.0.1:9002] } }' >served.yaml
    printf 'routes: [{ upstream: web }]\n' >>served.yaml
    penstock backends --count 2
    penstock run served.yaml # the page has other files, which would be reloaded
}
