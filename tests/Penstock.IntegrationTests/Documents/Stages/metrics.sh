prometheus_token() {
    mkdir -p /etc/prometheus
    echo secret >/etc/prometheus/penstock-token
}
