/*
 * tls_files.h - what TLS listeners need of the disk, as a sealed memfd
 *
 * The master reads the files, for a worker can't; workers make contexts of what they are given (tls.h).
 *
 * Runs in: the master and tbmqctl (reading), workers (looking).
 * Trusts:  not the memfd: what doesn't fit is -EPROTO.
 * Errors:  -errno; tls_files_read() says in words which file it was.
 */
#ifndef NET_TLS_FILES_H
#define NET_TLS_FILES_H

#include "shared/base/span.h"
#include "shared/conf/conf.h"

enum tls_file_kind {
	TLS_FILE_CERTIFICATE,
	TLS_FILE_KEY, /* of the certificate before it */
	TLS_FILE_PASSWORD,
	TLS_FILE_AUTHORITIES,
	TLS_FILE_REVOCATIONS,
	TLS_FILE_OCSP, /* of the certificate before it; DER */
	TLS_FILE_PSKS, /* psk.h */
	TLS_FILE_KINDS
};

struct tls_file {
	uint32_t listener; /* its place in the configuration */
	enum tls_file_kind kind;
	const char *path; /* for messages */
	struct span data; /* PEM, if nothing else is said; of a password: the first line */
};

struct tls_files {
	const uint8_t *p;
	size_t len;
};

/* Does any listener of it need some? */
bool tls_files_are_needed(const struct conf *c);
/* The caller's memfd, or -errno with *err. */
int tls_files_read(const struct conf *c, struct conf_error *err);

int tls_files_map(int fd, struct tls_files *out); /* fd stays open */
void tls_files_unmap(struct tls_files *f);
/* The next one from *at, which starts at 0. 1; 0: no more; -EPROTO. */
int tls_files_next(const struct tls_files *f, size_t *at, struct tls_file *out);

#endif
