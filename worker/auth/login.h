/*
 * login.h - a CONNECT that waits to be let in, and the providers that are asked about it
 *
 * They are asked in the order of `authentication`. The first that knows the client decides; one that does not leaves it to the next. Whom none knows
 * comes in only if it shows neither user name nor password, and its listener allows for that. A client with an authentication method (4.12) is for those who have it.
 *
 * Runs in: auth's loop. Bounded: so many under way, so many bytes of them; beyond that, and after auth_timeout, clients are told to come again.
 */
#ifndef AUTH_LOGIN_H
#define AUTH_LOGIN_H

#include "shared/conf/conf.h"
#include "shared/ipc/rec.h"
#include "shared/mqtt/mqtt.h"
#include "shared/net/timer.h"
#include "worker/auth/credential.h"
#include "worker/auth/text.h"
#include "worker/auth/verify.h"

enum verdict {
	VERDICT_UNKNOWN,
	VERDICT_ALLOW,
	VERDICT_DENY,
	VERDICT_BUSY,
	VERDICT_LATER,
	VERDICT_GO_ON /* the client is to say more: found.data asks for it, found.state comes back with that */
};

/* What is to be known of a client beyond yes. Borrowed until the provider's function has returned. */
struct login_found {
	struct span groups;     /* with commas between them */
	struct span attributes; /* as in struct rec_login_done */
	struct span data;       /* authentication data for it */
	struct span state;      /* with VERDICT_GO_ON, at least a byte */
	struct span user_name;  /* that it has shown in its data */
	uint64_t expires_ms;    /* wall clock; 0: never */
};

struct login {
	struct list link; /* in the order they came */
	uint64_t token;
	uint64_t until_ms;
	uint32_t turn;
	uint8_t slot, flags, version;
	uint8_t nth;                 /* provider to be asked next, in their order */
	const struct provider *with; /* that was asked last */
	/* In kept[]; a NUL is behind each. names: struct rec_name with their texts. */
	struct span client_id, user_name, password, names, method, data, state, peer, listener;
	struct login_found found; /* by the provider that lets it in */
	struct {                  /* basic.c */
		struct verify verify;
		uint64_t serial; /* of the credential whose password it is compared with */
		uint8_t way;
	} basic;
	struct {                  /* jwt.c */
		struct list link; /* while it waits for keys */
	} jwt;
	struct { /* http.c */
		struct list link;
		struct fetch *fetch; /* NULL: it waits for its turn */
		struct text body;
	} http;
	size_t size;
	char kept[];
};

struct provider {
	enum verdict (*ask)(struct login *l); /* LATER: login_verdict() follows */
	void (*take_back)(struct login *l);   /* nobody waits for it any more; NULL: never LATER */
	/* Is it asked about clients with this authentication method? NULL: about those without one. */
	bool (*has_method)(struct span method);
};

extern const struct provider basic, scram, x509;

void login_init(void);
void login_fini(void);
void login_begin(void); /* it is known who there is: until then nobody is let in, or refused */
int login_record(unsigned slot, struct span body); /* REC_LOGIN; -EPROTO */
void login_down(unsigned slot);                    /* its worker died */
/* From a provider that was asked and said LATER. */
void login_verdict(struct login *l, enum verdict v);

#endif
