stage() {
    mkdir -p /run/penstock /run/files
    export PENSTOCK_TOKEN=0123456789abcdef0123456789abcdef PORT=8080
}
