# Files of the other programs, as their users have them.
stage() {
    export PENSTOCK_TOKEN=0123456789abcdef0123456789abcdef
    mkdir -p /etc/nginx /etc/haproxy configs
    cat >/etc/nginx/nginx.conf <<'TEXT'
events {}
http {
    limit_req_zone $binary_remote_addr zone=z:10m rate=10r/s;
    upstream web { least_conn; server 127.0.0.1:9001 weight=2; server 127.0.0.1:9002 backup; }
    server {
        listen 8080;
        location / { limit_req zone=z burst=20 nodelay; proxy_pass http://web; }
    }
}
TEXT
    printf 'frontend f\n  bind :8080\n  default_backend web\nbackend web\n  server a 127.0.0.1:9001 check\n' \
        >/etc/haproxy/haproxy.cfg
    printf 'port: 8080\nbackends: ["http://127.0.0.1:9001"]\nalgorithm: round-robin\n' >configs/config.yaml
}
