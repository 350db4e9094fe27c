/*
 * tls.h - TLS between a socket and who reads and writes it (OpenSSL)
 *
 * A server is what a listener's handshakes need: certificates, authorities, what is allowed. A connection keeps the one it began with,
 * whatever becomes of the listener. Sessions are resumed by stateless tickets, whose keys all processes have from the master; a ticket is
 * good for the listener it was made for while whom that trusts is the same.
 *
 * Runs in: the loop of who accepts. Never blocks; a handshake step takes up to half a millisecond, so callers count them.
 * Trusts:  not the client. Errors: -errno; -EPROTO: tls_why() says what, and the connection is of no use any more.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stddef.h>
#include <sys/types.h>

#include "shared/ipc/rec.h"
#include "shared/net/tls_files.h"

struct tls_server;
struct ssl_st; /* a connection: OpenSSL's own */

#define TLS_TICKET_KEYS 2 /* the one in use, and the one before it */

struct tls_ticket_key {
	uint8_t name[16], cipher[32], mac[32];
};

/* Reads OpenSSL's configuration, which it would do at a first use, while files can be opened. */
void tls_init(void);

/* Keys for all servers of this process, from now on. Before the first, sessions aren't resumed. */
void tls_set_ticket_keys(const struct tls_ticket_key key[TLS_TICKET_KEYS]);

/*
 * Could all listeners of c have one, with what is in the files now? 0, with tls_server_warning() in *err, or ""; -errno with *err.
 */
int tls_check(const struct conf *c, struct conf_error *err);
/* The server of listener i of c. 0, or -errno with the reason. */
int tls_server_new(const struct conf *c, uint32_t i, const struct tls_files *files, char why[256],
    struct tls_server **out);
void tls_server_free(struct tls_server *s);                 /* its connections go on */
const char *tls_server_warning(const struct tls_server *s); /* what it does without; "": nothing */

struct ssl_st *
tls_accept(struct tls_server *s, int fd); /* NULL: no memory. fd stays the caller's */
void tls_free(struct ssl_st *tls);        /* may be NULL */

/*
 * Bytes; 0: the client has closed it; -EAGAIN; -EPROTO, -errno. Shakes hands first. *more_out: there is more, be it its end, of which
 * the socket may know nothing any more.
 */
ssize_t tls_read(struct ssl_st *tls, void *p, size_t len, bool *more_out);
/* Bytes, at most a record's; -EAGAIN: again with these bytes first, there may be more behind them; -EPROTO, -errno. */
ssize_t tls_write(struct ssl_st *tls, const void *p, size_t len);
bool tls_is_open(const struct ssl_st *tls);   /* hands are shaken */
bool tls_wants_out(const struct ssl_st *tls); /* a handshake waits for room in the socket */
bool tls_has_ended(const struct ssl_st *tls); /* the client has said that nothing more comes */
void tls_bye(struct ssl_st *tls);             /* says that nothing more comes */
const char *tls_why(void);                    /* of the last -EPROTO; static */

/* Of an open one: "TLSv1.3", "TLS_AES_256_GCM_SHA384". */
const char *tls_version(const struct ssl_st *tls);
const char *tls_cipher(const struct ssl_st *tls);
bool tls_is_resumed(const struct ssl_st *tls);
/*
 * What names the client in its certificate. Bytes of it in out; 0: there is no certificate, or the name is to come from elsewhere; -ENOENT: the
 * certificate has none; -EINVAL: it is no text, or longer than out.
 */
ssize_t tls_user(const struct ssl_st *tls, enum conf_certificate_user what, char *out, size_t size);
/* Likewise the identity of the key that hands were shaken with, or shaken with first, if they are resumed. */
ssize_t tls_psk_identity(const struct ssl_st *tls, char *out, size_t size);
bool tls_has_certificate(const struct ssl_st *tls); /* the client's, found to be good */

#define TLS_NAMES_MAX 8192

/*
 * All that name the client and those who signed for it, up to the authority that is trusted: struct rec_name, each with its text, the
 * client's first. Bytes; what can't be text, or finds no room in TLS_NAMES_MAX, is not among them. A session that is resumed has those it began with, from its ticket.
 */
size_t tls_names(const struct ssl_st *tls, uint8_t out[TLS_NAMES_MAX]);

#endif
