#include "shared/net/tls_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/file.h"

#define FILE_MAX (4 << 20) /* bytes; bundles of all public authorities have a quarter of it */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* What precedes each file: then its path with a NUL, and what it has. */
struct head {
	uint32_t listener, kind, path_len, len;
};

struct reading {
	FILE *to;
	uint32_t listener;
	const struct conf_listener *l;
	struct conf_error *err;
};

static int read_listener(struct reading *r);
static int read_certificates(struct reading *r);
static int read_pairs(struct reading *r);
static int read_ocsp(struct reading *r, const char *certificate);
static int
read_trust(struct reading *r, enum tls_file_kind kind, const char *key, const char *where);
static int read_file(struct reading *r, enum tls_file_kind kind, const char *key, const char *path);
static int failed(struct reading *r, const char *key, const char *path, int err);

bool
tls_files_are_needed(const struct conf *c)
{
	for (uint32_t i = 0; i < c->nlisteners; i++)
		if (conf_has_tls(&c->listener[i]))
			return true;
	return false;
}

int
tls_files_read(const struct conf *c, struct conf_error *err)
{
	struct reading r = { .err = err };
	int fd = memfd_create("tls", MFD_CLOEXEC | MFD_ALLOW_SEALING), bad = 0;

	snprintf(err->text, sizeof(err->text), "no memory for the files of TLS");
	if (fd < 0)
		return -errno;
	r.to = fdopen(dup(fd), "w");
	if (r.to == NULL) {
		close(fd);
		return -ENOMEM;
	}
	setvbuf(r.to, NULL, _IONBF, 0); /* or keys would be left in its buffer */
	for (uint32_t i = 0; i < c->nlisteners && bad == 0; i++) {
		r.listener = i;
		r.l = &c->listener[i];
		if (conf_has_tls(r.l))
			bad = read_listener(&r);
	}
	if (fclose(r.to) != 0 && bad == 0)
		bad = -errno;
	if (bad == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		bad = -errno;
	if (bad == 0)
		return fd;
	close(fd);
	return bad;
}

int
tls_files_map(int fd, struct tls_files *out)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 || st.st_size <= 0)
		return -EPROTO;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*out = (struct tls_files){ p, (size_t)st.st_size };
	return 0;
}

void
tls_files_unmap(struct tls_files *f)
{
	if (f->p != NULL)
		munmap((void *)f->p, f->len);
	*f = (struct tls_files){ 0 };
}

int
tls_files_next(const struct tls_files *f, size_t *at, struct tls_file *out)
{
	size_t left = f->len - *at;
	const uint8_t *p = f->p + *at;
	struct head h;

	if (left == 0)
		return 0;
	if (left < sizeof(h))
		return -EPROTO;
	memcpy(&h, p, sizeof(h));
	left -= sizeof(h);
	p += sizeof(h);
	if (h.listener >= CONF_LISTENERS || h.kind >= TLS_FILE_KINDS || h.path_len == 0 ||
	    h.path_len > left || h.len > left - h.path_len || p[h.path_len - 1] != '\0')
		return -EPROTO;
	*out = (struct tls_file){
		.listener = h.listener,
		.kind = h.kind,
		.path = (const char *)p,
		.data = span_of(p + h.path_len, h.len),
	};
	*at += sizeof(h) + h.path_len + h.len;
	return 1;
}

/* --- reading ------------------------------------------------------------------------------ */

static int
read_listener(struct reading *r)
{
	const struct conf_listener *l = r->l;
	int err = 0;

	/* The password first: keys need it. */
	if (l->key_password_file.s[0] != '\0')
		err = read_file(r, TLS_FILE_PASSWORD, "key_password_file", l->key_password_file.s);
	if (err == 0 && l->certificate.s[0] != '\0')
		err = read_certificates(r);
	if (err == 0 && l->psk_file.s[0] != '\0')
		err = read_file(r, TLS_FILE_PSKS, "psk_file", l->psk_file.s);
	if (err == 0)
		err = read_trust(
		    r, TLS_FILE_AUTHORITIES, "client_authorities", l->client_authorities.s);
	if (err == 0)
		err = read_trust(
		    r, TLS_FILE_REVOCATIONS, "client_revocations", l->client_revocations.s);
	return err;
}

static int
read_certificates(struct reading *r)
{
	const char *path = r->l->certificate.s, *key = r->l->certificate_key.s;
	struct stat st;
	int err;

	if (stat(path, &st) != 0)
		return failed(r, "certificate", path, errno);
	if (S_ISDIR(st.st_mode))
		return read_pairs(r);
	err = read_file(r, TLS_FILE_CERTIFICATE, "certificate", path);
	if (err == 0)
		err = read_file(r, TLS_FILE_KEY, "certificate_key", key[0] != '\0' ? key : path);
	if (err == 0)
		err = read_ocsp(r, path);
	return err;
}

