stage() {
    address 10.0.0.8 api.internal
    mkdir -p /etc/letsencrypt/live/example.com
    certificate example.com /etc/letsencrypt/live/example.com/fullchain.pem \
        /etc/letsencrypt/live/example.com/privkey.pem
    certificate example.com example.crt example.key
    certificate me.internal me.crt me.key
    certificate clients.internal clients-ca.pem clients-ca.key
    certificate internal internal-ca.pem internal-ca.key
    certificate internal internal-root.pem internal-root.key
}

serve() {
    penstock run penstock.yaml
}
