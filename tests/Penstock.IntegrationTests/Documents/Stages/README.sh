# The banner is for a terminal, which the command script makes; in another network, because the demo runs already.
banner() {
    unshare --net bash -c 'ip link set lo up
        exec script -qec "timeout -s INT 3 $PENSTOCK_PROGRAM demo" /dev/null' </dev/null |
        sed -E 's/\x1b(\[[0-9;?]*[a-zA-Z]|[=>])//g' | tr -d '\r' >banner.txt || true
}
