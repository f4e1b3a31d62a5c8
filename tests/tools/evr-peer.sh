#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# evr-peer from outside: peers that meet, die and stop, and what cannot be a region.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"

peer=$EVR_BUILD/tools/evr-peer
cd "$EVR_TMP" || exit 1
socket=$EVR_TMP/socket

# No peer of ours outlives the test, whatever happens.
started=()
trap 'kill -9 "${started[@]}" 2>/dev/null; rm -rf "$EVR_TMP"' EXIT

# start LOG ARGUMENT...: in the background; its pid in $started_pid
start() {
	local log=$1
	shift
	: >"$log"
	"$peer" "$@" --deadline 60 >"$log" 2>"$log.err" &
	started_pid=$!
	started+=("$started_pid")
	disown $started_pid
}

# until_true SECONDS COMMAND...
until_true() {
	local tries=$(($1 * 50))
	shift
	while ! "$@"; do
		[ $((tries--)) -gt 0 ] || return 1
		sleep 0.02
	done
}

ready() {
	until_true 10 grep -q ' ready$' "$1"
}

ended() {
	! kill -0 "$1" 2>/dev/null
}

# says NAME FILE PATTERN
says() {
	if grep -qE -- "$3" "$2"; then
		ok "$1"
	else
		not_ok "$1" "'$(cat "$2" "$2.err" 2>/dev/null)' has no '$3'"
	fi
}

# stop PID: and wait until it stands still; the signal alone only asks for it
stop() {
	kill -STOP "$1"
	until_true 5 grep -q '^State:.*T (stopped)' "/proc/$1/status"
}

# ---- two peers that meet ----

start server complete --listen "$socket"
server=$started_pid
ready server
timeout 30 "$peer" submit --connect "$socket" --count 1000 --size 4000 --shutdown \
	>client 2>client.err
says "1 000 requests over a socket are answered, each once and right" client \
	'^submit number=[0-9]+ sent=1000 done=1000 owner_died=0 errors=0$'
until_true 10 ended "$server"
says "a shutdown ends the completer, who has answered them all" server \
	'^complete number=[0-9]+ received=1000 answered=1000 gone=0 errors=0$'
if [ ! -e "$socket" ]; then
	ok "the one who listened removes its socket"
else
	not_ok "the one who listened removes its socket" "$socket is there"
fi

# ---- a completer dies with a request in hand ----

start owner idle --listen "$socket"
owner=$started_pid
ready owner
start slow complete --connect "$socket" --hold 60000000 --print-ids
slow=$started_pid
ready slow
start sender submit --connect "$socket" --count 100 --window 8
sender=$started_pid
until_true 10 grep -q '^held .* at=receive$' slow
kill -9 "$slow"
start quick complete --connect "$socket"
quick=$started_pid
until_true 20 ended "$sender"
says "a request whose completer was killed comes back once and is done by another" \
	sender '^submit number=[0-9]+ sent=100 done=100 owner_died=1 errors=0$'

# ---- one is stopped, the other goes on ----

start stopped complete --connect "$socket" --hold 200000
stopped=$started_pid
ready stopped
stop "$stopped"
timeout 30 "$peer" submit --connect "$socket" --count 500 >client 2>client.err
says "a stopped completer delays nobody" client \
	'^submit number=[0-9]+ sent=500 done=500 owner_died=0 errors=0$'

# The same with a request in its hands, for the dump to tell.
kill -CONT "$stopped"
kill -TERM "$quick"
until_true 5 ended "$quick"
start holder complete --connect "$socket" --hold 60000000 --print-ids
holder=$started_pid
ready holder
stop "$stopped"
start sender submit --connect "$socket"
sender=$started_pid
until_true 10 grep -q '^held .* at=receive$' holder
stop "$holder"
kill -USR1 "$owner"
until_true 5 grep -q '^directory' owner.err
says "the dump names who is stopped with a request in its hands" owner.err \
	"\\(pid $holder\\) is stopped; in its hands: requests 1"
kill -9 "$holder"
kill -CONT "$stopped"
until_true 20 ended "$sender"
says "a request of a completer that was stopped and killed is done by another" sender \
	'^submit number=[0-9]+ sent=1 done=1 owner_died=1 errors=0$'

# ---- the dead are told as dead, and what they held comes back ----

start hoarder alloc --connect "$socket" --count 0 --window 200 --hold 20000 --print-ids
hoarder=$started_pid
until_true 20 grep -q '^held .* at=alloc$' hoarder
sleep 0.5
kill -9 "$hoarder"
timeout 30 "$peer" alloc --connect "$socket" --count 1000 --window 200 >client \
	2>client.err
