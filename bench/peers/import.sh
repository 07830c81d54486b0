#!/usr/bin/env bash
# Bulk load side by side: the same documents by `cortado import`, PostgreSQL's COPY and MariaDB's
# LOAD DATA, in rounds that take turns. Prints seconds and bytes written to the disk of each round,
# and the medians with their ratios. All of them are durable before they are done.
#
#   bench/peers/import.sh [DOCUMENTS] [ROUNDS] [NODES]
#
# Peers that are not installed (Debian's `postgresql`, `mariadb-server`) are left out, and said to be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

documents="${1:-200000}"
rounds="${2:-5}"
nodes="${3:-1}"
cortado="${CORTADO_BINARY:-target/release/cortado}"
work="$(mktemp -d "${TMPDIR:-/tmp}/cortado-bench.XXXXXX")"
pids=()

finish() {
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

[ -x "$cortado" ] || { echo "error: no $cortado: cargo build --release, or set CORTADO_BINARY" >&2; exit 1; }

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# One document of 957 bytes a line, half of it compressible; the key is (resource, id).
python3 - "$documents" "$work" <<'PY'
import json, random, sys
documents, work = int(sys.argv[1]), sys.argv[2]
draw = random.Random(7)
letters = "0123456789abcdefghijklmnopqrstuvwxyz"
with open(f"{work}/documents.ndjson", "w") as lines, open(f"{work}/documents.tsv", "w") as rows:
    for n in range(documents):
        resource, id = f"r{n % 5000:05}", f"{n:09}"
        body = {"resource": resource, "id": id, "text": "".join(draw.choices(letters, k=432)), "more": ""}
        body["more"] = "lorem ipsum " * 60
        body["more"] = body["more"][: 957 - len(json.dumps(body, separators=(",", ":"))) + len(body["more"])]
        text = json.dumps(body, separators=(",", ":"))
        lines.write(text + "\n")
        rows.write(f"{resource}\t{id}\t{text}\n")
PY

written_by() { awk '/^write_bytes/ {print $2}' "/proc/$1/io"; }

# Bytes that a process and those it started have written.
written() {
  local sum=0 pid
  for pid in "$1" $(pgrep -P "$1" || true); do sum=$((sum + $(written_by "$pid" 2>/dev/null || echo 0))); done
  echo "$sum"
}

now() { date +%s.%N; }

begin_cortado() {
  "$cortado" dev --nodes "$nodes" --listen 127.0.0.1:0 --data "$work/cortado" \
    >"$work/cortado.out" 2>"$work/cortado.log" &
  cortado_pid=$!
  pids+=("$cortado_pid")
  until grep -q 'listening on' "$work/cortado.out"; do
    kill -0 "$cortado_pid" || { cat "$work/cortado.log" >&2; exit 1; }
    sleep 0.1
  done
  export CORTADO_URL
  CORTADO_URL="$(sed -n 's/^listening on //p' "$work/cortado.out")"
}

load_cortado() {
  "$cortado" db create "load$1" --replication "$nodes" >/dev/null
  "$cortado" table create "load$1/doc" --key resource,id >/dev/null
  "$cortado" import "load$1/doc" "$work/documents.ndjson" >"$work/import.out" 2>&1 ||
    { cat "$work/import.out" >&2; exit 1; }
}

clean_cortado() { "$cortado" db drop "load$1" --yes >/dev/null; }

begin_postgres() {
  local bin
  bin="$(ls -d /usr/lib/postgresql/*/bin | tail -1)"
  mkdir "$work/postgres"
  chmod 711 "$work"
  chown postgres "$work/postgres"
  chmod 644 "$work/documents.tsv"
  su postgres -c "$bin/initdb -D $work/postgres -A trust --no-sync" >/dev/null
  postgres_port="$(free_port)"
  su postgres -c "exec $bin/postgres -D $work/postgres -p $postgres_port -k $work/postgres \
    -c listen_addresses=127.0.0.1 -c shared_buffers=1GB -c max_wal_size=4GB" >"$work/postgres.log" 2>&1 &
  pids+=("$!")
  until sql_postgres 'select 1' >/dev/null 2>&1; do sleep 0.1; done
  postgres_pid="$(head -1 "$work/postgres/postmaster.pid")"
  pids+=("$postgres_pid")
}

sql_postgres() { psql -qAt -h 127.0.0.1 -p "$postgres_port" -U postgres -c "$1" postgres; }

load_postgres() {
  sql_postgres "create table load$1 (resource text, id text, value jsonb, primary key (resource, id))"
  sql_postgres "copy load$1 from stdin with (format csv, delimiter E'\t', quote E'\x01')" \
    <"$work/documents.tsv"
}

clean_postgres() { sql_postgres "drop table load$1"; }

begin_mariadb() {
  mkdir "$work/mariadb"
  mariadb-install-db --no-defaults --auth-root-authentication-method=normal --user=root \
    --datadir="$work/mariadb" >/dev/null 2>&1
  mariadb_port="$(free_port)"
  mariadbd --no-defaults --user=root --datadir="$work/mariadb" --port="$mariadb_port" \
    --bind-address=127.0.0.1 --socket="$work/mariadb.sock" --innodb-buffer-pool-size=1G \
    --innodb-log-file-size=1G --innodb-flush-log-at-trx-commit=1 --local-infile=1 \
    >"$work/mariadb.log" 2>&1 &
  mariadb_pid=$!
  pids+=("$mariadb_pid")
  until sql_mariadb 'select 1' >/dev/null 2>&1; do
    kill -0 "$mariadb_pid" || { cat "$work/mariadb.log" >&2; exit 1; }
    sleep 0.1
  done
  sql_mariadb 'create database bench'
}

sql_mariadb() { mariadb --no-defaults --local-infile=1 -uroot -S "$work/mariadb.sock" -e "$1"; }

load_mariadb() {
  sql_mariadb "create table bench.load$1 (resource varchar(64), id varchar(64), value json,
    primary key (resource, id))"
  sql_mariadb "load data local infile '$work/documents.tsv' into table bench.load$1
    character set utf8mb4 fields terminated by '\t' escaped by ''"
}

