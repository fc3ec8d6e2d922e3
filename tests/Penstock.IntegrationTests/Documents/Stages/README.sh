# The banner is for a terminal, which the command script makes; in another network, because the demo runs already.
banner() {
    unshare --net bash -c 'ip link set lo up; exec script -qefc "$PENSTOCK_PROGRAM demo" screen.txt' \
        </dev/null >/dev/null 2>&1 &
    local terminal=$!
    timeout 30 bash -c 'until grep -q Ctrl screen.txt 2>/dev/null; do sleep 0.05; done'
    sed -E 's/\x1b(\[[0-9;?]*[a-zA-Z]|[=>])//g' screen.txt | tr -d '\r' >banner.txt
    kill $terminal
}
