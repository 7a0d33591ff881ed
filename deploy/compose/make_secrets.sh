#!/bin/sh
# Makes the random secrets of compose.yaml, once: files in secrets/, each with one secret. Needs mosquitto_passwd, or
# Docker, whose mosquitto image has it.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

hash_passwords() {
    if command -v mosquitto_passwd > /dev/null; then
        mosquitto_passwd -U secrets/mqtt_users
    else
        docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/secrets:/secrets" eclipse-mosquitto:2.0 \
            mosquitto_passwd -U /secrets/mqtt_users
    fi
}

if [ -e secrets/page_token ]; then
    echo "secrets/ has secrets already. To make new ones, remove that folder first." >&2
    exit 1
fi
random > secrets/camera_password
printf 'viewer:%s' "$(cat secrets/camera_password)" > secrets/camera_login
random > secrets/mqtt_password
printf 'percept:%s\n' "$(cat secrets/mqtt_password)" > secrets/mqtt_users
hash_passwords
random > secrets/page_token
# The containers run as other users: they may read the files, but no other user of this machine reaches the folder.
chmod 644 secrets/*
chmod 700 secrets
echo "The page's token is in $PWD/secrets/page_token"
