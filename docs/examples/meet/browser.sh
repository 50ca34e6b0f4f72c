#!/bin/sh
# One of two browsers: browser.sh NAME STUN SERVER DIRECTORY [TURN-USER TURN-PASSWORD]
turn=${5:+"&turn=$2&user=$5&password=$6"}
exec chromium --headless --no-sandbox --disable-gpu --no-first-run --user-data-dir="$4" \
    --disable-features=WebRtcHideLocalIpsWithMdns --disable-background-networking \
    --enable-logging=stderr "http://$3:8080/?me=$1&stun=$2$turn"
