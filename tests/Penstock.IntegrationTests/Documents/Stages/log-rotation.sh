# pkill finds the program by its name, which a just-in-time build does not have.
pkill() {
    [ "$*" = '-USR1 -x penstock' ] && kill -USR1 "$(cat /mnt/servers/front)"
}
