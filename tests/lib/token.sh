#!/bin/bash
# token.sh ALG KEY CLAIMS [KID] - prints a JSON web token, signed by openssl
#
# ALG: HS256 (KEY is a file with the secret), RS256, ES256, EdDSA (a private key in PEM), or none. In CLAIMS, +N and -N behind
# a colon are so many seconds from now.
set -eu

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# Two numbers of 32 bytes each, of what openssl writes as DER.
raw() {
	openssl asn1parse -inform DER | sed -n 's/.*INTEGER *://p' |
		while read -r hex; do
			hex=$(printf '%64s' "$hex" | tr ' ' 0)
			for ((i = 0; i < 64; i += 2)); do printf '%b' "\\x${hex:i:2}"; done
		done
}

alg=$1 key=$2 claims=$3 kid=${4:+,\"kid\":\"$4\"}
now=$(date +%s)
while [[ $claims =~ :([+-][0-9]+) ]]; do
	claims=${claims/"${BASH_REMATCH[0]}"/:$((now + BASH_REMATCH[1]))}
done
text=$(printf '{"typ":"JWT","alg":"%s"%s}' "$alg" "$kid" | base64url).$(printf %s "$claims" | base64url)
# What EdDSA signs has to be a file.
to_sign=$(mktemp)
trap 'rm -f "$to_sign"' EXIT
printf %s "$text" >"$to_sign"
case $alg in
HS256) sig=$(openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(od -An -v -tx1 "$key" | tr -d ' \n')" -binary "$to_sign" | base64url) ;;
RS256) sig=$(openssl dgst -sha256 -sign "$key" "$to_sign" | base64url) ;;
ES256) sig=$(openssl dgst -sha256 -sign "$key" "$to_sign" | raw | base64url) ;;
EdDSA) sig=$(openssl pkeyutl -sign -rawin -inkey "$key" -in "$to_sign" | base64url) ;;
none) sig= ;;
esac
printf %s "$text.$sig"
