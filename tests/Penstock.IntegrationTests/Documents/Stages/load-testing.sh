unlimited() {
    penstock demo --no-limits
    ready
}

limited() {
    SECONDS_EACH=1
    penstock demo
    ready
}
