#!/bin/sh
# Draws every secret of a deployment once, into docker/secrets/ (git-ignored). Existing ones are kept.
# Back up key_encryption_key: without it no key can be opened again, and no audit of an existing release can run.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
draw() { [ -s "secrets/$1" ] || head -c 32 /dev/urandom | base64 | tr -d '\n' >"secrets/$1"; }
word() { [ -s "secrets/$1" ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"secrets/$1"; }
draw secret_key
[ -s secrets/key_encryption_key ] || printf 'first:%s' "$(head -c 32 /dev/urandom | base64 | tr -d '\n')" >secrets/key_encryption_key
word postgres_password
word redis_password
printf 'postgresql://touchmark:%s@postgres:5432/touchmark' "$(cat secrets/postgres_password)" >secrets/database_url
printf 'redis://:%s@redis:6379/0' "$(cat secrets/redis_password)" >secrets/broker_url
# Containers read them as user 10001.
chmod 0644 secrets/*
chmod 0711 secrets
echo "Secrets are in docker/secrets."
