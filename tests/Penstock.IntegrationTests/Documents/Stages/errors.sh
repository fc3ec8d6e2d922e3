stage() {
    penstock demo
    ready
}
