/*
 * certificate.h - which certificates a credential is about: "KIND=TEXT", "KIND~PATTERN"
 *
 * KIND is common_name, subject, dns, email or uri; with @any behind it the name may be that of any certificate in the chain, with @1 to @9 that of the one so
 * far from the client's; else it is the client's own. TEXT is the whole name as it is, PATTERN a regular expression (PCRE2) that is found in it.
 */
#ifndef AUTH_CERTIFICATE_H
#define AUTH_CERTIFICATE_H

#include "shared/ipc/rec.h"

#define CERTIFICATE_ANY (-1)
#define CERTIFICATE_RULE_MAX 4200 /* bytes, with its kind */
#define CERTIFICATE_DEPTH_MAX 9

struct certificate_rule {
	enum rec_name_kind kind;
	int depth;
	bool is_pattern;
	struct span text; /* in what was parsed */
};

bool certificate_parse(const char *rule, struct certificate_rule *out);
/* The rule for just this name, NUL terminated. False: it is longer than out, or not of a kind or depth that has one. */
bool certificate_rule_of(
    enum rec_name_kind kind, int depth, struct span text, char out[CERTIFICATE_RULE_MAX + 1]);

#endif
