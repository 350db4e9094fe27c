#include "shared/net/ocsp.h"

#include <errno.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/clock.h"

#define SKEW_MS 300000 /* that clocks may differ by */

/* Without the authority's certificate, which need not be at hand: its name and the number it gave. */
static bool
is_about(OCSP_SINGLERESP *r, const X509 *certificate)
{
	OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(r);
	uint8_t digest[EVP_MAX_MD_SIZE];
	ASN1_OCTET_STRING *name;
	ASN1_INTEGER *number;
	ASN1_OBJECT *hash;
	const EVP_MD *md;
	unsigned len;

	if (OCSP_id_get0_info(&name, &hash, NULL, &number, id) != 1 ||
	    ASN1_INTEGER_cmp(number, X509_get0_serialNumber(certificate)) != 0)
		return false;
	md = EVP_get_digestbyobj(hash);
	return md != NULL &&
	    X509_NAME_digest(X509_get_issuer_name(certificate), md, digest, &len) == 1 &&
	    ASN1_STRING_length(name) == (int)len &&
	    memcmp(ASN1_STRING_get0_data(name), digest, len) == 0;
}

/* UINT64_MAX: it is no time. */
static uint64_t
ms_of(const ASN1_GENERALIZEDTIME *t)
{
	struct tm tm;
	time_t s;

	if (ASN1_TIME_to_tm(t, &tm) != 1 || (s = timegm(&tm)) < 0)
		return UINT64_MAX;
	return (uint64_t)s * 1000;
}

/* NULL: it is good, until *until_ms_out. */
static const char *
look_at(OCSP_SINGLERESP *r, uint64_t *until_ms_out)
{
	ASN1_GENERALIZEDTIME *since, *until;
	int status = OCSP_single_get0_status(r, NULL, NULL, &since, &until);

	if (status != V_OCSP_CERTSTATUS_GOOD)
		return status == V_OCSP_CERTSTATUS_REVOKED ? "says that the certificate is revoked"
							   : "does not know the certificate";
	if (since == NULL || ms_of(since) > clock_wall_ms() + SKEW_MS)
		return "is not in force yet";
	*until_ms_out = until != NULL ? ms_of(until) : UINT64_MAX;
	return *until_ms_out <= clock_wall_ms() ? "is outdated" : NULL;
}

int
ocsp_read(struct span der, const X509 *certificate, struct ocsp *out, const char **why)
{
	const uint8_t *p = der.p;
	OCSP_RESPONSE *all = d2i_OCSP_RESPONSE(NULL, &p, (long)der.len);
	OCSP_BASICRESP *basic = NULL;
	struct ocsp o = { 0 };
	int err = -EINVAL;

	*why = "is no OCSP response in DER";
	if (all == NULL || p != der.p + der.len)
		goto out;
	*why = "is an OCSP response without an answer";
	if (OCSP_response_status(all) != OCSP_RESPONSE_STATUS_SUCCESSFUL ||
	    (basic = OCSP_response_get1_basic(all)) == NULL)
		goto out;
	*why = "is about another certificate";
	for (int i = 0; i < OCSP_resp_count(basic); i++)
		if (is_about(OCSP_resp_get0(basic, i), certificate)) {
			*why = look_at(OCSP_resp_get0(basic, i), &o.until_ms);
			break;
		}
	if (*why != NULL)
		goto out;
	err = -ENOMEM;
	o.der = malloc(der.len);
	if (o.der == NULL)
		goto out;
	memcpy(o.der, der.p, der.len);
	o.len = der.len;
	*out = o;
	err = 0;
out:
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(all);
	return err;
}

bool
ocsp_is_valid(const struct ocsp *o)
{
	return o->der != NULL && clock_wall_ms() < o->until_ms;
}

void
ocsp_fini(struct ocsp *o)
{
	free(o->der);
	*o = (struct ocsp){ 0 };
}
