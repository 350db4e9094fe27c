#!/bin/bash
# ca.sh DIR - certificates for tests, made by authorities of their own, all in DIR
#
#     ca.crt        the authority, whose are, each with its .key:
#     server        localhost, 127.0.0.1
#     other         other.example; sni/ has it beside server, and with an RSA key beside the other
#     locked        as server, its key encrypted with what locked.password has
#     alice         a client: common name, e-mail, URI and DNS name
#     nameless      a client without a common name; expired, revoked: clients whose time has passed, or who are in crl.pem
#     stranger.crt  a client of another authority, stranger-ca.crt
#     ocsp/         responses for ten days: server, other, revoked
#     self          a client that signed itself
#     factory.crt   an authority that ca.crt has signed, and pump, a client of its; with pump.crt comes factory.crt
set -eu
mkdir -p "$1"/sni
cd "$1"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }

# An authority has a list of what it has signed.
authority() { # name
	key "$1"
	: >"$1.index"
	echo 01 >"$1.number"
	openssl req -x509 -new -key "$1.key" -subj "/CN=$1 of the tests" -days 3650 -out "$1.crt"
	cat >"$1.cnf" <<-END
		[ca]
		default_ca = it
		[it]
		database = $1.index
		serial = $1.number
		new_certs_dir = .
		default_md = sha256
		default_crl_days = 3650
		policy = any
		unique_subject = no
		copy_extensions = copy
		[any]
		countryName = optional
		organizationName = optional
		commonName = optional
	END
}

sign() { # name authority subject alternative-names [option...]
	local name=$1 authority=$2 subject=$3 names=$4
	shift 4
	[[ -e $name.key ]] || key "$name"
	openssl req -new -key "$name.key" -subj "$subject" -out "$name.csr" ${names:+-addext "subjectAltName=$names"}
	openssl ca -batch -notext -config "$authority.cnf" -cert "$authority.crt" -keyfile "$authority.key" \
		-days 3650 -in "$name.csr" -out "$name.crt" "$@" 2>"$name.log" || {
		cat "$name.log" >&2
		exit 1
	}
}

authority ca
authority stranger-ca
sign server ca /CN=localhost DNS:localhost,IP:127.0.0.1
sign other ca /CN=other.example DNS:other.example
sign alice ca /O=Tests/CN=alice DNS:alice.example,email:alice@example.org,URI:urn:dev:alice
sign nameless ca /O=Tests ""
sign expired ca /CN=expired "" -startdate 20200101000000Z -enddate 20200102000000Z
sign revoked ca /CN=revoked ""
sign stranger stranger-ca /CN=alice ""
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout self.key -subj /CN=alice -days 3650 -out self.crt 2>/dev/null
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -revoke revoked.crt 2>/dev/null
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -gencrl -out crl.pem 2>/dev/null

key factory
key pump
openssl req -new -key factory.key -subj "/O=Tests/CN=factory" -out factory.csr
openssl x509 -req -in factory.csr -CA ca.crt -CAkey ca.key -set_serial 100 -days 3650 -out factory.crt \
	-extfile <(echo basicConstraints=critical,CA:true) 2>/dev/null
openssl req -new -key pump.key -subj "/O=Tests/CN=pump-7" -out pump.csr
openssl x509 -req -in pump.csr -CA factory.crt -CAkey factory.key -set_serial 1 -days 3650 -out pump.crt \
	-extfile <(echo subjectAltName=DNS:seven.pumps.example,DNS:pump-7.example) 2>/dev/null
cat factory.crt >>pump.crt
ocsp() { # certificate file [option...]
	local certificate=$1 file=$2
	shift 2
	openssl ocsp -index ca.index -CA ca.crt -issuer ca.crt -cert "$certificate" -rsigner ca.crt -rkey ca.key -respout "$file" "$@" >/dev/null 2>&1
}
mkdir ocsp
ocsp server.crt ocsp/server -ndays 10
ocsp other.crt ocsp/other -ndays 10
ocsp revoked.crt ocsp/revoked -ndays 10

echo "not a secret" >locked.password
openssl ec -in server.key -aes256 -passout file:locked.password -out locked.key 2>/dev/null
cp server.crt locked.crt

openssl genrsa -out other-rsa.key 2048 2>/dev/null
sign other-rsa ca /CN=other.example DNS:other.example
cp server.crt sni/1-server.crt
cp server.key sni/1-server.key
for name in other other-rsa; do
	cp $name.crt sni/2-$name.crt
	cp $name.key sni/2-$name.key
done
