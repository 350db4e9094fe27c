/*
 * tls_client.h - TLS as a client speaks it, for tests: OpenSSL without a socket
 *
 * What has come is handed in, what has to be sent is put behind `out`.
 */
#ifndef LIB_TLS_CLIENT_H
#define LIB_TLS_CLIENT_H

#include "tests/lib/bytes.h"

struct tls_client;

/* For all that begin from then on: who signs servers. Ends the program if the file can't be read. */
void tls_client_authority(const char *cafile);

/* From then on each begins with the session that was given out last, by whatever connection. After tls_client_authority(). */
void tls_client_resumes(void);

struct tls_client *tls_client_new(const char *host); /* whose certificate it has to be */
void tls_client_free(struct tls_client *t);          /* NULL is fine */
/* What it holds is put behind `plain`. At first with nothing: it begins. False: it has failed, tls_client_bad() says how. */
bool tls_client_take(struct tls_client *t, struct span in, struct bytes *plain, struct bytes *out);
void tls_client_put(struct tls_client *t, struct span plain, struct bytes *out);
void tls_client_close(struct tls_client *t, struct bytes *out); /* nothing more will be sent */
bool tls_client_is_open(const struct tls_client *t);
bool tls_client_is_resumed(const struct tls_client *t); /* an open one */
bool tls_client_ended(const struct tls_client *t); /* the server has said that it sends no more */
const char *tls_client_bad(const struct tls_client *t);

#endif