/* The one that is named, or beside the certificate, where none need be. */
static int
read_ocsp(struct reading *r, const char *certificate)
{
	const char *named = r->l->ocsp_response.s, *slash = strrchr(certificate, '/');
	const char *dot = strrchr(certificate, '.');
	char path[PATH_MAX + 8];

	if (named[0] != '\0')
		return read_file(r, TLS_FILE_OCSP, "ocsp_response", named);
	snprintf(path, sizeof(path), "%.*s.ocsp",
	    (int)(dot > slash ? dot - certificate : (ssize_t)strlen(certificate)), certificate);
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	return read_file(r, TLS_FILE_OCSP, "certificate", path);
}

static bool
ends_in(const struct dirent *e, const char *const *endings)
{
	const char *dot = strrchr(e->d_name, '.');

	for (; e->d_name[0] != '.' && dot != NULL && *endings != NULL; endings++)
		if (strcmp(dot, *endings) == 0)
			return true;
	return false;
}

static int
is_certificate(const struct dirent *e)
{
	return ends_in(e, (const char *const[]){ ".crt", NULL });
}

/* Not what c_rehash calls them: that would be each once more. */
static int
is_authority(const struct dirent *e)
{
	return ends_in(e, (const char *const[]){ ".crt", ".pem", NULL });
}

static int
is_revocation(const struct dirent *e)
{
	return ends_in(e, (const char *const[]){ ".crl", ".pem", NULL });
}

/* The names of those, in order; their number, at least 1, or -errno. */
static int
list(struct reading *r, const char *key, const char *dir, int (*is_one)(const struct dirent *),
    const char *endings, struct dirent ***out)
{
	int n = scandir(dir, out, is_one, alphasort);

	if (n < 0)
		return failed(r, key, dir, errno);
	if (n > 0)
		return n;
	free(*out);
	snprintf(r->err->text, sizeof(r->err->text),
	    "listeners.%.31s.%s: no file in %.255s ends in %s", r->l->name.s, key, dir, endings);
	return -ENOENT;
}

static void
list_free(struct dirent **name, int n)
{
	for (int i = 0; i < n; i++)
		free(name[i]);
	free(name);
}

static int
read_pairs(struct reading *r)
{
	const char *dir = r->l->certificate.s;
	struct dirent **name;
	int n = list(r, "certificate", dir, is_certificate, ".crt", &name), err = 0;
	char path[PATH_MAX];

	if (n < 0)
		return n;
	if (r->l->ocsp_response.s[0] != '\0') {
		snprintf(r->err->text, sizeof(r->err->text),
		    "listeners.%.31s.ocsp_response: certificate is a directory: put NAME.ocsp "
		    "beside "
		    "NAME.crt there",
		    r->l->name.s);
		err = -EINVAL;
	}
	for (int i = 0; i < n && err == 0; i++) {
		int len = snprintf(path, sizeof(path), "%s/%s", dir, name[i]->d_name);

		err = read_file(r, TLS_FILE_CERTIFICATE, "certificate", path);
		strcpy(path + len - 4, ".key");
		if (err == 0)
			err = read_file(r, TLS_FILE_KEY, "certificate", path);
		if (err == 0)
			err = read_ocsp(r, path);
	}
	list_free(name, n);
	return err;
}

/* One file, or those of a directory; none if it isn't set. */
static int
read_trust(struct reading *r, enum tls_file_kind kind, const char *key, const char *where)
{
	bool lists = kind == TLS_FILE_REVOCATIONS;
	struct dirent **name;
	char path[PATH_MAX];
	struct stat st;
	int n, err = 0;

	if (where[0] == '\0')
		return 0;
	if (stat(where, &st) != 0 || !S_ISDIR(st.st_mode))
		return read_file(r, kind, key, where);
	n = list(r, key, where, lists ? is_revocation : is_authority,
	    lists ? ".crl or .pem" : ".crt or .pem", &name);
	if (n < 0)
		return n;
	for (int i = 0; i < n && err == 0; i++) {
		snprintf(path, sizeof(path), "%s/%s", where, name[i]->d_name);
		err = read_file(r, kind, key, path);
	}
	list_free(name, n);
	return err;
}

static int
read_file(struct reading *r, enum tls_file_kind kind, const char *key, const char *path)
{
	struct head h = { r->listener, kind, (uint32_t)strlen(path) + 1, 0 };
	size_t len;
	uint8_t *data = file_read(path, FILE_MAX, &len), *end;

	if (data == NULL)
		return failed(r, key, path, errno);
	h.len = (uint32_t)len;
	if (kind == TLS_FILE_PASSWORD && (end = memchr(data, '\n', len)) != NULL)
		h.len = (uint32_t)(end - data);
	fwrite(&h, sizeof(h), 1, r->to);
	fwrite(path, h.path_len, 1, r->to);
	fwrite(data, 1, h.len, r->to);
	explicit_bzero(data, len);
	free(data);
	return ferror(r->to) ? -ENOMEM : 0;
}

static int
failed(struct reading *r, const char *key, const char *path, int err)
{
	snprintf(r->err->text, sizeof(r->err->text), "listeners.%.31s.%s: cannot read %.255s: %s",
	    r->l->name.s, key, path, strerror(err));
	return -err;
}
