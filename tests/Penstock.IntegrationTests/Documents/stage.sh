#!/usr/bin/env bash
# Runs the blocks of one page, one after the other, as its reader would. tests/README.md says how a page uses this.
# The caller gives it namespaces of its own (network, mounts, processes): ports, files of the system and of the
# repository can be used freely, and nothing is left when it ends.
# usage: stage.sh REPOSITORY FOLDER SCRIPT PROGRAM... ; the folder has the blocks as 000.sh, 001.sh …
set -euo pipefail
repository=$1 folder=$2 script=$3
shift 3
export PENSTOCK_PROGRAM="$*" folder

mount -t tmpfs stage /mnt
mkdir -p /mnt/bin /mnt/tmp /mnt/servers
export TMPDIR=/mnt/tmp HOME=/mnt PATH=/mnt/bin:$PATH COLUMNS=120 DOTNET_TieredPGO=0
unset PENSTOCK_CONFIG CONFIG_PATH PENSTOCK_ADMIN PENSTOCK_TOKEN
number=0
for place in /etc /usr /var /opt "$repository"; do
    number=$((number + 1))
    mkdir -p "/mnt/upper$number" "/mnt/work$number"
    mount -t overlay stage -o "lowerdir=$place,upperdir=/mnt/upper$number,workdir=/mnt/work$number" "$place"
done
mount -t tmpfs stage /run
ip link set lo up
cd "$repository"

# A server does not hold up the page: the command returns when it has started, and it runs until the next one of its
# kind starts. With SERVERS=brief it stops at once, in a network of its own.
cat >/mnt/bin/penstock <<'SCRIPT'
#!/usr/bin/env bash
case ${1-} in
    demo | proxy | run) kind=front${PORT-} ;;
    backends) kind=backends ;;
    *) exec $PENSTOCK_PROGRAM "$@" ;;
esac
network=()
if [ "${SERVERS-}" = brief ] && [ $kind != backends ]; then
    network=(unshare --net bash -c 'ip link set lo up; exec "$@"' bash)
elif [ -e /mnt/servers/$kind ] && [[ " $* " != *' --takeover '* ]]; then
    kill -TERM "$(cat /mnt/servers/$kind)" 2>/dev/null
    while kill -0 "$(cat /mnt/servers/$kind)" 2>/dev/null; do sleep 0.02; done
fi
log=$(mktemp /mnt/tmp/server.XXXXXX)
"${network[@]}" $PENSTOCK_PROGRAM "$@" >"$log" 2>&1 </dev/null &
server=$!
until grep -q '"event":"started"' "$log"; do
    if ! kill -0 $server 2>/dev/null; then
        wait $server
        code=$?
        cat "$log"
        exit $code
    fi
    sleep 0.02
done
cat "$log"
if [ ${#network[@]} -gt 0 ]; then
    kill -TERM $server
    wait $server
else
    echo $server >/mnt/servers/$kind
fi
SCRIPT

# The tests are built already, and a build of a page's own would take minutes.
cat >/mnt/bin/dotnet <<SCRIPT
#!/usr/bin/env bash
if [ "\${1-} \${2-} \${3-}" = 'run --project src/Penstock' ] && [ "\${4-} \${5-} \${6-}" = '-c Release --' ]; then
    [ -f "\$3/Penstock.csproj" ] || exit 1
    shift 6
    exec penstock "\$@"
fi
exec $(command -v dotnet) "\$@"
SCRIPT
chmod +x /mnt/bin/*

# What the functions of pages use.
address() { # ADDRESS [NAME...]: this machine has it
    ip addr add "$1/32" dev lo
    [ $# = 1 ] || echo "$*" >>/etc/hosts
}
ready() { # waits until a Penstock can serve
    timeout 30 bash -c 'until penstock healthcheck >/dev/null 2>&1; do sleep 0.05; done'
}
postgres() { # a server with an empty database; STORE and DATABASE lead there
    postgres_server
    psql -q "$DATABASE" -c "CREATE ROLE penstock LOGIN PASSWORD 'secret'" -c 'CREATE DATABASE penstock OWNER penstock'
    export STORE=postgres://penstock:secret@127.0.0.1:5432/penstock DATABASE=postgres://penstock:secret@127.0.0.1/penstock
}
postgres_server() { # DATABASE leads there, for the superuser
    local programs
    programs=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
    export DATABASE=postgres://postgres:secret@127.0.0.1/postgres
    install -d -o postgres /mnt/postgres
    chmod 711 /mnt
    as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups env -C / LC_ALL=C "$@"; }
    echo secret >/mnt/password
    as_postgres "$programs/initdb" -D /mnt/postgres/data -U postgres -A scram-sha-256 --pwfile=/mnt/password --no-sync \
        -E UTF8 --locale=C >/mnt/initdb.log
    as_postgres "$programs/pg_ctl" start -w -D /mnt/postgres/data -l /mnt/postgres/log \
        -o '-c listen_addresses=127.0.0.1 -c unix_socket_directories=/mnt/postgres -c fsync=off' >/dev/null
}
certificate() { # NAME FILE KEY: signed by itself
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$1" \
        -addext "subjectAltName=DNS:$1" -out "$2" -keyout "$3" 2>/dev/null
}

: >/mnt/state
pwd >/mnt/here
set -a
# shellcheck source=/dev/null
[ ! -e "$script" ] || . "$script"
! declare -F stage >/dev/null || stage
set +a
export -p >/mnt/state
declare -f >/mnt/functions
for block in "$folder"/*.sh; do
    name=${block%.sh}
    # each block has a shell of its own, with the variables and the folder that the block before has left
    code=0
    timeout 60 bash -c '. /mnt/functions; . /mnt/state; cd "$(cat /mnt/here)"; set -aeuo pipefail
        ! declare -F before_each >/dev/null || before_each "$1"
        . "$1"
        export -p >/mnt/state; pwd >/mnt/here' bash "$block" >"$name.out" 2>&1 </dev/null || code=$?
    echo $code >"$name.code"
done