clean_mariadb() { sql_mariadb "drop table bench.load$1"; }

peers=(cortado)
if ls -d /usr/lib/postgresql/*/bin >/dev/null 2>&1; then peers+=(postgres); else echo "left out: PostgreSQL is not installed"; fi
if command -v mariadbd >/dev/null; then peers+=(mariadb); else echo "left out: MariaDB is not installed"; fi

for peer in "${peers[@]}"; do "begin_$peer"; done
echo "$documents documents, $rounds rounds, cortado with $nodes node(s)"
for round in $(seq "$rounds"); do
  for peer in "${peers[@]}"; do
    pid_name="${peer}_pid"
    before="$(written "${!pid_name}")"
    began="$(now)"
    "load_$peer" "$round"
    ended="$(now)"
    after="$(written "${!pid_name}")"
    "clean_$peer" "$round"
    echo "$peer $began $ended $((after - before))" |
      awk '{printf "%-9s %7.2f s  %7.1f MB written\n", $1, $3 - $2, $4 / 1e6}' | tee -a "$work/rows"
  done
done
python3 - "$work/rows" "$documents" <<'PY'
import statistics, sys
rows, documents = {}, int(sys.argv[2])
for line in open(sys.argv[1]):
    name, seconds, *_ = line.split()
    rows.setdefault(name, []).append(float(seconds))
median = {name: statistics.median(all) for name, all in rows.items()}
for name, seconds in median.items():
    spread = f"{min(rows[name]):.2f}–{max(rows[name]):.2f}"
    ratio = median["cortado"] / seconds
    print(f"median {name:9} {seconds:6.2f} s ({spread}), {documents / seconds:8.0f} documents/s; cortado takes {ratio:.2f} times as long")
PY
