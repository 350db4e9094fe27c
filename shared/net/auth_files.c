#include "shared/net/auth_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/file.h"

#define FILE_MAX (1 << 20) /* bytes; bundles of all public authorities have a quarter of it */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct head { /* then the files, one behind the other */
	uint32_t has[AUTH_FILES], len[AUTH_FILES];
};

static const struct named {
	const char *key;
	size_t offset; /* of its path, in struct conf */
	enum conf_provider of;
} named[AUTH_FILES] = {
	[AUTH_FILE_JWT_SECRET] = { "jwt_secret_file", offsetof(struct conf, jwt_secret_file),
	    PROVIDER_jwt },
	[AUTH_FILE_JWT_PUBLIC_KEY] = { "jwt_public_key", offsetof(struct conf, jwt_public_key),
	    PROVIDER_jwt },
	[AUTH_FILE_HTTP_HEADERS] = { "http_headers_file", offsetof(struct conf, http_headers_file),
	    PROVIDER_http },
	[AUTH_FILE_HTTP_AUTHORITIES] = { "http_authorities",
	    offsetof(struct conf, http_authorities), PROVIDER_http },
	[AUTH_FILE_JWKS_AUTHORITIES] = { "jwt_jwks_authorities",
	    offsetof(struct conf, jwt_jwks_authorities), PROVIDER_jwt },
};

/* NULL: it isn't needed. */
static const char *
path_of(const struct conf *c, const struct named *f)
{
	const struct conf_string *path = (const void *)((const uint8_t *)c + f->offset);

	return path->s[0] != '\0' && conf_has_provider(c, f->of) ? path->s : NULL;
}

static int
write_all(int fd, const void *p, size_t len)
{
	return len == 0 || write(fd, p, len) == (ssize_t)len ? 0 : -ENOMEM;
}

int
auth_files_read(const struct conf *c, int *fd_out, struct conf_error *err)
{
	struct head h = { 0 };
	uint8_t *data[AUTH_FILES] = { NULL };
	int fd = -1, bad = 0;
	bool any = false;

	snprintf(err->text, sizeof(err->text), "no memory for the files of authentication");
	for (unsigned i = 0; i < AUTH_FILES && bad == 0; i++) {
		const char *path = path_of(c, &named[i]);
		size_t len = 0;

		if (path == NULL)
			continue;
		data[i] = file_read(path, FILE_MAX, &len);
		if (data[i] == NULL) {
			bad = -errno;
			snprintf(err->text, sizeof(err->text), "%s: cannot read %.255s: %s",
			    named[i].key, path, strerror(errno));
		}
		h.len[i] = (uint32_t)len;
		h.has[i] = any = true;
	}
	if (bad == 0 && any) {
		fd = memfd_create("auth", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		bad = fd < 0 ? -errno : write_all(fd, &h, sizeof(h));
		for (unsigned i = 0; i < AUTH_FILES && bad == 0; i++)
			bad = write_all(fd, data[i], h.len[i]);
		if (bad == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
			bad = -errno;
	}
	for (unsigned i = 0; i < AUTH_FILES; i++) {
		if (data[i] != NULL)
			explicit_bzero(data[i], h.len[i]);
		free(data[i]);
	}
	if (bad == 0)
		*fd_out = fd;
	else if (fd >= 0)
		close(fd);
	return bad;
}

int
auth_files_map(int fd, struct auth_files *out)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct auth_files f = { 0 };
	size_t at = sizeof(struct head);
	struct stat st;
	struct head h;
	void *p;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 ||
	    st.st_size < (off_t)sizeof(h))
		return -EPROTO;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	f.p = p;
	f.len = (size_t)st.st_size;
	memcpy(&h, p, sizeof(h));
	for (unsigned i = 0; i < AUTH_FILES; i++) {
		if (h.len[i] > f.len - at) {
			auth_files_unmap(&f);
			return -EPROTO;
		}
		if (h.has[i] != 0)
			f.file[i] = span_of(f.p + at, h.len[i]);
		at += h.len[i];
	}
	*out = f;
	return 0;
}

