stage() {
    address 10.0.0.7 collector
    mkdir -p /var/log/penstock
    echo 'backends: [127.0.0.1:9001]' >penstock.yaml
}
