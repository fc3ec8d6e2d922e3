# The archive of a release, as deploy/release.sh packs it, around the program of the tests.
stage() {
    local to=penstock-linux-x64
    mkdir $to
    cp /mnt/bin/penstock $to/penstock
    cp deploy/penstock.service deploy/debian/penstock.yaml LICENSE CHANGELOG.md $to
    : >$to/libe_sqlite3.so
    $PENSTOCK_PROGRAM man >$to/penstock.1
    tar -czf penstock-linux-x64.tar.gz $to
    rm -r $to
}

# What the profile postgres of the compose file starts.
two_nodes() {
    postgres
    local port
    for port in 1 2; do
        cat >node$port.yaml <<TEXT
listen: 127.0.0.1:808$port
admin: { listen: 127.0.0.1:980$port, token: try-me }
backends: [127.0.0.1:9001]
store: $STORE
TEXT
        $PENSTOCK_PROGRAM run node$port.yaml >node$port.log 2>&1 &
    done
    penstock backends --count 1
    PENSTOCK_ADMIN=http://127.0.0.1:9801 ready
    PENSTOCK_ADMIN=http://127.0.0.1:9802 ready
}