void
auth_files_unmap(struct auth_files *f)
{
	if (f->p != NULL)
		munmap((void *)f->p, f->len);
	*f = (struct auth_files){ 0 };
}

int
auth_files_keys(
    const struct conf *c, const struct auth_files *f, struct jwt_keys **out, char why[256])
{
	const struct span *secret = &f->file[AUTH_FILE_JWT_SECRET];
	const struct span *pem = &f->file[AUTH_FILE_JWT_PUBLIC_KEY];
	struct jwt_keys *keys = jwt_keys_new();
	enum auth_file at = AUTH_FILE_JWT_SECRET;
	char what[JWT_WHY_MAX] = "needs more memory than there is";
	int err = keys != NULL ? 0 : -ENOMEM;

	if (err == 0 && secret->p != NULL)
		err = jwt_keys_add_secret(keys, *secret, c->jwt_secret_base64, what);
	if (err == 0 && pem->p != NULL) {
		at = AUTH_FILE_JWT_PUBLIC_KEY;
		err = jwt_keys_add_pem(keys, *pem, what);
	}
	if (err == 0) {
		*out = keys;
		return 0;
	}
	jwt_keys_free(keys);
	snprintf(why, 256, "%s: %.100s %s", named[at].key, path_of(c, &named[at]), what);
	return err;
}

/* Lines of "Name: value" without control characters: more could be said with them than one header. */
static bool
are_headers(struct span text)
{
	while (text.len > 0) {
		const uint8_t *end = memchr(text.p, '\n', text.len), *colon;
		size_t len = end != NULL ? (size_t)(end - text.p) : text.len, n = len;

		if (n > 0 && text.p[n - 1] == '\r')
			n--;
		colon = n > 0 ? memchr(text.p, ':', n) : NULL;
		if (n > 0 && (colon == NULL || colon == text.p))
			return false;
		for (size_t i = 0; i < n; i++)
			if (text.p[i] < ' ' || text.p[i] == 0x7f ||
			    (text.p[i] == ' ' && text.p + i < colon))
				return false;
		len += end != NULL;
		text = span_of(text.p + len, text.len - len);
	}
	return true;
}

static bool
are_authorities(struct span pem)
{
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.len);
	X509 *x = b != NULL ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	bool ok = x != NULL;

	X509_free(x);
	BIO_free(b);
	ERR_clear_error();
	return ok;
}

int
auth_files_look(const struct auth_files *f, char why[256])
{
	static const enum auth_file authorities[] = { AUTH_FILE_HTTP_AUTHORITIES,
		AUTH_FILE_JWKS_AUTHORITIES };

	if (!are_headers(f->file[AUTH_FILE_HTTP_HEADERS])) {
		snprintf(why, 256, "http_headers_file: must have a line \"Name: value\" for each");
		return -EINVAL;
	}
	for (unsigned i = 0; i < sizeof(authorities) / sizeof(authorities[0]); i++) {
		const struct span *pem = &f->file[authorities[i]];

		if (pem->p != NULL && !are_authorities(*pem)) {
			snprintf(
			    why, 256, "%s: has no certificate in PEM", named[authorities[i]].key);
			return -EINVAL;
		}
	}
	return 0;
}

int
auth_files_check(const struct conf *c, struct conf_error *err)
{
	struct auth_files f = { 0 };
	struct jwt_keys *keys = NULL;
	char why[256];
	int fd, bad = auth_files_read(c, &fd, err);

	if (bad != 0 || fd < 0)
		return bad;
	bad = auth_files_map(fd, &f);
	close(fd);
	if (bad == 0) {
		bad = auth_files_look(&f, why);
		if (bad == 0)
			bad = auth_files_keys(c, &f, &keys, why);
		if (bad != 0)
			snprintf(err->text, sizeof(err->text), "%s", why);
	}
	jwt_keys_free(keys);
	auth_files_unmap(&f);
	return bad;
}
