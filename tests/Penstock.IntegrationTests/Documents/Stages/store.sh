# A client with a plan, in PostgreSQL.
stage() {
    postgres
    printf 'listen: 127.0.0.1:8080\nbackends: [127.0.0.1:9001]\nlimits: { search: { capacity: 5, rate: 1/s } }\nstore: %s\n' "$STORE" >served.yaml
    penstock run served.yaml
    penstock plans set gold --capacity 1000 --rate 50/s
    penstock clients set user1 --capacity 100 --rate 10/s
}