says "the blocks of a killed peer can be had by another" client \
	'^alloc number=[0-9]+ taken=1000 freed=1000 full=[0-9]+ errors=0$'

kill -TERM "$stopped"
until_true 5 ended "$stopped"
says "SIGTERM is a leave in good order" stopped '^complete number='
kill -TERM "$owner"
until_true 5 ended "$owner"

# ---- pages ----

timeout 30 "$peer" idle --listen "$socket" --deadline 1 --bytes 4194304 \
	--bytes-max 8388608 --pages 1G --prefer --pages 4K --placement bind=all \
	--report >client 2>client.err
wanted='^report bytes=4194304 bytes_max=8388608 page_bytes=4096 huge_bytes=[0-9]+ '
wanted+='ranges=1 settle_us=[0-9]+ nodes=[0-9]+:[0-9]+'
says "a region that may grow tells its pages, and where they are" client "$wanted"
pages=$(sed -n 's/.* nodes=//p' client | tr ',' '\n' | cut -d: -f2 | paste -sd+)
if [ $((pages)) -eq 1024 ]; then
	ok "the pages of all nodes are the region's"
else
	not_ok "the pages of all nodes are the region's" "'$pages' make no 1024"
fi

# ---- what cannot be ----

# refused NAME STATUS TEXT ARGUMENT...
refused() {
	local name=$1 wanted=$2 text=$3 status
	shift 3
	timeout 30 "$peer" "$@" >out 2>err
	status=$?
	if [ $status -eq "$wanted" ] && grep -qF -- "$text" err; then
		ok "$name"
	else
		not_ok "$name" "status $status, not $wanted: '$(cat err)', not '$text'"
	fi
}

refused "no role is wrong usage" 2 "submit, complete, alloc, idle" --listen "$socket"
refused "an unknown role is named" 2 "'dance'" dance --listen "$socket"
refused "no place to meet is wrong usage" 2 "--listen, --connect, --region-fd" idle
refused "two places to meet are wrong usage" 2 "one of --listen" \
	idle --listen "$socket" --connect "$socket"
refused "a count that is no number is named" 2 "--count '1x'" \
	submit --listen "$socket" --count 1x
refused "a size without room for a message is refused" 2 "from 32 to" \
	submit --listen "$socket" --size 8
refused "pages of no size that there is are refused" 2 "4K, transparent, 2M or 1G" \
	idle --listen "$socket" --pages 3M
refused "a placement that does not say where is refused" 2 "bind=NODES" \
	idle --listen "$socket" --placement bind
refused "a node that is not there is named" 1 "1000" \
	idle --listen "$socket" --placement bind=1000
refused "an unknown option is named" 2 "'--dance'" idle --dance
refused "an option without its value is named" 2 "it wants a value" idle --listen
refused "nobody listening is told after 5 s with the cure" 1 "start a peer with" \
	idle --connect "$EVR_TMP/nobody"
: >file
refused "a file in the place of the socket is left alone" 1 "is not a socket" \
	idle --listen "$EVR_TMP/file"
refused "a path too long for a socket is refused" 1 "1 to 107 bytes" \
	idle --listen "$EVR_TMP/$(printf '%0200d' 0)"

# A socket that a killed peer has left behind.
start killed idle --listen "$socket"
ready killed
kill -9 "$started_pid"
until_true 5 ended "$started_pid"
start again idle --listen "$socket"
if [ -S "$socket" ] && ready again; then
	ok "a socket that nobody listens on is replaced"
else
	not_ok "a socket that nobody listens on is replaced" "$(cat again.err)"
fi
refused "a socket that somebody listens on is not" 1 "somebody listens there already" \
	idle --listen "$socket"
timeout 10 "$peer" submit --connect "$socket" --deadline 1 >client 2>client.err
status=$?
if [ $status -eq 3 ]; then
	ok "a deadline that passes is exit status 3"
else
	not_ok "a deadline that passes is exit status 3" "$status: $(cat client.err)"
fi
kill -TERM "$started_pid"

# not_a_region NAME TEXT: with whatever descriptor 7 is
not_a_region() {
	local name=$1 text=$2 status
	timeout 10 "$peer" idle --region-fd 7 >out 2>err
	status=$?
	if [ $status -eq 1 ] && grep -qF "$text" err; then
		ok "$name"
	else
		not_ok "$name" "exit status $status: '$(cat err)', not '$text'"
	fi
}

exec 7<>/dev/null
not_a_region "/dev/null is no region" "not a region"
exec 7< <(:)
not_a_region "a pipe is no region" "not a region"
head -c 100000 /dev/zero >file
exec 7<>file
not_a_region "an ordinary file is no region" "not a region"
exec 7>&-
not_a_region "a closed descriptor is told" "not open"

report_end
