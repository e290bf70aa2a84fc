# shellcheck shell=bash
# Two throwaway PostgreSQL servers on loopback, for tests/demo/run (sourced by it). They live in
# $work, run as `postgres` when we are root (PostgreSQL refuses to run as root), and are reached
# over TCP only. Sets: bin, version, source_url, target_url.

# PostgreSQL's programs: the newest version that is installed.
servers_find_programs() {
    bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
    [ -n "$bin" ] || bin=$(dirname "$(command -v initdb || echo /nowhere/initdb)")
    [ -x "$bin/initdb" ] || fail "no PostgreSQL server programs on this machine: run tests/setup"
    PATH="$bin:$PATH"
    version=$(pg_ctl --version | sed 's/^[^0-9]*\([0-9.]*\).*/\1/')
}

as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && runuser -u postgres -- env PATH="$PATH" LC_ALL=C.UTF-8 "$@")
    else
        env LC_ALL=C.UTF-8 "$@"
    fi
}

free_ports() {
    python3 -c '
import socket
held = [socket.socket() for _ in range(2)]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))'
}

server_start() { # name port
    local data="$work/$1"
    cat >>"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = ''
shared_buffers = 256MB
max_wal_size = 4GB
checkpoint_timeout = 15min
log_line_prefix = '%m [%p] %u@%d %a '
log_lock_waits = on
CONF
    started_servers+=("$data")
    as_postgres pg_ctl -D "$data" -l "$work/logs/$1.log" -w -s start >/dev/null
}

servers_start() {
    local ports
    read -r -a ports <<<"${DEMO_PORTS:-$(free_ports)}"
    as_postgres initdb -D "$work/source" -U admin -A trust -E UTF8 --locale=C.UTF-8 \
        --no-sync >"$work/logs/initdb.log"
    # Two different clusters, as in life: not a copy of the other's folder.
    as_postgres initdb -D "$work/target" -U admin -A trust -E UTF8 --locale=C.UTF-8 \
        --no-sync >>"$work/logs/initdb.log"
    server_start source "${ports[0]}"
    server_start target "${ports[1]}"
    source_admin="postgresql://admin@127.0.0.1:${ports[0]}"
    target_admin="postgresql://admin@127.0.0.1:${ports[1]}"
    source_url="postgresql://shop_owner@127.0.0.1:${ports[0]}/shop"
    target_url="postgresql://rds_master@127.0.0.1:${ports[1]}/shop"
    servers_make_roles
}

# The source's role is what Heroku hands out: owner of its database and nothing else. The target's
# is the master user of Amazon RDS: no superuser, but it may make roles and databases, and may set
# session_replication_role.
servers_make_roles() {
    psql -X -q -v ON_ERROR_STOP=1 "$source_admin/postgres" <<'SQL'
CREATE ROLE shop_owner LOGIN NOSUPERUSER NOREPLICATION NOCREATEDB NOCREATEROLE;
CREATE DATABASE shop OWNER shop_owner;
SQL
    psql -X -q -v ON_ERROR_STOP=1 "$target_admin/postgres" <<'SQL'
CREATE ROLE rds_master LOGIN NOSUPERUSER NOREPLICATION CREATEDB CREATEROLE;
SELECT 'GRANT SET ON PARAMETER session_replication_role TO rds_master'
 WHERE current_setting('server_version_num')::int >= 150000 \gexec
CREATE DATABASE shop OWNER rds_master;
SQL
}

servers_stop() {
    local data
    for data in "${started_servers[@]}"; do
        as_postgres pg_ctl -D "$data" -m immediate -w -s stop >/dev/null 2>&1 || true
    done
    started_servers=()
}
