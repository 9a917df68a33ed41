#!/usr/bin/env bash
# The API of `mxdrill up --control`, used as people do: with curl.
#   tests/control/control.sh target/release/mxdrill
set -euo pipefail

mxdrill=$1
folder=$(mktemp -d)
trap 'kill "$up" 2>/dev/null; wait "$up" 2>/dev/null; rm -r "$folder"' EXIT

cat >"$folder/drill.toml" <<'END'
summary = "the backup takes the mail while the primary is down"
zone = """
$ORIGIN example.test.
@    IN MX 10 mx1
@    IN MX 20 mx2
mx1  IN A  192.0.2.1
mx2  IN A  192.0.2.2
"""
messages = [{ id = "m1", to = "alice@example.test" }]
END
# It ends with this script, whatever becomes of that.
mkfifo "$folder/until"
"$mxdrill" up "$folder/drill.toml" --control 127.0.0.1:0 --ready-file "$folder/ready" --until-eof \
    <"$folder/until" >"$folder/log" 2>&1 &
up=$!
exec 3>"$folder/until"
for _ in $(seq 200); do [ -e "$folder/ready" ] && break; sleep 0.05; done
control=$(sed 's/.*"control":"\([^"]*\)".*/\1/' "$folder/ready")

fail() { echo "control.sh: $*" >&2; cat "$folder/log" >&2; exit 1; }
# What the API answers, with its status on a line of its own.
ask() { curl -sS --noproxy '*' -m 20 -w '\n%{http_code}' "$@"; }
# Answers with a status and a text in it.
expect() {
    local status=$1 text=$2 told; shift 2
    told=$(ask "$@")
    [ "${told##*$'\n'}" = "$status" ] || fail "expected $status of $*, found $told"
    case $told in *"$text"*) ;; *) fail "expected $text of $*, found $told" ;; esac
}
json=(-H 'Content-Type: application/json')

expect 200 '"ready"' "$control/readyz"
expect 200 '"openapi":"3.1.0"' "$control/openapi.json"
expect 200 '<title>mxdrill</title>' "$control/"
expect 200 '"domain":"example.test"' "$control/v1/lab"
expect 201 '"text":"mx1.example.test at connect: refuse"' "$control/v1/faults" "${json[@]}" \
    -d '{"host":"mx1.example.test","stage":"connect","effect":"refuse"}'
expect 422 'did you mean \"connect\"' "$control/v1/faults" "${json[@]}" \
    -d '{"host":"mx1.example.test","stage":"conect","effect":"refuse"}'

# The address at which a host listens, as the file has it that says all is ready.
listens() { sed "s/.*\"hosts\":\[\"$1\"[^]]*\],\"listens\":\"\([^\"]*\)\".*/\1/" "$folder/ready"; }
mail=$'Subject: Hello\r\nFrom: sender@sender.test\r\n\r\nHello\r\n'
send() {
    printf '%s' "$mail" | curl -sS -m 20 "smtp://$(listens "$1")/sender.test" --mail-from sender@sender.test \
        --mail-rcpt alice@example.test -T - 2>>"$folder/curl"
}
send mx1.example.test && fail "mx1 was to refuse"
send mx2.example.test || fail "mx2 was to take it: $(cat "$folder/curl")"

expect 200 '"host":"mx2.example.test"' "$control/v1/messages/wait?recipient=alice@example.test&timeout=5"
expect 200 '"subject":"Hello"' "$control/v1/messages/1"
expect 404 'no message for nobody@example.test within 0 s' "$control/v1/messages/wait?recipient=nobody@example.test&timeout=0"
[ "$(curl -sS --noproxy '*' "$control/v1/messages/1/eml")" = "${mail%$'\n'}" ] || fail "the content is another"
expect 200 '"result":"accepted"' "$control/v1/attempts"
expect 200 '"passed":' "$control/v1/verdict?sender=command"
expect 200 '"lifted":1' -X DELETE "$control/v1/faults"
send mx1.example.test || fail "mx1 was restored: $(cat "$folder/curl")"

# The stream goes on where somebody stopped.
stream=$(curl -sSN --noproxy '*' -m 2 -H 'Last-Event-ID: 0' "$control/v1/events/stream" 2>/dev/null || true)
case $stream in *'id: 1'*'"event":"taken"'*) ;; *) fail "the stream has other events: $stream" ;; esac

expect 200 'MX 5 mx2.example.test.' -X PATCH "$control/v1/records" "${json[@]}" \
    -d '{"delete":["example.test MX"],"add":["example.test. MX 5 mx2.example.test."]}'
expect 422 'no file can be read' -X PUT "$control/v1/lab" -H 'Content-Type: application/toml' \
    --data-binary $'summary="s"\nzone_file="/etc/passwd"\nmessages=[{id="m",to="a@b.test"}]\n'
expect 403 'found Origin' "$control/v1/lab" -H 'Origin: http://elsewhere.test'
expect 403 'found Host' "$control/v1/lab" -H 'Host: elsewhere.test'

exec 3>&-
wait "$up" || fail "it ended with status $?"
[ ! -e "$folder/ready" ] || fail "the file that says it is ready is still there"
trap 'rm -r "$folder"' EXIT
echo "control.sh: 1 passed, 0 failed"
