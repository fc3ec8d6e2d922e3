stage() {
    postgres_server
}

both_ready() {
    ready
    PENSTOCK_ADMIN=http://127.0.0.1:9801 ready
    # the table is the database's of step 1
    export DATABASE=postgres://penstock:secret@127.0.0.1/penstock
}
