/*
 * auth_files.h - what the providers of authentication need of the disk, as a sealed memfd
 *
 * Secrets and keys of jwt, headers and authorities of http: the master reads them at the start and at each reload, so that what is wrong with one refuses the
 * reload, and hands them to auth, and to nobody else.
 *
 * Runs in: the master and tbmqctl (reading, checking), auth (looking).
 * Trusts:  not the memfd: what doesn't fit is -EPROTO.
 * Errors:  -errno, in words where there is a place for them.
 */
#ifndef NET_AUTH_FILES_H
#define NET_AUTH_FILES_H

#include "shared/base/span.h"
#include "shared/conf/conf.h"
#include "shared/jwt/key.h"

enum auth_file {
	AUTH_FILE_JWT_SECRET,
	AUTH_FILE_JWT_PUBLIC_KEY,
	AUTH_FILE_HTTP_HEADERS,
	AUTH_FILE_HTTP_AUTHORITIES,
	AUTH_FILE_JWKS_AUTHORITIES,
	AUTH_FILES
};

struct auth_files {
	const uint8_t *p; /* mapped */
	size_t len;
	struct span file[AUTH_FILES]; /* p NULL: it isn't there */
};

/* 0, and the caller's memfd, or -1: none is needed. -errno with *err. */
int auth_files_read(const struct conf *c, int *fd_out, struct conf_error *err);
/* Reads them, and looks whether they are what they should be. */
int auth_files_check(const struct conf *c, struct conf_error *err);

int auth_files_map(int fd, struct auth_files *out); /* fd stays open */
void auth_files_unmap(struct auth_files *f);
/* Are headers and authorities such? -errno with the same line. */
int auth_files_look(const struct auth_files *f, char why[256]);
/* The keys among them, the caller's; -errno with a line that names the key of the configuration. */
int auth_files_keys(
    const struct conf *c, const struct auth_files *f, struct jwt_keys **out, char why[256]);

#endif
