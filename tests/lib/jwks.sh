#!/bin/bash
# jwks.sh KEY=KID... - prints a set of public keys (JWKS), each of a private key in PEM: RSA, P-256 or Ed25519
set -eu

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
der() { openssl pkey -in "$1" -pubout -outform DER; }
modulus() {
	local hex i
	hex=$(openssl rsa -in "$1" -noout -modulus)
	hex=${hex#*=}
	for ((i = 0; i < ${#hex}; i += 2)); do printf '%b' "\\x${hex:i:2}"; done
}

all=
for one in "$@"; do
	key=${one%=*} kid=${one##*=}
	case $(openssl pkey -in "$key" -noout -text) in
	*ED25519*) json="\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"$(der "$key" | tail -c 32 | base64url)\"" ;;
	*prime256v1*) json="\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"$(der "$key" | tail -c 64 | head -c 32 | base64url)\",\"y\":\"$(der "$key" | tail -c 32 | base64url)\"" ;;
	*) json="\"kty\":\"RSA\",\"n\":\"$(modulus "$key" | base64url)\",\"e\":\"AQAB\"" ;;
	esac
	all+=${all:+,}"{\"kid\":\"$kid\",\"use\":\"sig\",$json}"
done
printf '{"keys":[%s]}\n' "$all"
