stage() {
    penstock demo
    ready
}

rules() {
    mkdir -p /etc/prometheus
    cp deploy/alerts.yml /etc/prometheus/penstock-alerts.yml
}
